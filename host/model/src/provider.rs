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
    dialect::Dialect,
    grants::Grants,
    id::{ConnectionId, ConnectionName, Digest, MountPath, OperationId, RoleName},
    lifetime::Length,
    proxy::Proxy,
    secret::Secret,
};

/// The facts that the host tells a provider about one call, and the call's limits.
#[derive(Clone, Debug)]
pub struct Call {
    /// Stable over all attempts of one operation.
    pub operation: OperationId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The reason why it happens.
    pub trigger: Trigger,
    /// Role that the operation is about.
    pub role_name: Option<RoleName>,
    /// Readable, unique name for the upstream principal; same for all attempts.
    pub principal_name: String,
    /// The caller that asked; absent for scheduled work.
    pub requester: Option<Requester>,
    /// Wall-clock limit of this call.
    pub timeout: Duration,
    /// The parts that belong to the mount rather than to this call.
    pub scope: Arc<Scope>,
}

/// The reason why a call happens. The names are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody asked for this credential, or for its renewal or its end.
    Request,
    /// Somebody wrote the config or a role.
    Configuration,
    /// It is done at regular times.
    Schedule,
    /// A lease, or what it was bound to, has come to its end.
    Expiry,
    /// Whoever runs the host asked for it.
    Operator,
    /// The thing that it belonged to is gone.
    Cascade,
    /// An earlier attempt was cut short, and this finishes or undoes it.
    Recovery,
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
    /// The hosts that the mount may connect to.
    pub grants: Arc<Grants>,
    /// PEM certificates that TLS to upstream trusts beside the public roots.
    pub extra_roots: Arc<[rustls_pki_types::CertificateDer<'static>]>,
    /// The proxy by which HTTP leaves; none where it goes straight to upstream.
    pub proxy: Option<Arc<Proxy>>,
    /// Key of `host.derive` for this mount.
    pub derivation_key: Arc<Secret<[u8; 32]>>,
    /// Says who the mount is; none where there is no server to vouch for it.
    pub identity: Option<Arc<dyn Identity>>,
}

/// Says who a mount is, to upstream systems that trust the host.
#[async_trait]
pub trait Identity: Send + Sync + fmt::Debug {
    /// A token for an audience, for a call of this plugin.
    ///
    /// # Errors
    /// See [`IdentityError`].
    async fn token(
        &self,
        plugin: Digest,
        operation: OperationId,
        audience: &str,
    ) -> Result<Secret<String>, IdentityError>;
}

/// The reason why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// The host has no name as an issuer; the sentence says how to give it one.
    NotConfigured(String),
    /// The mount may not show who it is there; the sentence says how to allow it.
    NotAllowed(String),
    /// The host cannot sign now.
    Unavailable,
}

/// The caller that asked for an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// The token's display name.
    pub display_name: String,
    /// The token's accessor.
    pub accessor: String,
    /// Claims that the login established.
    #[serde(default)]
    pub metadata: Vec<(String, String)>,
    /// The same for one person or program over all its tokens; empty in what was
    /// stored before there was one.
    #[serde(default)]
    pub entity: String,
}

/// The claim whose value is the JSON text of a list where a login made it.
const GROUPS: &str = "groups";

impl Requester {
    /// The claims as lists: a token keeps each as one text.
    pub fn claims(&self) -> Vec<(String, Vec<String>)> {
        let values = |name: &str, text: &str| {
            let listed = (name == GROUPS).then(|| serde_json::from_str(text).ok());
            listed.flatten().unwrap_or_else(|| vec![text.to_owned()])
        };
        let claims = self.metadata.iter();
        claims
            .map(|(name, text)| (name.clone(), values(name, text)))
            .collect()
    }
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
    /// False where nothing stays upstream but what ends by itself there.
    pub leaves_state: bool,
    /// The effect that the end of a lease has upstream.
    #[serde(default)]
    pub revocation: RevocationShape,
    /// The least that the root credential must be allowed upstream.
    #[serde(default)]
    pub privileges: Vec<Privilege>,
    /// Seconds that a new credential may need before upstream honours it.
    pub propagation_s: u32,
    /// The paths below a mount in the words of other clients.
    #[serde(default)]
    pub dialect: Dialect,
    /// The optional interfaces that it exports.
    pub abilities: Abilities,
}

/// The effects that the end of a lease can have upstream. The names are the contract's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationShape {
    /// `revoke` ends the credential, at any time.
    #[default]
    Deletes,
    /// Upstream ends it at the end that it was made with, and nobody earlier.
    ExpiresOnly,
    /// Nothing ends it.
    None,
}

/// The privileges that a root credential needs upstream for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privilege {
    /// `validate`, `issue`, `revoke`, `renew`, `rotate`, `inventory` or `publish`.
    pub purpose: String,
    /// In upstream's own words.
    pub names: Vec<String>,
}

/// Longest life of a credential that nobody can end before its time, which is worth no
/// word: what clouds give a session at most, or nearly.
const UNRECALLED: Duration = Duration::from_secs(24 * 3600);

/// Privileges of one purpose that a failure names; `plugin show` has all of them.
const NAMED: usize = 16;

impl Descriptor {
    /// A warning for the writer of a role whose leases live for `longest` at most, if its
    /// credentials outlive the means to end them upstream.
    pub fn outlives(&self, longest: Length) -> Option<String> {
        let name = &self.name;
        match self.revocation {
            RevocationShape::Deletes => None,
            RevocationShape::None => Some(format!(
                "{name} says that nothing ends its credentials upstream: they go on after their lease, \
                     which ends after {longest} at the latest"
            )),
            // A revocation list tells of those that are not to be trusted any more.
            RevocationShape::ExpiresOnly if !self.abilities.publication.is_empty() => None,
            RevocationShape::ExpiresOnly => match longest {
                Length::For(longest) if longest <= UNRECALLED => None,
                Length::For(_) => Some(format!(
                    "{name} says that its credentials end by themselves alone: one that is revoked goes on \
                     upstream to its own end, for up to {longest}; a shorter max_ttl bounds that"
                )),
                Length::Never => Some(format!(
                    "{name} says that its credentials end by themselves alone: one of a lease without end is \
                     ended by nobody"
                )),
            },
        }
    }

    /// The privileges that the root credential needs upstream for a purpose, as a sentence; none
    /// where the provider does not say.
    pub fn needs(&self, purpose: &str) -> Option<String> {
        let mut named = self.privileges.iter();
        let named = named.find(|privilege| privilege.purpose == purpose)?;
        let names: Vec<&str> = named.names.iter().map(String::as_str).collect();
        let (first, rest) = names.split_at(names.len().min(NAMED));
        if first.is_empty() {
            return None;
        }
        let more = match rest.len() {
            0 => String::new(),
            more => format!(" and {more} more (`lessor plugin show {}`)", self.name),
        };
        let names = first.join(", ");
        Some(format!(
            "to {purpose}, the root credential needs {names}{more}"
        ))
    }
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

/// The reason why a call failed, by what can be done about it. The names are the contract's.
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
    /// The time when upstream said to come back.
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
    /// The principal upstream that the root credential belongs to.
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
    /// Until upstream honours it, where that is not at once.
    pub effective_in: Option<Duration>,
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
    /// The time when it was revoked.
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
    /// The time for which the host may answer with them.
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
    let packages = ["lessor:plugin/provider@", "lessor:provider/provider@"];
    let contract = packages.iter().find_map(|package| {
        exports
            .iter()
            .find_map(|export| export.strip_prefix(package))
    });
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

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "cloud".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            config_schema: Value::Null,
            role_schema: Value::Null,
            request_schema: Value::Null,
            credential_schema: Value::Null,
            endpoints: Vec::new(),
            name_limit: 0,
            leaves_state: true,
            revocation: RevocationShape::Deletes,
            privileges: Vec::new(),
            propagation_s: 0,
            dialect: Dialect::default(),
            abilities: Abilities::default(),
        }
    }

    #[test]
    fn a_role_that_outlives_what_can_end_its_credentials_is_told_of() {
        let day = Length::For(UNRECALLED);
        let longer = Length::For(UNRECALLED + Duration::from_secs(1));
        for (revocation, publishes, longest, says) in [
            (RevocationShape::Deletes, false, Length::Never, None),
            (RevocationShape::ExpiresOnly, false, day, None),
            (RevocationShape::ExpiresOnly, false, longer, Some("max_ttl")),
            (
                RevocationShape::ExpiresOnly,
                false,
                Length::Never,
                Some("nobody"),
            ),
            (RevocationShape::ExpiresOnly, true, Length::Never, None),
            (RevocationShape::None, false, day, Some("nothing ends")),
            (RevocationShape::None, true, day, Some("nothing ends")),
        ] {
            let mut cloud = descriptor();
            cloud.revocation = revocation;
            cloud.abilities.publication = publishes.then(|| "crl".into()).into_iter().collect();
            let warned = cloud.outlives(longest);
            match says {
                None => assert_eq!(warned, None, "{revocation:?} {longest}"),
                Some(says) => assert!(warned.unwrap().contains(says), "{revocation:?} {longest}"),
            }
        }
    }

    #[test]
    fn what_a_purpose_needs_is_named_and_where_it_is_much_cut_off() {
        let mut cloud = descriptor();
        let of = |purpose: &str, names: &[&str]| Privilege {
            purpose: purpose.into(),
            names: names.iter().copied().map(Into::into).collect(),
        };
        let many = ["x"; NAMED + 2];
        cloud.privileges = vec![
            of("issue", &["iam:CreateUser", "iam:TagUser"]),
            of("revoke", &[]),
            of("rotate", &many),
        ];
        let needs = cloud.needs("issue").unwrap();
        assert_eq!(
            needs,
            "to issue, the root credential needs iam:CreateUser, iam:TagUser"
        );
        assert_eq!(cloud.needs("revoke"), None);
        assert_eq!(cloud.needs("renew"), None);
        let needs = cloud.needs("rotate").unwrap();
        assert!(needs.ends_with("x and 2 more (`lessor plugin show cloud`)"));
    }

    #[test]
    fn groups_are_a_list_and_all_else_is_one_value() {
        let of = |name: &str, text: &str| Requester {
            display_name: String::new(),
            accessor: String::new(),
            metadata: vec![(name.into(), text.into())],
            entity: String::new(),
        };
        for (name, text, expected) in [
            ("groups", r#"["ops", "dev"]"#, vec!["ops", "dev"]),
            ("groups", "[]", vec![]),
            ("groups", "ops", vec!["ops"]),
            ("groups", "[1]", vec!["[1]"]),
            ("team", r#"["ops"]"#, vec![r#"["ops"]"#]),
        ] {
            let claims = of(name, text).claims();
            assert_eq!(
                claims,
                [(
                    name.to_owned(),
                    expected.into_iter().map(Into::into).collect()
                )]
            );
        }
    }

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
