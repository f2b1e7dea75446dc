//! The bodies of the three endpoints, and how their answers are read.

use std::collections::BTreeMap;

use lessor_sdk::prelude::*;
use serde_json::{Map, Value, json};

use crate::config::Config;

/// The access id of a caller that only tries the webhook out.
const DRY_RUN: &str = "p-custom";

/// Who asks, as the webhook is told.
#[derive(Serialize)]
pub(crate) struct ClientInfo {
    access_id: String,
    sub_claims: BTreeMap<String, Vec<String>>,
}

impl ClientInfo {
    /// Whoever asks for the credential of this call: the name that stays the same over all
    /// of their tokens.
    pub(crate) fn of(ctx: &Context) -> Self {
        let caller = ctx.caller().unwrap_or_default();
        let mut sub_claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, values) in caller.claims {
            sub_claims.entry(name).or_default().extend(values);
        }
        let access_id = match caller.entity {
            entity if entity.is_empty() => caller.accessor,
            entity => entity,
        };
        Self {
            access_id,
            sub_claims,
        }
    }

    /// Nobody: the webhook is tried out.
    pub(crate) fn dry_run() -> Self {
        Self {
            access_id: DRY_RUN.to_owned(),
            sub_claims: BTreeMap::new(),
        }
    }
}

/// The body of create.
pub(crate) fn creation(config: &Config, input: Map<String, Value>, info: &ClientInfo) -> Value {
    // As the system does that webhooks were written for: where there is nothing, `input` is no
    // object but an empty text.
    let input = match input.is_empty() {
        true => Value::from(""),
        false => Value::Object(input),
    };
    json!({"payload": config.payload.expose(), "input": input, "client_info": info})
}

/// The body of revoke.
pub(crate) fn revocation(config: &Config, ids: &[&str]) -> Value {
    json!({"payload": config.payload.expose(), "ids": ids})
}

/// The body of rotate.
pub(crate) fn rotation(config: &Config) -> Value {
    json!({"payload": config.payload.expose()})
}

/// A successful answer of create, with whatever was wrong with it.
#[derive(Debug, PartialEq)]
pub(crate) enum Created {
    /// As it should be.
    Credential { id: String, response: Value },
    /// Success without an id: nothing was made, as at a dry run.
    Nothing,
    /// It says itself that it failed.
    Refused(Value),
    /// Something was made, under this id where there is one, and cannot be leased.
    Unfit {
        id: Option<String>,
        why: &'static str,
    },
}

impl Created {
    pub(crate) fn read(body: &[u8]) -> Self {
        let unfit = |why| Self::Unfit { id: None, why };
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
            return unfit("it is no JSON object");
        };
        if let Some(error) = error_in(&answer) {
            return Self::Refused(error);
        }
        let (id, why) = match answer.remove("id") {
            Some(Value::String(id)) if id.is_empty() => return Self::Nothing,
            Some(Value::String(id)) => match fault_of(&id) {
                None => (id, None),
                Some(why) => (id, Some(why)),
            },
            Some(Value::Number(id)) => (id.to_string(), Some("its `id` is a number, not a string")),
            Some(Value::Null) | None => return unfit(NO_ID),
            Some(_) => return unfit("its `id` is not a string"),
        };
        match (answer.remove("response"), why) {
            (_, Some(why)) => Self::Unfit { id: Some(id), why },
            (None | Some(Value::Null), None) => Self::Unfit {
                id: Some(id),
                why: "it has no `response`",
            },
            (Some(response), None) => Self::Credential { id, response },
        }
    }
}

/// What is wrong with an id that the host could not keep.
fn fault_of(id: &str) -> Option<&'static str> {
    if id.len() > LONGEST_ID {
        return Some("its `id` is longer than 512 bytes");
    }
    if id.chars().any(char::is_control) {
        return Some("its `id` has control characters");
    }
    None
}

/// A successful answer of revoke.
#[derive(Debug, PartialEq)]
pub(crate) enum Revoked {
    /// These were ended; the webhook may say why others were not.
    Ids {
        revoked: Vec<String>,
        message: Option<String>,
    },
    /// It says itself that it failed.
    Refused(Value),
    /// It is no answer of revoke.
    Unfit(&'static str),
}

impl Revoked {
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
            return Self::Unfit("it is no JSON object");
        };
        if let Some(error) = error_in(&answer) {
            return Self::Refused(error);
        }
        let revoked = match answer.remove("revoked") {
            Some(Value::Array(ids)) => ids,
            // An empty list, as some languages write it.
            Some(Value::Null) => Vec::new(),
            _ => return Self::Unfit("it has no list `revoked`"),
        };
        let revoked = revoked.into_iter().map(|id| match id {
            Value::String(id) => id,
            other => other.to_string(),
        });
        let message = answer.get("message").and_then(Value::as_str);
        Self::Ids {
            revoked: revoked.collect(),
            message: message.map(str::to_owned),
        }
    }
}

/// A successful answer of rotate.
pub(crate) enum NewPayload {
    Text(Secret),
    /// It says itself that it failed.
    Refused(Value),
    /// It has no payload.
    Unfit(&'static str),
}

impl NewPayload {
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
            return Self::Unfit("it is no JSON object");
        };
        if let Some(error) = error_in(&answer) {
            return Self::Refused(error);
        }
        match answer.remove("payload") {
            Some(Value::String(payload)) if payload.is_empty() => {
                Self::Unfit("its `payload` is empty")
            }
            Some(Value::String(payload)) => Self::Text(payload.into()),
            Some(Value::Null) | None => Self::Unfit("it has no `payload`"),
            // Not as the protocol has it, but perhaps the only copy of the new root.
            Some(other) => Self::Text(other.to_string().into()),
        }
    }
}

/// What a webhook says that fails and answers as if it had not: a member `error` with
/// something in it.
fn error_in(answer: &Map<String, Value>) -> Option<Value> {
    let error = answer.get("error")?;
    let says_something = match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    says_something.then(|| error.clone())
}

/// What is wrong with an answer of create that names nothing; at a dry run, nothing is.
pub(crate) const NO_ID: &str = "it has no `id`";

/// Bytes of the longest id that the host keeps.
const LONGEST_ID: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn akl_04_an_answer_of_create_is_a_string_id_and_any_response() {
        let unfit = |id: Option<&str>, why| Created::Unfit {
            id: id.map(str::to_owned),
            why,
        };
        let made = |response| Created::Credential {
            id: "u1".to_owned(),
            response,
        };
        for (answer, read) in [
            (
                json!({"id": "u1", "response": {"a": 1}}),
                made(json!({"a": 1})),
            ),
            (
                json!({"id": "u1", "response": "x", "error": null}),
                made(json!("x")),
            ),
            (
                json!({"id": "u1", "response": [], "error": ""}),
                made(json!([])),
            ),
            (json!({"id": ""}), Created::Nothing),
            (json!({"id": "", "response": null}), Created::Nothing),
            (json!({"error": "no"}), Created::Refused(json!("no"))),
            (
                json!({"id": "u1"}),
                unfit(Some("u1"), "it has no `response`"),
            ),
            (
                json!({"id": 7, "response": {}}),
                unfit(Some("7"), "its `id` is a number, not a string"),
            ),
            (json!({"response": {}}), unfit(None, "it has no `id`")),
            (
                json!({"id": ["u1"], "response": {}}),
                unfit(None, "its `id` is not a string"),
            ),
            (
                json!({"id": "a\nb", "response": {}}),
                unfit(Some("a\nb"), "its `id` has control characters"),
            ),
            (json!([]), unfit(None, "it is no JSON object")),
        ] {
            assert_eq!(
                Created::read(answer.to_string().as_bytes()),
                read,
                "{answer}"
            );
        }
        assert_eq!(
            Created::read(b"<html>"),
            unfit(None, "it is no JSON object")
        );
        let long = json!({"id": "x".repeat(513), "response": {}}).to_string();
        assert!(matches!(
            Created::read(long.as_bytes()),
            Created::Unfit { id: Some(_), .. }
        ));
    }

    #[test]
    fn akl_05_an_answer_of_revoke_is_the_list_of_what_was_ended() {
        let ids = |revoked: &[&str], message: Option<&str>| Revoked::Ids {
            revoked: revoked.iter().map(|id| (*id).to_owned()).collect(),
            message: message.map(str::to_owned),
        };
        for (answer, read) in [
            (json!({"revoked": ["a", "b"]}), ids(&["a", "b"], None)),
            (
                json!({"revoked": ["a"], "message": "b is gone"}),
                ids(&["a"], Some("b is gone")),
            ),
            (json!({"revoked": [7]}), ids(&["7"], None)),
            (json!({"revoked": null}), ids(&[], None)),
            (
                json!({"revoked": "a"}),
                Revoked::Unfit("it has no list `revoked`"),
            ),
            (json!({}), Revoked::Unfit("it has no list `revoked`")),
            (json!("a"), Revoked::Unfit("it is no JSON object")),
            (
                json!({"error": {"code": 1}}),
                Revoked::Refused(json!({"code": 1})),
            ),
        ] {
            assert_eq!(
                Revoked::read(answer.to_string().as_bytes()),
                read,
                "{answer}"
            );
        }
    }

    #[test]
    fn akl_06_a_payload_is_kept_whatever_its_type() {
        let read = |answer: Value| match NewPayload::read(answer.to_string().as_bytes()) {
            NewPayload::Text(payload) => Ok(payload.expose().to_owned()),
            NewPayload::Refused(error) => Err(error.to_string()),
            NewPayload::Unfit(why) => Err(why.to_owned()),
        };
        assert_eq!(read(json!({"payload": "p"})), Ok("p".to_owned()));
        assert_eq!(
            read(json!({"payload": {"a": 1}})),
            Ok(r#"{"a":1}"#.to_owned())
        );
        for wrong in [
            json!({"payload": ""}),
            json!({"payload": null}),
            json!({}),
            json!(["p"]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
