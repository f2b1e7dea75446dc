//! Numbers, truths and texts as Vault's clients write them, each as another.
//!
//! `bao write db/config port=5432` sends text, and a password of digits is a number
//! in somebody's JSON. Where the schema takes a number or a truth and no text, text
//! that is one is read as it; where it takes text and no number, a whole number is.

use serde_json::Value;

use super::shape::{Branches, Position};
use crate::weak;

/// Reads scalars as the types that the schema takes in their places. A value that cannot be
/// read so stays, for the schema to refuse.
pub(super) fn read(position: &Position<'_>, instance: &mut Value) {
    let parts = position.parts(&Branches::Every);
    let takes = |kind: &str| super::lists::takes(&parts, kind);
    match instance {
        Value::String(text) if !takes("string") && !text.trim().is_empty() => {
            let truth = || weak::truth(&Value::from(text.as_str())).filter(|_| takes("boolean"));
            let whole = || {
                weak::integer(&Value::from(text.as_str()))
                    .filter(|_| takes("integer") || takes("number"))
                    .and_then(number)
            };
            let real = || text.trim().parse::<f64>().ok().filter(|_| takes("number"));
            let read = whole().or_else(|| real().map(Value::from));
            if let Some(read) = read.or_else(|| truth().map(Value::Bool)) {
                *instance = read;
            }
        }
        Value::Number(_) if takes("string") && !takes("number") && !takes("integer") => {
            if let Some(text) = weak::text(instance) {
                *instance = Value::String(text);
            }
        }
        Value::Number(_) if takes("boolean") && !takes("number") && !takes("integer") => {
            if let Some(truth) = weak::truth(instance) {
                *instance = Value::Bool(truth);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                read(&position.field(&parts, name), value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                read(&position.item(&parts, index), value);
            }
        }
        _ => {}
    }
}

fn number(whole: i128) -> Option<Value> {
    let negative = i64::try_from(whole).ok().map(Value::from);
    negative.or_else(|| u64::try_from(whole).ok().map(Value::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scalar_is_read_as_what_the_schema_takes() {
        let schema = json!({"properties": {
            "port": {"type": "integer"},
            "share": {"type": "number"},
            "maybe": {"type": ["integer", "null"]},
            "on": {"type": "boolean"},
            "text": {"type": "string"},
            "either": {"type": ["string", "integer"]},
            "any": {},
            "list": {"type": "array", "items": {"type": "integer"}},
            "below": {"type": "object", "properties": {"port": {"type": "integer"}}}
        }});
        for (given, expected) in [
            (json!({"port": "5432"}), json!({"port": 5432})),
            (json!({"port": "-1"}), json!({"port": -1})),
            (json!({"port": "five"}), json!({"port": "five"})),
            (json!({"port": ""}), json!({"port": ""})),
            (json!({"port": "1.5"}), json!({"port": "1.5"})),
            (json!({"share": "1.5"}), json!({"share": 1.5})),
            (json!({"maybe": "7"}), json!({"maybe": 7})),
            (json!({"on": "True"}), json!({"on": true})),
            (json!({"on": 0}), json!({"on": false})),
            (json!({"on": "yes"}), json!({"on": "yes"})),
            (json!({"text": 12345}), json!({"text": "12345"})),
            (json!({"text": 1.5}), json!({"text": 1.5})),
            (json!({"text": true}), json!({"text": true})),
            (json!({"either": 7}), json!({"either": 7})),
            (json!({"either": "7"}), json!({"either": "7"})),
            (json!({"any": "7"}), json!({"any": "7"})),
            (json!({"list": ["1", 2]}), json!({"list": [1, 2]})),
            (
                json!({"below": {"port": "1"}}),
                json!({"below": {"port": 1}}),
            ),
        ] {
            let mut document = given.clone();
            read(&Position::root(&schema), &mut document);
            assert_eq!(document, expected, "{given}");
        }
    }
}
