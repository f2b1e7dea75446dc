//! Documents in audit lines: as keyed hashes, and no more of them than a line has
//! room for.
//!
//! Pure. A value costs a hash of some microseconds and a hundred bytes of line, so the first
//! [`SHOWN`] stand in the line one by one, and the rest is one hash over its JSON text:
//! somebody who has the document can still prove that it was this one.

use lessor_seal::keyring::Keyring;
use serde_json::{Map, Value};

/// Values of one document that a line shows each by itself. A longer name of a
/// field counts as several. No login, role or credential has as many; together they make a
/// fifth of [`super::LONGEST_LINE`].
const SHOWN: usize = 160;

/// Bytes of a field's name that count as much as a value.
const OF_A_NAME: usize = 64;

/// The name under which an object says what was left out of it. No field has this name.
const BEYOND: &str = "…";

/// A copy of `document` in which every text and number is a keyed hash. Names
/// of fields, truths and nulls stay: they make a line readable.
pub fn hashed(keyring: &Keyring, document: &Value) -> Value {
    Hashing {
        keyring,
        left: SHOWN,
    }
    .value(document)
}

struct Hashing<'k> {
    keyring: &'k Keyring,
    /// The number of values that may still be shown; a long name counts as several.
    left: usize,
}

impl Hashing<'_> {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.keyring.audit_hash(text)),
            Value::Number(number) => Value::String(self.keyring.audit_hash(&number.to_string())),
            Value::Array(items) => Value::Array(self.items(items)),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            plain => plain.clone(),
        }
    }

    fn items(&mut self, items: &[Value]) -> Vec<Value> {
        let mut shown = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if !self.take(0) {
                let (_, rest) = items.split_at(index);
                shown.push(self.beyond(rest.len(), &Value::from(rest)));
                break;
            }
            shown.push(self.value(item));
        }
        shown
    }

    fn fields(&mut self, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut shown = Map::new();
        for (index, (name, value)) in fields.iter().enumerate() {
            if !self.take(name.len()) {
                let rest = fields.iter().skip(index);
                let rest: Map<String, Value> = rest
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                let count = rest.len();
                shown.insert(BEYOND.to_owned(), self.beyond(count, &Value::Object(rest)));
                break;
            }
            shown.insert(name.clone(), self.value(value));
        }
        shown
    }

    /// Takes the room of one value and the name before it, if there is as much.
    fn take(&mut self, name: usize) -> bool {
        let left = self.left.checked_sub(1 + name / OF_A_NAME);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    fn beyond(&self, count: usize, rest: &Value) -> Value {
        let hash = self.keyring.audit_hash(&rest.to_string());
        Value::String(format!("{count} more {hash}"))
    }
}

#[cfg(test)]
mod tests {
    use lessor_seal::keyring::RootKey;
    use serde_json::json;

    use super::*;

    fn keyring() -> Keyring {
        let directory = tempfile::tempdir().unwrap();
        let root = RootKey::generate_in(&directory.path().join("root.key")).unwrap();
        Keyring::create(&root).unwrap().0
    }

    #[test]
    fn a_small_document_is_shown_value_by_value() {
        let keyring = keyring();
        let hash = |text: &str| keyring.audit_hash(text);
        let document = json!({"a": "x", "b": [1, true, null], "c": {"d": "y"}});
        assert_eq!(
            hashed(&keyring, &document),
            json!({"a": hash("x"), "b": [hash("1"), true, null], "c": {"d": hash("y")}})
        );
    }

    #[test]
    fn what_is_beyond_is_one_hash_that_whoever_has_it_can_prove() {
        let keyring = keyring();
        let wide: Value = (0..10_000).collect();
        let line = hashed(&keyring, &wide);
        let shown = line.as_array().unwrap();
        assert_eq!(shown.len(), SHOWN + 1);
        let rest: Value = (160..10_000).collect();
        let expected = format!("9840 more {}", keyring.audit_hash(&rest.to_string()));
        assert_eq!(shown[SHOWN], expected);

        let fields: Map<String, Value> = (0..10_000)
            .map(|number| (number.to_string(), json!(number)))
            .collect();
        let line = hashed(&keyring, &Value::Object(fields));
        assert_eq!(line.as_object().unwrap().len(), SHOWN + 1);
        assert!(line[BEYOND].as_str().unwrap().starts_with("9840 more hmac"));
    }

    #[test]
    fn no_shape_of_ten_thousand_values_makes_a_long_text() {
        let keyring = keyring();
        let named = |length: usize| -> Value {
            let names = (0..10_000).map(|number| format!("{number:0>length$}"));
            Value::Object(names.map(|name| (name, json!(1))).collect())
        };
        let pairs: Value = (0..5_000)
            .map(|number| json!([number, {"a": number}]))
            .collect();
        let deep = (0..30).fold(json!([1, 2]), |below, _| json!([below, 1, 2, 3]));
        for (what, document) in [
            ("short names", named(8)),
            ("long names", named(1_000)),
            ("nested", pairs),
            (
                "deep",
                json!([deep.clone(), deep.clone(), deep.clone(), deep]),
            ),
            ("one long text", json!({"a": "x".repeat(1 << 20)})),
        ] {
            let text = hashed(&keyring, &document).to_string();
            assert!(text.len() < 24 << 10, "{what}: {} bytes", text.len());
        }
    }
}
