//! The values of a document that its schema marks as secret.

use serde_json::Value;

use super::shape::{Branches, Position};

/// Gives `take` each value that some reading of the schema marks: `writeOnly`, or
/// of a format that says so. The value behind a `secret-ref` was put in place of
/// the reference by the host.
pub fn secrets(schema: &Value, document: &Value, take: &mut dyn FnMut(&Value)) {
    visit(&Position::root(schema), document, take);
}

/// Whether [`secrets`] may find any in some document: quick to tell, and true where a
/// mark stands in the schema at all, whatever it applies to.
pub fn marks_secrets(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => is_secret(schema) || members.values().any(marks_secrets),
        Value::Array(items) => items.iter().any(marks_secrets),
        _ => false,
    }
}

fn visit(position: &Position<'_>, instance: &Value, take: &mut dyn FnMut(&Value)) {
    let parts = position.parts(&Branches::Every);
    if parts.iter().any(|part| is_secret(part)) {
        take(instance);
        return;
    }
    match instance {
        Value::Object(fields) => {
            for (name, value) in fields {
                visit(&position.field(&parts, name), value, take);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                visit(&position.item(&parts, index), value, take);
            }
        }
        _ => {}
    }
}

pub(super) fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
        || matches!(
            schema.get("format").and_then(Value::as_str),
            Some("secret-ref" | "password")
        )
}
