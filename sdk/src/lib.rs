//! Write a credentials provider for lessor: implement [`Provider`], name it in
//! [`export_provider!`], build for `wasm32-wasip2`.
//!
//! ```
//! use lessor_sdk::prelude::*;
//! use lessor_sdk::testing::{Harness, two_creates_differ};
//!
//! struct Tokens;
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Token {
//!     token: Secret,
//! }
//!
//! impl Provider for Tokens {
//!     type Config = Empty;
//!     type Role = Empty;
//!     type Request = Empty;
//!     type Credential = Token;
//!
//!     fn about() -> About {
//!         About::new("tokens", "0.1.0", "Random tokens")
//!             .revocation(RevocationShape::ExpiresOnly)
//!     }
//!
//!     fn validate_config(_: &Context, _: &Empty, _: Option<&Empty>) -> Result<Validation> {
//!         Ok(Validation::default())
//!     }
//!
//!     fn create(
//!         ctx: &Context,
//!         _: &Empty,
//!         _: &Empty,
//!         _: &Empty,
//!         _: Option<UnixTime>,
//!     ) -> Result<Issued<Token>> {
//!         let token = ctx.password(&PasswordPolicy::with_length(40))?;
//!         Ok(Issued::new(&ctx.principal_name, Token { token }))
//!     }
//!
//!     fn revoke(_: &Context, _: &Empty, _: Option<&Empty>, _: &Revocation) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! export_provider!(Tokens);
//!
//! two_creates_differ(&mut Harness::<Tokens>::new());
//! ```
//!
//! `#[derive(Serialize, Deserialize, JsonSchema)]` needs the crates `serde` and
//! `schemars` in the author's own `Cargo.toml`; nothing else is needed.
//!
//! A provider is stateless: the host keeps the root credential, every lease
//! and every clock, and calls the provider in a fresh instance each time. Two
//! rules make crashes harmless: name upstream things after
//! [`Context::principal_name`] or [`Context::operation_id`], and let every call
//! be repeatable. `testing` tries that natively, and `lessor plugin check` with
//! the built component, in the sandbox and at a real upstream system.
//!
//! # Layout
//!
//! - [`Provider`], [`Renewal`], [`Inventory`], [`Publication`]: what an author
//!   implements, and the types these take and give.
//! - [`Context`], [`Trigger`], [`Caller`], [`PasswordPolicy`]: what the host tells
//!   about a call.
//! - [`Secret`], [`SecretRef`], [`Failure`], [`UnixTime`]: words of the contract.
//! - [`Connection`], [`http`], [`crypto`], [`memo`], [`identity`], [`log`]: what the
//!   host lends.
//! - [`oauth`]: access tokens of upstream systems, made of these.
//! - [`rotation`]: of a root credential that upstream can hold two of; `aws` (with the
//!   feature of that name): what providers for AWS share.
//! - `testing` (not on wasm): runs a provider natively against scripted
//!   upstreams.
//!
//! Everything that the SDK asks of the host goes through the private module
//! `host`: bindings in a component, the test host natively.

mod about;
#[cfg(feature = "aws")]
pub mod aws;
mod connection;
mod context;
pub mod crypto;
#[doc(hidden)]
pub mod export;
mod failure;
mod host;
pub mod http;
pub mod identity;
mod json;
pub mod log;
pub mod memo;
mod network;
pub mod oauth;
mod occasion;
mod options;
mod password;
mod provider;
pub mod rotation;
mod secret;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod time;

pub use about::{About, Purpose, RevocationShape};
pub use connection::Connection;
pub use context::Context;
pub use failure::{Failure, FailureClass, OrGone, Result};
pub use network::{NetworkCause, NetworkError};
pub use occasion::{Caller, Trigger};
pub use options::{Document, Inventory, Page, Publication, Renewal, RevokedCredential};
pub use password::PasswordPolicy;
pub use provider::{Empty, Issued, Provider, Revocation, Rotated, Rotation, Validation};
pub use secret::{Secret, SecretRef};
pub use time::{InvalidTime, UnixTime};

pub use {schemars, serde, serde_json, zeroize};

/// What a provider's source usually starts with.
pub mod prelude {
    pub use crate::export_provider;
    pub use crate::{
        About, Caller, Connection, Context, Document, Empty, Failure, FailureClass, Inventory,
        Issued, OrGone, Page, PasswordPolicy, Provider, Publication, Purpose, Renewal, Result,
        Revocation, RevocationShape, RevokedCredential, Rotated, Rotation, Secret, SecretRef,
        Trigger, UnixTime, Validation,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}
