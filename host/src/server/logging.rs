//! Log events, to standard error. Standard output belongs to the person who started the server.
//!
//! Fields hold text of others: a provider's sentence, a path that a stranger asked for. In
//! lines of text, hidden characters of it are made visible, so that it neither acts on a
//! terminal nor looks like a line of its own. JSON has its own escapes.

use std::{fmt, io};

use tracing::{Metadata, field::Field};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    field::MakeExt as _,
    filter::{FilterExt as _, FilterFn, LevelFilter, filter_fn},
    fmt::{
        FormatFields,
        format::{self, Writer},
    },
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::ServerError;
use crate::{
    audit::{Audit, Changes},
    config::{Config, LogFormat},
    monitor::{Monitors, is_own_or_coarse},
    visible::visible_line,
};

/// Starts logging, and writing changes of state to `audit`.
pub(super) fn start(
    config: &Config,
    audit: &Audit,
    monitors: &Monitors,
) -> Result<(), ServerError> {
    let level = &config.log_level;
    let refuse = |_| ServerError::LogLevel {
        level: level.clone(),
    };
    let filter = EnvFilter::builder().parse(level).map_err(refuse)?;
    let lines = tracing_subscriber::fmt::layer::<Registry>().with_writer(io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            let lines = lines.fmt_fields(visible_fields());
            lines.with_ansi(colours).with_target(false).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second start within one process, as tests do it, keeps the first log.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(without_foreign_traces())))
        .with(Changes::new(audit.clone()).filtered())
        .with(monitors.layer())
        .try_init();
    Ok(())
}

/// Fields as `name=value`, and the message by itself. The lines' own colours are
/// written around the fields, so they stay.
fn visible_fields() -> impl for<'writer> FormatFields<'writer> {
    format::debug_fn(
        |line: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
            let text = format!("{value:?}");
            let shown = visible_line(&text);
            match field.name() {
                "message" => write!(line, "{shown}"),
                name => write!(line, "{name}={shown}"),
            }
        },
    )
    .delimited(" ")
}

/// Leaves out the traces of libraries, whatever level was asked for.
fn without_foreign_traces() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    let own_or_coarse: fn(&Metadata<'_>) -> bool = is_own_or_coarse;
    // The hint is the operator's level: events below it are not even looked at.
    filter_fn(own_or_coarse).with_max_level_hint(LevelFilter::TRACE)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn log() -> (
        Arc<Mutex<Vec<u8>>>,
        impl Fn() -> Lines + Send + Sync + 'static,
    ) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        (log, move || Lines(Arc::clone(&written)))
    }

    #[test]
    fn foreign_text_neither_acts_on_a_terminal_nor_begins_a_line() {
        let (log, writer) = log();
        let lines = tracing_subscriber::fmt::layer::<Registry>()
            .with_writer(writer)
            .fmt_fields(visible_fields())
            .without_time()
            .with_ansi(false)
            .with_target(false);
        let subscriber = tracing_subscriber::registry().with(lines);
        let foreign = "a\u{1b}]0;title\u{7}\n INFO forged\u{202e}\u{9b}2J";
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", of = %foreign);
            let _entered = span.enter();
            tracing::info!(plain = 7, text = "as it is", shown = %foreign, "said {foreign}");
        });
        let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        let shown = r"a\u{1b}]0;title\u{7}\n INFO forged\u{202e}\u{9b}2J";
        assert_eq!(
            text,
            format!(
                " INFO request{{of={shown}}}: said {shown} plain=7 text=\"as it is\" shown={shown}\n"
            )
        );
    }

    #[test]
    fn traces_of_libraries_are_left_out_at_every_level() {
        let (log, writer) = log();
        let filter = EnvFilter::builder().parse("trace").unwrap();
        let lines = tracing_subscriber::fmt::layer::<Registry>().with_writer(writer);
        let subscriber = tracing_subscriber::registry()
            .with(lines.with_filter(filter.and(without_foreign_traces())));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "wasmtime_wasi::p2::bindings", "random bytes");
            tracing::trace!(target: "lessor::provider", "own trace");
            tracing::debug!(target: "hyper::proto", "a library's debug");
        });
        let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("random bytes"), "{text}");
        assert!(
            text.contains("own trace") && text.contains("a library's debug"),
            "{text}"
        );
    }

    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
