//! Where typed calls and the contract's JSON meet. The component's exports and
//! the native tests both go through here, so a test sees what the host sees.

use std::time::Duration;

use serde::Serialize;

use super::schema;
use crate::about::About;
use crate::context::Context;
use crate::failure::{Failure, FailureClass, Result};
use crate::json;
use crate::options::{Document, Inventory, Page, Publication, Renewal, RevokedCredential};
use crate::provider::{Issued, Provider, Revocation, RotatedSecret, Rotation, Validation};
use crate::time::UnixTime;

/// The descriptor of a provider.
pub(crate) struct Description {
    pub(crate) about: About,
    pub(crate) config_schema: String,
    pub(crate) role_schema: String,
    pub(crate) request_schema: String,
    pub(crate) credential_schema: String,
}

/// The answer of `create`, in the contract's words.
pub(crate) struct IssuedJson {
    pub(crate) id: String,
    pub(crate) data: String,
    pub(crate) metadata: String,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) effective_in: Option<Duration>,
}

/// The answer of `rotate`, in the contract's words.
pub(crate) struct RotatedJson {
    pub(crate) secret: String,
    pub(crate) retires: Option<String>,
    pub(crate) metadata: String,
}

pub(crate) fn describe<P: Provider>() -> Description {
    Description {
        about: P::about(),
        config_schema: schema::read::<P::Config>(),
        role_schema: schema::read::<P::Role>(),
        request_schema: schema::read::<P::Request>(),
        credential_schema: schema::written::<P::Credential>(),
    }
}

pub(crate) fn validate_config<P: Provider>(
    ctx: &Context,
    config: &str,
    role: Option<&str>,
) -> Result<Validation> {
    let config = read_config::<P>(config)?;
    let role = role.map(read_role::<P>).transpose()?;
    P::validate_config(ctx, &config, role.as_ref())
}

pub(crate) fn create<P: Provider>(
    ctx: &Context,
    config: &str,
    role: &str,
    request: &str,
    expires_at: Option<UnixTime>,
) -> Result<IssuedJson> {
    let config = read_config::<P>(config)?;
    let role = read_role::<P>(role)?;
    let request = json::read("request", FailureClass::InvalidRequest, request)?;
    let Issued {
        id,
        credential,
        metadata,
        expires_in,
        effective_in,
    } = P::create(ctx, &config, &role, &request, expires_at)?;
    Ok(IssuedJson {
        id,
        data: written("credential", &credential)?,
        metadata: written("metadata", &metadata)?,
        expires_in,
        effective_in,
    })
}

pub(crate) fn revoke<P: Provider>(
    ctx: &Context,
    config: &str,
    role: Option<&str>,
    what: &Revocation,
) -> Result<()> {
    let config = read_config::<P>(config)?;
    let role = role.map(read_role::<P>).transpose()?;
    P::revoke(ctx, &config, role.as_ref(), what)
}

pub(crate) fn rotate<P: Provider>(
    ctx: &Context,
    config: &str,
    what: &Rotation<String>,
) -> Result<RotatedJson> {
    let config = read_config::<P>(config)?;
    let what = match what {
        Rotation::Root => Rotation::Root,
        Rotation::Account(role) => Rotation::Account(read_role::<P>(role)?),
    };
    let rotated = P::rotate(ctx, &config, &what)?;
    let secret = match (&what, &rotated.secret) {
        (Rotation::Root, RotatedSecret::Root(config)) => written("config", config)?,
        (Rotation::Account(_), RotatedSecret::Account(credential)) => {
            written("credential", credential)?
        }
        (Rotation::Root, RotatedSecret::Account(_))
        | (Rotation::Account(_), RotatedSecret::Root(_)) => {
            let message = "The provider answered the rotation of a root with an account, or the other way round.";
            return Err(Failure::internal("rotation_mixed_up", message));
        }
    };
    Ok(RotatedJson {
        secret,
        retires: rotated.retires,
        metadata: written("metadata", &rotated.metadata)?,
    })
}

pub(crate) fn renew<P: Renewal>(
    ctx: &Context,
    config: &str,
    role: &str,
    id: &str,
    expires_at: Option<UnixTime>,
) -> Result<()> {
    P::renew(
        ctx,
        &read_config::<P>(config)?,
        &read_role::<P>(role)?,
        id,
        expires_at,
    )
}

pub(crate) fn list<P: Inventory>(
    ctx: &Context,
    config: &str,
    cursor: Option<&str>,
) -> Result<Page> {
    P::list(ctx, &read_config::<P>(config)?, cursor)
}

pub(crate) fn publish<P: Publication>(
    ctx: &Context,
    config: &str,
    name: &str,
    revoked: &[RevokedCredential],
) -> Result<Option<Document>> {
    P::publish(ctx, &read_config::<P>(config)?, name, revoked)
}

fn read_config<P: Provider>(text: &str) -> Result<P::Config> {
    json::read("config", FailureClass::InvalidConfig, text)
}

fn read_role<P: Provider>(text: &str) -> Result<P::Role> {
    json::read("role", FailureClass::InvalidConfig, text)
}

fn written(what: &str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Failure::from(error).while_doing(format!("writing the {what}")))
}
