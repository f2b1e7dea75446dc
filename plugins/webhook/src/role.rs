//! What the operator writes per role, what a caller may ask for, and what a caller gets.

use std::borrow::Cow;

use lessor_sdk::prelude::*;
use lessor_sdk::schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

/// What the webhook is told for the credentials of a role.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// What the webhook gets as `input`. Callers cannot change these members.
    pub input: Map<String, Value>,
    /// The names of further members that callers may give; `*` for any. A webhook does with
    /// input what it likes, so a role allows none by itself.
    pub caller_input: Vec<String>,
    /// Seconds until the system behind the webhook honours a new credential: callers are told,
    /// or wait.
    pub effective_in: u32,
}

/// What a caller may ask for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Members of `input` for the webhook, as far as the role allows them.
    pub input: Map<String, Value>,
}

/// What a caller gets.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Credential {
    /// The webhook's `response`, as it came.
    pub response: Response,
}

/// Any JSON. What is no name in it is taken for a secret.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Response(pub(crate) Value);

impl Role {
    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<()> {
        match self
            .caller_input
            .iter()
            .find(|name| self.input.contains_key(*name))
        {
            Some(name) => Err(Failure::invalid_config(
                "role_invalid",
                format!(
                    "role.caller_input names {name:?}, which role.input sets: keep one of the two."
                ),
            )),
            None => Ok(()),
        }
    }

    /// The input of a call: the role's and the caller's.
    ///
    /// # Errors
    /// Where the role does not let callers give a member.
    pub(crate) fn input_with(&self, request: &Request) -> Result<Map<String, Value>> {
        let mut input = self.input.clone();
        for (name, value) in &request.input {
            if self.input.contains_key(name) {
                return Err(Failure::invalid_request(
                    "input_fixed",
                    format!(
                        "request.input.{name} is set by the role, and callers cannot change it."
                    ),
                ));
            }
            if !self
                .caller_input
                .iter()
                .any(|known| known == "*" || known == name)
            {
                let allowed = match self.caller_input.as_slice() {
                    [] => "callers give none by this role".to_owned(),
                    names => format!("callers give {} by this role", names.join(", ")),
                };
                return Err(Failure::invalid_request(
                    "input_not_allowed",
                    format!("request.input.{name} is not allowed: {allowed} (`caller_input`)."),
                ));
            }
            input.insert(name.clone(), value.clone());
        }
        Ok(input)
    }
}

impl JsonSchema for Response {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Response".into()
    }

    /// The host masks what a schema marks. A webhook's answer has no schema, so everything is
    /// marked but the members that name a thing: ids come from these.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Map<String, Value> = NAMES
            .iter()
            .map(|name| ((*name).to_owned(), true.into()))
            .collect();
        json_schema!({
            "properties": names,
            "additionalProperties": {"writeOnly": true},
            "items": {"writeOnly": true},
        })
    }
}

/// Whether a member of a response, or of a payload, merely names something.
pub(crate) fn is_name(member: &str) -> bool {
    NAMES.contains(&member)
}

/// The texts of a response that are taken for secrets: those that its schema marks.
pub(crate) fn secrets(response: &Value) -> impl Iterator<Item = &str> {
    let mut found = Vec::new();
    match response {
        Value::Object(members) => {
            for (_, value) in members.iter().filter(|(name, _)| !is_name(name)) {
                texts(value, &mut found);
            }
        }
        other => texts(other, &mut found),
    }
    found.into_iter()
}

fn texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// Members of a response that are no secrets, and tell which credential it is.
const NAMES: [&str; 38] = [
    "accessKeyId",
    "access_key_id",
    "AccessKeyId",
    "account",
    "arn",
    "client_id",
    "clientId",
    "database",
    "display_name",
    "displayName",
    "email",
    "endpoint",
    "expiration",
    "expires",
    "expires_at",
    "expiresAt",
    "host",
    "hostname",
    "id",
    "key_id",
    "keyId",
    "login",
    "message",
    "name",
    "port",
    "region",
    "role",
    "serial",
    "serial_number",
    "type",
    "uri",
    "url",
    "user",
    "userId",
    "user_id",
    "userName",
    "user_name",
    "username",
];
