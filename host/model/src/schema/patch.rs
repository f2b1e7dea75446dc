//! A write that changes a stored document: its fields replace the stored ones. A null changes
//! nothing: clients write it for a field that their callers left out.

use serde_json::{Map, Value};

/// The stored document with the fields that are named in the place of its own.
pub fn patched(stored: &Value, named: &Map<String, Value>) -> Value {
    let mut whole = kept(stored, named);
    whole.extend(named.iter().filter(|(_, value)| !value.is_null()).map(own));
    Value::Object(whole)
}

/// The part of the stored document that is kept where these fields are named.
pub fn kept(stored: &Value, named: &Map<String, Value>) -> Map<String, Value> {
    let is_named = |name: &String| named.get(name).is_some_and(|value| !value.is_null());
    let stored = stored.as_object().into_iter().flatten();
    stored
        .filter(|(name, _)| !is_named(name))
        .map(own)
        .collect()
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let stored = json!({"host": "db", "port": 1, "password": "canary"});
        for (named, expected) in [
            (json!({}), stored.clone()),
            (
                json!({"port": 2, "host": null}),
                json!({"host": "db", "port": 2, "password": "canary"}),
            ),
            (
                json!({"tls": {"name": "x"}}),
                json!({"host": "db", "port": 1, "password": "canary", "tls": {"name": "x"}}),
            ),
        ] {
            assert_eq!(patched(&stored, named.as_object().unwrap()), expected);
        }
        assert_eq!(
            patched(&Value::Null, json!({"a": 1}).as_object().unwrap()),
            json!({"a": 1})
        );
    }
}
