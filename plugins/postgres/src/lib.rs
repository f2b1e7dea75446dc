//! Leases PostgreSQL roles: makes one per lease, with a password and an end,
//! and takes away all of it again. Also rotates its own root credential and
//! the passwords of existing roles.
//!
//! # Layout
//!
//! - `config`, `role`, `template`: what the operator writes.
//! - `create`, `renew`, `revoke`, `rotate`, `validate`: one operation each.
//! - `password`: new ones, and what a server keeps of them.
//! - `ownership`: which roles are ours; `transaction`: several statements in one
//!   round trip; `session`: logged-in connections, parked between calls.
//! - `problem`: what went wrong, as a failure that says what to do.
//! - [`protocol`]: PostgreSQL's protocol over any byte stream.
//!
//! # Invariants
//!
//! 1. Every operation may run again under the same operation id: what it made
//!    carries that id, and every secret is derived from it.
//! 2. No password leaves in SQL in the clear, unless the operator's own
//!    statements ask for that, and neither it nor what the server keeps of it
//!    appears in a failure.
//! 3. A connection is parked between transactions only, with nothing changed in
//!    its session.

mod config;
mod create;
mod ownership;
mod password;
mod problem;
pub mod protocol;
mod renew;
mod revoke;
mod role;
mod rotate;
mod session;
mod sql;
mod template;
mod transaction;
mod validate;

use lessor_sdk::prelude::*;

pub use config::{Config, PasswordAuthentication, SslMode};
pub use create::Credential;
pub use role::{Grant, Role, SequencePrivilege, TablePrivilege};
pub use template::Statements;

/// The provider.
pub struct Postgres;

export_provider!(Postgres: Renewal, Inventory);

impl Provider for Postgres {
    type Config = Config;
    type Role = Role;
    type Request = Empty;
    type Credential = Credential;

    fn about() -> About {
        About::new(
            "postgres",
            env!("CARGO_PKG_VERSION"),
            "PostgreSQL roles, one per lease",
        )
        .endpoint("tcp://{host}:{port}")
        .name_limit(63)
        .needs(
            Purpose::Issue,
            [
                "CREATEROLE",
                "ADMIN OPTION for the roles of member_of",
                "GRANT OPTION for the privileges of grants",
            ],
        )
        .needs(
            Purpose::Revoke,
            [
                "CREATEROLE",
                "INHERIT",
                "CREATE on the schemas where a lease left objects of its own",
            ],
        )
        .needs(Purpose::Renew, ["CREATEROLE"])
        .needs(
            Purpose::Rotate,
            ["ADMIN OPTION for the existing roles of static roles"],
        )
    }

    fn validate_config(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        validate::validate(ctx, config, role)
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        _: &Empty,
        expires_at: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        create::create(ctx, config, role, expires_at)
    }

    fn revoke(
        ctx: &Context,
        config: &Config,
        role: Option<&Role>,
        what: &Revocation,
    ) -> Result<()> {
        revoke::revoke(ctx, config, role, what)
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => rotate::root(ctx, config),
            Rotation::Account(role) => rotate::account(ctx, config, role),
        }
    }
}

impl Renewal for Postgres {
    fn renew(
        ctx: &Context,
        config: &Config,
        role: &Role,
        id: &str,
        expires_at: Option<UnixTime>,
    ) -> Result<()> {
        renew::renew(ctx, config, role, id, expires_at)
    }
}

impl Inventory for Postgres {
    fn list(ctx: &Context, config: &Config, cursor: Option<&str>) -> Result<Page> {
        config.check()?;
        let listed = session::with_session(config, &config.database, |session| {
            ownership::list(session, ctx, cursor.unwrap_or_default(), PAGE)
        });
        let ids = listed.map_err(|problem| problem.into_failure(config, &[]))?;
        let next = if ids.len() < PAGE {
            None
        } else {
            ids.last().cloned()
        };
        Ok(Page { ids, next })
    }
}

/// Names in one page of the inventory: some 30 kB.
const PAGE: usize = 500;
