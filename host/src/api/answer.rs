//! Answers, and how they stand on the wire: Vault's envelope, byte for byte what
//! its clients look for.
//!
//! `Content-Type` is exactly `application/json`, because hvac compares it with
//! `==`; the first four fields of the envelope are always there, because vaultrs
//! insists; a write without output is 204 without a body, yet with the type, for the
//! cache of `bao agent` and `bao proxy` forgets what was revoked only where it reads one.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use http::{HeaderValue, Response, StatusCode, header};
use lessor_model::{id::OperationId, refusal::Refusal, secret::Secret};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::fs::File;

use super::{Outcome, endpoint::gives::Keys, error::ApiError, payload::Payload};
use crate::{monitor::Watch, token::Granted, wrapping::Wrapped};

/// A handler's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Body,
    /// The task that goes on with what was asked for.
    pub(super) task: Option<Begun>,
}

/// A task that ends with the last of some leases: told in the head of an answer, so
/// that also one without a body tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) task: OperationId,
    /// The number of leases.
    pub(super) leases: usize,
}

/// The headers that tell of [`Begun`].
const TASK: &str = "lessor-task";
const LEASES: &str = "lessor-leases";

/// The forms of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing: 204.
    Empty,
    /// Vault's envelope.
    Envelope(Box<Envelope>),
    /// An answer that was wrapped, as it was.
    Unwrapped(Secret<String>),
    /// JSON as it stands: the few paths that Vault answers without an envelope.
    Bare(Value),
    /// A public document of the host, and how long anybody may keep it.
    Public { value: Value, kept: Duration },
    /// A public document of a mount.
    Document {
        content_type: String,
        bytes: Vec<u8>,
    },
    /// A file, sent as it is read.
    File {
        content_type: &'static str,
        file: File,
        length: u64,
    },
    /// Lines of the log, sent as they are written.
    Lines(Watch),
}

/// The envelope's contents.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) data: Data,
    pub(super) lease: Option<LeaseHead>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) warnings: Vec<String>,
    /// A token for its holder.
    pub(super) auth: Option<Granted>,
    /// Accessor of the secret in `data`, which whoever wraps the answer is told.
    pub(super) accessor: Option<String>,
    /// The place of an answer that was asked for wrapped.
    pub(super) wrapped: Option<Wrapped>,
    /// Whether the fields of `data` stand beside it, too: Vault has older paths
    /// that answered without an envelope at first.
    pub(super) data_on_top: bool,
}

/// The value of `data`.
#[derive(Debug, Default)]
pub(super) enum Data {
    /// null
    #[default]
    None,
    /// Any JSON.
    Json(Value),
    /// A credential: JSON text, never parsed here, so that it is not copied
    /// about.
    Credential(Secret<String>),
}

impl Data {
    /// The fields of a type that can be serialised.
    pub(super) fn of(data: impl Serialize) -> Self {
        Self::Json(json!(data))
    }
}

/// The fields that every answer with an envelope begins with.
#[derive(Serialize, JsonSchema)]
pub(super) struct Head<'a> {
    /// Names the request, in the logs too.
    request_id: &'a str,
    /// The lease that the answer is about; empty where it is about none.
    lease_id: &'a str,
    /// Whether the end of that lease can be moved.
    renewable: bool,
    /// Seconds until that lease ends.
    lease_duration: u64,
}

/// The fields behind `data`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tail<'a> {
    /// Of a lease: the id of its credential upstream in `id`, its end, and facts of the
    /// provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Map<String, Value>>,
    /// The token of an answer that was asked for wrapped, with X-Vault-Wrap-TTL: then `data`
    /// and `auth` are null here.
    wrap_info: Option<WrapInfo<'a>>,
    /// Warnings for the caller, a sentence each; null where there are none.
    warnings: Option<&'a [String]>,
    /// The token that is given.
    auth: Option<Auth<'a>>,
}

/// The envelope of answers, as Vault has it.
#[derive(JsonSchema)]
#[schemars(rename = "Answer")]
#[expect(dead_code, reason = "the shape of what an envelope is encoded as")]
pub(super) struct Wire<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// The answer itself.
    data: Value,
    #[serde(flatten)]
    tail: Tail<'a>,
}

/// A token for its holder. vaultrs insists on every one of these fields but the last.
#[derive(Serialize, JsonSchema)]
pub(super) struct Auth<'a> {
    /// The token; empty where it was named by its accessor.
    client_token: &'a str,
    /// Names the token, and opens nothing.
    accessor: &'a str,
    /// Its policies.
    policies: &'a [String],
    /// The same.
    token_policies: &'a [String],
    /// Its metadata.
    metadata: Option<&'a BTreeMap<String, String>>,
    /// Seconds until it ends.
    lease_duration: u64,
    /// Whether its end can be moved.
    renewable: bool,
    /// Empty: there are no identities.
    entity_id: &'a str,
    /// service or batch.
    token_type: &'a str,
    /// Whether it does not end with another token.
    orphan: bool,
    /// Null: a login takes one step.
    mfa_requirement: (),
    /// The number of uses that it has; 0: any number.
    num_uses: u32,
}

/// The token that opens a wrapped answer, once.
#[derive(Serialize, JsonSchema)]
pub(super) struct WrapInfo<'a> {
    /// The token.
    token: &'a str,
    /// Its accessor.
    accessor: &'a str,
    /// Seconds for which the answer is kept.
    ttl: u64,
    /// The time when it was wrapped.
    creation_time: String,
    /// Path of the request that it answers.
    creation_path: &'a str,
    /// Accessor of the token or secret id in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapped_accessor: Option<&'a str>,
}

/// A refusal.
#[derive(Serialize, JsonSchema)]
pub(super) struct Errors {
    /// A sentence each; none where there is nothing at the path.
    errors: Vec<String>,
}

/// The lease at the top of an answer.
#[derive(Debug)]
pub(super) struct LeaseHead {
    pub(super) id: String,
    /// Seconds.
    pub(super) duration: u64,
    pub(super) renewable: bool,
}

impl Answer {
    /// 204.
    pub(super) fn done() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: Body::Empty,
            task: None,
        }
    }

    /// 200 with data.
    pub(super) fn data(data: impl Serialize) -> Self {
        Self::envelope(Envelope {
            data: Data::of(data),
            ..Envelope::default()
        })
    }

    /// 200 with data, whose fields stand beside it, too.
    pub(super) fn data_on_top(data: impl Serialize) -> Self {
        Self::envelope(Envelope {
            data: Data::of(data),
            data_on_top: true,
            ..Envelope::default()
        })
    }

    /// 200 with an envelope.
    pub(super) fn envelope(envelope: Envelope) -> Self {
        Self {
            status: StatusCode::OK,
            body: Body::Envelope(Box::new(envelope)),
            task: None,
        }
    }

    /// 200 with a token.
    pub(super) fn granted(mut granted: Granted) -> Self {
        Self::envelope(Envelope {
            warnings: std::mem::take(&mut granted.warnings),
            auth: Some(granted),
            ..Envelope::default()
        })
    }

    /// 204, or 200 where there is something to warn of.
    pub(super) fn done_with(warnings: Vec<String>) -> Self {
        if warnings.is_empty() {
            Self::done()
        } else {
            Self::envelope(Envelope {
                warnings,
                ..Envelope::default()
            })
        }
    }

    /// The same answer, with warnings about the parts of the request that were not used. An
    /// answer without an envelope has no place for warnings; a 204 that has any becomes 200
    /// with an envelope.
    pub(super) fn noticing(mut self, notices: Vec<String>) -> Self {
        match &mut self.body {
            Body::Empty if self.status == StatusCode::NO_CONTENT => Self {
                task: self.task,
                ..Self::done_with(notices)
            },
            Body::Envelope(envelope) => {
                envelope.warnings.extend(notices);
                self
            }
            _ => self,
        }
    }

    /// 202: it goes on in the background.
    pub(super) fn accepted(data: Data, warnings: Vec<String>) -> Self {
        let envelope = Envelope {
            data,
            warnings,
            ..Envelope::default()
        };
        Self {
            status: StatusCode::ACCEPTED,
            body: Body::Envelope(Box::new(envelope)),
            task: None,
        }
    }

    /// A list of names; Vault answers 404 where it is empty.
    pub(super) fn list(keys: Vec<String>) -> Result<Self, ApiError> {
        if keys.is_empty() {
            return Err(ApiError::nothing_here());
        }
        Ok(Self::data(Keys { keys }))
    }

    /// 200 without an envelope.
    pub(super) fn bare(value: impl Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            body: Body::Bare(json!(value)),
            task: None,
        }
    }

    /// A document that anybody may read, and keep for so long.
    pub(super) fn public(value: Value, kept: Duration) -> Self {
        Self {
            status: StatusCode::OK,
            body: Body::Public { value, kept },
            task: None,
        }
    }

    /// The same with another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same, naming the task that goes on.
    pub(super) fn with_task(mut self, task: Begun) -> Self {
        self.task = Some(task);
        self
    }

    /// The id of the lease whose credential this answer hands out, if it does.
    pub(super) fn credential_lease(&self) -> Option<String> {
        match &self.body {
            Body::Envelope(envelope) if matches!(envelope.data, Data::Credential(_)) => {
                envelope.lease.as_ref().map(|lease| lease.id.clone())
            }
            Body::Envelope(envelope) => envelope.wrapped.as_ref()?.lease.clone(),
            _ => None,
        }
    }

    /// The answer on the wire.
    pub(super) fn encode(self, request_id: &str) -> Response<Payload> {
        let task = self.task;
        let mut response = self.encode_body(request_id);
        if let Some(begun) = task {
            let headers = response.headers_mut();
            if let Ok(id) = HeaderValue::from_str(&begun.task.to_string()) {
                headers.insert(TASK, id);
            }
            headers.insert(LEASES, HeaderValue::from(begun.leases));
        }
        response
    }

    fn encode_body(self, request_id: &str) -> Response<Payload> {
        match self.body {
            Body::Empty => json_response(self.status, Vec::new()),
            Body::Unwrapped(answer) => {
                json_response(self.status, answer.expose().clone().into_bytes())
            }
            Body::Bare(value) => json_response(self.status, value.to_string().into_bytes()),
            Body::Envelope(envelope) => json_response(self.status, envelope.encode(request_id)),
            Body::Public { value, kept } => {
                let mut response = json_response(self.status, value.to_string().into_bytes());
                let cached = match kept.as_secs() {
                    0 => String::from("no-cache"),
                    seconds => format!("public, max-age={seconds}"),
                };
                if let Ok(cached) = HeaderValue::from_str(&cached) {
                    response.headers_mut().insert(header::CACHE_CONTROL, cached);
                }
                response
            }
            Body::Document {
                content_type,
                bytes,
            } => {
                let kind = HeaderValue::from_static(published_as(&content_type));
                let mut response = respond(self.status, kind, bytes);
                // The document is a provider's: no browser may take it for a page of
                // this server, nor run anything in it.
                let headers = response.headers_mut();
                headers.insert(
                    header::X_CONTENT_TYPE_OPTIONS,
                    HeaderValue::from_static("nosniff"),
                );
                headers.insert(
                    header::CONTENT_SECURITY_POLICY,
                    HeaderValue::from_static("sandbox; default-src 'none'"),
                );
                response
            }
            Body::File {
                content_type,
                file,
                length: left,
            } => {
                let kind = HeaderValue::from_static(content_type);
                respond(self.status, kind, Payload::File { file, left })
            }
            Body::Lines(watch) => {
                let kind = HeaderValue::from_static("text/plain; charset=utf-8");
                respond(self.status, kind, Payload::Lines(watch))
            }
        }
    }
}

impl Envelope {
    /// JSON text, with all that is secret in it.
    pub(super) fn encode(&self, request_id: &str) -> Vec<u8> {
        let lease = self.lease.as_ref();
        let head = json!(Head {
            request_id,
            lease_id: lease.map_or("", |lease| &lease.id),
            renewable: lease.is_some_and(|lease| lease.renewable),
            lease_duration: lease.map_or(0, |lease| lease.duration),
        });
        let tail = json!(Tail {
            metadata: self.metadata.as_ref(),
            wrap_info: self.wrapped.as_ref().map(wrap_info),
            warnings: (!self.warnings.is_empty()).then_some(&self.warnings),
            auth: self.auth.as_ref().map(auth),
        });
        let (mut out, tail) = (head.to_string(), tail.to_string());
        let shown;
        let data: &str = match &self.data {
            Data::Credential(credential) => credential.expose(),
            Data::None => "null",
            Data::Json(value) => {
                shown = value.to_string();
                &shown
            }
        };
        // Allocated once at its full size: a smaller buffer that it outgrew would keep the
        // secrets in it.
        out.reserve(data.len() + tail.len() + 256);
        out.truncate(out.len() - 1);
        let tail = tail.get(1..tail.len() - 1).unwrap_or_default();
        for piece in [",\"data\":", data, ",", tail] {
            out.push_str(piece);
        }
        if self.data_on_top {
            self.push_data(&mut out);
        }
        out.push('}');
        out.into_bytes()
    }

    /// Adds the fields of the data. A name of the envelope's own keeps its
    /// meaning.
    fn push_data(&self, out: &mut String) {
        let Data::Json(Value::Object(fields)) = &self.data else {
            return;
        };
        for (name, value) in fields {
            if !OF_THE_ENVELOPE.contains(&name.as_str()) {
                let _ = write!(out, ",{}:{value}", json!(name));
            }
        }
    }
}

/// The type that a published document is served as: one that no browser shows as a
/// page, or bytes.
pub(super) fn published_as(content_type: &str) -> &'static str {
    let base = content_type.split(';').next().unwrap_or_default().trim();
    DOCUMENTS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(base))
        .unwrap_or("application/octet-stream")
}

/// Documents of every kind that mounts publish: certificates, revocation lists, keys, facts.
const DOCUMENTS: [&str; 13] = [
    "application/json",
    "application/jwk-set+json",
    "application/jwt",
    "application/ocsp-response",
    "application/pem-certificate-chain",
    "application/pkcs7-mime",
    "application/pkix-attr-cert",
    "application/pkix-cert",
    "application/pkix-crl",
    "application/x-pem-file",
    "application/x-pkcs7-crl",
    "application/x-x509-ca-cert",
    "text/plain",
];

fn auth(granted: &Granted) -> Auth<'_> {
    let row = &granted.known.row;
    Auth {
        client_token: granted.token.expose(),
        accessor: &row.accessor,
        policies: &row.policies,
        token_policies: &row.policies,
        metadata: row.facts.meta.as_ref(),
        lease_duration: granted.ttl.as_secs(),
        renewable: row.facts.renewable,
        entity_id: "",
        token_type: granted.known.kind.as_str(),
        orphan: granted.known.is_orphan(),
        mfa_requirement: (),
        num_uses: row.uses_left.unwrap_or(0),
    }
}

fn wrap_info(wrapped: &Wrapped) -> WrapInfo<'_> {
    WrapInfo {
        token: wrapped.token.expose(),
        accessor: &wrapped.accessor,
        ttl: wrapped.ttl.as_secs(),
        creation_time: wrapped.created_at.rfc3339(),
        creation_path: &wrapped.path,
        wrapped_accessor: wrapped.wrapped_accessor.as_deref(),
    }
}

/// The names of the envelope itself.
const OF_THE_ENVELOPE: [&str; 9] = [
    "request_id",
    "lease_id",
    "renewable",
    "lease_duration",
    "data",
    "metadata",
    "wrap_info",
    "warnings",
    "auth",
];

/// A refusal on the wire: `{"errors":[…]}`.
pub(super) fn encode_error(error: &ApiError, request_id: &str) -> Response<Payload> {
    let body = json!(Errors {
        errors: error.sentences(request_id)
    });
    let mut response = json_response(error.status(), body.to_string().into_bytes());
    if let Some(seconds) = error.retry_after_seconds() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let allow = error.allow().map(HeaderValue::from_str);
    if let Some(Ok(methods)) = allow {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response<Payload> {
    respond(status, HeaderValue::from_static("application/json"), body)
}

fn respond(
    status: StatusCode,
    content_type: HeaderValue,
    payload: impl Into<Payload>,
) -> Response<Payload> {
    let mut response = Response::new(payload.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // A credential belongs in no cache on its way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, content_type);
    response
}

/// A removal of something that is gone already succeeds.
pub(super) fn gone(outcome: Result<(), Refusal>) -> Outcome {
    match outcome {
        Ok(()) | Err(Refusal::NotFound(_)) => Ok(Answer::done()),
        Err(refusal) => Err(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use lessor_model::{
        provider::{Failure, FailureClass},
        refusal::Refusal,
    };

    use super::*;

    fn read(response: Response<Payload>) -> (u16, Option<String>, String) {
        let (parts, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
        let kind = parts
            .headers
            .get("content-type")
            .map(|kind| kind.to_str().unwrap().to_owned());
        (
            parts.status.as_u16(),
            kind,
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    #[test]
    fn answers_stand_on_the_wire_as_vault_writes_them() {
        let lease = LeaseHead {
            id: "db/creds/ro/1".into(),
            duration: 3600,
            renewable: true,
        };
        let credential = Envelope {
            data: Data::Credential(Secret::new(r#"{"username":"u","password":"p"}"#.into())),
            lease: Some(lease),
            metadata: Some(Map::from_iter([("id".to_owned(), json!("u"))])),
            warnings: vec!["w".into()],
            ..Envelope::default()
        };
        let json = Some("application/json".to_owned());
        for (answer, status, kind, body) in [
            (Answer::done(), 204, json.clone(), ""),
            (Answer::done_with(vec![]), 204, json.clone(), ""),
            (
                Answer::data(json!({"a": 1})),
                200,
                json.clone(),
                r#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{"a":1},"wrap_info":null,"warnings":null,"auth":null}"#,
            ),
            (
                Answer::done_with(vec!["w".into()]),
                200,
                json.clone(),
                r#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":null,"wrap_info":null,"warnings":["w"],"auth":null}"#,
            ),
            (
                Answer::envelope(credential),
                200,
                json.clone(),
                r#"{"request_id":"r","lease_id":"db/creds/ro/1","renewable":true,"lease_duration":3600,"data":{"username":"u","password":"p"},"metadata":{"id":"u"},"wrap_info":null,"warnings":["w"],"auth":null}"#,
            ),
            (
                Answer::accepted(Data::None, vec!["later".into()]),
                202,
                json.clone(),
                r#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":null,"wrap_info":null,"warnings":["later"],"auth":null}"#,
            ),
            (
                Answer::list(vec!["a".into()]).unwrap(),
                200,
                json.clone(),
                r#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{"keys":["a"]},"wrap_info":null,"warnings":null,"auth":null}"#,
            ),
            (
                Answer::data_on_top(json!({"a": 1, "auth": 2})),
                200,
                json.clone(),
                r#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{"a":1,"auth":2},"wrap_info":null,"warnings":null,"auth":null,"a":1}"#,
            ),
            (
                Answer::bare(json!({"sealed": false})),
                200,
                json.clone(),
                r#"{"sealed":false}"#,
            ),
        ] {
            assert_eq!(read(answer.encode("r")), (status, kind, body.to_owned()));
        }
    }

    #[test]
    fn a_document_is_served_as_nothing_that_a_browser_runs() {
        for (said, served) in [
            ("application/pkix-crl", "application/pkix-crl"),
            ("Application/PKIX-Cert", "application/pkix-cert"),
            ("text/plain; charset=utf-8", "text/plain"),
            ("text/html", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"),
            ("text/html;application/json", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            let answer = Answer {
                status: StatusCode::OK,
                body: Body::Document {
                    content_type: said.to_owned(),
                    bytes: b"<script>".to_vec(),
                },
                task: None,
            };
            let response = answer.encode("r");
            let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(header("content-type"), served, "{said}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(
                header("content-security-policy"),
                "sandbox; default-src 'none'"
            );
        }
    }

    #[test]
    fn refusals_stand_on_the_wire_as_vault_writes_them() {
        let failure = |class| {
            Refusal::Provider(Failure {
                class,
                code: "E1".into(),
                message: "no".into(),
                retry_after: None,
                reached_upstream: true,
            })
        };
        let io = std::io::Error::other("disk on fire");
        for (error, status, body) in [
            (ApiError::nothing_here(), 404, r#"{"errors":[]}"#),
            (Answer::list(vec![]).unwrap_err(), 404, r#"{"errors":[]}"#),
            (
                ApiError::denied(),
                403,
                r#"{"errors":["permission denied"]}"#,
            ),
            (
                Refusal::Invalid("a is wrong".into()).into(),
                400,
                r#"{"errors":["a is wrong"]}"#,
            ),
            (
                Refusal::NotFound("no role".into()).into(),
                404,
                r#"{"errors":["no role"]}"#,
            ),
            (
                ApiError::from(Refusal::NotFound("no role".into())).without_sentence(),
                404,
                r#"{"errors":[]}"#,
            ),
            (
                Refusal::Conflict("in use".into()).into(),
                409,
                r#"{"errors":["in use"]}"#,
            ),
            (
                Refusal::Unavailable("full".into()).into(),
                503,
                r#"{"errors":["full"]}"#,
            ),
            (
                failure(FailureClass::InvalidConfig).into(),
                400,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                failure(FailureClass::InvalidRequest).into(),
                400,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                failure(FailureClass::Denied).into(),
                502,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                failure(FailureClass::Unavailable).into(),
                502,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                ApiError::from(failure(FailureClass::Unavailable)).undisclosed(),
                502,
                r#"{"errors":["the document cannot be had now; the server's log says why"]}"#,
            ),
            (
                failure(FailureClass::Internal).into(),
                502,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                failure(FailureClass::Unsupported).into(),
                501,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                failure(FailureClass::RateLimited).into(),
                429,
                r#"{"errors":["no (E1)"]}"#,
            ),
            (
                Refusal::internal(io).into(),
                500,
                r#"{"errors":["internal error: the server's log has the reason under request id r"]}"#,
            ),
        ] {
            let (got, kind, text) = read(encode_error(&error, "r"));
            assert_eq!((got, text.as_str()), (status, body));
            assert_eq!(kind.as_deref(), Some("application/json"));
        }
        let limit = Refusal::Limit {
            message: "full".into(),
            retry_after: Duration::from_millis(1_200),
        };
        let response = encode_error(&limit.into(), "r");
        assert_eq!(response.headers().get("retry-after").unwrap(), "2");
        let cause =
            ApiError::from(Refusal::internal(std::io::Error::other("disk on fire"))).cause();
        assert_eq!(cause.as_deref(), Some("disk on fire"));
    }
}
