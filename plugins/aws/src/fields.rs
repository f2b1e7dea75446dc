//! The ways in which operators write lists, tags, documents and times: those of Vault's
//! `aws` engine, and those of JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use lessor_sdk::prelude::*;
use serde::Deserializer;
use serde_json::{Map, Value};

/// A list, or a text with commas.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Names {
    /// A list.
    List(Vec<String>),
    /// `one,two`
    Text(String),
}

/// Tags: an object, a list of `key=value`, or such a text with commas.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Tags {
    /// An object.
    Map(BTreeMap<String, String>),
    /// `["key=value"]`
    Names(Names),
}

/// A policy document, as an object or as the text of one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Document {
    /// As it is.
    Object(Map<String, Value>),
    /// JSON.
    Text(String),
}

/// A time in whole seconds, or as `90m`, `1h`, `1h30m`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Ttl {
    /// Seconds.
    Seconds(u32),
    /// With a unit: `s`, `m`, `h`, `d`.
    Text(String),
}

/// Reads a text that is empty as none: clients of Vault write that for a field that they
/// leave out.
pub(crate) fn filled<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// Reads no time at all as none, as Vault does.
pub(crate) fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Ttl>, D::Error> {
    let time = Option::<Ttl>::deserialize(from)?;
    Ok(time.filter(|time| match time {
        Ttl::Seconds(seconds) => *seconds > 0,
        Ttl::Text(text) => !matches!(text.as_str(), "" | "0" | "0s"),
    }))
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Names {
    /// The names, without those that are empty.
    pub(crate) fn list(&self) -> Vec<String> {
        let trimmed = |name: &str| name.trim().to_owned();
        let names: Vec<String> = match self {
            Self::List(names) => names.iter().map(|name| trimmed(name)).collect(),
            Self::Text(text) => text.split(',').map(trimmed).collect(),
        };
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self::Map(BTreeMap::new())
    }
}

impl Tags {
    /// The tags; fails on one without `=`, naming `field`.
    pub(crate) fn list(&self, field: &str) -> Result<Vec<(String, String)>> {
        let names = match self {
            Self::Map(map) => return Ok(map.clone().into_iter().collect()),
            Self::Names(names) => names.list(),
        };
        let pair = |text: &String| {
            let (key, value) = text.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        let wrong = || {
            let sentence = format!("{field} has a tag without `=`: write key=value, or an object.");
            Failure::invalid_config("role_invalid", sentence)
        };
        names
            .iter()
            .map(|text| pair(text).ok_or_else(wrong))
            .collect()
    }
}

impl Document {
    /// The document as AWS takes it; fails on what is no policy, naming `field`.
    pub(crate) fn text(&self, field: &str) -> Result<String> {
        let wrong = |why: &str| {
            let sentence = format!(
                "{field} {why}: write a policy document of AWS, an object with `Version` and `Statement`."
            );
            Failure::invalid_config("policy_document_invalid", sentence)
        };
        let object = match self {
            Self::Object(object) => object.clone(),
            Self::Text(text) => match serde_json::from_str(text) {
                Ok(Value::Object(object)) => object,
                Ok(_) => return Err(wrong("is no object")),
                Err(_) => return Err(wrong("is not well-formed JSON")),
            },
        };
        if !object.contains_key("Statement") {
            return Err(wrong("has no Statement"));
        }
        Ok(Value::Object(object).to_string())
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Object(object) => object.is_empty(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }
}

impl Ttl {
    /// The time; fails on a text that is none, naming `field`.
    pub(crate) fn time(&self, field: &str) -> Result<Duration> {
        let wrong = || {
            let sentence = format!("{field} is no time: write whole seconds, or 90m, 1h, 1h30m.");
            Failure::invalid_config("role_invalid", sentence)
        };
        let text = match self {
            Self::Seconds(seconds) => return Ok(Duration::from_secs((*seconds).into())),
            Self::Text(text) => text.trim(),
        };
        if let Ok(seconds) = text.parse::<u32>() {
            return Ok(Duration::from_secs(seconds.into()));
        }
        let (mut total, mut digits) = (0_u64, String::new());
        for letter in text.chars() {
            let unit = match letter {
                '0'..='9' => {
                    digits.push(letter);
                    continue;
                }
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return Err(wrong()),
            };
            let number: u32 = std::mem::take(&mut digits).parse().map_err(|_| wrong())?;
            total += u64::from(number) * unit;
        }
        match text.is_empty() || !digits.is_empty() {
            true => Err(wrong()),
            false => Ok(Duration::from_secs(total)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_tags_are_read_in_every_way_that_operators_write_them() {
        for (written, names) in [
            (json!(["a", " b "]), vec!["a", "b"]),
            (json!("a, b,"), vec!["a", "b"]),
            (json!(""), vec![]),
        ] {
            let read: Names = serde_json::from_value(written).unwrap();
            assert_eq!(read.list(), names);
        }
        for written in [json!({"a": "1=2"}), json!(["a=1=2"]), json!("a=1=2")] {
            let read: Tags = serde_json::from_value(written).unwrap();
            let pair = ("a".to_owned(), "1=2".to_owned());
            assert_eq!(read.list("role.iam_tags").unwrap(), [pair]);
        }
        let failure = Tags::Names(Names::Text("a".into())).list("role.iam_tags");
        assert!(failure.unwrap_err().message().starts_with("role.iam_tags "));
    }

    #[test]
    fn a_time_is_read_with_and_without_units() {
        for (text, seconds) in [
            ("900", 900),
            ("15m", 900),
            ("1h30m", 5_400),
            ("2d", 172_800),
        ] {
            let time = Ttl::Text(text.to_owned()).time("role.x").unwrap();
            assert_eq!(time.as_secs(), seconds);
        }
        for text in ["", "h", "1", "1x", "m1", "-1s", "99999999999s"] {
            let read = Ttl::Text(text.to_owned()).time("role.x");
            assert_eq!(read.is_ok(), text == "1", "{text}");
        }
    }

    #[test]
    fn a_document_is_a_policy_or_refused_by_its_field() {
        let policy = json!({"Version": "2012-10-17", "Statement": []});
        for written in [policy.clone(), json!(policy.to_string())] {
            let read: Document = serde_json::from_value(written).unwrap();
            assert_eq!(
                read.text("role.policy_document").unwrap(),
                policy.to_string()
            );
        }
        for (written, says) in [
            (json!("{"), "not well-formed"),
            (json!("[]"), "no object"),
            (json!({"a": 1}), "no Statement"),
        ] {
            let read: Document = serde_json::from_value(written).unwrap();
            let failure = read.text("role.policy_document").unwrap_err();
            assert!(failure.message().contains(says), "{failure}");
            assert!(failure.message().starts_with("role.policy_document "));
        }
    }
}
