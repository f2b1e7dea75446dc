//! The contract, in each of its versions.
//!
//! A released version is served as long as this program is. Each has a folder, which
//! holds its bindings and their conversion and nothing else: what is granted, counted,
//! judged and written down is the same for all of them, and knows [`answer`] and the
//! host's own types alone.
//!
//! | version | package | there |
//! |---|---|---|
//! | 0.1 | `lessor:provider` | `wit/provider.wit` |
//! | 1.0 | `lessor:plugin` | `wit/v1` |

use lessor_model::{
    provider::{Call, Revocation, RevokedCredential},
    secret::Secret,
};
use wasmtime::{
    Store,
    component::{Instance, InstancePre, Linker},
};

use super::call::CallState;
use crate::plugin_store::PluginError;

pub mod answer;
#[macro_use]
mod shared;
mod v0_1;
mod v1_0;

/// A version of the contract that the host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V0_1,
    V1_0,
}

impl Version {
    /// The newest first: it is the one that counts where a component is of several.
    pub(super) const ALL: [Self; 2] = [Self::V1_0, Self::V0_1];

    /// The prefix of the names of its interfaces.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::V0_1 => "lessor:provider/",
            Self::V1_0 => "lessor:plugin/",
        }
    }

    /// The prefix of the versions in such names that the host speaks.
    pub(super) fn compatible(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.",
            Self::V1_0 => "1.",
        }
    }

    /// The interface that makes a component a provider.
    pub(super) fn provider(self) -> &'static str {
        match self {
            Self::V0_1 => "lessor:provider/provider@0.1.0",
            Self::V1_0 => "lessor:plugin/provider@1.0.0",
        }
    }

    /// Interfaces that the host offers.
    pub(super) fn offered(self) -> &'static [&'static str] {
        match self {
            Self::V0_1 => &v0_1::OFFERED,
            Self::V1_0 => &v1_0::OFFERED,
        }
    }
}

/// The places of a component's functions.
#[derive(Clone)]
pub(super) enum Exports {
    V0_1(v0_1::Exports),
    V1_0(v1_0::Exports),
}

/// An instance, and the store that it is in.
pub(super) type At<'a> = (&'a mut Store<CallState>, &'a Instance);

/// The end of a function that was not stopped: the guest's own answer.
pub(super) type Answered<T> = wasmtime::Result<Result<T, answer::Failure>>;

/// Links all that the host lends, in every version.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    v0_1::add_to_linker(linker)?;
    v1_0::add_to_linker(linker)
}

/// An import or export whose shape is not the contract's.
pub(super) fn malformed(error: &wasmtime::Error) -> PluginError {
    let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
    PluginError::ForeignWorld {
        reason: chain.join(": ").chars().take(512).collect(),
    }
}

/// The same for each version.
macro_rules! each {
    ($exports:ident, |$of:ident| $ask:expr) => {
        match $exports {
            Exports::V0_1($of) => $ask,
            Exports::V1_0($of) => $ask,
        }
    };
}

impl Exports {
    /// Finds the functions of a component; the optional interfaces where they are there.
    pub(super) fn find(
        pre: &InstancePre<CallState>,
        version: Version,
    ) -> Result<Self, PluginError> {
        Ok(match version {
            Version::V0_1 => Self::V0_1(v0_1::Exports::find(pre)?),
            Version::V1_0 => Self::V1_0(v1_0::Exports::find(pre)?),
        })
    }

    pub(super) fn renews(&self) -> bool {
        each!(self, |of| of.renewal.is_some())
    }

    pub(super) fn lists(&self) -> bool {
        each!(self, |of| of.inventory.is_some())
    }

    pub(super) fn publishes(&self) -> bool {
        each!(self, |of| of.publication.is_some())
    }

    /// Checks the types of every function, also of those not called now.
    pub(super) fn check(&self, at: At<'_>) -> wasmtime::Result<()> {
        each!(self, |of| of.check(at))
    }

    /// The provider's description of itself, and the names of its public documents.
    pub(super) async fn describe(
        &self,
        at: At<'_>,
    ) -> wasmtime::Result<(answer::Descriptor, Vec<String>)> {
        each!(self, |of| of.describe(at).await)
    }

    pub(super) async fn validate_config(
        &self,
        at: At<'_>,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
    ) -> Answered<answer::Validation> {
        each!(self, |of| of.validate_config(at, call, config, role).await)
    }

    pub(super) async fn create(
        &self,
        at: At<'_>,
        call: &Call,
        documents: [&Secret<String>; 3],
        expires_at: Option<u64>,
    ) -> Answered<answer::Credential> {
        each!(self, |of| of.create(at, call, documents, expires_at).await)
    }

    pub(super) async fn revoke(
        &self,
        at: At<'_>,
        call: &Call,
        documents: (&Secret<String>, Option<&Secret<String>>),
        what: &Revocation,
    ) -> Answered<()> {
        each!(self, |of| of.revoke(at, call, documents, what).await)
    }

    /// Renews the root, or the account of a role.
    pub(super) async fn rotate(
        &self,
        at: At<'_>,
        call: &Call,
        config: &Secret<String>,
        account: Option<&Secret<String>>,
    ) -> Answered<answer::Rotated> {
        each!(self, |of| of.rotate(at, call, config, account).await)
    }

    pub(super) async fn renew(
        &self,
        at: At<'_>,
        call: &Call,
        documents: [&Secret<String>; 2],
        ends: (&str, Option<u64>),
    ) -> Answered<()> {
        each!(self, |of| of.renew(at, call, documents, ends).await)
    }

    pub(super) async fn list_credentials(
        &self,
        at: At<'_>,
        call: &Call,
        config: &Secret<String>,
        cursor: Option<&str>,
    ) -> Answered<answer::Page> {
        each!(self, |of| of
            .list_credentials(at, call, config, cursor)
            .await)
    }

    pub(super) async fn publish(
        &self,
        at: At<'_>,
        call: &Call,
        asked: (&Secret<String>, &str),
        revoked: &[RevokedCredential],
    ) -> Answered<Option<answer::Document>> {
        each!(self, |of| of.publish(at, call, asked, revoked).await)
    }
}

/// A function of an interface that the component does not export: whoever calls it has
/// asked [`Exports`] before.
#[derive(Debug, thiserror::Error)]
#[error("the provider does not export the interface {0}")]
pub(super) struct NotExported(pub(super) &'static str);
