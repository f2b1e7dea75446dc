//! What one call may use, and what it means to run into a limit.
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

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use crate::provider::{Failure, FailureClass};

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
    /// Calls that run at once; further ones wait, within their timeout.
    pub calls: u32,
    /// Calls of one provider that run at once: one that hangs leaves room for
    /// the others. Further ones wait, within their timeout.
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
pub(super) enum Limit {
    /// It waited longer than the call's timeout.
    #[error("timeout")]
    Timeout,
    /// It was still computing when the call's timeout ran out.
    #[error("cpu")]
    Cpu,
    /// It asked for more memory.
    #[error("memory")]
    Memory,
    /// It asked for a larger table.
    #[error("table")]
    Table,
    /// Its functions called each other too deep.
    #[error("stack")]
    Stack,
    /// It handed more bytes to the host at once.
    #[error("copies")]
    Copies,
    /// Its answer was longer.
    #[error("output")]
    Output,
    /// It opened more connections.
    #[error("connections")]
    Connections,
    /// It holds more of the host's handles.
    #[error("handles")]
    Handles,
    /// Upstream's response was longer.
    #[error("response")]
    Response,
    /// It found no slot among the calls that run at once.
    #[error("calls")]
    Calls,
    /// It found no slot among the calls of its provider.
    #[error("plugin_calls")]
    PluginCalls,
    /// It took longer to describe itself.
    #[error("describe")]
    Describe,
}

impl Limit {
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
            Self::Calls => format!(
                "the host runs as many provider calls as it may: {}",
                limits.calls
            ),
            Self::PluginCalls => format!(
                "the host runs as many calls of this provider as it may: {}",
                limits.plugin_calls
            ),
            Self::Describe => {
                format!("the provider did not describe itself within {seconds} s")
            }
        };
        let message = match self {
            Self::Timeout | Self::Cpu => format!("{what} (setting `timeout` of the mount)"),
            _ => format!("{what} (setting `sandbox.{self}`)"),
        };
        let (class, code) = match self {
            Self::Timeout => (FailureClass::Unavailable, String::from("timeout")),
            Self::Calls | Self::PluginCalls => (FailureClass::Unavailable, format!("limit_{self}")),
            _ => (FailureClass::Internal, format!("limit_{self}")),
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
        for limit in [
            Limit::Memory,
            Limit::Table,
            Limit::Stack,
            Limit::Copies,
            Limit::Output,
            Limit::Connections,
            Limit::Handles,
            Limit::Response,
            Limit::Calls,
            Limit::PluginCalls,
            Limit::Describe,
        ] {
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
