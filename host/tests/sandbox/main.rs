//! The sandbox through its public edge, with a guest that misbehaves on demand.
//!
//! After each misdeed the same provider must answer the next call: `harness`
//! checks that at the end of every test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this is test code, helpers included"
)]

mod cache;
mod harness;
mod leaks;
mod limits;
mod network;
mod ordinary;
mod tls;
mod worlds;
