//! Lists as Vault's clients write them: an array, or one comma-separated string.
//!
//! A string in the place of an array is cut at its commas where every piece is a
//! single word: names, addresses. Anything with spaces inside a piece, such as an
//! SQL statement, is one item.

use serde_json::Value;

use super::shape::{Branches, Position};

/// Turns strings into arrays wherever the schema takes an array and no string.
/// Whether there were any.
pub(super) fn split(position: &Position<'_>, instance: &mut Value) -> bool {
    let parts = position.parts(&Branches::Every);
    match instance {
        Value::String(text) if takes(&parts, "array") && !takes(&parts, "string") => {
            *instance = items(text).into_iter().map(Value::from).collect();
            true
        }
        Value::Object(fields) => fields.iter_mut().fold(false, |any, (name, value)| {
            split(&position.field(&parts, name), value) || any
        }),
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .fold(false, |any, (index, value)| {
                split(&position.item(&parts, index), value) || any
            }),
        _ => false,
    }
}

/// Whether the schemas of a place take values of a type.
pub(super) fn takes(parts: &[&Value], kind: &str) -> bool {
    parts
        .iter()
        .filter_map(|part| part.get("type"))
        .any(|types| match types {
            Value::String(one) => one == kind,
            Value::Array(several) => several.iter().any(|one| one == kind),
            _ => false,
        })
}

fn items(text: &str) -> Vec<String> {
    let text = text.trim();
    let pieces: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .collect();
    if pieces
        .iter()
        .any(|piece| piece.contains(char::is_whitespace))
    {
        return vec![text.to_owned()];
    }
    pieces.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_string_in_place_of_an_array_is_cut_at_its_commas() {
        let schema = json!({"properties": {
            "names": {"type": "array", "items": {"type": "string"}},
            "maybe": {"type": ["array", "null"], "items": {"type": "string"}},
            "text": {"type": "string"},
            "either": {"type": ["array", "string"]}
        }});
        for (given, expected) in [
            (
                json!({"names": "a, b,c"}),
                json!({"names": ["a", "b", "c"]}),
            ),
            (json!({"names": "a"}), json!({"names": ["a"]})),
            (json!({"names": ""}), json!({"names": []})),
            (json!({"maybe": "a,b"}), json!({"maybe": ["a", "b"]})),
            (
                json!({"names": "CREATE ROLE x IN ROLE a, b"}),
                json!({"names": ["CREATE ROLE x IN ROLE a, b"]}),
            ),
            (json!({"names": ["a,b"]}), json!({"names": ["a,b"]})),
            (json!({"text": "a,b"}), json!({"text": "a,b"})),
            (json!({"either": "a,b"}), json!({"either": "a,b"})),
        ] {
            let mut document = given.clone();
            let any = split(&Position::root(&schema), &mut document);
            assert_eq!(document, expected, "{given}");
            assert_eq!(any, given != expected, "{given}");
        }
    }
}
