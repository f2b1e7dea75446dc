//! Changes of state as audit lines.
//!
//! The engines report each change as one log event, in the past tense, with its
//! facts as fields. This layer writes those events to the audit device as well,
//! whatever the log's own filter says: also what the scheduler did without any
//! request. An event within a request carries that request's id.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::Audit;

/// The modules whose events of level INFO and above are changes of state.
const ENGINES: [&str; 13] = [
    "lessor::account",
    "lessor::catalog",
    "lessor::grant",
    "lessor::lease",
    "lessor::limit",
    "lessor::mount",
    "lessor::role",
    "lessor::rotation",
    "lessor::scheduler",
    "lessor::settings",
    "lessor::task",
    "lessor::upgrade",
    "lessor::installation",
];

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
        // Levels order the more verbose as the greater.
        *metadata.level() <= Level::INFO
            && ENGINES.iter().any(|engine| {
                metadata
                    .target()
                    .strip_prefix(engine)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            })
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
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let mut line = Map::new();
        let change = fields.0.remove("message").unwrap_or(Value::Null);
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
        line.extend(fields.0);
        // A failure is remembered by the device and stops the next request.
        let _ = self.audit.record("change", line);
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
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{clock::Clock, config::AuditTarget};

    #[test]
    fn events_of_the_engines_become_lines_with_the_requests_id() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let audit = Audit::open(&AuditTarget::File(path.clone()), Clock::system()).unwrap();
        let subscriber = tracing_subscriber::registry().with(Changes::new(audit).filtered());
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request", request_id = "r1");
            request.in_scope(|| {
                tracing::info!(target: "lessor::lease", lease = %"db/creds/ro/1", attempts = 2, "revoked a lease");
                tracing::debug!(target: "lessor::lease", "not a change");
                tracing::info!(target: "lessor::sandbox", "a guest said something");
                tracing::info!(target: "lessor::leaseholder", "no engine");
            });
            tracing::warn!(target: "lessor::scheduler", "put a lease out of sync");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["type"], "change");
        assert_eq!(lines[0]["change"], "revoked a lease");
        assert_eq!(lines[0]["lease"], "db/creds/ro/1");
        assert_eq!(lines[0]["attempts"], 2);
        assert_eq!(lines[0]["request_id"], "r1");
        assert_eq!(lines[1]["change"], "put a lease out of sync");
        assert!(lines[1].get("request_id").is_none());
    }
}
