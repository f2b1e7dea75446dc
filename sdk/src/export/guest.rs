//! The component's exports: the contract's types translated, the work done by
//! `edge`.

use std::marker::PhantomData;
use std::time::Duration;

use super::edge;
use super::{base, inventory, publication, renewal};
use crate::about::RevocationShape;
use crate::context::Context;
use crate::failure::{Failure, FailureClass};
use crate::options::{Inventory, Publication, Renewal, RevokedCredential};
use crate::provider::{Provider, Revocation, Rotation};
use crate::time::UnixTime;

use base::lessor::plugin::types;

/// Stands for a provider in the generated exports.
pub struct Exported<P>(PhantomData<P>);

impl<P: Provider> base::exports::lessor::plugin::provider::Guest for Exported<P> {
    fn describe() -> types::Descriptor {
        let description = edge::describe::<P>();
        let about = description.about;
        types::Descriptor {
            name: about.name,
            version: about.version,
            summary: about.summary,
            config_schema: description.config_schema,
            role_schema: description.role_schema,
            request_schema: description.request_schema,
            credential_schema: description.credential_schema,
            endpoints: about.endpoints,
            name_limit: about.name_limit,
            revocation: match about.revocation {
                RevocationShape::Deletes => types::RevocationShape::Deletes,
                RevocationShape::ExpiresOnly => types::RevocationShape::ExpiresOnly,
                RevocationShape::None => types::RevocationShape::None,
            },
            privileges: about
                .privileges
                .into_iter()
                .map(|(purpose, names)| types::Privilege {
                    purpose: purpose.as_str().to_owned(),
                    names,
                })
                .collect(),
            propagation_s: u32::try_from(about.propagation.as_secs()).unwrap_or(u32::MAX),
        }
    }

    fn validate_config(
        ctx: types::Context,
        config: String,
        role: Option<String>,
    ) -> Result<types::Validation, types::Failure> {
        let validation = edge::validate_config::<P>(&ctx.into(), &config, role.as_deref())?;
        Ok(types::Validation {
            identity: validation.identity,
            warnings: validation.warnings,
        })
    }

    fn create(
        ctx: types::Context,
        config: String,
        role: String,
        request: String,
        expires_at: Option<u64>,
    ) -> Result<types::Credential, types::Failure> {
        let expires_at = expires_at.map(UnixTime::from_seconds);
        let issued = edge::create::<P>(&ctx.into(), &config, &role, &request, expires_at)?;
        Ok(types::Credential {
            id: issued.id,
            data: issued.data,
            metadata: issued.metadata,
            expires_in_s: issued.expires_in.map(|time| time.as_secs()),
            effective_in_s: issued
                .effective_in
                .map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        })
    }

    fn revoke(
        ctx: types::Context,
        config: String,
        role: Option<String>,
        what: types::Revocation,
    ) -> Result<(), types::Failure> {
        let what = match what {
            types::Revocation::Credential(id) => Revocation::Credential(id),
            types::Revocation::UnknownCredential => Revocation::UnknownCredential,
            types::Revocation::FormerRoot(id) => Revocation::FormerRoot(id),
        };
        Ok(edge::revoke::<P>(
            &ctx.into(),
            &config,
            role.as_deref(),
            &what,
        )?)
    }

    fn rotate(
        ctx: types::Context,
        config: String,
        what: types::Rotation,
    ) -> Result<types::Rotated, types::Failure> {
        let what = match what {
            types::Rotation::Root => Rotation::Root,
            types::Rotation::Account(role) => Rotation::Account(role),
        };
        let rotated = edge::rotate::<P>(&ctx.into(), &config, &what)?;
        Ok(types::Rotated {
            secret: rotated.secret,
            retires: rotated.retires,
            metadata: rotated.metadata,
        })
    }
}

impl<P: Renewal> renewal::exports::lessor::plugin::renewal::Guest for Exported<P> {
    fn renew(
        ctx: types::Context,
        config: String,
        role: String,
        id: String,
        expires_at: Option<u64>,
    ) -> Result<(), types::Failure> {
        let expires_at = expires_at.map(UnixTime::from_seconds);
        Ok(edge::renew::<P>(
            &ctx.into(),
            &config,
            &role,
            &id,
            expires_at,
        )?)
    }
}

impl<P: Inventory> inventory::exports::lessor::plugin::inventory::Guest for Exported<P> {
    fn list_credentials(
        ctx: types::Context,
        config: String,
        cursor: Option<String>,
    ) -> Result<inventory::exports::lessor::plugin::inventory::Page, types::Failure> {
        let page = edge::list::<P>(&ctx.into(), &config, cursor.as_deref())?;
        Ok(inventory::exports::lessor::plugin::inventory::Page {
            ids: page.ids,
            next: page.next,
        })
    }
}

impl<P: Publication> publication::exports::lessor::plugin::publication::Guest for Exported<P> {
    fn names() -> Vec<String> {
        P::names()
    }

    fn publish(
        ctx: types::Context,
        config: String,
        name: String,
        revoked: Vec<publication::exports::lessor::plugin::publication::RevokedCredential>,
    ) -> Result<Option<publication::exports::lessor::plugin::publication::Document>, types::Failure>
    {
        let revoked: Vec<_> = revoked
            .into_iter()
            .map(|credential| RevokedCredential {
                id: credential.id,
                revoked_at: UnixTime::from_seconds(credential.revoked_at),
                expires_at: credential.expires_at.map(UnixTime::from_seconds),
            })
            .collect();
        let document = edge::publish::<P>(&ctx.into(), &config, &name, &revoked)?;
        Ok(document.map(
            |document| publication::exports::lessor::plugin::publication::Document {
                content_type: document.content_type,
                body: document.body,
                valid_for_s: document.valid_for.as_secs(),
            },
        ))
    }
}

impl From<types::Context> for Context {
    fn from(ctx: types::Context) -> Self {
        Self {
            operation_id: ctx.operation_id,
            attempt: ctx.attempt,
            mount: ctx.mount,
            role_name: ctx.role_name,
            principal_name: ctx.principal_name,
            timeout: Duration::from_millis(ctx.timeout_ms),
            began: crate::host::elapsed(),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        let class = match failure.class() {
            FailureClass::InvalidConfig => types::FailureClass::InvalidConfig,
            FailureClass::InvalidRequest => types::FailureClass::InvalidRequest,
            FailureClass::Denied => types::FailureClass::Denied,
            FailureClass::NotFound => types::FailureClass::NotFound,
            FailureClass::Conflict => types::FailureClass::Conflict,
            FailureClass::RateLimited => types::FailureClass::RateLimited,
            FailureClass::Unavailable => types::FailureClass::Unavailable,
            FailureClass::Unsupported => types::FailureClass::Unsupported,
            FailureClass::Internal => types::FailureClass::Internal,
        };
        Self {
            class,
            code: failure.code().to_owned(),
            message: failure.message().to_owned(),
            retry_after_ms: failure
                .retry_after()
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}
