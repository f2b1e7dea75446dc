//! The limits of one call, and the failure of a call that runs into one.
//!
//! Every limit has a name, which is its setting too: `memory` is
//! `sandbox.memory` in the configuration. A call that fails after it hit one
//! fails with the code `limit_<name>` (waiting too long: `timeout`) and a message
//! that gives the limit's value and setting, so that an operator knows which one
//! it was and whether it was too low. Nothing here knows wasmtime's store.

use std::{
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lessor_model::provider::{Failure, FailureClass};
use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

/// The prefix of the codes of limits.
pub(super) const LIMIT_CODES: &str = "limit_";

/// Limits of every call, whatever the provider: the table `[sandbox]` of the
/// configuration.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub struct Limits {
    /// Bytes of memory of one instance, all its memories together.
    pub memory: usize,
    /// Elements of one table.
    pub table: usize,
    /// Bytes of the stack that compiled code has. (A language's own stack lies in
    /// its memory, and overflows there.)
    pub stack: usize,
    /// Bytes of an answer, all its texts together.
    pub output: usize,
    /// Bytes that one function call may copy out of the guest. Above `output`,
    /// so that an answer that is somewhat too long is called by its name.
    pub copies: usize,
    /// Log events of one call, and lines of its standard output and error each;
    /// further ones are counted and dropped.
    pub log_events: usize,
    /// Bytes of one call's log events, and of its standard output and error.
    pub log_bytes: usize,
    /// Connections that one call may open, HTTP requests included.
    pub connections: usize,
    /// Streams, headers and connections that one call may hold at once.
    pub handles: usize,
    /// Bytes of the body of one HTTP response.
    pub response: usize,
    /// Bytes that the host holds for one call: bodies that are not sent yet, headers,
    /// log lines, buffers of connections.
    pub held: usize,
    /// The same of all calls together. A call gets no more of it than would then be
    /// left.
    pub held_by_all: usize,
    /// Bytes of the values that providers have kept between their calls (`memo`), of all
    /// mounts together, and no more than a quarter of `held_by_all`. Those that were not
    /// used for longest go first.
    pub memo: usize,
    /// Slots for calls that run at once: one for each memory and each two tables of a
    /// component. One mount takes at most half of them, a second one half of the rest.
    /// Further calls wait, within their timeout.
    pub calls: u32,
    /// Slots that the calls of one provider take at most: one that hangs leaves room for the
    /// others. Its mounts share them likewise.
    pub plugin_calls: u32,
    /// Seconds that a provider may take to describe itself; an interpreter that
    /// starts takes a few milliseconds.
    pub describe: u64,
    /// Bytes of a plugin file.
    pub plugin_size: u64,
    /// Seconds of computing that compiling a plugin may take; an interpreter takes
    /// fifteen.
    pub compile: u64,
    /// Bytes of address space of the process that compiles; an interpreter fills a
    /// third of the default.
    pub compile_memory: u64,
}

impl Default for Limits {
    /// Memory holds a Python interpreter (12 MiB) several times over; the rest
    /// is an order of magnitude above what the first providers use.
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table: 20_000,
            stack: 512 << 10,
            output: 1 << 20,
            copies: 4 << 20,
            log_events: 256,
            log_bytes: 64 << 10,
            connections: 32,
            handles: 256,
            response: 4 << 20,
            held: 16 << 20,
            held_by_all: 256 << 20,
            memo: 8 << 20,
            calls: 256,
            plugin_calls: 128,
            describe: 10,
            plugin_size: 64 << 20,
            compile: 120,
            compile_memory: 1 << 30,
        }
    }
}

impl Limits {
    /// Whether the host can work with these limits.
    ///
    /// # Errors
    /// The name of the setting, its value, and the range it must lie in.
    pub fn check(&self) -> Result<(), (&'static str, u64, RangeInclusive<u64>)> {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let calls = u64::from(self.calls);
        let settings = [
            ("memory", wide(self.memory), 1 << 20..=4 << 30),
            ("table", wide(self.table), 1000..=10_000_000),
            ("stack", wide(self.stack), 64 << 10..=16 << 20),
            ("output", wide(self.output), 1024..=64 << 20),
            ("copies", wide(self.copies), 1024..=1 << 30),
            ("log_events", wide(self.log_events), 0..=100_000),
            ("log_bytes", wide(self.log_bytes), 0..=16 << 20),
            ("connections", wide(self.connections), 0..=10_000),
            ("handles", wide(self.handles), 16..=100_000),
            ("response", wide(self.response), 1024..=1 << 30),
            ("held", wide(self.held), 1 << 20..=4 << 30),
            ("held_by_all", wide(self.held_by_all), 2 << 20..=64 << 30),
            ("memo", wide(self.memo), 0..=1 << 30),
            ("calls", calls, 1..=4096),
            ("plugin_calls", u64::from(self.plugin_calls), 1..=4096),
            ("describe", self.describe, 1..=600),
            ("plugin_size", self.plugin_size, 1024..=512 << 20),
            ("compile", self.compile, 1..=3600),
            ("compile_memory", self.compile_memory, 256 << 20..=64 << 30),
        ];
        settings
            .into_iter()
            .find(|(_, value, range)| !range.contains(value))
            .map_or(Ok(()), Err)
    }
}

/// A limit that stopped a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.as_str())]
pub(super) enum Limit {
    /// It waited longer than the call's timeout.
    Timeout,
    /// It was still computing when the call's timeout ran out.
    Cpu,
    /// It asked for more memory.
    Memory,
    /// It asked for a larger table.
    Table,
    /// Its functions called each other too deep.
    Stack,
    /// It handed more bytes to the host at once.
    Copies,
    /// Its answer was longer.
    Output,
    /// It opened more connections.
    Connections,
    /// It holds more of the host's handles.
    Handles,
    /// Upstream's response was longer.
    Response,
    /// The head of upstream's response was longer, interim responses included.
    Head,
    /// The host held more for it.
    Held,
    /// The host held more for all calls.
    HeldByAll,
    /// It found no slot among the calls that run at once.
    Calls,
    /// It found no slot among the calls of its provider.
    PluginCalls,
    /// It took longer to describe itself.
    Describe,
}

impl Limit {
    const ALL: [Self; 16] = [
        Self::Timeout,
        Self::Cpu,
        Self::Memory,
        Self::Table,
        Self::Stack,
        Self::Copies,
        Self::Output,
        Self::Connections,
        Self::Handles,
        Self::Response,
        Self::Head,
        Self::Held,
        Self::HeldByAll,
        Self::Calls,
        Self::PluginCalls,
        Self::Describe,
    ];

    /// The name of the limit, which is its setting too.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Stack => "stack",
            Self::Copies => "copies",
            Self::Output => "output",
            Self::Connections => "connections",
            Self::Handles => "handles",
            Self::Response => "response",
            Self::Head => "head",
            Self::Held => "held",
            Self::HeldByAll => "held_by_all",
            Self::Calls => "calls",
            Self::PluginCalls => "plugin_calls",
            Self::Describe => "describe",
        }
    }

    /// The limit that a failure of the host's with this code is of.
    pub(super) fn of_code(code: &str) -> Option<Self> {
        let name = match code {
            "timeout" => code,
            _ => code.strip_prefix(LIMIT_CODES)?,
        };
        Self::ALL.into_iter().find(|limit| limit.as_str() == name)
    }

    /// The failure of a call that found no room for the `weight` slots that it needs.
    pub(super) fn crowded(self, limits: &Limits, weight: u32) -> Failure {
        let what = match self {
            Self::Calls => crowded("provider calls", limits.calls, weight),
            _ => crowded("calls of this provider", limits.plugin_calls, weight),
        };
        Failure {
            message: format!("{what} (setting `sandbox.{self}`)"),
            ..self.failure(limits, Duration::ZERO)
        }
    }

    /// The failure of a call with `timeout` that hit this limit.
    pub(super) fn failure(self, limits: &Limits, timeout: Duration) -> Failure {
        let seconds = timeout.as_secs_f64();
        let what = match self {
            Self::Timeout => {
                format!("the provider did not answer within the call's timeout of {seconds} s")
            }
            Self::Cpu => format!(
                "the provider was still computing when the call's timeout of {seconds} s ran out"
            ),
            Self::Memory => format!(
                "the provider needed more than {} bytes of memory",
                limits.memory
            ),
            Self::Table => format!(
                "the provider needed a table of more than {} elements",
                limits.table
            ),
            Self::Stack => format!(
                "the provider's functions called each other deeper than a stack of {} bytes holds",
                limits.stack
            ),
            Self::Copies => format!(
                "the provider handed more than {} bytes to the host at once",
                limits.copies
            ),
            Self::Output => format!(
                "the provider's answer is longer than {} bytes",
                limits.output
            ),
            Self::Connections => format!(
                "the provider opened more than {} connections in one call",
                limits.connections
            ),
            Self::Handles => format!(
                "the provider holds more than {} streams, headers and connections at once",
                limits.handles
            ),
            Self::Response => format!(
                "upstream's response to the provider is longer than {} bytes",
                limits.response
            ),
            Self::Head => String::from(
                "upstream's response to the provider begins with more headers and interim responses \
                 than 65536 bytes",
            ),
            Self::Held => format!(
                "the provider had the host hold more than {} bytes of requests, headers, log lines \
                 and connections for one call",
                limits.held
            ),
            Self::HeldByAll => format!(
                "the host holds too much for providers' calls to hold more for this one: it may \
                 hold {} bytes",
                limits.held_by_all
            ),
            Self::Calls => crowded("provider calls", limits.calls, 1),
            Self::PluginCalls => crowded("calls of this provider", limits.plugin_calls, 1),
            Self::Describe => {
                format!("the provider did not describe itself within {seconds} s")
            }
        };
        let message = match self {
            Self::Timeout | Self::Cpu => format!("{what} (setting `timeout` of the mount)"),
            Self::Head => what,
            _ => format!("{what} (setting `sandbox.{self}`)"),
        };
        let (class, code) = match self {
            Self::Timeout => (FailureClass::Unavailable, String::from("timeout")),
            Self::Calls | Self::PluginCalls | Self::HeldByAll => {
                (FailureClass::Unavailable, format!("{LIMIT_CODES}{self}"))
            }
            _ => (FailureClass::Internal, format!("{LIMIT_CODES}{self}")),
        };
        Failure {
            class,
            code,
            message,
            retry_after: None,
            reached_upstream: true,
        }
    }
}

/// A sentence about the number of calls of this weight that so many slots have room for. (A mount
/// alone gets half of them.)
fn crowded(what: &str, slots: u32, weight: u32) -> String {
    let most = (slots / weight.max(1)).max(1);
    let each = match weight {
        0 | 1 => String::from("one mount takes at most half of them"),
        weight => format!("each takes {weight} of {slots} slots, one mount at most half of those"),
    };
    format!("the host runs as many {what} as it may: {most}, and {each}")
}

/// The first limit that a call ran into, noted where that happened: the guest
/// may see no more of it than an I/O error, and fail with words of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceeded(Arc<OnceLock<Limit>>);

impl Exceeded {
    pub(super) fn note(&self, limit: Limit) {
        // A later one follows from the first.
        let _ = self.0.set(limit);
    }

    pub(super) fn limit(&self) -> Option<Limit> {
        self.0.get().copied()
    }
}

/// Bytes and elements that a store may still grow by.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    memory: usize,
    table: usize,
    used: usize,
    exceeded: Exceeded,
}

impl MemoryMeter {
    pub(super) fn new(limits: &Limits, exceeded: Exceeded) -> Self {
        Self {
            memory: limits.memory,
            table: limits.table,
            used: 0,
            exceeded,
        }
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.memory {
            self.exceeded.note(Limit::Memory);
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.table;
        if !fits {
            self.exceeded.note(Limit::Table);
        }
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_of_a_store() {
        let exceeded = Exceeded::default();
        let limits = Limits {
            memory: 10,
            table: 3,
            ..Limits::default()
        };
        let mut meter = MemoryMeter::new(&limits, exceeded.clone());
        assert!(meter.memory_growing(0, 6, None).unwrap());
        assert!(meter.memory_growing(0, 4, None).unwrap());
        assert!(meter.table_growing(0, 3, None).unwrap());
        assert_eq!(exceeded.limit(), None);
        assert!(!meter.memory_growing(4, 5, None).unwrap());
        assert_eq!(exceeded.limit(), Some(Limit::Memory));
        assert!(!meter.table_growing(3, 4, None).unwrap());
        assert_eq!(exceeded.limit(), Some(Limit::Memory), "the first stays");
    }

    #[test]
    fn a_limit_is_named_by_its_code_and_its_message() {
        let limits = Limits::default();
        let of_the_mount = [Limit::Timeout, Limit::Cpu];
        let fixed = [Limit::Head];
        for limit in Limit::ALL
            .into_iter()
            .filter(|limit| !of_the_mount.contains(limit) && !fixed.contains(limit))
        {
            let failure = limit.failure(&limits, Duration::from_secs(60));
            assert_eq!(failure.code, format!("limit_{limit}"));
            let setting = format!("(setting `sandbox.{limit}`)");
            assert!(failure.message.ends_with(&setting), "{}", failure.message);
        }
        for (limit, code) in [(Limit::Timeout, "timeout"), (Limit::Cpu, "limit_cpu")] {
            let failure = limit.failure(&limits, Duration::from_millis(1500));
            assert_eq!(failure.code, code);
            assert!(failure.message.contains("1.5 s"), "{}", failure.message);
            assert!(failure.message.contains("`timeout` of the mount"));
        }
        for limit in Limit::ALL {
            let failure = limit.failure(&limits, Duration::ZERO);
            assert_eq!(Limit::of_code(&failure.code), Some(limit));
        }
        assert_eq!(Limit::of_code("limit_of_a_guest"), None);
    }

    #[test]
    fn a_call_that_found_no_room_is_told_how_many_there_can_be() {
        let limits = Limits::default();
        for (limit, weight, says) in [
            (
                Limit::Calls,
                1,
                "provider calls as it may: 256, and one mount",
            ),
            (
                Limit::Calls,
                16,
                "provider calls as it may: 16, and each takes 16 of 256 slots",
            ),
            (
                Limit::PluginCalls,
                8,
                "calls of this provider as it may: 16, and each takes 8 of 128",
            ),
            (
                Limit::PluginCalls,
                1000,
                "calls of this provider as it may: 1, and each",
            ),
        ] {
            let failure = limit.crowded(&limits, weight);
            assert!(failure.message.contains(says), "{}", failure.message);
            assert_eq!(failure.code, format!("limit_{limit}"));
            assert_eq!(failure.class, FailureClass::Unavailable);
        }
    }

    #[test]
    fn a_setting_that_the_host_cannot_work_with_is_named() {
        assert_eq!(Limits::default().check(), Ok(()));
        let none = Limits {
            plugin_calls: 0,
            ..Limits::default()
        };
        assert_eq!(none.check(), Err(("plugin_calls", 0, 1..=4096)));
    }
}
