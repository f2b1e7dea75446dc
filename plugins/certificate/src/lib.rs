//! Leases X.509 certificates: the root credential of the mount is a
//! certificate authority, a lease is a leaf that it signed.
//!
//! Nothing is stored anywhere but in the config, so `create` leaves nothing
//! that `revoke` must undo. The host remembers which leases were revoked before
//! their end, and `publish` turns that into a revocation list.
//!
//! # Layout
//!
//! - [`Config`], [`Role`], [`Request`], [`Credential`]: what operators and
//!   callers write and get. `span`: lengths of time in them.
//! - `validate`, `leaf`, `rotate`, `publish`: what the provider does.
//! - `allow`, `glob`, `names`, `usage`, `csr`: what callers may have.
//! - `authority`, `x509`, `keys`, `pem`: certificates and keys as such. `keys`
//!   alone calls the host's cryptography.

mod allow;
mod authority;
mod config;
mod csr;
mod glob;
mod keys;
mod leaf;
mod names;
mod pem;
mod publish;
mod request;
mod role;
mod rotate;
mod span;
mod usage;
mod validate;
mod x509;

pub use config::{Config, Former};
pub use request::{Credential, Request};
pub use role::{KeyType, Role};
pub use span::Span;

use lessor_sdk::prelude::{
    About, Context, Document, Issued, Provider, Publication, Result, Revocation, RevocationShape,
    RevokedCredential, Rotated, Rotation, UnixTime, Validation, export_provider,
};

/// The provider.
pub struct Certificate;

impl Provider for Certificate {
    type Config = Config;
    type Role = Role;
    type Request = Request;
    type Credential = Credential;

    fn about() -> About {
        About::new(
            "certificate",
            env!("CARGO_PKG_VERSION"),
            "X.509 certificates of a certificate authority",
        )
        .revocation(RevocationShape::ExpiresOnly)
    }

    fn validate_config(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        validate::config(ctx, config, role)
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        request: &Request,
        expires_at: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        leaf::issue(ctx, config, role, request, expires_at)
    }

    /// Nothing to do: the host hands the id to [`Publication::publish`].
    fn revoke(_: &Context, _: &Config, _: Option<&Role>, _: &Revocation) -> Result<()> {
        Ok(())
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => rotate::root(ctx, config),
            Rotation::Account(_) => Err(what.unsupported()),
        }
    }
}

impl Publication for Certificate {
    fn names() -> Vec<String> {
        publish::names()
    }

    fn publish(
        ctx: &Context,
        config: &Config,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>> {
        publish::document(ctx, config, name, revoked)
    }
}

export_provider!(Certificate: Publication);
