//! Differences between two documents of one schema that the provider did not announce.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    marked::is_secret,
    sentence,
    shape::{Branches, Position},
};

/// The keyword by which a provider says that its rotations change a value that is no
/// secret: the id of a key, a certificate.
const ROTATED: &str = "x-lessor-rotated";

/// Paths of the values that differ between `former` and `new`, except secrets and values that
/// the schema marks with `x-lessor-rotated: true`. `root` is the document's name in the paths.
/// A null counts as absent.
pub fn changes(schema: &Value, root: &str, former: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(
        &Position::root(schema),
        (former, new),
        root.to_owned(),
        &mut found,
    );
    found
}

fn compare(
    position: &Position<'_>,
    (former, new): (&Value, &Value),
    path: String,
    found: &mut Vec<String>,
) {
    let parts = position.parts(&Branches::Every);
    let announced = |part: &&Value| is_secret(part) || part.get(ROTATED) == Some(&true.into());
    if former == new || parts.iter().any(announced) {
        return;
    }
    if !former.is_object() && !new.is_object() {
        return found.push(path);
    }
    let names = |value: &Value| -> BTreeSet<String> {
        let members = value.as_object().into_iter().flatten();
        members.map(|(name, _)| name.clone()).collect()
    };
    for name in names(former).union(&names(new)) {
        let of = |value: &Value| value.get(name).cloned().unwrap_or_default();
        compare(
            &position.field(&parts, name),
            (&of(former), &of(new)),
            sentence::join(&path, name),
            found,
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_neither_secret_nor_announced_is_found() {
        let schema = json!({
            "properties": {
                "host": {"type": "string"},
                "password": {"type": "string", "writeOnly": true},
                "key_id": {"type": "string", "x-lessor-rotated": true},
                "tls": {"properties": {"name": {}, "key": {"format": "password"}}}
            }
        });
        let former =
            json!({"host": "a", "password": "x", "key_id": "1", "tls": {"name": "a", "key": "k"}});
        for (new, expected) in [
            (
                json!({"host": "a", "password": "y", "key_id": "2", "tls": {"name": "a", "key": "l"}}),
                vec![],
            ),
            (
                json!({"host": "b", "password": "x", "key_id": "1", "tls": {"name": "a", "key": "k"}}),
                vec!["config.host"],
            ),
            (
                json!({"password": "x", "tls": {"name": "b"}}),
                vec!["config.host", "config.tls.name"],
            ),
            (json!({"host": "a", "tls": "none"}), vec!["config.tls.name"]),
            (
                json!({"host": "a", "tls": former["tls"], "port": null}),
                vec![],
            ),
            (
                json!({"host": "a", "tls": former["tls"], "port": 1}),
                vec!["config.port"],
            ),
        ] {
            assert_eq!(changes(&schema, "config", &former, &new), expected, "{new}");
        }
    }
}
