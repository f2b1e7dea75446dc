//! What an operator sets on a mount, checked before it is stored.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::vault_settings::VaultSettings;
use crate::{grants::Grants, lifetime::Length, pem, refusal::Refusal, suggest};

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

/// What an operator sets on a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tune {
    /// Length of a lease that asks for none.
    #[serde(with = "seconds")]
    pub default_lease_ttl: Duration,
    /// Longest length of a lease; never: what a role says.
    pub max_lease_ttl: Length,
    /// Whether leases end with their role, where its removal does not say.
    #[serde(default)]
    pub revoke_leases_with_role: bool,
    /// Where the provider may connect to: `scheme://host[:port]`.
    pub allowed_hosts: Vec<String>,
    /// PEM certificates that TLS to upstream trusts beside the public roots.
    pub extra_roots: String,
    /// Cap on leases; 0: none.
    pub max_leases: u64,
    /// Calls at a time.
    pub max_concurrency: u32,
    /// Whom calls may show which mount they are, by a token that the host signs.
    #[serde(default)]
    pub identity_audiences: Vec<String>,
    /// Limit of one call.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Limit of a task, and of the call that one makes.
    #[serde(with = "seconds", default = "default_task_timeout")]
    pub task_timeout: Duration,
    /// What Vault's clients set beyond that.
    #[serde(default)]
    pub vault: VaultSettings,
}

/// For mounts stored before there were tasks, too.
fn default_task_timeout() -> Duration {
    DEFAULT_TASK_TIMEOUT
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
            timeout: DEFAULT_TIMEOUT,
            task_timeout: DEFAULT_TASK_TIMEOUT,
            vault: VaultSettings::default(),
        }
    }
}

impl Tune {
    /// Refuses values that cannot work, naming the field.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self) -> Result<(), Refusal> {
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
        Grants::parse(&self.allowed_hosts)
            .map_err(|error| Refusal::Invalid(format!("allowed_hosts: {error}")))?;
        certificates(&self.extra_roots)?;
        Ok(())
    }
}

/// What to change of a mount; absent stays.
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
    /// See [`Tune`].
    pub timeout: Option<Duration>,
    /// See [`Tune`].
    pub task_timeout: Option<Duration>,
    /// Those to be changed; empty: not set any more.
    pub vault: VaultSettings,
    /// For people.
    pub description: Option<String>,
    /// Another pinned version; empty: follow the newest.
    pub plugin_version: Option<String>,
}

impl TunePatch {
    /// The lengths of leases that the patch comes to: the default and the longest.
    pub fn lifetimes(&self, former: &Tune) -> (Duration, Length) {
        let max = match self.max_lease_ttl {
            None => former.max_lease_ttl,
            Some(None) => Length::For(DEFAULT_TTL),
            Some(Some(max)) => max.in_seconds(),
        };
        let default = match self.default_lease_ttl {
            // Nor is it one to a default that followed the former maximum.
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
            // Whoever chose one hears of the contradiction.
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
                tune.check().unwrap_err().to_string().contains(field),
                "{field}"
            );
        }
        assert!(Tune::default().check().is_ok());
    }
}
