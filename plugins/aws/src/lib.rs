//! Leases users of AWS IAM, with an access key each, and sessions of AWS STS.
//!
//! # Layout
//!
//! - `fields`: the ways in which operators write lists, tags, documents and times.
//! - `config`, `role`: what the operator writes; [`Config`] says which way leads to the
//!   root credential.
//! - `account`: AWS as one call sees it; `mark`: whose a user is.
//! - `user`: users made, found and ended; `session`: sessions, and links to the console.
//! - `rotate`: the root credential, by two keys.
//! - `validate`: whether a config and a role can work, and what they lack.
//!
//! # Invariants
//!
//! 1. A user carries the mount and the operation that made it as tags from its first
//!    moment on, so a lost answer is found again, and nobody else's user is ever ended.
//! 2. A user that cannot be finished is ended at once, and otherwise by the host.
//! 3. The secret of a key that AWS made is in its one answer: a repeat removes the key and
//!    makes another.

mod account;
mod config;
mod fields;
mod mark;
mod role;
mod rotate;
mod session;
mod user;
mod validate;

use std::time::Duration;

use lessor_sdk::prelude::*;

pub use config::{Config, RoleLink};
pub use fields::{Document, Names, Tags, Ttl};
pub use role::{CredentialType, Request, Role};

/// The provider.
pub struct Aws;

export_provider!(Aws: Inventory);

/// The credential that a caller gets.
#[derive(Serialize, JsonSchema)]
pub struct Credential {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: Secret,
    /// The token of a session; null of a user.
    pub security_token: Option<Secret>,
    /// The same token, by its newer name.
    pub session_token: Option<Secret>,
    /// The principal that the key belongs to; null of `session_token`, where it is the root's user.
    pub arn: Option<String>,
    /// Signs in to the console, within fifteen minutes; null where the role has no
    /// `console`.
    pub console_url: Option<Secret>,
}

impl Provider for Aws {
    type Config = Config;
    type Role = Role;
    type Request = Request;
    type Credential = Credential;

    fn about() -> About {
        About::new(
            "aws",
            env!("CARGO_PKG_VERSION"),
            "Users and sessions of AWS",
        )
        .endpoint("https://iam.amazonaws.com")
        .endpoint("https://sts.{region}.amazonaws.com")
        .endpoint("{iam_endpoint}")
        .endpoint("{sts_endpoint}")
        .endpoint("{signin_endpoint}")
        .endpoint("{instance_endpoint}")
        .endpoint("{container_credentials_url}")
        .name_limit(64)
        // Of users. Sessions end by themselves, which a role of sessions is warned of.
        .revocation(RevocationShape::Deletes)
        .propagation(PROPAGATION)
        .needs(Purpose::Validate, validate::PRIVILEGES)
        .needs(Purpose::Issue, user::ISSUE)
        .needs(Purpose::Issue, session::ISSUE)
        .needs(Purpose::Revoke, user::REVOKE)
        .needs(Purpose::Rotate, rotate::PRIVILEGES)
        .needs(Purpose::Inventory, user::INVENTORY)
    }

    fn validate_config(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        validate::validate(ctx, config, role)
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        request: &Request,
        expires_at: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        role.check()?;
        request.check(role)?;
        match role.credential_type {
            CredentialType::IamUser => user::create(ctx, config, role),
            _ => session::create(ctx, config, role, request, expires_at),
        }
    }

    fn revoke(
        ctx: &Context,
        config: &Config,
        role: Option<&Role>,
        what: &Revocation,
    ) -> Result<()> {
        match what {
            // Nobody can end a session before its time.
            Revocation::Credential(id) if session::is_session(id) => Ok(()),
            Revocation::Credential(id) => user::end(ctx, config, id),
            Revocation::UnknownCredential => {
                if role.is_some_and(|role| role.credential_type != CredentialType::IamUser) {
                    return Ok(());
                }
                // A rotation has no role.
                if role.is_none() {
                    rotate::undo(ctx, config)?;
                }
                user::end_unknown(ctx, config)
            }
            Revocation::FormerRoot(id) => rotate::retire(ctx, config, id),
        }
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => rotate::root(ctx, config),
            Rotation::Account(_) => Err(what.unsupported()),
        }
    }
}

impl Inventory for Aws {
    fn list(ctx: &Context, config: &Config, cursor: Option<&str>) -> Result<Page> {
        user::list(ctx, config, cursor)
    }
}

/// The time until AWS honours a new key everywhere: "eventually consistent", in its
/// documents, is a few seconds, and rarely more.
const PROPAGATION: Duration = Duration::from_secs(10);
