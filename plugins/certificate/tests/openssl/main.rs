//! The provider, run natively, judged by the `openssl` program: what it issues
//! must be what verifiers accept, and refuse, in fact.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers beside the tests fail a test by panicking, too"
)]

mod authority;
mod desk;
mod issue;
mod request;
mod revocation;
mod rotation;
