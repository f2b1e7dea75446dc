//! The bindings: what the contract in `wit/v1` is to Rust. Each optional interface
//! is a module, made of a world of its own, so that a component declares only
//! what it exports; types are shared.
//!
//! The modules are checked in, so that no author compiles what makes them.
//! `cargo xtask bindings` writes them, `cargo xtask bindings --check` compares.
#![allow(unsafe_code, reason = "generated: the component ABI passes pointers")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "generated"
)]

// rustfmt leaves them as they were made, whatever its version.
#[rustfmt::skip]
pub mod base;
#[rustfmt::skip]
pub mod inventory;
#[rustfmt::skip]
pub mod publication;
#[rustfmt::skip]
pub mod renewal;
