//! lessor: leases credentials through sandboxed providers.
pub mod cli;
pub mod clock;
pub mod config;
pub mod id;
pub mod provider;
pub mod random;
pub mod sandbox;
pub mod schema;
pub mod secret;
pub mod suggest;
