//! The sandbox itself, with a guest that behaves or misbehaves on demand: what
//! cannot be told apart through the server's edge, where `tests/tests/edge/guests`
//! has all the rest.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this is test code, helpers included"
)]

#[cfg(feature = "test-hooks")]
mod allocation;
mod cache;
mod harness;
mod limits;
mod network;
mod ordinary;
mod tls;
mod worlds;
