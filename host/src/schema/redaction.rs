//! Making a stored document fit to be shown.
//!
//! Whatever any reading of the schema marks `writeOnly` is replaced, as is a
//! field that the schema does not name: after an upgrade the new schema may no
//! longer know that it is a secret.

use serde_json::{Map, Value};

use super::shape::{self, Branches, Position};

/// What stands in the place of a secret.
pub const REDACTED: &str = "<redacted>";

/// A copy of `document` without its secrets.
pub fn redact(schema: &Value, document: &Value) -> Value {
    shown(&Position::root(schema), document)
}

fn shown(position: &Position<'_>, instance: &Value) -> Value {
    // A null tells that nothing is set, and that is no secret.
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
            let known = shape::known_fields(&parts);
            let show = |(name, value): (&String, &Value)| {
                let is_known = known.as_ref().is_none_or(|k| k.contains(&name.as_str()));
                let value = if is_known {
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
