//! What one call may use, and what it means to run into a limit.
//!
//! Every limit has a name. A call that hits one fails with the code
//! `limit_<name>` (waiting too long: `timeout`) and a message that gives the
//! limit's value, so that an operator knows which one it was and whether it was
//! too low. Nothing here knows wasmtime's store.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::provider::{Failure, FailureClass};

/// Limits of every call, whatever the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory of one instance, all its memories together.
    pub memory: usize,
    /// Bytes of an answer, all its texts together.
    pub output: usize,
    /// Bytes that one function call may copy out of the guest. Above `output`,
    /// so that an answer that is somewhat too long is called by its name.
    pub copies: usize,
    /// Log events of one call; further ones are counted and dropped.
    pub log_events: usize,
    /// Bytes of one call's log events, and of its standard output and error.
    pub log_bytes: usize,
    /// Connections that one call may open, HTTP requests included.
    pub connections: usize,
    /// Bytes of the body of one HTTP response.
    pub response: usize,
    /// Calls that run at once; further ones wait, within their timeout.
    pub calls: u32,
}

impl Default for Limits {
    /// Memory holds a Python interpreter (12 MiB) several times over; the rest
    /// is an order of magnitude above what the first providers use.
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            output: 1 << 20,
            copies: 4 << 20,
            log_events: 256,
            log_bytes: 64 << 10,
            connections: 32,
            response: 4 << 20,
            calls: 256,
        }
    }
}

/// A limit that stopped a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// It handed more bytes to the host at once.
    #[error("copies")]
    Copies,
    /// Its answer was longer.
    #[error("output")]
    Output,
    /// It opened more connections.
    #[error("connections")]
    Connections,
    /// It holds more of the host's handles than [`HANDLES`].
    #[error("handles")]
    Handles,
    /// The host runs as many calls as it can.
    #[error("calls")]
    Calls,
}

/// Handles (streams, headers, connections) that one call may hold. A guest in
/// Python holds a dozen; each may stand for 128 KiB of the host's memory.
pub(super) const HANDLES: usize = 256;

impl Limit {
    /// The failure of a call that this limit stopped.
    pub(super) fn failure(self, limits: &Limits, timeout: Duration) -> Failure {
        let seconds = timeout.as_secs_f64();
        let message = match self {
            Self::Timeout => format!(
                "the provider did not answer within the call's timeout of {seconds} s \
                 (setting `timeout` of the mount)"
            ),
            Self::Cpu => format!(
                "the provider was still computing when the call's timeout of {seconds} s ran out \
                 (setting `timeout` of the mount)"
            ),
            Self::Memory => format!(
                "the provider needed more than {} bytes of memory (limit `memory`)",
                limits.memory
            ),
            Self::Copies => format!(
                "the provider handed more than {} bytes to the host at once (limit `copies`)",
                limits.copies
            ),
            Self::Output => format!(
                "the provider's answer is longer than {} bytes (limit `output`)",
                limits.output
            ),
            Self::Connections => format!(
                "the provider opened more than {} connections in one call (limit `connections`)",
                limits.connections
            ),
            Self::Handles => format!(
                "the provider holds more than {HANDLES} streams, headers and connections at once \
                 (limit `handles`)"
            ),
            Self::Calls => format!(
                "the host runs as many provider calls as it can: {} (limit `calls`)",
                limits.calls
            ),
        };
        let (class, code) = match self {
            Self::Timeout => (FailureClass::Unavailable, String::from("timeout")),
            Self::Calls => (FailureClass::Unavailable, format!("limit_{self}")),
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

/// Counts the memory of one store and remembers a refusal, because all that is
/// seen of it later is a guest that aborts.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    limit: usize,
    used: usize,
    pub(super) refused: bool,
}

impl MemoryMeter {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            refused: false,
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
        if used > self.limit {
            self.refused = true;
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
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// Elements of one table; a Python interpreter has 5,670, JavaScript 7,688.
pub(super) const TABLE_ELEMENTS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_of_a_store() {
        let mut meter = MemoryMeter::new(10);
        assert!(meter.memory_growing(0, 6, None).unwrap());
        assert!(meter.memory_growing(0, 4, None).unwrap());
        assert!(!meter.refused);
        assert!(!meter.memory_growing(4, 5, None).unwrap());
        assert!(meter.refused);
    }

    #[test]
    fn a_limit_is_named_by_its_code_and_its_message() {
        let limits = Limits::default();
        for limit in [
            Limit::Cpu,
            Limit::Memory,
            Limit::Copies,
            Limit::Output,
            Limit::Connections,
            Limit::Handles,
            Limit::Calls,
        ] {
            let failure = limit.failure(&limits, Duration::from_secs(60));
            assert_eq!(failure.code, format!("limit_{limit}"));
            let names_a_setting = failure.message.contains(&format!("`{limit}`"))
                || failure.message.contains("`timeout`");
            assert!(names_a_setting, "{}", failure.message);
        }
        let timeout = Limit::Timeout.failure(&limits, Duration::from_millis(1500));
        assert_eq!(timeout.code, "timeout");
        assert!(timeout.message.contains("1.5 s"), "{}", timeout.message);
    }
}
