//! `sys/monitor`: watching the log while it is written.
//!
//! A layer beside the one that writes the log gives every event to those who watch,
//! each at a level of their own, also below the log's. Traces of libraries are left out, as
//! they are from the log. A watcher that reads too slowly loses lines and is told how
//! many; nobody else waits for one. While nobody watches, events cost nothing: the layer then
//! asks for none.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll, ready},
};

use bytes::Bytes;
use lessor_model::clock::Clock;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// The most watchers at a time. Each holds a connection and its lines.
const WATCHERS: usize = 8;

/// Lines that wait for one watcher: some seconds of a busy log.
const LINES: usize = 512;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The readers that follow the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Monitors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    watchers: Mutex<Watchers>,
    /// The finest level that anybody watches, as [`rank`] has it; 0: nobody does.
    finest: AtomicUsize,
}

#[derive(Debug, Default)]
struct Watchers {
    next: u64,
    closed: bool,
    open: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    id: u64,
    level: Level,
    format: Format,
    lines: mpsc::Sender<Bytes>,
    /// Lines that found no room since the last one that did.
    lost: u64,
}

/// The lines of one watcher. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    id: u64,
    lines: mpsc::Receiver<Bytes>,
    monitors: Monitors,
}

impl Monitors {
    /// Nobody watches yet.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            watchers: Mutex::default(),
            finest: AtomicUsize::new(0),
        }))
    }

    /// Begins a watch of events of `level` and above; none where too many watch.
    pub fn watch(&self, level: Level, format: Format) -> Option<Watch> {
        let (sender, lines) = mpsc::channel(LINES);
        let id = {
            let mut watchers = self.watchers();
            if watchers.open.len() >= WATCHERS || watchers.closed {
                return None;
            }
            watchers.next += 1;
            let id = watchers.next;
            watchers.open.push(Watcher {
                id,
                level,
                format,
                lines: sender,
                lost: 0,
            });
            id
        };
        self.level_changed();
        Some(Watch {
            id,
            lines,
            monitors: self.clone(),
        })
    }

    /// Ends every watch, and admits no other: a server that stops waits for none.
    pub fn close(&self) {
        let mut watchers = self.watchers();
        watchers.closed = true;
        watchers.open.clear();
        drop(watchers);
        self.level_changed();
    }

    /// The layer that gives them the events.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Lines(self.clone()).with_filter(Watched(self.clone()))
    }

    fn end(&self, id: u64) {
        self.watchers().open.retain(|watcher| watcher.id != id);
        self.level_changed();
    }

    /// Has every place that makes an event ask again whether anybody wants it.
    fn level_changed(&self) {
        let finest = {
            let watchers = self.watchers();
            let ranks = watchers.open.iter().map(|watcher| rank(watcher.level));
            ranks.max().unwrap_or(0)
        };
        if self.0.finest.swap(finest, Ordering::Relaxed) != finest {
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn finest(&self) -> LevelFilter {
        match self.0.finest.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    fn tell(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        let mut watchers = self.watchers();
        let mut written: [Option<Bytes>; 2] = [None, None];
        for watcher in &mut watchers.open {
            if level > watcher.level {
                continue;
            }
            let [text, json] = &mut written;
            let line = match watcher.format {
                Format::Text => text,
                Format::Json => json,
            };
            let line = line.get_or_insert_with(|| self.line(event, watcher.format));
            watcher.give(line.clone());
        }
    }

    fn line(&self, event: &Event<'_>, format: Format) -> Bytes {
        let time = self.0.clock.now().rfc3339();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.shift_remove("message").unwrap_or_default();
        let (level, module) = (event.metadata().level(), event.metadata().target());
        let mut line = match format {
            Format::Text => {
                let message = message.as_str().unwrap_or_default();
                let mut line = format!("{time} {:<7} {module}: {message}", format!("[{level}]"));
                if !fields.0.is_empty() {
                    line.push(':');
                }
                for (name, value) in &fields.0 {
                    let _ = write!(line, " {name}={value}");
                }
                line
            }
            Format::Json => {
                let level = level.as_str().to_lowercase();
                for (name, value) in [
                    ("@timestamp", time.into()),
                    ("@level", level.into()),
                    ("@module", module.into()),
                    ("@message", message),
                ] {
                    fields.0.insert(name.to_owned(), value);
                }
                Value::Object(fields.0).to_string()
            }
        };
        line.push('\n');
        Bytes::from(line)
    }

    fn watchers(&self) -> std::sync::MutexGuard<'_, Watchers> {
        self.0
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    fn give(&mut self, line: Bytes) {
        if self.lost > 0 {
            let told = match self.format {
                Format::Text => format!(
                    "{} lines were read too slowly and are left out\n",
                    self.lost
                ),
                Format::Json => format!("{{\"@level\":\"warn\",\"lost\":{}}}\n", self.lost),
            };
            if self.lines.try_send(Bytes::from(told)).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if self.lines.try_send(line).is_err() {
            self.lost += 1;
        }
    }
}

impl Watch {
    /// The next line; none when the server stops.
    pub fn poll_next(&mut self, context: &mut TaskContext<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(ready!(self.lines.poll_recv(context)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.monitors.end(self.id);
    }
}

/// A level as a number: the finer, the greater.
fn rank(level: Level) -> usize {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// Whether an event is this program's own, or coarse. wasmtime traces every argument
/// and result of WASI, the random bytes that became a password among them, and HTTP
/// libraries trace headers: nobody sees these events, whatever level was asked for.
pub(crate) fn is_own_or_coarse(event: &Metadata<'_>) -> bool {
    *event.level() != Level::TRACE || event.target().starts_with("lessor")
}

/// Gives the events to those who watch.
struct Lines(Monitors);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.tell(event);
    }
}

/// Asks only for events of a level that somebody watches.
struct Watched(Monitors);

impl<S> Filter<S> for Watched {
    fn enabled(&self, event: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(event)
    }

    // `tracing` remembers the answer until a watcher comes or goes.
    fn callsite_enabled(&self, event: &'static Metadata<'static>) -> Interest {
        match self.wants(event) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.finest())
    }
}

impl Watched {
    fn wants(&self, event: &Metadata<'_>) -> bool {
        *event.level() <= self.0.finest() && is_own_or_coarse(event)
    }
}

/// Collects an event's fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    async fn next(watch: &mut Watch) -> Option<String> {
        let line = poll_fn(|context| watch.poll_next(context)).await?;
        Some(String::from_utf8(line.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_watcher_gets_the_events_of_its_level_and_form() {
        let monitors = Monitors::new(Clock::system());
        let subscriber = tracing_subscriber::registry().with(monitors.layer());
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut text = monitors.watch(Level::INFO, Format::Text).unwrap();
        let mut json = monitors.watch(Level::DEBUG, Format::Json).unwrap();
        tracing::debug!(target: "lessor::lease", "fine");
        tracing::trace!(target: "wasmtime_wasi", "random bytes");
        tracing::info!(target: "lessor::lease", lease = %"db/creds/ro/1", attempts = 2, "revoked a lease");
        monitors.close();
        let line = next(&mut text).await.unwrap();
        let (_, line) = line.split_once(' ').unwrap();
        assert_eq!(
            line,
            "[INFO]  lessor::lease: revoked a lease: lease=\"db/creds/ro/1\" attempts=2\n"
        );
        assert_eq!(next(&mut text).await, None);
        let fine: Value = serde_json::from_str(&next(&mut json).await.unwrap()).unwrap();
        assert_eq!(
            (&fine["@level"], &fine["@message"]),
            (&"debug".into(), &"fine".into())
        );
        let coarse: Value = serde_json::from_str(&next(&mut json).await.unwrap()).unwrap();
        assert_eq!(
            (&coarse["@module"], &coarse["attempts"]),
            (&"lessor::lease".into(), &2.into())
        );
        assert_eq!(next(&mut json).await, None);
        assert!(
            monitors.watch(Level::INFO, Format::Text).is_none(),
            "it stops"
        );
    }

    #[tokio::test]
    async fn whoever_reads_too_slowly_is_told_what_is_left_out() {
        let monitors = Monitors::new(Clock::system());
        let subscriber = tracing_subscriber::registry().with(monitors.layer());
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut watch = monitors.watch(Level::INFO, Format::Text).unwrap();
        for number in 0..LINES + 3 {
            tracing::info!(target: "lessor::lease", number, "line");
        }
        for _ in 0..LINES {
            assert!(next(&mut watch).await.unwrap().contains("line"));
        }
        tracing::info!(target: "lessor::lease", "after");
        let told = next(&mut watch).await.unwrap();
        assert!(told.starts_with("3 lines"), "{told}");
        assert!(next(&mut watch).await.unwrap().contains("after"));
    }

    #[test]
    fn so_many_watch_at_a_time_and_a_place_comes_free() {
        let monitors = Monitors::new(Clock::system());
        let mut watches: Vec<Watch> = (0..WATCHERS)
            .map(|_| monitors.watch(Level::TRACE, Format::Text).unwrap())
            .collect();
        assert!(monitors.watch(Level::INFO, Format::Text).is_none());
        assert_eq!(monitors.finest(), LevelFilter::TRACE);
        watches.pop();
        assert!(monitors.watch(Level::INFO, Format::Text).is_some());
        watches.clear();
        assert_eq!(monitors.finest(), LevelFilter::OFF);
    }
}
