//! lessor: leases credentials through sandboxed providers.
pub mod clock;
pub mod id;
pub mod provider;
pub mod random;
pub mod sandbox;
pub mod secret;
