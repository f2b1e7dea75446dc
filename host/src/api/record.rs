//! Facts about a request that are collected while it is answered, for its audit line and its
//! log event.
//!
//! Bodies and credentials enter only as keyed hashes, except the fields that decide what may
//! run and what it may reach: an auditor must be able to read a grant. The path stands in
//! clear, cut to a readable length and without tokens.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use http::Method;
use lessor_model::{clock::Timestamp, secret::Secret, suggest, vault_settings::VaultSettings};
use lessor_seal::keyring::Keyring;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Body, Data},
    endpoint::Target,
    in_flight::UnderWay,
    masked,
    operation::Operation,
    table::ROUTES,
};
use crate::{audit, auth::Identity, token::Granted};

/// The fields of a write below `sys/mounts` and `sys/plugins` that stand in clear.
const GRANTS: [&str; 5] = [
    "allowed_hosts",
    "type",
    "plugin_version",
    "command",
    "sha256",
];

/// One request, as far as it is known.
#[derive(Debug)]
pub(super) struct Record {
    id: String,
    peer: SocketAddr,
    method: String,
    path: String,
    operation: Option<Operation>,
    audited: bool,
    caller: Value,
    /// Whether the caller's token is valid.
    known: bool,
    body: Value,
    /// Fields that the mount wants to be seen as they are.
    plain_request: HashSet<String>,
    plain_response: HashSet<String>,
}

impl Record {
    pub(super) fn new(id: &str, peer: SocketAddr, method: &Method, path: &str) -> Self {
        Self {
            id: id.to_owned(),
            peer,
            method: suggest::shown(method.as_str()),
            path: masked::path(&readable(path)),
            operation: None,
            // Until the path is understood, by its usual spelling.
            audited: ROUTES.is_audited(path),
            caller: Value::Null,
            known: false,
            body: Value::Null,
            plain_request: HashSet::new(),
            plain_response: HashSet::new(),
        }
    }

    /// The request's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The entry of `sys/in-flight-req`, while it is answered.
    pub(super) fn under_way(&self, since: Timestamp) -> UnderWay {
        UnderWay {
            method: self.method.clone(),
            path: self.path.clone(),
            peer: self.peer.to_string(),
            since,
            client: String::new(),
        }
    }

    /// Notes which fields the mount wants to stand in the audit line as they are.
    pub(super) fn plain_keys(&mut self, settings: &VaultSettings) {
        self.plain_request = settings.plain_request_keys();
        self.plain_response = settings.plain_response_keys();
    }

    /// The address that it came from.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Notes the meaning of the path.
    pub(super) fn locate(&mut self, target: &Target, operation: Option<Operation>) {
        self.path = masked::path(&target.path);
        self.operation = operation;
        self.audited = target.is_audited();
    }

    /// Notes the caller.
    pub(super) fn caller(
        &mut self,
        token: Option<&Secret<String>>,
        identity: Option<&Identity>,
        keyring: &Keyring,
    ) {
        let token = token.map(|token| keyring.audit_hash(token.expose()));
        self.known = identity.is_some();
        self.caller = match identity {
            Some(identity) => json!({
                "display_name": identity.token.row.display_name,
                "accessor": identity.token.row.accessor,
                "policies": identity.token.row.policies,
                "token": token,
            }),
            None => json!({ "token": token }),
        };
    }

    /// Notes the fields of a request, hashed except those that the mount wants to be seen.
    pub(super) fn body(&mut self, hashed: Value, fields: &Map<String, Value>) {
        self.body = hashed;
        show_plain(&mut self.body, fields, &self.plain_request);
        let is_granting = ["sys/mounts/", "sys/plugins/"]
            .iter()
            .any(|place| self.path.starts_with(place));
        if is_granting {
            show_grants(&mut self.body, fields);
        }
    }

    /// Fields of answers that the mount wants to be seen as they are.
    pub(super) fn plain_response(&self) -> &HashSet<String> {
        &self.plain_response
    }

    /// Whether the caller's token is valid.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Whether the request was a stranger's, and either refused or for something that everybody
    /// may see. Such requests have a bounded number of lines for each peer.
    pub(super) fn is_of_a_stranger(&self, outcome: &Outcome) -> bool {
        let gave_something = match outcome {
            Err(_) => false,
            Ok(answer) => !matches!(answer.body, Body::Document { .. }),
        };
        !self.known && !gave_something
    }

    /// Whether an audit line is due.
    pub(super) fn is_audited(&self) -> bool {
        self.audited
    }

    /// The fields of the audit line; `handed_out` is the credential in the answer,
    /// hashed.
    pub(super) fn line(
        &self,
        outcome: &Outcome,
        handed_out: Option<Value>,
        keyring: Option<&Keyring>,
        took: Duration,
    ) -> Map<String, Value> {
        let (status, response) = match outcome {
            Ok(answer) => (
                answer.status,
                response_of(&answer.body, handed_out, keyring, &self.plain_response),
            ),
            Err(error) => {
                let sentences = error.sentences(&self.id);
                let masked: Vec<String> = sentences
                    .iter()
                    .map(|sentence| masked::sentence(sentence))
                    .collect();
                (error.status(), json!({ "errors": masked }))
            }
        };
        let line = json!({
            "request_id": self.id,
            "remote_address": self.peer.to_string(),
            "operation": self.operation.map(Operation::as_str),
            "method": self.method,
            "path": self.path,
            "auth": self.caller,
            "request": self.body,
            "status": status.as_u16(),
            "response": response,
            "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        match line {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// Writes the log event; at a finer level where the request is `counted` with others.
    pub(super) fn log(&self, outcome: &Outcome, took: Duration, counted: bool) {
        let (method, path, peer) = (&self.method, &self.path, self.peer);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Err(error) if let Some(cause) = error.cause() => {
                let status = error.status().as_u16();
                tracing::error!(%peer, method, path, status, ms, cause, "failed a request");
            }
            Err(error) => {
                let status = error.status().as_u16();
                let sentence = error.errors().first().map_or("", String::as_str);
                let sentence = masked::sentence(sentence);
                match counted {
                    false => {
                        tracing::info!(%peer, method, path, status, ms, sentence, "refused a request")
                    }
                    true => {
                        tracing::debug!(%peer, method, path, status, ms, sentence, "refused a request")
                    }
                }
            }
            // A change has an event of its own, and the audit log has every request.
            Ok(answer) => {
                tracing::debug!(%peer, method, path, status = answer.status.as_u16(), ms, "answered a request");
            }
        }
    }
}

/// Shows what a write of a mount or a pin grants; a mount's settings stand in `config`.
fn show_grants(shown: &mut Value, whole: &Map<String, Value>) {
    let Value::Object(shown) = shown else {
        return;
    };
    for name in GRANTS {
        if let Some(value) = whole.get(name) {
            shown.insert(name.to_owned(), value.clone());
        }
    }
    if let (Some(shown), Some(Value::Object(config))) =
        (shown.get_mut("config"), whole.get("config"))
    {
        show_grants(shown, config);
    }
}

/// Shows those fields of `whole` as they are that the mount wants to be seen.
pub(super) fn show_plain(shown: &mut Value, whole: &Map<String, Value>, plain: &HashSet<String>) {
    if let Value::Object(shown) = shown {
        let seen = whole.iter().filter(|(name, _)| plain.contains(*name));
        shown.extend(seen.map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// The credential that an answer hands out, to be hashed.
pub(super) fn credential_of(outcome: &Outcome) -> Option<Secret<String>> {
    match &outcome.as_ref().ok()?.body {
        Body::Envelope(envelope) => match &envelope.data {
            Data::Credential(credential) => Some(credential.duplicate()),
            Data::None | Data::Json(_) => None,
        },
        _ => None,
    }
}

/// A path that is not understood yet: its escapes undone, since a token may be
/// escaped too, without control characters and cut to a readable length.
fn readable(path: &str) -> String {
    percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .chars()
        .filter(|c| !c.is_control())
        .take(512)
        .collect()
}

/// The parts of an answer that the audit line keeps: the lease, and hashes of the secrets
/// handed out, so that a secret that turns up can be traced to its request.
fn response_of(
    body: &Body,
    handed_out: Option<Value>,
    keyring: Option<&Keyring>,
    plain: &HashSet<String>,
) -> Value {
    let hashed = |value: &Value| keyring.map(|keyring| audit::hashed(keyring, value));
    match body {
        Body::Envelope(envelope) => {
            let mut response = Map::new();
            if let Some(lease) = &envelope.lease {
                response.insert("lease_id".into(), lease.id.clone().into());
                response.insert("lease_duration".into(), lease.duration.into());
            }
            if let Some(handed_out) = handed_out {
                response.insert("data".into(), handed_out);
            }
            if let Data::Json(Value::Object(data)) = &envelope.data {
                let mut shown = Value::Object(Map::new());
                show_plain(&mut shown, data, plain);
                if shown.as_object().is_some_and(|shown| !shown.is_empty()) {
                    response.insert("data".into(), shown);
                }
            }
            if let Some(granted) = &envelope.auth {
                response.insert("auth".into(), granted_of(granted, keyring));
            }
            if let Some(wrapped) = &envelope.wrapped {
                let token = keyring.map(|keyring| keyring.audit_hash(wrapped.token.expose()));
                let info =
                    json!({ "accessor": wrapped.accessor, "token": token, "path": wrapped.path });
                response.insert("wrap_info".into(), info);
            }
            if !envelope.warnings.is_empty() {
                response.insert("warnings".into(), json!(envelope.warnings));
            }
            Value::Object(response)
        }
        // The answer within was recorded when it was wrapped.
        Body::Unwrapped(_) => json!({ "unwrapped": true }),
        Body::Bare(value) => hashed(value).unwrap_or_default(),
        Body::Public { .. } => json!({ "public": true }),
        Body::Lines(_) => json!({ "watched": true }),
        Body::Document { bytes, .. } => json!({ "bytes": bytes.len() }),
        Body::File { length, .. } => json!({ "bytes": length }),
        Body::Empty => Value::Null,
    }
}

/// A token that was made: its holder, its policies and its hash.
fn granted_of(granted: &Granted, keyring: Option<&Keyring>) -> Value {
    let row = &granted.known.row;
    json!({
        "accessor": row.accessor,
        "display_name": row.display_name,
        "policies": row.policies,
        "metadata": row.facts.meta,
        "token_type": granted.known.kind.as_str(),
        "lease_duration": granted.ttl.as_secs(),
        "token": keyring.map(|keyring| keyring.audit_hash(granted.token.expose())),
    })
}
