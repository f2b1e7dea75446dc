//! Leases what a webhook makes, by the protocol of Akeyless' custom producers: `create`,
//! `revoke` and, where the webhook has it, `rotate`, each a POST with the opaque payload that
//! the host keeps for the webhook.
//!
//! # Layout
//!
//! - `config`, `role`: what the operator writes.
//! - `wire`: the bodies that go out and the answers that come back.
//! - `endpoint`: one request, with whatever shows the webhook who asks; how it fails, as a
//!   sentence.
//! - `create`, `revoke`, `rotate`, `validate`: one operation each.
//! - `trace`: what this host knows of an operation that failed.
//! - `masked`: the webhook's own words, without the payload.
//!
//! # Invariants
//!
//! 1. A credential that may exist at the webhook is ended, or named to the operator: the
//!    webhook names what it makes, so an answer that is lost takes the name with it.
//! 2. No word of the payload, and none of an answer that may hold a credential, appears in a
//!    failure.
//! 3. A payload that the webhook answers is kept, whatever else is wrong with the answer:
//!    the webhook may know no other by then.

mod config;
mod create;
mod endpoint;
mod masked;
mod revoke;
mod role;
mod rotate;
mod trace;
mod validate;
mod wire;

use lessor_sdk::prelude::*;

pub use config::{ClientAuthentication, Config};
pub use role::{Credential, Request, Role};

/// The provider.
pub struct Webhook;

export_provider!(Webhook);

impl Provider for Webhook {
    type Config = Config;
    type Role = Role;
    type Request = Request;
    type Credential = Credential;

    fn about() -> About {
        About::new(
            "webhook",
            env!("CARGO_PKG_VERSION"),
            "Whatever a webhook makes: custom producers",
        )
        .endpoint("{url}")
        .endpoint("{token_url}")
        .needs(Purpose::Issue, ["POST /sync/create"])
        .needs(Purpose::Revoke, ["POST /sync/revoke"])
        .needs(Purpose::Rotate, ["POST /sync/rotate"])
    }

    fn validate_config(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        validate::validate(ctx, config, role)
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        request: &Request,
        _: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        create::create(ctx, config, role, request)
    }

    fn revoke(ctx: &Context, config: &Config, _: Option<&Role>, what: &Revocation) -> Result<()> {
        revoke::revoke(ctx, config, what)
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => rotate::root(ctx, config),
            Rotation::Account(_) => Err(what.unsupported()),
        }
    }
}
