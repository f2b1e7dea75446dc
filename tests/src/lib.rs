//! The harness of the end-to-end tests: the real server as a child process, a
//! private PostgreSQL cluster, openssl, and a client for the HTTP API.
//!
//! It starts what a test needs on free loopback ports and ends only what it
//! started, by process id. It knows the public edge alone: nothing here links
//! the server's code, so a test sees what a user sees. `cargo xtask test` builds
//! the server with its test hooks, builds the providers, and runs the tests in
//! `tests/edge`.
//!
//! # Layout
//!
//! - [`wait`]: poll a condition until a deadline; the only waiting there is
//! - [`http`]: the HTTP client and what a test asks of an answer
//! - [`refusal`]: tables of bad requests and what a refusal must be
//! - [`server`]: the server process: start, kill, start again on the same data
//! - [`postgres`]: a cluster of its own, `psql`, roles to be root with
//! - [`jwt`]: tokens of an identity provider
//! - [`openbao`]: the server that ours is compared with
//! - [`toy`]: the toy upstream of the examples
//! - [`webhook`]: a webhook to lease from
//! - [`node`]: clients from npm
//! - [`python`]: clients and servers from PyPI
//! - [`between`]: what stands between a server and its HTTP upstream, and spoils it
//! - [`moto`]: AWS on loopback, and boto3
//! - [`shim`]: a library below the server that answers for the system
//! - [`openssl`]: certificates for tests and judgements about leased ones
//! - [`fixture`]: both together with a mount and a role, ready to issue
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails a test by panicking, with a message that says what was expected"
)]

pub mod between;
pub mod fixture;
pub mod http;
pub mod jwt;
pub mod moto;
pub mod node;
pub mod openbao;
pub mod openssl;
pub mod postgres;
pub mod python;
pub mod refusal;
pub mod server;
pub mod shim;
pub mod toy;
pub mod wait;
pub mod webhook;

/// The SHA-256 of `bytes`, in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}
