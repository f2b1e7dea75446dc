//! The output of a guest during a call: log events, standard output and error.
//!
//! It is kept until the call ends and written to the host's log then, because
//! only then are all its secrets known: the credential is one of them. Both
//! are capped while they come in, and what was printed in lines as well; what is over
//! is counted and dropped.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{
    account::{Account, OVERHEAD as EVENT, Resource},
    limits::Limits,
    scrub::Scrubber,
};

/// Bytes of one log line; longer ones are cut.
const LINE: usize = 4096;

/// The number of bytes that a field costs beside its text: without it, a million empty ones are
/// free.
const OVERHEAD: usize = 48;

/// Bytes that a guest may write at once; what it then writes is still capped.
const WRITE_PERMIT: usize = 64 << 10;

/// The level of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are the contract's; only fuzz targets see them"
)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// The output of one call.
#[derive(Debug)]
pub struct Journal {
    started: Instant,
    events: Vec<Event>,
    limits: (usize, usize),
    room_events: usize,
    room_bytes: usize,
    /// Events beyond their number, and beyond their bytes.
    dropped: (u64, u64),
    account: Arc<Account>,
    /// The text that it prints to standard output.
    pub stdout: Captured,
    pub(super) stderr: Captured,
}

#[derive(Debug)]
struct Event {
    level: Level,
    at_ms: u64,
    message: String,
    fields: Vec<(String, String)>,
}

/// The speaker of a line: a provider, in a call of a mount.
pub struct Speaker<'c> {
    /// None while a provider describes itself, nor an operation.
    pub mount: Option<&'c str>,
    /// The provider, by its digest.
    pub plugin: &'c str,
    /// The operation it was called for.
    pub operation: Option<&'c str>,
}

impl Journal {
    /// An empty one, whose lines are held in `account`.
    pub fn new(limits: &Limits, account: &Arc<Account>) -> Self {
        Self {
            started: Instant::now(),
            events: Vec::new(),
            limits: (limits.log_events, limits.log_bytes),
            room_events: limits.log_events,
            room_bytes: limits.log_bytes,
            dropped: (0, 0),
            account: Arc::clone(account),
            stdout: Captured::new(limits.log_bytes, account),
            stderr: Captured::new(limits.log_bytes, account),
        }
    }

    /// Keeps one event, if there is room for it.
    pub fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) {
        let size = fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + OVERHEAD)
            .sum::<usize>()
            .saturating_add(message.len());
        let (events, bytes) = &mut self.dropped;
        if self.room_events == 0 {
            *events = events.saturating_add(1);
            return;
        }
        let fits = size <= self.room_bytes;
        if !fits
            || !self
                .account
                .keeps(Resource::Journal, size.saturating_add(EVENT))
        {
            *bytes = bytes.saturating_add(1);
            return;
        }
        self.room_events -= 1;
        self.room_bytes -= size;
        self.events.push(Event {
            level,
            at_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            message,
            fields,
        });
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.dropped == (0, 0)
            && self.stdout.is_empty()
            && self.stderr.is_empty()
    }

    /// Writes everything to the host's log.
    pub fn write(self, scrubber: &Scrubber, speaker: &Speaker<'_>) {
        for event in self.events {
            let message = scrubber.line(&event.message, LINE);
            let fields = event
                .fields
                .iter()
                .map(|(name, value)| {
                    format!("{}={}", scrubber.line(name, 64), scrubber.line(value, LINE))
                })
                .collect::<Vec<_>>()
                .join(" ");
            // A name and its value may make a secret together.
            let fields = scrubber.scrub(&fields);
            emit(event.level, speaker, event.at_ms, &fields, &message);
        }
        for (stream, captured) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let captured = captured.lock();
            // Scrubbed as a whole first: a secret may span lines.
            let text = String::from_utf8_lossy(&captured.bytes);
            let scrubbed = if captured.dropped > 0 {
                scrubber.scrub_cut(&text).into()
            } else {
                scrubber.scrub(&text)
            };
            let mut lines = scrubbed.lines().filter(|line| !line.is_empty());
            for line in lines.by_ref().take(self.limits.0) {
                tracing::warn!(
                    target: TARGET,
                    mount = speaker.mount,
                    plugin = speaker.plugin,
                    operation = speaker.operation,
                    stream,
                    "{}",
                    scrubber.line(line, LINE)
                );
            }
            let beyond = u64::try_from(lines.count()).unwrap_or(u64::MAX);
            let beyond = (beyond, "limit_log_events", self.limits.0);
            report_dropped(speaker, stream, "lines", beyond);
            let bytes = (captured.dropped, "limit_log_bytes", captured.limit);
            report_dropped(speaker, stream, "bytes", bytes);
        }
        let events = (self.dropped.0, "limit_log_events", self.limits.0);
        report_dropped(speaker, "log", "events", events);
        let bytes = (self.dropped.1, "limit_log_bytes", self.limits.1);
        report_dropped(speaker, "log", "events", bytes);
    }
}

/// Dropped output goes to the audit log too, under the code of its limit: the call itself goes on,
/// because what it made upstream stands.
fn report_dropped(
    speaker: &Speaker<'_>,
    stream: &str,
    unit: &str,
    (dropped, code, limit): (u64, &str, usize),
) {
    if dropped > 0 {
        let setting = code.trim_start_matches("limit_").to_owned();
        lessor_model::event::Event::OutputDropped {
            mount: speaker.mount.map(str::to_owned),
            plugin: speaker.plugin.to_owned(),
            operation: speaker.operation.map(str::to_owned),
            stream: stream.to_owned(),
            unit: unit.to_owned(),
            code: code.to_owned(),
            setting,
            limit,
            dropped,
        }
        .record();
    }
}

/// The target of a provider's lines in the host's log.
pub const TARGET: &str = "lessor::provider";

fn emit(level: Level, speaker: &Speaker<'_>, at_ms: u64, fields: &str, message: &str) {
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: TARGET,
                $level,
                mount = speaker.mount,
                plugin = speaker.plugin,
                operation = speaker.operation,
                at_ms,
                fields,
                "{message}"
            )
        };
    }
    match level {
        Level::Trace => event!(tracing::Level::TRACE),
        Level::Debug => event!(tracing::Level::DEBUG),
        Level::Info => event!(tracing::Level::INFO),
        Level::Warn => event!(tracing::Level::WARN),
        Level::Error => event!(tracing::Level::ERROR),
    }
}

/// The first bytes that a guest wrote to one of its standard streams. Writing
/// never fails: a guest that prints too much should not die of it.
#[derive(Clone, Debug)]
pub struct Captured {
    shared: Arc<Mutex<Capture>>,
    account: Arc<Account>,
}

#[derive(Debug)]
struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    dropped: u64,
}

impl Captured {
    fn new(limit: usize, account: &Arc<Account>) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Capture {
                bytes: Vec::new(),
                limit,
                dropped: 0,
            })),
            account: Arc::clone(account),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Capture> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().bytes.is_empty()
    }

    pub fn append(&self, bytes: &[u8]) {
        let mut capture = self.lock();
        let room = capture.limit.saturating_sub(capture.bytes.len());
        let fits = bytes.get(..room).unwrap_or(bytes);
        let kept = match self.account.keeps(Resource::Journal, fits.len()) {
            true => fits,
            false => &[],
        };
        capture.bytes.extend_from_slice(kept);
        let over = u64::try_from(bytes.len() - kept.len()).unwrap_or(u64::MAX);
        capture.dropped = capture.dropped.saturating_add(over);
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

#[async_trait::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Captured {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_capped_and_counted() {
        let few = Limits {
            log_events: 3,
            log_bytes: 10,
            ..Limits::default()
        };
        let mut journal = Journal::new(&few, &Account::boundless());
        assert!(journal.is_empty());
        for _ in 0..2 {
            journal.log(Level::Info, String::from("four"), Vec::new());
        }
        journal.log(Level::Info, String::from("four"), Vec::new());
        journal.log(Level::Info, String::from("x"), Vec::new());
        journal.log(Level::Info, String::from("x"), Vec::new());
        assert_eq!((journal.events.len(), journal.dropped), (3, (1, 1)));

        let mut journal = Journal::new(&Limits::default(), &Account::boundless());
        journal.log(
            Level::Info,
            String::new(),
            vec![Default::default(); 100_000],
        );
        assert_eq!((journal.events.len(), journal.dropped), (0, (0, 1)));

        let journal = Journal::new(&few, &Account::boundless());
        journal.stderr.append(b"0123456");
        journal.stderr.append(b"789abc");
        let capture = journal.stderr.lock();
        assert_eq!(
            (capture.bytes.as_slice(), capture.dropped),
            (b"0123456789".as_slice(), 3)
        );
    }
}
