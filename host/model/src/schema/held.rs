//! Reads the number of credentials that upstream takes of one account, as a provider says it: pure.

use serde_json::Value;

/// The keyword at the top of a role schema by which a provider says how many
/// credentials of an account upstream takes at a time.
const HELD: &str = "x-lessor-credentials";

/// The number of credentials of one account that upstream takes at a time: 1 where the provider
/// does not say, because a second one that upstream has ended would be kept and handed out, and not
/// work.
///
/// # Errors
/// The fault of the number, to go behind the name of the schema.
pub fn credentials_held(role_schema: &Value) -> Result<u64, String> {
    match role_schema.get(HELD) {
        None => Ok(1),
        Some(said) => said
            .as_u64()
            .filter(|held| (1..=2).contains(held))
            .ok_or_else(|| {
                format!(
                    "has {HELD}, which is neither 1 nor 2: how many credentials of one account upstream takes at a \
                     time"
                )
            }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_credential_is_held_unless_two_are_said() {
        for (schema, held) in [
            (json!({}), Some(1)),
            (json!({"properties": {HELD: 2}}), Some(1)),
            (json!({HELD: 1}), Some(1)),
            (json!({HELD: 2}), Some(2)),
            (json!({HELD: 0}), None),
            (json!({HELD: 3}), None),
            (json!({HELD: "2"}), None),
            (json!({HELD: true}), None),
        ] {
            let found = credentials_held(&schema);
            assert_eq!(found.as_ref().ok(), held.as_ref(), "{schema}: {found:?}");
        }
    }
}
