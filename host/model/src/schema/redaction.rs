//! Making a stored document fit to be shown, and taking it back as it was shown.
//!
//! A value that any reading of the schema marks `writeOnly` is replaced, as is a field that the
//! schema does not name: after an upgrade the new schema may no longer know that the field is a
//! secret.

use serde_json::{Map, Value};

use super::{
    sentence,
    shape::{self, Branches, Position},
};

/// The text that replaces a secret.
pub const REDACTED: &str = "<redacted>";

/// A copy of `document` without its secrets.
pub fn redact(schema: &Value, document: &Value) -> Value {
    shown(&Position::root(schema), document)
}

/// Puts the stored secrets where `document`, as it was shown, holds
/// [`REDACTED`], so that a document can be read, changed and written back.
///
/// # Errors
/// One sentence that names the field, where nothing is stored for it.
pub fn restore(
    schema: &Value,
    root: &str,
    document: &mut Value,
    stored: Option<&Value>,
) -> Result<(), String> {
    put_back(&Position::root(schema), document, stored, root)
}

/// Whether `document` holds a value as it is shown in place of a secret.
pub fn is_redacted(document: &Value) -> bool {
    match document {
        Value::String(text) => text == REDACTED,
        Value::Array(items) => items.iter().any(is_redacted),
        Value::Object(fields) => fields.values().any(is_redacted),
        _ => false,
    }
}

fn put_back(
    position: &Position<'_>,
    instance: &mut Value,
    stored: Option<&Value>,
    path: &str,
) -> Result<(), String> {
    let parts = position.parts(&Branches::Every);
    let is_secret = parts
        .iter()
        .any(|part| part.get("writeOnly") == Some(&Value::Bool(true)));
    match instance {
        Value::String(text) if is_secret && text == REDACTED => {
            let kept = stored.filter(|value| !value.is_null()).ok_or_else(|| {
                format!(
                    "{path} is {REDACTED:?}, which stands for the stored value, and none is stored: \
                     give the value itself"
                )
            })?;
            *instance = kept.clone();
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = sentence::join(path, name);
                let stored = stored.and_then(|stored| stored.get(name));
                put_back(&position.field(&parts, name), value, stored, &below)?;
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                let stored = stored.and_then(|stored| stored.get(index));
                put_back(
                    &position.item(&parts, index),
                    value,
                    stored,
                    &format!("{path}[{index}]"),
                )?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn shown(position: &Position<'_>, instance: &Value) -> Value {
    // A null says that nothing is set, which is no secret.
    if instance.is_null() {
        return Value::Null;
    }
    let parts = position.parts(&Branches::Every);
    let secret = |part: &&Value| part.get("writeOnly") == Some(&Value::Bool(true));
    if parts.iter().any(secret) {
        return Value::from(REDACTED);
    }
    match instance {
        Value::Object(fields) => {
            let closed = shape::is_closed(&parts);
            let show = |(name, value): (&String, &Value)| {
                let value = if !closed || shape::names(&parts, name) {
                    shown(&position.field(&parts, name), value)
                } else {
                    Value::from(REDACTED)
                };
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(show).collect::<Map<_, _>>())
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| shown(&position.item(&parts, index), item))
            .collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_shown_can_be_written_back() {
        let schema = json!({
            "properties": {
                "host": {"type": "string"},
                "password": {"type": "string", "writeOnly": true},
                "former": {"items": {"properties": {"key": {"type": "string", "writeOnly": true}}}}
            }
        });
        let stored = json!({"host": "a", "password": "canary", "former": [{"key": "old"}]});
        let mut shown = redact(&schema, &stored);
        assert!(is_redacted(&shown) && !is_redacted(&stored));
        shown["host"] = json!("b");
        restore(&schema, "config", &mut shown, Some(&stored)).unwrap();
        assert_eq!(
            shown,
            json!({"host": "b", "password": "canary", "former": [{"key": "old"}]})
        );

        let mut first = json!({"password": REDACTED});
        let refused = restore(&schema, "config", &mut first, None).unwrap_err();
        assert!(refused.starts_with("config.password "), "{refused}");
    }
}
