//! The trait that every provider implements, and what its functions take and
//! give.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::about::About;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::time::UnixTime;

/// A credentials provider.
///
/// Every call may be repeated: the same [`Context::operation_id`] means the
/// same operation, to be finished or repeated but never done a second time.
///
/// The JSON Schemas of the four types are what the host shows, checks and
/// fills defaults by. `#[serde(deny_unknown_fields)]` makes a misspelt field
/// an error with a suggestion, `#[serde(default)]` a field optional.
pub trait Provider: Sized + 'static {
    /// How to reach upstream, root credential included.
    type Config: DeserializeOwned + Serialize + JsonSchema;
    /// What a role allows.
    type Role: DeserializeOwned + JsonSchema;
    /// What a caller may ask for; [`Empty`] for nothing.
    type Request: DeserializeOwned + JsonSchema;
    /// What a caller gets; at least one required field.
    type Credential: Serialize + JsonSchema;

    /// Describes the provider; pure.
    fn about() -> About;

    /// Checks that `config` works upstream and, where `role` is given, that
    /// the root credential can delegate it. Changes nothing upstream.
    fn validate_config(
        ctx: &Context,
        config: &Self::Config,
        role: Option<&Self::Role>,
    ) -> Result<Validation>;

    /// Makes one credential. `expires_at` is when the host will end it;
    /// absent, it lasts until it is revoked. Same for every attempt.
    fn create(
        ctx: &Context,
        config: &Self::Config,
        role: &Self::Role,
        request: &Self::Request,
        expires_at: Option<UnixTime>,
    ) -> Result<Issued<Self::Credential>>;

    /// Ends a credential upstream, open sessions included where upstream can.
    /// Already gone is success.
    ///
    /// A credential that the inventory named and that no lease holds comes
    /// without a role and with an operation id of its own; where it carries this
    /// mount's mark it must be ended all the same.
    fn revoke(
        ctx: &Context,
        config: &Self::Config,
        role: Option<&Self::Role>,
        what: &Revocation,
    ) -> Result<()>;

    /// Makes a new root or account credential. Where upstream holds only one,
    /// take the new secret from [`Context::password`] or [`Context::derive`],
    /// so that a repeat after a crash arrives at the same.
    fn rotate(
        ctx: &Context,
        config: &Self::Config,
        what: &Rotation<Self::Role>,
    ) -> Result<Rotated<Self>> {
        let _ = (ctx, config);
        Err(what.unsupported())
    }
}

/// No fields.
//
// The line above is what the schema shows; for authors: this stands for the
// config, role or request of a provider that takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Empty {}

/// The answer of [`Provider::validate_config`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Who the root credential is upstream: an ARN, a role name.
    pub identity: Option<String>,
    /// What will hurt later: a missing privilege, a quota nearly used up.
    pub warnings: Vec<String>,
}

impl Validation {
    /// The config works, as this upstream identity.
    pub fn identity(identity: impl Into<String>) -> Self {
        Self {
            identity: Some(identity.into()),
            warnings: Vec::new(),
        }
    }

    /// Adds something that will hurt later.
    #[must_use]
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }
}

/// The answer of [`Provider::create`].
#[derive(Clone, Debug)]
pub struct Issued<C> {
    /// Names the credential upstream; no secret. Given back to `revoke`.
    pub id: String,
    /// The credential itself. The host returns it once and does not keep it.
    pub credential: C,
    /// Facts worth showing later; no secret. The host keeps these.
    pub metadata: Map<String, Value>,
    /// When upstream itself ends the credential, counted from now in whole
    /// seconds, where it does. The lease never outlives it.
    pub expires_in: Option<Duration>,
    /// When upstream honours the credential, counted from now in whole seconds,
    /// where that is not at once: the caller is told, or waits.
    pub effective_in: Option<Duration>,
}

impl<C> Issued<C> {
    /// A credential and the name that `revoke` will get.
    pub fn new(id: impl Into<String>, credential: C) -> Self {
        Self {
            id: id.into(),
            credential,
            metadata: Map::new(),
            expires_in: None,
            effective_in: None,
        }
    }

    /// Adds a fact worth showing later; no secret.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Says that upstream itself ends the credential after this time.
    #[must_use]
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }

    /// Says that upstream honours the credential only after this time.
    #[must_use]
    pub fn effective_in(mut self, time: Duration) -> Self {
        self.effective_in = Some(time);
        self
    }
}

/// What [`Provider::revoke`] is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The credential that `create` returned under this id.
    Credential(String),
    /// The answer to `create` was lost: end whatever that operation made, if
    /// anything. The context is that of the `create`. Nothing found is success.
    UnknownCredential,
    /// A former root credential, by the id that `rotate` named in `retires`.
    FormerRoot(String),
}

impl Revocation {
    /// The id to end, or `principal` where the answer to `create` was lost: for
    /// providers whose ids are principal names.
    pub fn id_or<'a>(&'a self, principal: &'a str) -> &'a str {
        match self {
            Self::Credential(id) | Self::FormerRoot(id) => id,
            Self::UnknownCredential => principal,
        }
    }
}

/// What [`Provider::rotate`] is to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation<R> {
    /// The root credential in the config.
    Root,
    /// The credential of one existing account.
    Account(R),
}

impl<R> Rotation<R> {
    /// The failure for a kind of rotation that the provider does not do.
    pub fn unsupported(&self) -> Failure {
        let what = match self {
            Self::Root => "its root credential",
            Self::Account(_) => "the credential of an existing account",
        };
        Failure::unsupported(
            "rotation_unsupported",
            format!("This provider cannot rotate {what}."),
        )
    }
}

/// The answer of [`Provider::rotate`].
pub struct Rotated<P: Provider> {
    pub(crate) secret: RotatedSecret<P>,
    pub(crate) retires: Option<String>,
    pub(crate) metadata: Map<String, Value>,
}

/// Which secret a rotation made.
pub(crate) enum RotatedSecret<P: Provider> {
    Root(P::Config),
    Account(P::Credential),
}

impl<P: Provider> Rotated<P> {
    /// The answer to [`Rotation::Root`]: the whole new config.
    pub fn root(config: P::Config) -> Self {
        Self {
            secret: RotatedSecret::Root(config),
            retires: None,
            metadata: Map::new(),
        }
    }

    /// The answer to [`Rotation::Account`]: the new credential.
    pub fn account(credential: P::Credential) -> Self {
        Self {
            secret: RotatedSecret::Account(credential),
            retires: None,
            metadata: Map::new(),
        }
    }

    /// Names the former credential, where it is still valid and the host must
    /// end it by `revoke` once the new one is stored and proven.
    ///
    /// A provider whose accounts hold two credentials says so in the schema of its roles
    /// (`#[schemars(extend("x-lessor-credentials" = 2))]`): operators may then have the
    /// former one of an account kept until the next rotation.
    #[must_use]
    pub fn retires(mut self, id: impl Into<String>) -> Self {
        self.retires = Some(id.into());
        self
    }

    /// Adds a fact worth showing; no secret.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}
