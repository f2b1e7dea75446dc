//! Where a mount may connect to: pure, no wasmtime, no I/O.

/// The grants of one mount (`allowed_hosts`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {}
