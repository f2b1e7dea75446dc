//! The kinds of mounts, and the settings of one, checked before they are stored.

use std::{sync::Arc, time::Duration};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::{
    life::SYSTEM_TTL, lockout::Lockout, login, token::RoleTokenKind, vault_settings::VaultSettings,
};
use crate::{
    grants::Grants,
    id::MountPath,
    lifetime::Length,
    pem,
    proxy::{NoProxy, ProxyUrl},
    refusal::Refusal,
    secret::Secret,
    suggest, tags,
};

/// The kinds of things that are mounted at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A provider: it makes credentials upstream.
    Provider,
    /// A login method: it gives tokens.
    Login(login::Kind),
}

/// The prefix of a login method's path.
const BEFORE_LOGINS: &str = "auth/";

impl Kind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        let logins = login::Kind::ALL.into_iter().map(Self::Login);
        std::iter::once(Self::Provider).chain(logins)
    }

    /// The name in storage; the name of the plugin says which provider or method runs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Login(_) => "login",
        }
    }

    /// Reads the name, with that of the plugin.
    pub fn parse(text: &str, plugin: &str) -> Option<Self> {
        match text {
            "provider" => Some(Self::Provider),
            "login" => login::Kind::parse(plugin).map(Self::Login),
            _ => None,
        }
    }

    /// The word for such a mount, for people.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Provider => "mount",
            Self::Login(_) => "login method",
        }
    }

    /// Whether two kinds share one space of paths: a provider's path and a login method's never
    /// meet.
    pub fn is_beside(self, other: Self) -> bool {
        self.prefix() == other.prefix()
    }

    /// The whole path of such a mount, as it stands behind `/v1/`.
    pub fn whole_path(self, path: &MountPath) -> String {
        format!("{}{path}", self.prefix())
    }

    /// A whole path without the prefix of such mounts.
    pub fn own_path(self, whole: &str) -> Option<&str> {
        whole.strip_prefix(self.prefix())
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Provider => "",
            Self::Login(_) => BEFORE_LOGINS,
        }
    }
}

/// Vault's default for both TTLs, 32 days.
pub const DEFAULT_TTL: Duration = Duration::from_secs(768 * 3600);

/// Default and longest time for one provider call.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Default and shortest time for a task; the longest is that of a call.
const DEFAULT_TASK_TIMEOUT: Duration = Duration::from_secs(600);
const SHORTEST_TASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls of one mount at a time, unless tuned. An upstream that hangs then holds
/// this many sandboxes and no more.
const DEFAULT_CONCURRENCY: u32 = 64;

/// Audiences that one mount may show itself to: one or two for each upstream system.
const AUDIENCES: usize = 16;

/// Bytes of the longest audience: URLs and client ids are shorter.
const LONGEST_AUDIENCE: usize = 512;

/// An operator's settings of a mount, of any kind. A setting that a kind does not use has its
/// default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tune {
    /// Length of a lease that asks for none, or of a token whose role says nothing; of a
    /// login method, 0: the system's.
    #[serde(with = "seconds")]
    pub default_lease_ttl: Duration,
    /// Longest length of a lease, or of a token; never: what a role says. Of a login
    /// method, 0: the system's.
    pub max_lease_ttl: Length,
    /// Whether leases end with their role, where its removal does not say.
    pub revoke_leases_with_role: bool,
    /// Where the provider may connect to: `scheme://host[:port]`.
    pub allowed_hosts: Vec<String>,
    /// PEM certificates that TLS to upstream trusts beside the public roots.
    pub extra_roots: String,
    /// Cap on leases; 0: none.
    pub max_leases: u64,
    /// Calls at a time.
    pub max_concurrency: u32,
    /// The audiences to which calls may prove which mount they are, by a token that the host signs.
    #[serde(default)]
    pub identity_audiences: Vec<String>,
    /// The proxy by which HTTP leaves: `http://host:port`; empty: none.
    #[serde(skip_serializing_if = "is_default")]
    pub http_proxy: String,
    /// The user and password that the proxy is shown, sealed, in hex; empty: none.
    #[serde(skip_serializing_if = "is_default")]
    pub http_proxy_credentials: String,
    /// The hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "is_default")]
    pub no_proxy: Vec<String>,
    /// Whether the mount cannot be removed.
    #[serde(skip_serializing_if = "is_default")]
    pub delete_protection: bool,
    /// The operator's own words for the mount.
    #[serde(skip_serializing_if = "is_default")]
    pub tags: Vec<String>,
    /// Limit of one call.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Limit of a task, and of the call that one makes.
    #[serde(with = "seconds")]
    pub task_timeout: Duration,
    /// The kind of a login method's tokens, where the role leaves that open.
    #[serde(skip_serializing_if = "is_default")]
    pub token_type: RoleTokenKind,
    /// Lock-out of names that fail to log in.
    #[serde(skip_serializing_if = "is_default")]
    pub lockout: Lockout,
    /// Further settings of Vault's clients.
    pub vault: VaultSettings,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            default_lease_ttl: DEFAULT_TTL,
            max_lease_ttl: Length::For(DEFAULT_TTL),
            revoke_leases_with_role: false,
            allowed_hosts: Vec::new(),
            extra_roots: String::new(),
            max_leases: 0,
            max_concurrency: DEFAULT_CONCURRENCY,
            identity_audiences: Vec::new(),
            http_proxy: String::new(),
            http_proxy_credentials: String::new(),
            no_proxy: Vec::new(),
            delete_protection: false,
            tags: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            task_timeout: DEFAULT_TASK_TIMEOUT,
            token_type: RoleTokenKind::default(),
            lockout: Lockout::default(),
            vault: VaultSettings::default(),
        }
    }
}

impl Tune {
    /// The settings of a mount of a kind where none was set.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Provider => Self::default(),
            Kind::Login(_) => Self {
                default_lease_ttl: Duration::ZERO,
                max_lease_ttl: Length::For(Duration::ZERO),
                ..Self::default()
            },
        }
    }

    /// Refuses values that cannot work for a kind of mount, naming the field.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self, kind: Kind) -> Result<(), Refusal> {
        match kind {
            Kind::Provider => self.check_provider(),
            Kind::Login(_) => self.check_login(),
        }
    }

    /// Longest life of a login method's tokens, as it counts.
    pub fn longest(&self) -> Duration {
        match self.max_lease_ttl {
            Length::For(Duration::ZERO) | Length::Never => SYSTEM_TTL,
            Length::For(longest) => longest.min(SYSTEM_TTL),
        }
    }

    /// Length of a login method's token whose role says nothing, as it counts.
    pub fn usual(&self) -> Duration {
        match self.default_lease_ttl {
            Duration::ZERO => self.longest(),
            usual => usual.min(self.longest()),
        }
    }

    fn check_login(&self) -> Result<(), Refusal> {
        if self.default_lease_ttl > self.longest() {
            return Err(Refusal::Invalid(format!(
                "default_lease_ttl ({} s) must not be longer than max_lease_ttl ({} s)",
                self.default_lease_ttl.as_secs(),
                self.longest().as_secs()
            )));
        }
        self.lockout.check()
    }

    fn check_provider(&self) -> Result<(), Refusal> {
        let refuse = |sentence: String| Err(Refusal::Invalid(sentence));
        let default = Length::For(self.default_lease_ttl);
        if self.max_lease_ttl == Length::For(Duration::ZERO) {
            return refuse("max_lease_ttl must be longer than 0".into());
        }
        if default > self.max_lease_ttl {
            return refuse(format!(
                "default_lease_ttl ({default}) must not be longer than max_lease_ttl ({})",
                self.max_lease_ttl
            ));
        }
        if self.max_concurrency == 0 || self.max_concurrency > 10_000 {
            return refuse("max_concurrency must be from 1 to 10000".into());
        }
        if self.timeout < Duration::from_secs(1) || self.timeout > LONGEST_TIMEOUT {
            return refuse("timeout must be from 1s to 24h".into());
        }
        if self.task_timeout < SHORTEST_TASK_TIMEOUT || self.task_timeout > LONGEST_TIMEOUT {
            return refuse("task_timeout must be from 10s to 24h".into());
        }
        if self.identity_audiences.len() > AUDIENCES {
            return refuse(format!(
                "identity_audiences has more than {AUDIENCES} entries"
            ));
        }
        let fits = |audience: &String| {
            (1..=LONGEST_AUDIENCE).contains(&audience.len())
                && audience.chars().all(|c| !c.is_control() && c != ' ')
        };
        if let Some(wrong) = self.identity_audiences.iter().find(|it| !fits(it)) {
            return refuse(format!(
                "identity_audiences has {:?}, which is not a text of 1 to {LONGEST_AUDIENCE} bytes without blanks, \
                 such as sts.amazonaws.com",
                suggest::shown(wrong)
            ));
        }
        NoProxy::parse(&self.no_proxy).map_err(Refusal::Invalid)?;
        tags::check(&self.tags).map_err(Refusal::Invalid)?;
        Grants::parse(&self.allowed_hosts)
            .map_err(|error| Refusal::Invalid(format!("allowed_hosts: {error}")))?;
        certificates(&self.extra_roots)?;
        Ok(())
    }
}

/// Changes to a mount; an absent setting stays.
#[derive(Clone, Debug, Default)]
pub struct TunePatch {
    /// See [`Tune`]; 0: what a mount has that names none, as Vault's clients mean it.
    pub default_lease_ttl: Option<Duration>,
    /// See [`Tune`]; a length of none is what a mount has that names none.
    pub max_lease_ttl: Option<Option<Length>>,
    /// See [`Tune`].
    pub revoke_leases_with_role: Option<bool>,
    /// See [`Tune`].
    pub allowed_hosts: Option<Vec<String>>,
    /// See [`Tune`].
    pub extra_roots: Option<String>,
    /// See [`Tune`].
    pub max_leases: Option<u64>,
    /// See [`Tune`].
    pub max_concurrency: Option<u32>,
    /// See [`Tune`].
    pub identity_audiences: Option<Vec<String>>,
    /// See [`Tune`]. Another proxy is shown no credentials that were meant for the former.
    pub http_proxy: Option<String>,
    /// The user and password that the proxy is shown; empty: none. Whoever stores the
    /// settings seals them.
    pub http_proxy_credentials: Option<Arc<Secret<String>>>,
    /// See [`Tune`].
    pub no_proxy: Option<Vec<String>>,
    /// See [`Tune`].
    pub delete_protection: Option<bool>,
    /// See [`Tune`].
    pub tags: Option<Vec<String>>,
    /// See [`Tune`].
    pub timeout: Option<Duration>,
    /// See [`Tune`].
    pub task_timeout: Option<Duration>,
    /// See [`Tune`].
    pub token_type: Option<RoleTokenKind>,
    /// See [`Lockout`].
    pub lockout_threshold: Option<u32>,
    /// See [`Lockout`].
    pub lockout_duration: Option<Duration>,
    /// See [`Lockout`].
    pub lockout_counter_reset: Option<Duration>,
    /// See [`Lockout`].
    pub lockout_disabled: Option<bool>,
    /// The settings that are to be changed; empty: not set any more.
    pub vault: VaultSettings,
    /// For people.
    pub description: Option<String>,
    /// Another pinned version; empty: follow the newest.
    pub plugin_version: Option<String>,
}

impl TunePatch {
    /// `former` with these changes, as a kind of mount has it.
    ///
    /// # Errors
    /// One sentence, where that cannot work.
    pub fn applied_to(&self, kind: Kind, former: &Tune) -> Result<Tune, Refusal> {
        if let Kind::Login(login) = kind
            && self.concerns_lockout()
            && !login.locks_out()
        {
            return Err(Refusal::Invalid(format!(
                "user_lockout_config is for approle and userpass: logins of {} are not counted",
                login.as_str()
            )));
        }
        let (default_lease_ttl, max_lease_ttl) = match kind {
            Kind::Provider => self.lifetimes(former),
            Kind::Login(_) => (
                self.default_lease_ttl.unwrap_or(former.default_lease_ttl),
                self.max_lease_ttl.map_or(former.max_lease_ttl, |max| {
                    max.unwrap_or(Length::For(Duration::ZERO))
                }),
            ),
        };
        let (http_proxy, http_proxy_credentials) = self.proxy(former)?;
        let (named, lockout) = (self.clone(), former.lockout);
        let tune = Tune {
            default_lease_ttl,
            max_lease_ttl,
            revoke_leases_with_role: named
                .revoke_leases_with_role
                .unwrap_or(former.revoke_leases_with_role),
            allowed_hosts: named
                .allowed_hosts
                .unwrap_or_else(|| former.allowed_hosts.clone()),
            extra_roots: named
                .extra_roots
                .unwrap_or_else(|| former.extra_roots.clone()),
            max_leases: named.max_leases.unwrap_or(former.max_leases),
            max_concurrency: named.max_concurrency.unwrap_or(former.max_concurrency),
            identity_audiences: named
                .identity_audiences
                .unwrap_or_else(|| former.identity_audiences.clone()),
            http_proxy,
            http_proxy_credentials,
            no_proxy: named.no_proxy.unwrap_or_else(|| former.no_proxy.clone()),
            delete_protection: named.delete_protection.unwrap_or(former.delete_protection),
            tags: named.tags.unwrap_or_else(|| former.tags.clone()),
            timeout: named.timeout.unwrap_or(former.timeout),
            task_timeout: named.task_timeout.unwrap_or(former.task_timeout),
            token_type: named.token_type.unwrap_or(former.token_type),
            lockout: Lockout {
                threshold: named.lockout_threshold.unwrap_or(lockout.threshold),
                duration: named.lockout_duration.unwrap_or(lockout.duration),
                counter_reset: named.lockout_counter_reset.unwrap_or(lockout.counter_reset),
                disabled: named.lockout_disabled.unwrap_or(lockout.disabled),
            },
            vault: former.vault.changed(&named.vault),
        };
        tune.check(kind)?;
        Ok(tune)
    }

    /// The proxy after the patch, and the sealed credentials that stay for it.
    fn proxy(&self, former: &Tune) -> Result<(String, String), Refusal> {
        let kept = former.http_proxy_credentials.clone();
        let url = match &self.http_proxy {
            None => return Ok((former.http_proxy.clone(), kept)),
            Some(url) if url.is_empty() => return Ok((String::new(), String::new())),
            Some(url) => ProxyUrl::parse(url)
                .map_err(|reason| Refusal::Invalid(format!("http_proxy {reason}")))?
                .to_string(),
        };
        match url == former.http_proxy {
            true => Ok((url, kept)),
            false if kept.is_empty() || self.http_proxy_credentials.is_some() => {
                Ok((url, String::new()))
            }
            false => Err(Refusal::Invalid(format!(
                "http_proxy_credentials must be given with another http_proxy, because the stored ones are for {}; \
                 leave them empty for none",
                former.http_proxy
            ))),
        }
    }

    /// Whether it says anything of lock-out.
    fn concerns_lockout(&self) -> bool {
        self.lockout_threshold.is_some()
            || self.lockout_duration.is_some()
            || self.lockout_counter_reset.is_some()
            || self.lockout_disabled.is_some()
    }

    /// The lengths of leases after the patch: the default and the longest.
    fn lifetimes(&self, former: &Tune) -> (Duration, Length) {
        let max = match self.max_lease_ttl {
            None => former.max_lease_ttl,
            Some(None) => Length::For(DEFAULT_TTL),
            Some(Some(max)) => max.in_seconds(),
        };
        let default = match self.default_lease_ttl {
            // A default that followed the former maximum is cut to the new one.
            None => match max {
                Length::For(max) if former.default_lease_ttl == unset(former.max_lease_ttl) => {
                    former.default_lease_ttl.min(max)
                }
                _ => former.default_lease_ttl,
            },
            // A shorter maximum is no contradiction to a default nobody chose.
            Some(Duration::ZERO) => unset(max),
            Some(default) => default,
        };
        (default, max)
    }
}

/// The default length where nobody has set one.
fn unset(max: Length) -> Duration {
    match max {
        Length::For(max) => DEFAULT_TTL.min(max),
        Length::Never => DEFAULT_TTL,
    }
}

/// The authorities in `extra_roots`; none where it is blank.
fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    pem::authorities(text).map_err(|reason| Refusal::Invalid(format!("extra_roots {reason}")))
}

/// Durations in JSON as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(span.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_nobody_chose_is_shortened_with_the_maximum() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        for (default, former, max, expected) in [
            (768, 768, 24, 24),
            (24, 24, 12, 12),
            (24, 24, 48, 24),
            (1, 24, 12, 1),
            // A default that somebody chose is refused as a contradiction.
            (20, 24, 12, 20),
        ] {
            let former = Tune {
                default_lease_ttl: hours(default),
                max_lease_ttl: Length::For(hours(former)),
                ..Tune::default()
            };
            let patch = TunePatch {
                max_lease_ttl: Some(Some(Length::For(hours(max)))),
                ..TunePatch::default()
            };
            let (default, _) = patch.lifetimes(&former);
            assert_eq!(default, hours(expected), "{max}");
        }
    }

    #[test]
    fn a_lifetime_of_zero_is_the_systems() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let former = Tune {
            default_lease_ttl: hours(1),
            max_lease_ttl: Length::For(hours(2)),
            ..Tune::default()
        };
        for (default, max, expected) in [
            (None, None, (1, 2)),
            (Some(2), None, (2, 2)),
            (Some(0), None, (2, 2)),
            (None, Some(0), (1, 768)),
            (Some(0), Some(0), (768, 768)),
            (Some(0), Some(3), (3, 3)),
        ] {
            let length = |number: u64| (number > 0).then(|| Length::For(hours(number)));
            let patch = TunePatch {
                default_lease_ttl: default.map(hours),
                max_lease_ttl: max.map(length),
                ..TunePatch::default()
            };
            let expected = (hours(expected.0), Length::For(hours(expected.1)));
            assert_eq!(patch.lifetimes(&former), expected, "{default:?} {max:?}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_field() {
        let cases = [
            (
                Tune {
                    max_lease_ttl: Length::For(Duration::ZERO),
                    ..Tune::default()
                },
                "max_lease_ttl",
            ),
            (
                Tune {
                    max_lease_ttl: Length::For(Duration::from_secs(1)),
                    ..Tune::default()
                },
                "default_lease_ttl",
            ),
            (
                Tune {
                    max_concurrency: 0,
                    ..Tune::default()
                },
                "max_concurrency",
            ),
            (
                Tune {
                    timeout: Duration::ZERO,
                    ..Tune::default()
                },
                "timeout",
            ),
            (
                Tune {
                    identity_audiences: vec!["two words".into()],
                    ..Tune::default()
                },
                "identity_audiences",
            ),
            (
                Tune {
                    identity_audiences: vec!["x".into(); AUDIENCES + 1],
                    ..Tune::default()
                },
                "identity_audiences",
            ),
            (
                Tune {
                    extra_roots: "x".into(),
                    ..Tune::default()
                },
                "extra_roots",
            ),
        ];
        for (tune, field) in cases {
            assert!(
                tune.check(Kind::Provider)
                    .unwrap_err()
                    .to_string()
                    .contains(field),
                "{field}"
            );
        }
        assert!(Tune::default().check(Kind::Provider).is_ok());
    }

    #[test]
    fn a_login_methods_spans_of_zero_are_the_systems() {
        const KIND: Kind = Kind::Login(login::Kind::Userpass);
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        for (default, max, usual, longest, fits) in [
            (0, 0, 768, 768, true),
            (1, 0, 1, 768, true),
            (0, 2, 2, 2, true),
            (1, 2, 1, 2, true),
            (3, 2, 2, 2, false),
            (0, 9999, 768, 768, true),
            (769, 0, 768, 768, false),
        ] {
            let tune = Tune {
                default_lease_ttl: hours(default),
                max_lease_ttl: Length::For(hours(max)),
                ..Tune::of(KIND)
            };
            assert_eq!(tune.usual(), hours(usual), "{default} {max}");
            assert_eq!(tune.longest(), hours(longest), "{default} {max}");
            assert_eq!(tune.check(KIND).is_ok(), fits, "{default} {max}");
        }
    }

    #[test]
    fn a_mounts_whole_path_says_what_it_is() {
        let path: MountPath = "team/db".parse().unwrap();
        for (kind, whole) in [
            (Kind::Provider, "team/db"),
            (Kind::Login(login::Kind::Jwt), "auth/team/db"),
        ] {
            assert_eq!(kind.whole_path(&path), whole);
            assert_eq!(kind.own_path(whole), Some("team/db"));
        }
        assert_eq!(Kind::Login(login::Kind::Jwt).own_path("team/db"), None);
    }
}
