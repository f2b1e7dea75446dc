//! Request bodies as JSON, read more strictly than serde does by itself.
//!
//! A field that stands twice is refused: two readers would take different ones.
//! Nesting is limited, so that no walk over a document can exhaust the stack.
//! A sentence about broken JSON gives line and column and no piece of the body,
//! which may be a password.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::suggest;

/// Deepest nesting of arrays and objects that is taken.
const DEPTH: usize = 32;

/// Reads one JSON document.
///
/// # Errors
/// A sentence that says where it breaks off.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = reader
        .deserialize_any(Document { depth: 0 })
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            // Only this file's own sentences come as data errors.
            serde_json::error::Category::Data => {
                let text = error.to_string();
                let sentence = text.rsplit_once(" at line ").map_or("", |(said, _)| said);
                format!("the body {sentence} ({place})")
            }
            _ => format!("the body is not JSON ({place})"),
        }
    })
}

/// One value at some depth.
#[derive(Clone, Copy)]
struct Document {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Document {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > DEPTH {
            return Err(D::Error::custom("is nested deeper than 32 levels"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document {
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

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = Self {
            depth: self.depth + 1,
        };
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let below = Self {
            depth: self.depth + 1,
        };
        let mut out = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if out.contains_key(&name) {
                let name = suggest::shown(&name);
                return Err(A::Error::custom(format!(
                    "has the field {name:?} twice in one object"
                )));
            }
            let value = fields.next_value_seed(below)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_whole() {
        let text = r#"{"a":[1,-2,1.5,"x",true,null],"b":{"c":{}}}"#;
        assert_eq!(
            parse(text.as_bytes()),
            Ok(json!({"a":[1,-2,1.5,"x",true,null],"b":{"c":{}}}))
        );
        assert_eq!(parse(b"null"), Ok(Value::Null));
    }

    #[test]
    fn each_refusal_says_where_and_repeats_nothing() {
        for (text, expected) in [
            (
                "{\"a\":1,\"a\":2}",
                "the body has the field \"a\" twice in one object (line 1, column 10)",
            ),
            (
                "{\"a at line 1\":1,\"a at line 1\":2}",
                "the body has the field \"a at line 1\" twice in one object (line 1, column 30)",
            ),
            (
                "{\"password\":canary}",
                "the body is not JSON (line 1, column 13)",
            ),
            ("", "the body is not JSON (line 1, column 0)"),
            ("{} {}", "the body is not JSON (line 1, column 4)"),
            ("{\"a\":", "the body is not JSON (line 1, column 5)"),
            ("ttl=1h", "the body is not JSON (line 1, column 2)"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_long_before_the_stack_ends() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(deep(32).as_bytes()).is_ok());
        assert!(
            parse(deep(34).as_bytes())
                .unwrap_err()
                .contains("32 levels")
        );
        assert!(parse(deep(100_000).as_bytes()).is_err());
    }
}
