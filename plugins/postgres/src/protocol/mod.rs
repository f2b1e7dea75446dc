//! The PostgreSQL protocol, version 3.0, from the client's side, over any byte
//! stream: <https://www.postgresql.org/docs/current/protocol.html>. Messages are
//! `postgres-protocol`'s; login, pipelining and limits are here.
//!
//! Nothing below this module knows leases, roles or the host.

mod channel_binding;
mod client;
mod error;
mod login;
mod scram;

pub use client::{Client, Notice, Reply, Row, Transaction, request_tls};
pub use error::{Error, ServerError};
pub use login::{Channel, Login};
pub use scram::{Pbkdf2, SALT_LENGTH, kept_keys, verifier};
