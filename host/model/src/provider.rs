//! A provider as the rest of the host sees it.
//!
//! `lease`, `rotation` and `mount` know this trait and nothing of wasmtime. The
//! component behind it lives in `sandbox`; tests put a fake behind it that keeps
//! the truth of what exists upstream. JSON documents cross as text: they were
//! checked when they were stored, and the host does not parse them per call.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::Timestamp,
    grants::Grants,
    id::{ConnectionId, ConnectionName, Digest, MountPath, OperationId, RoleName},
    secret::Secret,
};

/// The facts that the host tells a provider about one call, and the call's limits.
#[derive(Clone, Debug)]
pub struct Call {
    /// Stable over all attempts of one operation.
    pub operation: OperationId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Role that the operation is about.
    pub role_name: Option<RoleName>,
    /// Readable, unique name for the upstream principal; same for all attempts.
    pub principal_name: String,
    /// Who asked; absent for scheduled work.
    pub requester: Option<Requester>,
    /// Wall-clock limit of this call.
    pub timeout: Duration,
    /// The parts that belong to the mount rather than to this call.
    pub scope: Arc<Scope>,
}

/// The things that a mount lends to each of its calls. One per mount, digest and config
/// version: connections are parked and derived secrets are made within it.
#[derive(Debug)]
pub struct Scope {
    /// The connection's row, which survives a remount.
    pub connection: ConnectionId,
    /// The connection's name.
    pub connection_name: ConnectionName,
    /// The mount's path.
    pub mount: MountPath,
    /// The path that the provider is told for the mount: the one it was made at.
    pub known_as: String,
    /// Version of the config that is passed with the calls.
    pub config_version: u32,
    /// Where the mount may connect to.
    pub grants: Arc<Grants>,
    /// PEM certificates that TLS to upstream trusts beside the public roots.
    pub extra_roots: Arc<[rustls_pki_types::CertificateDer<'static>]>,
    /// Key of `host.derive` for this mount.
    pub derivation_key: Arc<Secret<[u8; 32]>>,
}

/// Who asked for an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// The token's display name.
    pub display_name: String,
    /// The token's accessor.
    pub accessor: String,
    /// Claims that the login established.
    #[serde(default)]
    pub metadata: Vec<(String, String)>,
}

/// A provider's description of itself (`describe`).
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Descriptor {
    /// The provider's name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// JSON Schema 2020-12 of the mount's config.
    pub config_schema: Value,
    /// Of a role, without the host's own fields.
    pub role_schema: Value,
    /// Of a request.
    pub request_schema: Value,
    /// Of what `create` returns.
    pub credential_schema: Value,
    /// The destinations that it wants to reach, as URI templates over the config.
    pub endpoints: Vec<String>,
    /// Longest principal name that upstream takes; 0 for no limit.
    pub name_limit: u32,
    /// False where nothing stays upstream that needs `revoke`.
    pub leaves_state: bool,
    /// Seconds that a new credential may need before upstream honours it.
    pub propagation_s: u32,
    /// Which optional interfaces it exports.
    pub abilities: Abilities,
}

/// The make of a provider, read from its component.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Anatomy {
    /// Bytes of the component.
    pub size: u64,
    /// Bytes of the code that it was compiled to.
    pub code_size: u64,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Interfaces that it exports.
    pub exports: Vec<String>,
    /// The memories and tables that an instance of it begins with.
    pub begins_with: Beginnings,
}

/// The memories and tables that an instance of a component begins with; each counts against a
/// limit.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Beginnings {
    /// Its memories.
    pub memories: u32,
    /// Bytes of the largest of them.
    pub memory: u64,
    /// Its tables.
    pub tables: u32,
    /// Elements of the largest of them.
    pub table: u64,
}

/// The optional interfaces of a provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Abilities {
    /// It pushes a lease's new end to upstream.
    pub renewal: bool,
    /// It lists what a mount made.
    pub inventory: bool,
    /// Names of the public documents it makes; a name that ends in `/` stands
    /// for every name under it. Empty where it makes none.
    pub publication: Vec<String>,
}

/// Why a call failed, by what can be done about it. The names are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The configuration or role cannot work as it stands.
    InvalidConfig,
    /// The caller's request is wrong.
    InvalidRequest,
    /// Upstream refused the root credential, or it lacks a privilege.
    Denied,
    /// Upstream has no such thing.
    NotFound,
    /// Upstream already holds something in the way.
    Conflict,
    /// Upstream asked to slow down.
    RateLimited,
    /// Upstream could not be reached, or answered with a passing fault.
    Unavailable,
    /// The provider does not do this.
    Unsupported,
    /// A defect of the provider, or a limit that it ran into.
    Internal,
}

impl FailureClass {
    /// Whether trying again later may help without anybody changing anything.
    pub fn is_transient(self) -> bool {
        !matches!(
            self,
            Self::InvalidConfig | Self::InvalidRequest | Self::Unsupported
        )
    }

    /// The contract's name: `rate-limited`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid-config",
            Self::InvalidRequest => "invalid-request",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that failed: the provider's own answer, or the host's about a call
/// that it stopped (`code` is then `timeout`, `trap`, or `limit_…`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Failure {
    /// The class of the failure, by what can be done about it.
    pub class: FailureClass,
    /// Stable, for programs.
    pub code: String,
    /// For the person who must act. Scrubbed of the call's secrets.
    pub message: String,
    /// When upstream said to come back.
    pub retry_after: Option<Duration>,
    /// Whether the call may have changed something upstream: false only where
    /// the sandbox knows that no connection was opened, taken from the parked
    /// ones, or asked for over HTTP. Then there is nothing to clean up.
    pub reached_upstream: bool,
}

impl Failure {
    /// The same, with `left`, the changes that stay, added to the message.
    #[must_use]
    pub fn after(self, left: &str) -> Self {
        let message = format!("{}; {left}", self.message.trim_end_matches('.'));
        Self { message, ..self }
    }

    /// Whether a request to upstream may still take effect: the host stopped the call, which
    /// may have been waiting for an answer, or upstream broke off.
    pub fn may_still_land(&self) -> bool {
        self.class == FailureClass::Unavailable
            || ["timeout", "trap"].contains(&self.code.as_str())
            || self.code.starts_with("limit_")
    }
}

/// The answer of `validate-config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Who the root credential is upstream.
    pub identity: Option<String>,
    /// Warnings about trouble to come.
    pub warnings: Vec<String>,
}

/// The answer of `create`.
#[derive(Debug)]
pub struct Credential {
    /// Names the credential upstream; no secret.
    pub id: String,
    /// The credential, checked against the descriptor's schema.
    pub data: Secret<String>,
    /// Facts that the host keeps; a JSON object.
    pub metadata: Value,
    /// Until upstream itself ends the credential.
    pub expires_in: Option<Duration>,
}

/// The thing that `revoke` is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A credential that `create` returned, by its id.
    Credential(String),
    /// Anything that the operation made.
    UnknownCredential,
    /// A former root credential, by the id that `rotate` gave.
    FormerRoot(String),
}

/// The credential that `rotate` is to renew.
#[derive(Debug)]
pub enum Rotation {
    /// The root credential in the config.
    Root,
    /// One existing account, by its role document.
    Account(Secret<String>),
}

/// The answer of `rotate`.
#[derive(Debug)]
pub struct Rotated {
    /// The whole new config, or the account's new credential.
    pub secret: Secret<String>,
    /// The former credential, where it is still valid and must be ended.
    pub retires: Option<String>,
    /// Facts worth showing; a JSON object.
    pub metadata: Value,
    /// The fault of `secret` or `retires`, if there is one. The answer is kept all the
    /// same: upstream may have changed already and take no other credential.
    pub defect: Option<Failure>,
}

/// A credential that was revoked before its own end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCredential {
    /// The id that `create` returned.
    pub id: String,
    /// When.
    pub revoked_at: Timestamp,
    /// Its own end.
    pub expires_at: Option<Timestamp>,
}

/// A public document of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Media type.
    pub content_type: String,
    /// The bytes.
    pub body: Vec<u8>,
    /// How long the host may answer with them.
    pub valid_for: Duration,
}

/// One page of an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Credential ids, as `create` returned them.
    pub ids: Vec<String>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// A loaded provider. Every call is independent: nothing is kept between them.
///
/// Documents in `Secret<String>` are JSON text: `config` and `role` as stored,
/// with defaults filled in.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// Its description of itself, from when it was loaded.
    fn descriptor(&self) -> &Descriptor;

    /// The make of its component.
    fn anatomy(&self) -> &Anatomy;

    /// The digest of the bytes that run.
    fn digest(&self) -> Digest;

    /// Checks `config` (and `role`) upstream; changes nothing there.
    async fn validate_config(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
    ) -> Result<Validation, Failure>;

    /// Makes one credential.
    async fn create(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
        request: &Secret<String>,
        expires_at: Option<Timestamp>,
    ) -> Result<Credential, Failure>;

    /// Ends a credential. Already gone is success.
    async fn revoke(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
        what: &Revocation,
    ) -> Result<(), Failure>;

    /// Makes a new root or account credential.
    async fn rotate(
        &self,
        call: &Call,
        config: &Secret<String>,
        what: &Rotation,
    ) -> Result<Rotated, Failure>;

    /// Pushes a lease's new end; `unsupported` where `abilities.renewal` is false.
    async fn renew(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
        id: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Failure>;

    /// Lists what the mount made; `unsupported` where `abilities.inventory` is false.
    async fn list_credentials(
        &self,
        call: &Call,
        config: &Secret<String>,
        cursor: Option<&str>,
    ) -> Result<Page, Failure>;

    /// Makes a public document; `unsupported` where it has no such ability.
    async fn publish(
        &self,
        call: &Call,
        config: &Secret<String>,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>, Failure>;
}

/// The description and make of a provider, for the operator who decides whether to pin it: its
/// digest, the version of the contract that it was built for, its descriptor and its anatomy.
pub fn portrait(provider: &dyn Provider) -> Value {
    let exports = &provider.anatomy().exports;
    let contract = exports
        .iter()
        .find_map(|export| export.strip_prefix("lessor:provider/provider@"));
    json!({
        "sha256": provider.digest(),
        "contract": contract,
        "descriptor": provider.descriptor(),
        "component": provider.anatomy(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_lands_no_more() {
        for (class, code, may_land) in [
            (FailureClass::Denied, "28P01", false),
            (FailureClass::Internal, "malformed", false),
            (FailureClass::Unavailable, "closed", true),
            (FailureClass::Unavailable, "timeout", true),
            (FailureClass::Internal, "trap", true),
            (FailureClass::Internal, "limit_cpu", true),
        ] {
            let failure = Failure {
                class,
                code: code.into(),
                message: String::new(),
                retry_after: None,
                reached_upstream: true,
            };
            assert_eq!(failure.may_still_land(), may_land, "{failure:?}");
        }
    }
}
