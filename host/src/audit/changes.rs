//! Changes of state as audit lines.
//!
//! Code that changes the state records a [`lessor_model::event::Event`], which is one event of
//! `tracing` from that module alone. This layer writes these events to the audit device,
//! whatever the log's own filter says; the scheduler's changes are among them, which belong to
//! no request. An event within a request carries that request's id.

use std::{fmt, net::IpAddr};

use lessor_model::event::{self, Kind};
use serde_json::{Map, Value};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::Audit;

/// Name of the span that a request is handled in, and of its field.
pub(crate) const REQUEST_SPAN: &str = "request";
const REQUEST_ID: &str = "request_id";

/// Writes changes of state to the audit device.
#[derive(Debug)]
pub struct Changes {
    audit: Audit,
}

impl Changes {
    /// A layer that writes to `audit`.
    pub fn new(audit: Audit) -> Self {
        Self { audit }
    }

    /// The layer with its own filter, so that the log's does not apply to it.
    pub fn filtered<S>(self) -> impl Layer<S> + Send + Sync
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        self.with_filter(IsChange)
    }
}

struct IsChange;

impl<S> Filter<S> for IsChange {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        if metadata.is_span() {
            return metadata.name() == REQUEST_SPAN;
        }
        metadata.module_path() == Some(event::MODULE)
    }
}

/// The id of the request that a span belongs to.
struct RequestId(Value);

impl<S> Layer<S> for Changes
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut fields);
        if let (Some(span), Some(request)) = (context.span(id), fields.0.remove(REQUEST_ID)) {
            span.extensions_mut().insert(RequestId(request));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let name = event.metadata().name();
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        read_lists(name, &mut fields.0);
        let mut line = Map::new();
        line.insert("event".into(), name.into());
        let change = fields.0.shift_remove("message").unwrap_or(Value::Null);
        line.insert("change".into(), change);
        let request = context
            .event_scope(event)
            .into_iter()
            .flatten()
            .find_map(|span| {
                span.extensions()
                    .get::<RequestId>()
                    .map(|request| request.0.clone())
            });
        if let Some(request) = request {
            line.insert(REQUEST_ID.into(), request);
        }
        let stranger = (name == event::LOGIN_FAILED)
            .then(|| {
                fields
                    .0
                    .get("remote_address")?
                    .as_str()?
                    .parse::<IpAddr>()
                    .ok()
            })
            .flatten();
        line.extend(fields.0);
        // The device remembers a failure, which stops the next request.
        let _ = match stranger {
            Some(peer) => self.audit.record_failed_login(peer, line),
            None => self.audit.record("change", line),
        };
    }
}

/// Makes lists of the fields that hold one: an event of `tracing` has no lists.
fn read_lists(name: &str, fields: &mut Map<String, Value>) {
    let described = event::EVENTS.iter().find(|event| event.name == name);
    let lists = described
        .iter()
        .flat_map(|event| event.fields)
        .filter(|field| field.kind == Kind::List);
    for list in lists {
        if let Some(value) = fields.get_mut(list.name)
            && let Some(read) = value
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
        {
            *value = read;
        }
    }
}

/// Collects an event's fields as JSON.
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use lessor_model::{
        clock::{Clock, Timestamp},
        event::Event as Change,
        id::ConnectionName,
    };
    use serde_json::json;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{
        audit::{AuditError, LINES_OF_ONE},
        config::AuditTarget,
    };

    /// The lines of an audit log that `act` makes.
    fn lines_of(act: impl FnOnce()) -> Result<Vec<Value>, AuditError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let audit = Audit::open(&AuditTarget::File(path.clone()), Clock::system())?;
        let subscriber = tracing_subscriber::registry().with(Changes::new(audit).filtered());
        tracing::subscriber::with_default(subscriber, act);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines();
        Ok(lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect())
    }

    #[test]
    fn changes_become_lines_with_the_requests_id_and_nothing_else_does() {
        let lines = lines_of(|| {
            let request = tracing::info_span!("request", request_id = "r1");
            request.in_scope(|| {
                Change::LeaseRevoked {
                    lease: "db/creds/ro/00000000000000000000000001".parse().unwrap(),
                    attempts: 2,
                }
                .record();
                // An event of another module, which is no change of state whatever its fields
                // are.
                tracing::warn!(target: "lessor::lease", "could not record a revocation");
                tracing::info!(name: "lease.issued", target: "lessor::event", "forged");
            });
            Change::TokensExpired {
                accessors: vec!["a\"1".into(), "a2".into()],
                tokens: 2,
                leases: 0,
            }
            .record();
            Change::RotationMissed {
                mount: "db".parse().unwrap(),
                connection: ConnectionName::DEFAULT,
                next: None,
            }
            .record();
            Change::RotationMissed {
                mount: "db".parse().unwrap(),
                connection: ConnectionName::DEFAULT,
                next: Some(Timestamp(0)),
            }
            .record();
        });
        let mut lines = lines.unwrap();
        for line in &mut lines {
            assert!(line.as_object_mut().unwrap().remove("time").is_some());
        }
        let missed = "missed the window of a scheduled rotation";
        assert_eq!(
            lines,
            [
                json!({
                    "type": "change", "event": "lease.revoked", "change": "revoked a lease",
                    "request_id": "r1", "lease": "db/creds/ro/00000000000000000000000001", "attempts": 2,
                }),
                json!({
                    "type": "change", "event": "token.expired", "change": "ended expired tokens",
                    "accessors": ["a\"1", "a2"], "tokens": 2, "leases": 0,
                }),
                json!({
                    "type": "change", "event": "rotation.missed", "change": missed, "mount": "db",
                    "connection": "default",
                }),
                json!({
                    "type": "change", "event": "rotation.missed", "change": missed, "mount": "db",
                    "connection": "default", "next": "1970-01-01T00:00:00.000Z",
                }),
            ]
        );
    }

    /// A peer that guesses passwords gets no more lines than one that asks for anything else
    /// without a token.
    #[test]
    fn failed_logins_of_one_address_have_so_many_lines() {
        let lines = lines_of(|| {
            for _ in 0..LINES_OF_ONE + 5 {
                Change::LoginFailed {
                    path: "people".parse().unwrap(),
                    reason: "invalid",
                    remote_address: "10.0.0.1".parse().unwrap(),
                }
                .record();
            }
        });
        let lines = lines.unwrap();
        assert_eq!(lines.len() as u64, LINES_OF_ONE);
        let of_logins = |line: &Value| line["event"] == "login.failed";
        assert!(lines.iter().all(of_logins), "{lines:?}");
    }
}
