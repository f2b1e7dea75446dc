//! What the body of a static role says, taken apart: pure.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{clock::Timestamp, schedule::Schedule};

/// Shortest rotation period: Vault's own.
const SHORTEST_PERIOD: Duration = Duration::from_secs(5);

/// The host's field names. `username` stands in the provider's part too.
pub const HOST_FIELDS: [&str; 6] = [
    "username",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "skip_import_rotation",
    "db_name",
];

/// The host's part of a static role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The account upstream.
    pub(super) account: String,
    /// When it is renewed by itself.
    pub(super) schedule: Schedule,
    /// Whether a new role leaves the account's present credential alone.
    pub(super) skip_import_rotation: bool,
    /// Vault's clients name a connection here, and compare it when they read the
    /// role; a mount has but one.
    pub(super) db_name: Option<String>,
}

impl Asked {
    /// Takes the host's fields out of a body. `username` stays in it: it is the
    /// provider's as well.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub(super) fn take(document: &mut Map<String, Value>, now: Timestamp) -> Result<Self, String> {
        let account = match document.get("username") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            None | Some(Value::Null) => {
                return Err(
                    "username is required: name the existing account upstream whose credential is rotated"
                        .into(),
                );
            }
            Some(_) => return Err("username must be a string that is not empty".into()),
        };
        let schedule = Schedule::take(document, SHORTEST_PERIOD, now)?;
        let skip_import_rotation = match document.remove("skip_import_rotation") {
            None | Some(Value::Null) => false,
            Some(value) => value
                .as_bool()
                .ok_or("skip_import_rotation must be true or false")?,
        };
        let db_name = match document.remove("db_name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err("db_name must be a string".into()),
        };
        // hvac sends it always; where it is empty, it asks for nothing.
        let asks_nothing = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if document
            .get("rotation_statements")
            .is_some_and(asks_nothing)
        {
            document.remove("rotation_statements");
        }
        Ok(Self {
            account,
            schedule,
            skip_import_rotation,
            db_name,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(body: Value) -> Result<(Asked, Value), String> {
        let mut body = body.as_object().unwrap().clone();
        let asked = Asked::take(&mut body, Timestamp(0))?;
        Ok((asked, Value::Object(body)))
    }

    #[test]
    fn the_hosts_fields_are_split_from_the_providers() {
        let body = json!({
            "username": "billing", "rotation_period": "1d", "skip_import_rotation": true, "db_name": "orders",
            "rotation_statements": [], "password_policy": {"length": 20}
        });
        let (asked, rest) = take(body).unwrap();
        let expected = Asked {
            account: "billing".into(),
            schedule: Schedule::Every(Duration::from_secs(86_400)),
            skip_import_rotation: true,
            db_name: Some("orders".into()),
        };
        assert_eq!(asked, expected);
        assert_eq!(
            rest,
            json!({"username": "billing", "password_policy": {"length": 20}})
        );
        let (asked, _) = take(json!({"username": "billing"})).unwrap();
        assert_eq!(asked.schedule, Schedule::ByHand);
        assert!(!asked.skip_import_rotation);
    }

    #[test]
    fn wrong_fields_are_named() {
        let with = |name: &str, value: Value| json!({"username": "billing", name: value});
        for (body, field) in [
            (json!({}), "username is required"),
            (json!({"username": null}), "username is required"),
            (json!({"username": ""}), "username must be"),
            (json!({"username": 5}), "username must be"),
            (with("rotation_period", json!("4s")), "rotation_period"),
            (
                with("rotation_schedule", json!("nightly")),
                "rotation_schedule",
            ),
            (with("rotation_window", json!("1h")), "rotation_window"),
            (
                with("skip_import_rotation", json!("yes")),
                "skip_import_rotation",
            ),
            (with("db_name", json!(5)), "db_name"),
        ] {
            let sentence = take(body.clone()).unwrap_err();
            assert!(sentence.contains(field), "{body}: {sentence}");
        }
        // What asks for something is left to the provider's schema.
        let (_, rest) = take(with("rotation_statements", json!(["ALTER"]))).unwrap();
        assert_eq!(rest["rotation_statements"], json!(["ALTER"]));
    }
}
