//! Takes the host's fields out of the body of a static role: pure.

use std::time::Duration;

use lessor_model::{clock::Timestamp, duration, schedule::Schedule, schema, weak};
use lessor_store::{Former, StaticRoleRow};
use serde_json::{Map, Value};

use crate::connection_config::truth;

/// Shortest rotation period: Vault's own.
const SHORTEST_PERIOD: Duration = Duration::from_secs(5);

/// The time for which a former credential stays valid upstream, where upstream can hold
/// two: time for those who read it just before to read the new one.
const DEFAULT_GRACE: Duration = Duration::from_secs(60);

/// The fields that a GET shows beside those that can be written.
const SHOWN: [&str; 7] = [
    "state",
    "version",
    "attempts",
    "next_attempt",
    "last_error",
    "last_vault_rotation",
    "next_rotation",
];

/// The host's part of a static role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The account upstream.
    pub(super) account: String,
    /// The schedule by which it is renewed.
    pub(super) schedule: Schedule,
    /// The treatment of the former credential.
    pub(super) former: Former,
    /// Whether a new role leaves the account's present credential alone.
    pub(super) skip_import_rotation: bool,
    /// Warnings of fields in the body that have no effect here.
    pub(super) warnings: Vec<String>,
    /// Whether no schedule is named, nor that none is meant.
    unscheduled: bool,
}

impl Asked {
    /// Takes the host's fields out of a body; what it does not name stays as in the
    /// static role that is changed. `username` stays in it: it is the provider's as
    /// well. `schema` is that of the provider's roles.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub(super) fn take(
        document: &mut Map<String, Value>,
        schema: &Value,
        row: Option<&StaticRoleRow>,
        now: Timestamp,
    ) -> Result<Self, String> {
        for name in SHOWN {
            if !schema::knows(schema, name) {
                document.remove(name);
            }
        }
        let account = match document.get("username") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            None | Some(Value::Null) => row.map(|row| row.account.clone()).ok_or(
                "username is required: name the existing account upstream whose credential is rotated",
            )?,
            Some(_) => return Err("username must be a string that is not empty".into()),
        };
        let skip = truth(
            "skip_import_rotation",
            document.remove("skip_import_rotation"),
        )?;
        let manual = truth("manual", document.remove("manual"))?;
        let schedule = schedule(document, row, manual, now)?;
        let is_told = manual.unwrap_or(row.is_some());
        Ok(Self {
            account,
            unscheduled: schedule == Schedule::ByHand && !is_told,
            schedule,
            former: former(document, schema, row)?,
            skip_import_rotation: skip.unwrap_or(false),
            warnings: foreign(document, schema)?,
        })
    }

    /// Refuses a static role without a schedule: one that was left out by mistake would
    /// never be renewed, and nobody would notice. Asked for once the rest is known to be
    /// right, so that a misspelt field is named first.
    ///
    /// # Errors
    /// One sentence that says the word for it.
    pub(super) fn refuse_unscheduled(&self) -> Result<(), String> {
        match self.unscheduled {
            false => Ok(()),
            true => Err(
                "rotation_period or rotation_schedule is required: without them the credential is never renewed by \
                 itself; where that is meant, say manual=true"
                    .into(),
            ),
        }
    }
}

/// The schedule by which the account is renewed.
fn schedule(
    document: &mut Map<String, Value>,
    row: Option<&StaticRoleRow>,
    manual: Option<bool>,
    now: Timestamp,
) -> Result<Schedule, String> {
    // A period of 0 is how it is shown that none is set.
    let unset = |value: &mut Value| {
        matches!(
            duration::of_value("rotation_period", value),
            Ok(None | Some(Duration::ZERO))
        )
    };
    if document.get_mut("rotation_period").is_some_and(unset) {
        document.remove("rotation_period");
    }
    let asked = match row {
        Some(row) if manual != Some(true) => row.schedule.patch(document, SHORTEST_PERIOD, now)?,
        _ => Schedule::take(document, SHORTEST_PERIOD, now)?,
    };
    if manual == Some(true) && asked != Schedule::ByHand {
        return Err(
            "manual excludes rotation_period and rotation_schedule: give one of them, or leave them out".into(),
        );
    }
    Ok(asked)
}

/// What becomes of the former credential. It is kept only where upstream takes two: a
/// static role that says otherwise would promise what the next rotation ends, also one
/// whose provider said so once and does not any more.
fn former(
    document: &mut Map<String, Value>,
    schema: &Value,
    row: Option<&StaticRoleRow>,
) -> Result<Former, String> {
    let grace = document.remove("rotation_grace").unwrap_or_default();
    let grace = duration::of_value("rotation_grace", &grace)?;
    let kept = match document.remove("keep") {
        None | Some(Value::Null) => None,
        Some(value) => match weak::integer(&value) {
            Some(kept @ 1..=2) => Some(kept == 2),
            _ => {
                return Err(
                    "keep must be 1 or 2: how many credentials of the account stay valid between rotations".into(),
                );
            }
        },
    };
    let stored = row.map_or(
        Former {
            grace: DEFAULT_GRACE,
            is_kept: false,
        },
        |row| row.former,
    );
    let former = Former {
        grace: grace.unwrap_or(stored.grace),
        is_kept: kept.unwrap_or(stored.is_kept),
    };
    if former.is_kept && schema::credentials_held(schema)? < 2 {
        return Err(
            "keep must be 1: an account of this provider has one credential at a time, so each rotation ends the \
             former one; write keep=1, or leave keep out of a new static role"
                .into(),
        );
    }
    Ok(former)
}

/// Takes what Vault's database engine knows and this provider does not; what it asks for
/// and does not get.
fn foreign(document: &mut Map<String, Value>, schema: &Value) -> Result<Vec<String>, String> {
    let mut take = |name: &str| match schema::knows(schema, name) {
        true => Value::Null,
        false => document.remove(name).unwrap_or_default(),
    };
    match take("credential_type") {
        Value::Null => {}
        Value::String(kind) if kind.is_empty() || kind == "password" => {}
        _ => {
            return Err("credential_type must be password: static roles here have no other".into());
        }
    }
    let mut warnings = Vec::new();
    if !weak::is_nothing(&take("credential_config")) {
        warnings.push(
            "credential_config is not used: the provider's own fields say what a password looks like".to_owned(),
        );
    }
    if !weak::is_nothing(&take("rotation_statements")) {
        warnings.push(
            "rotation_statements are not run: the provider changes the credential by statements of its own"
                .to_owned(),
        );
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::static_role::resting;

    /// The fields of a body, for an upstream that takes two credentials of an account.
    fn take(body: Value, row: Option<&StaticRoleRow>) -> Result<(Asked, Value), String> {
        let mut body = body.as_object().unwrap().clone();
        let two = json!({"x-lessor-credentials": 2});
        let asked = Asked::take(&mut body, &two, row, Timestamp(0))?;
        Ok((asked, Value::Object(body)))
    }

    #[test]
    fn the_hosts_fields_are_split_from_the_providers() {
        let body = json!({
            "username": "billing", "rotation_period": "1d", "skip_import_rotation": true,
            "rotation_statements": [], "password_policy": {"length": 20}, "rotation_grace": "5m", "keep": 2
        });
        let (asked, rest) = take(body, None).unwrap();
        let expected = Asked {
            account: "billing".into(),
            schedule: Schedule::Every(Duration::from_secs(86_400)),
            former: Former {
                grace: Duration::from_secs(300),
                is_kept: true,
            },
            skip_import_rotation: true,
            warnings: vec![],
            unscheduled: false,
        };
        assert_eq!(asked, expected);
        assert_eq!(
            rest,
            json!({"username": "billing", "password_policy": {"length": 20}})
        );
        let (asked, _) = take(json!({"username": "billing", "manual": true}), None).unwrap();
        assert_eq!(asked.schedule, Schedule::ByHand);
        assert_eq!(asked.former.grace, DEFAULT_GRACE);
        assert!(!asked.skip_import_rotation);
    }

    #[test]
    fn a_schedule_is_left_out_by_a_word_alone() {
        let row = resting("billing", Schedule::ByHand);
        for (body, row, is_refused) in [
            (json!({"username": "billing"}), None, true),
            (
                json!({"username": "billing", "rotation_period": 0}),
                None,
                true,
            ),
            (json!({"username": "billing", "manual": true}), None, false),
            (
                json!({"username": "billing", "rotation_period": 60}),
                None,
                false,
            ),
            (json!({}), Some(&row), false),
            (json!({"manual": false}), Some(&row), true),
        ] {
            let (asked, _) = take(body.clone(), row).unwrap();
            let refused = asked.refuse_unscheduled();
            assert_eq!(refused.is_err(), is_refused, "{body}: {refused:?}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let schedule = Schedule::Every(Duration::from_secs(3600));
        let grace = Duration::from_secs(7);
        let row = StaticRoleRow {
            former: Former {
                grace,
                is_kept: true,
            },
            ..resting("billing", schedule.clone())
        };
        for (body, expected, is_kept) in [
            (json!({}), schedule.clone(), true),
            (
                json!({"rotation_period": 0, "manual": false}),
                schedule.clone(),
                true,
            ),
            (json!({"username": "billing", "keep": 1}), schedule, false),
            (
                json!({"rotation_period": "2h"}),
                Schedule::Every(Duration::from_secs(7200)),
                true,
            ),
            (
                json!({"rotation_period": 0, "manual": true}),
                Schedule::ByHand,
                true,
            ),
        ] {
            let (asked, _) = take(body.clone(), Some(&row)).unwrap();
            let found = (asked.schedule, asked.former.is_kept, asked.former.grace);
            assert_eq!(found, (expected, is_kept, grace), "{body}");
        }
        let by_hand = resting("billing", Schedule::ByHand);
        let (asked, _) = take(json!({"rotation_period": 0}), Some(&by_hand)).unwrap();
        assert_eq!(asked.schedule, Schedule::ByHand);
    }

    /// It was taken, and shown as what holds, where each rotation ended the former one.
    #[test]
    fn a_second_credential_is_kept_only_where_upstream_takes_two() {
        let row = |is_kept| StaticRoleRow {
            former: Former {
                grace: DEFAULT_GRACE,
                is_kept,
            },
            ..resting("billing", Schedule::ByHand)
        };
        for (held, stored, body, kept) in [
            (json!({}), None, json!({}), Some(false)),
            (json!({}), None, json!({"keep": 1}), Some(false)),
            (json!({}), None, json!({"keep": 2}), None),
            (json!({}), Some(false), json!({"keep": "2"}), None),
            (json!(1), None, json!({"keep": 2}), None),
            // From before it was refused, or the provider said so once.
            (json!({}), Some(true), json!({}), None),
            (json!({}), Some(true), json!({"keep": 1}), Some(false)),
            (json!(2), None, json!({}), Some(false)),
            (json!(2), None, json!({"keep": 2}), Some(true)),
            (json!(2), None, json!({"keep": " 2 "}), Some(true)),
            (json!(2), Some(true), json!({"keep": null}), Some(true)),
        ] {
            let schema = match held.is_u64() {
                true => json!({"x-lessor-credentials": held}),
                false => held,
            };
            let mut body = body.as_object().unwrap().clone();
            let named = json!({"username": "billing", "manual": true});
            body.extend(named.as_object().unwrap().clone());
            let row = stored.map(row);
            let asked = Asked::take(&mut body.clone(), &schema, row.as_ref(), Timestamp(0));
            match (asked, kept) {
                (Ok(asked), Some(kept)) => {
                    assert_eq!(asked.former.is_kept, kept, "{schema} {body:?}");
                }
                (Err(sentence), None) => assert!(sentence.contains("write keep=1"), "{sentence}"),
                (other, _) => panic!("{schema} {body:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_means_nothing_here_is_warned_of() {
        let body = json!({
            "username": "billing", "rotation_period": "1d", "credential_type": "password",
            "credential_config": {"password_policy": "x"}, "rotation_statements": ["ALTER"],
            "state": "idle", "version": 3, "last_error": null
        });
        let (asked, rest) = take(body, None).unwrap();
        assert_eq!(asked.warnings.len(), 2, "{:?}", asked.warnings);
        assert_eq!(rest, json!({"username": "billing"}));
        // A provider that has the field gets it.
        let schema = json!({"properties": {"rotation_statements": {}}});
        let body = json!({"username": "b", "manual": true, "rotation_statements": ["ALTER"]});
        let mut body = body.as_object().unwrap().clone();
        let asked = Asked::take(&mut body, &schema, None, Timestamp(0)).unwrap();
        assert_eq!(asked.warnings, Vec::<String>::new());
        assert_eq!(body["rotation_statements"], json!(["ALTER"]));
    }

    #[test]
    fn wrong_fields_are_named() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"username": "billing", "manual": true});
            body[name] = value;
            body
        };
        for (body, field) in [
            (json!({}), "username is required"),
            (json!({"username": null}), "username is required"),
            (json!({"username": ""}), "username must be"),
            (json!({"username": 5}), "username must be"),
            (
                json!({"username": "billing", "rotation_period": 60, "manual": true}),
                "manual excludes",
            ),
            (with("rotation_period", json!("4s")), "rotation_period"),
            (
                with("rotation_schedule", json!("nightly")),
                "rotation_schedule",
            ),
            (with("rotation_window", json!("1h")), "rotation_window"),
            (with("rotation_grace", json!("soon")), "rotation_grace"),
            (with("keep", json!(3)), "keep must be 1 or 2"),
            (with("keep", json!("both")), "keep must be 1 or 2"),
            (with("manual", json!("perhaps")), "manual"),
            (
                with("credential_type", json!("rsa_private_key")),
                "credential_type",
            ),
            (
                with("skip_import_rotation", json!("yes")),
                "skip_import_rotation",
            ),
        ] {
            let sentence = take(body.clone(), None).unwrap_err();
            assert!(sentence.contains(field), "{body}: {sentence}");
        }
    }
}
