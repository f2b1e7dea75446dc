//! The secret fields that two credentials have in common. Pure.

use lessor_model::schema::{REDACTED, redact};
use serde_json::Value;

/// Whether a schema marks anything as secret, at any depth.
pub(super) fn marks_a_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(keywords) => {
            keywords.get("writeOnly") == Some(&Value::Bool(true))
                || keywords.values().any(marks_a_secret)
        }
        Value::Array(items) => items.iter().any(marks_a_secret),
        _ => false,
    }
}

/// The secret fields, by name, that hold the same in both documents.
pub(super) fn shared_secrets(schema: &Value, one: &Value, other: &Value) -> Vec<String> {
    let mut shared = Vec::new();
    compare("", &redact(schema, one), one, other, &mut shared);
    shared
}

fn compare(path: &str, shown: &Value, one: &Value, other: &Value, shared: &mut Vec<String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match (shown, one, other) {
        (Value::String(text), one, other) if text == REDACTED && one == other => {
            shared.push(path.to_owned());
        }
        (Value::Object(shown), Value::Object(one), Value::Object(other)) => {
            for (name, shown) in shown {
                if let (Some(one), Some(other)) = (one.get(name), other.get(name)) {
                    compare(&below(name), shown, one, other, shared);
                }
            }
        }
        (Value::Array(shown), Value::Array(one), Value::Array(other)) => {
            for (index, ((shown, one), other)) in shown.iter().zip(one).zip(other).enumerate() {
                compare(&below(&index.to_string()), shown, one, other, shared);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_secrets_that_repeat_are_named() {
        let schema = json!({
            "properties": {
                "host": {"type": "string"},
                "password": {"type": "string", "writeOnly": true},
                "keys": {"items": {"properties": {"id": {}, "key": {"writeOnly": true}}}}
            }
        });
        let one = json!({"host": "h", "password": "a", "keys": [{"id": "1", "key": "k"}]});
        let other = json!({"host": "h", "password": "b", "keys": [{"id": "1", "key": "k"}]});
        assert_eq!(shared_secrets(&schema, &one, &other), ["keys.0.key"]);
        assert_eq!(
            shared_secrets(&schema, &one, &one),
            ["password", "keys.0.key"]
        );
        assert!(marks_a_secret(&schema));
        assert!(!marks_a_secret(&json!({"properties": {"password": {}}})));
    }
}
