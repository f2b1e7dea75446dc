//! What is handed out of what AWS answered: all of it, one property, or each key by itself.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use lessor_sdk::gjson::{self, Found, PathError};
use lessor_sdk::prelude::*;

use crate::question::Question;

/// What a caller gets.
#[derive(Serialize, JsonSchema)]
pub struct Credential {
    /// The name of the secret.
    pub key: String,
    /// The version that was read; null of tags.
    pub version: Option<String>,
    /// The secret, or the property of it; null where it is in one of the next two.
    pub value: Option<Secret>,
    /// A binary secret, in base64.
    pub binary: Option<Secret>,
    /// Each key of the secret, where the whole of it is extracted: texts as they are, all
    /// else as JSON.
    pub data: Option<BTreeMap<String, Secret>>,
}

/// What AWS answered.
#[derive(Clone)]
pub(crate) struct Payload {
    pub(crate) text: Option<Secret>,
    /// In base64.
    pub(crate) binary: Option<Secret>,
    pub(crate) version: Option<String>,
}

impl Payload {
    /// What the question asks for.
    pub(crate) fn answer(self, asked: &Question) -> Result<Credential> {
        let mut credential = Credential {
            key: asked.key.clone(),
            version: self.version.clone(),
            value: None,
            binary: None,
            data: None,
        };
        if asked.property.is_none() && !asked.is_map {
            if self.text.is_none() && self.binary.is_none() {
                return Err(Failure::not_found(
                    "secret_empty",
                    format!("The secret {:?} has neither a text nor bytes.", asked.key),
                ));
            }
            credential.binary = self.binary.filter(|_| self.text.is_none());
            credential.value = self.text;
            return Ok(credential);
        }
        let mut text = self.readable(&asked.key)?;
        if let Some(property) = &asked.property {
            text = self::property(&asked.key, text.expose(), property)?;
        }
        match asked.is_map {
            true => credential.data = Some(map(asked, text.expose())?),
            false => credential.value = Some(text),
        }
        Ok(credential)
    }

    /// The text in which a property is looked for.
    fn readable(&self, key: &str) -> Result<Secret> {
        if let Some(text) = &self.text {
            return Ok(text.clone());
        }
        let encoded = self.binary.as_ref().map_or("", Secret::expose);
        let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(Failure::not_found(
                "secret_binary",
                format!(
                    "The secret {key:?} is binary, and no text: leave property and extract out."
                ),
            )),
        }
    }
}

/// A property of JSON: a key of that very name, and else a path.
fn property(key: &str, text: &str, property: &str) -> Result<Secret> {
    let literal = match property.contains('.') {
        true => gjson::get(text, &property.replace('.', "\\.")),
        false => Ok(None),
    };
    if let Ok(Some(found)) = literal {
        return Ok(secret(&found));
    }
    match gjson::get(text, property) {
        Ok(Some(found)) => Ok(secret(&found)),
        Ok(None) => Err(Failure::not_found(
            "property_not_found",
            format!("The key {property:?} does not exist in the secret {key:?}."),
        )),
        Err(PathError::NotJson) => Err(Failure::not_found(
            "secret_not_json",
            format!(
                "The key {property:?} does not exist in the secret {key:?}, which is no JSON: leave property out."
            ),
        )),
        Err(error) => Err(Failure::invalid_request(
            "property_invalid",
            format!("The property {property:?} cannot be followed: {error}."),
        )),
    }
}

fn secret(found: &Found) -> Secret {
    Secret::new(found.text().as_str())
}

/// Each key of an object.
fn map(asked: &Question, text: &str) -> Result<BTreeMap<String, Secret>> {
    let what = match &asked.property {
        Some(property) => format!("The key {property:?} of the secret {:?}", asked.key),
        None => format!("The secret {:?}", asked.key),
    };
    let members = gjson::members(text).ok().flatten().ok_or_else(|| {
        let sentence = format!(
            "{what} is no JSON object, so its keys cannot be extracted: leave extract out."
        );
        Failure::not_found("secret_no_object", sentence)
    })?;
    let value = |found: &Found| match found.is_string() || found.raw() == "null" {
        true => secret(found),
        false => Secret::new(found.raw()),
    };
    let pairs = members
        .iter()
        .map(|(name, found)| (name.clone(), value(found)));
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(property: Option<&str>, is_map: bool) -> Question {
        Question {
            key: "db".to_owned(),
            property: property.map(str::to_owned),
            version: None,
            is_of_tags: false,
            is_map,
        }
    }

    fn of_text(text: &str) -> Payload {
        Payload {
            text: Some(Secret::new(text)),
            binary: None,
            version: None,
        }
    }

    fn of_bytes(bytes: &[u8]) -> Payload {
        Payload {
            text: None,
            binary: Some(Secret::new(BASE64_STANDARD.encode(bytes))),
            version: None,
        }
    }

    #[test]
    fn a_property_is_a_key_first_and_a_path_then() {
        let text = r#"{"a.b": "literal", "a": {"b": "nested", "c": [10, "x"]}, "n": null, "e": 1e2,
            "a.#(c==1).d": "odd"}"#;
        for (property, value) in [
            ("a.b", Ok("literal")),
            (r"a\.b", Ok("literal")),
            ("a|b", Ok("nested")),
            ("a.c.1", Ok("x")),
            ("a.c.#", Ok("2")),
            ("a.c", Ok(r#"[10, "x"]"#)),
            ("n", Ok("")),
            ("e", Ok("100")),
            ("a.#(c==1).d", Ok("odd")),
            ("x", Err("\"x\" does not exist in the secret \"db\"")),
            ("a.x", Err("\"a.x\" does not exist in the secret \"db\"")),
            ("{a,n}", Err("multipaths")),
        ] {
            let read = of_text(text).answer(&question(Some(property), false));
            match (read, value) {
                (Ok(read), Ok(value)) => {
                    assert_eq!(read.value.unwrap().expose(), value, "{property}");
                }
                (Err(failure), Err(says)) => {
                    assert!(failure.message().contains(says), "{property}: {failure}");
                }
                (read, _) => panic!("{property}: {:?}", read.err()),
            }
        }
        let failure = of_text("hunter2").answer(&question(Some("x"), false));
        let failure = failure.err().unwrap();
        assert!(failure.message().contains("no JSON") && !failure.message().contains("hunter2"));
    }

    #[test]
    fn bytes_are_handed_out_as_bytes_and_looked_into_where_they_are_text() {
        let whole = of_bytes(&[0xff, 0]).answer(&question(None, false)).unwrap();
        assert_eq!(whole.binary.unwrap().expose(), "/wA=");
        assert!(whole.value.is_none());
        let failure = of_bytes(&[0xff]).answer(&question(Some("a"), false));
        assert_eq!(failure.err().unwrap().code(), "secret_binary");
        let read = of_bytes(br#"{"a": 1}"#).answer(&question(Some("a"), false));
        assert_eq!(read.unwrap().value.unwrap().expose(), "1");
        let nothing = Payload {
            binary: None,
            ..of_bytes(b"")
        };
        let failure = nothing.answer(&question(None, false)).err().unwrap();
        assert_eq!(failure.code(), "secret_empty");
    }

    #[test]
    fn each_key_is_a_text_or_json() {
        let text = r#"{"s": "te\"xt", "n": 1.0, "b": true, "z": null, "o": {"p": [1, "q"]}}"#;
        let data = of_text(text)
            .answer(&question(None, true))
            .unwrap()
            .data
            .unwrap();
        let data: Vec<(&str, &str)> = data
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        let expected = [
            ("b", "true"),
            ("n", "1.0"),
            ("o", r#"{"p": [1, "q"]}"#),
            ("s", "te\"xt"),
            ("z", ""),
        ];
        assert_eq!(data, expected);
        let inner = of_text(text).answer(&question(Some("o"), true)).unwrap();
        assert_eq!(inner.data.unwrap()["p"].expose(), r#"[1, "q"]"#);
        for (text, property) in [("[1]", None), ("plain", None), (text, Some("s"))] {
            let failure = of_text(text)
                .answer(&question(property, true))
                .err()
                .unwrap();
            assert_eq!(failure.code(), "secret_no_object", "{text}");
        }
    }
}
