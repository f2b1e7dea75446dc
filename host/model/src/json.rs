//! JSON from outside, read more strictly than serde does by itself: bodies of
//! requests, and what guests answer.
//!
//! How deep, how wide and how long a document may be is decided while it is read
//! ([`Bounds`]), so that no tree is built of a document that is refused, and no later walk over
//! a document has to count. A field that stands twice is refused: two readers would take
//! different ones. A sentence about broken JSON gives line and column and no piece of the
//! document, which may be a password.
//!
//! Pure. A few bytes of text can be many of memory: a list of a million numbers is
//! two megabytes of text, 32 as a tree, and a keyed hash each in the audit log.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::suggest;

/// The bounds of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
    /// Values in all, at whatever depth, the document itself included.
    pub values: usize,
    /// Bytes of a field's name.
    pub name: usize,
    /// Bytes of a text.
    pub text: usize,
}

/// Bounds for a caller with a token: more than any role or policy that a person writes. To hash
/// that many values takes some ten milliseconds.
pub const CALLER: Bounds = Bounds {
    depth: 32,
    values: 10_000,
    name: 1 << 10,
    text: 512 << 10,
};

/// Bounds for a caller without a token: a login has three fields, and its longest is a signed
/// token of 64 KiB.
pub const STRANGER: Bounds = Bounds {
    depth: 8,
    values: 200,
    name: 256,
    text: 96 << 10,
};

/// Bounds for a guest's answer, whose length `sandbox.output` bounds already: a credential of
/// ten thousand fields is taken, and the search for its secrets has bounds of its own.
pub const GUEST: Bounds = Bounds {
    depth: 32,
    values: 20_000,
    name: 1 << 10,
    text: 16 << 20,
};

/// The reason why a document was not read: the rest of a sentence that begins with what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Flaw(String);

impl Flaw {
    /// Beyond [`Bounds::values`].
    pub fn too_many(bounds: &Bounds) -> Self {
        Self(format!("holds more than {} values", bounds.values))
    }

    /// Beyond [`Bounds::text`].
    pub fn too_long(bounds: &Bounds) -> Self {
        Self(format!("holds a text longer than {} bytes", bounds.text))
    }

    /// Beyond [`Bounds::name`].
    pub fn name_too_long(bounds: &Bounds) -> Self {
        Self(format!(
            "has a field whose name is longer than {} bytes",
            bounds.name
        ))
    }
}

/// Reads one JSON document.
///
/// # Errors
/// Where the document breaks off, or which part of it is beyond `bounds`.
pub fn parse(bytes: &[u8], bounds: &Bounds) -> Result<Value, Flaw> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let left = Cell::new(bounds.values);
    let document = Document {
        bounds,
        left: &left,
        depth: 0,
    };
    let value = document
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            // Only this file's own sentences come as data errors.
            serde_json::error::Category::Data => {
                let text = error.to_string();
                let sentence = text.rsplit_once(" at line ").map_or("", |(said, _)| said);
                Flaw(format!("{sentence} ({place})"))
            }
            _ => Flaw(format!("is not JSON ({place})")),
        }
    })
}

/// The texts between quotation marks in something that may be broken, escapes undone
/// where they can be.
pub fn literals(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find('"')? + 1;
        let inside = rest.get(start..)?;
        let mut escaped = false;
        let end = inside.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        let literal = inside.get(..end.unwrap_or(inside.len()))?;
        rest = end.and_then(|end| inside.get(end + 1..)).unwrap_or("");
        let read = serde_json::from_str(&format!("\"{literal}\""));
        Some(read.unwrap_or_else(|_| literal.to_owned()))
    })
}

/// One value at some depth.
#[derive(Clone, Copy)]
struct Document<'b> {
    bounds: &'b Bounds,
    /// The number of values that may still come.
    left: &'b Cell<usize>,
    depth: usize,
}

impl Document<'_> {
    fn below(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }

    /// A text is measured before it is copied.
    fn admit<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        match text.len() > self.bounds.text {
            true => Err(E::custom(Flaw::too_long(self.bounds))),
            false => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > self.bounds.depth {
            let sentence = format!("is nested deeper than {} levels", self.bounds.depth);
            return Err(D::Error::custom(sentence));
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom(Flaw::too_many(self.bounds)));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.admit(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(self.below())? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = fields.next_key_seed(Name(self.bounds))? {
            if out.contains_key(&name) {
                let name = suggest::shown(&name);
                return Err(A::Error::custom(format!(
                    "has the field {name:?} twice in one object"
                )));
            }
            let value = fields.next_value_seed(self.below())?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

/// The name of a field.
struct Name<'b>(&'b Bounds);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<String, E> {
        match name.len() > self.0.name {
            true => Err(E::custom(Flaw::name_too_long(self.0))),
            false => Ok(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        parse(text.as_bytes(), &CALLER).map_err(|flaw| flaw.to_string())
    }

    #[test]
    fn a_document_is_read_whole() {
        let text = r#"{"a":[1,-2,1.5,"x",true,null],"b":{"c":{}}}"#;
        assert_eq!(
            read(text),
            Ok(json!({"a":[1,-2,1.5,"x",true,null],"b":{"c":{}}}))
        );
        assert_eq!(read("null"), Ok(Value::Null));
    }

    #[test]
    fn each_refusal_says_where_and_repeats_nothing() {
        for (text, expected) in [
            (
                "{\"a\":1,\"a\":2}",
                "has the field \"a\" twice in one object (line 1, column 10)",
            ),
            (
                "{\"a at line 1\":1,\"a at line 1\":2}",
                "has the field \"a at line 1\" twice in one object (line 1, column 30)",
            ),
            ("{\"password\":canary}", "is not JSON (line 1, column 13)"),
            ("", "is not JSON (line 1, column 0)"),
            ("{} {}", "is not JSON (line 1, column 4)"),
            ("{\"a\":", "is not JSON (line 1, column 5)"),
            ("ttl=1h", "is not JSON (line 1, column 2)"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_long_before_the_stack_ends() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(32)).is_ok());
        assert!(read(&deep(34)).unwrap_err().contains("32 levels"));
        assert!(read(&deep(100_000)).is_err());
    }

    #[test]
    fn what_is_beyond_a_bound_is_refused_by_its_number() {
        let bounds = Bounds {
            depth: 3,
            values: 6,
            name: 4,
            text: 5,
        };
        for (text, expected) in [
            ("[1,2,3,4,5]", None),
            ("[1,2,3,4,5,6]", Some("more than 6 values")),
            ("[[1,2],[3]]", None),
            ("[[1,2],[3,4]]", Some("more than 6 values")),
            (r#"{"a":{"b":{"c":1}}}"#, None),
            (r#"{"a":{"b":{"c":[1]}}}"#, Some("deeper than 3 levels")),
            (r#"["12345"]"#, None),
            (r#"["123456"]"#, Some("a text longer than 5 bytes")),
            // Escapes make the source longer than the text, which is what is measured.
            (r#"["\u0061\u0062"]"#, None),
            (r#"{"1234":1}"#, None),
            (r#"{"12345":1}"#, Some("name is longer than 4 bytes")),
        ] {
            let read = parse(text.as_bytes(), &bounds).map_err(|flaw| flaw.to_string());
            match expected {
                None => assert!(read.is_ok(), "{text}: {read:?}"),
                Some(words) => assert!(read.unwrap_err().contains(words), "{text}"),
            }
        }
    }

    /// A document that is too wide is refused at the first value too many, and not after the
    /// rest was read.
    #[test]
    fn a_wide_document_is_not_read_to_its_end() {
        let text = format!("[{}", "1,".repeat(1 << 19));
        let sentence = read(&text).unwrap_err();
        assert_eq!(
            sentence,
            "holds more than 10000 values (line 1, column 19999)"
        );
    }

    #[test]
    fn literals_are_found_in_what_is_broken() {
        for (text, found) in [
            (r#"{"a": "b\"c", oops"#, vec!["a", "b\"c"]),
            (r#""\u0061", "never ends"#, vec!["a", "never ends"]),
            (r#""bad \x escape""#, vec!["bad \\x escape"]),
            ("none", vec![]),
        ] {
            assert_eq!(literals(text).collect::<Vec<_>>(), found, "{text}");
        }
    }
}
