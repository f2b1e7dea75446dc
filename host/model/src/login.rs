//! Logins: the kinds of methods, how one is tuned, which of its paths are logins, and
//! what is known of a secret id.

use std::{collections::BTreeMap, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    life::SYSTEM_TTL, lockout::Lockout, token::RoleTokenKind, vault_settings::VaultSettings,
};
use crate::{clock::Timestamp, refusal::Refusal};

/// How callers of a login method prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A role id and a secret id.
    AppRole,
    /// A name and a password.
    Userpass,
    /// A signed token of somebody else.
    Jwt,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AppRole, Self::Userpass, Self::Jwt];

    /// The name in requests, answers and storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppRole => "approle",
            Self::Userpass => "userpass",
            Self::Jwt => "jwt",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What its entries are called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::AppRole | Self::Jwt => "role",
            Self::Userpass => "user",
        }
    }

    /// Whether failed logins of one name lock it: not where every login brings
    /// proof that nobody can guess at.
    pub fn locks_out(self) -> bool {
        matches!(self, Self::AppRole | Self::Userpass)
    }
}

/// What an operator sets on a login method. A span of zero is the system's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoginTune {
    /// Length of a token whose role says nothing.
    pub default_lease_ttl: Duration,
    /// Longest life of its tokens.
    pub max_lease_ttl: Duration,
    /// The kind of its tokens, where the role leaves that open.
    pub token_type: RoleTokenKind,
    /// Lock-out of names that fail.
    pub lockout: Lockout,
    /// What Vault's clients set beyond that.
    pub vault: VaultSettings,
}

impl LoginTune {
    /// Longest life of its tokens, as it counts.
    pub fn longest(&self) -> Duration {
        match self.max_lease_ttl {
            Duration::ZERO => SYSTEM_TTL,
            longest => longest.min(SYSTEM_TTL),
        }
    }

    /// Length of a token whose role says nothing, as it counts.
    pub fn usual(&self) -> Duration {
        match self.default_lease_ttl {
            Duration::ZERO => self.longest(),
            usual => usual.min(self.longest()),
        }
    }

    /// Refuses values that cannot work, naming the field.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.default_lease_ttl > self.longest() {
            return Err(Refusal::Invalid(format!(
                "default_lease_ttl ({} s) must not be longer than max_lease_ttl ({} s)",
                self.default_lease_ttl.as_secs(),
                self.longest().as_secs()
            )));
        }
        self.lockout.check()
    }
}

/// What to change of a login method; absent stays.
#[derive(Clone, Debug, Default)]
pub struct LoginTunePatch {
    /// See [`LoginTune`].
    pub default_lease_ttl: Option<Duration>,
    /// See [`LoginTune`].
    pub max_lease_ttl: Option<Duration>,
    /// See [`LoginTune`].
    pub token_type: Option<RoleTokenKind>,
    /// For people.
    pub description: Option<String>,
    /// See [`Lockout`].
    pub lockout_threshold: Option<u32>,
    /// See [`Lockout`].
    pub lockout_duration: Option<Duration>,
    /// See [`Lockout`].
    pub lockout_counter_reset: Option<Duration>,
    /// See [`Lockout`].
    pub lockout_disabled: Option<bool>,
    /// Those to be changed; empty: not set any more.
    pub vault: VaultSettings,
}

impl LoginTunePatch {
    /// Whether it says anything of lock-out.
    pub fn concerns_lockout(&self) -> bool {
        self.lockout_threshold.is_some()
            || self.lockout_duration.is_some()
            || self.lockout_counter_reset.is_some()
            || self.lockout_disabled.is_some()
    }

    /// `former` with these changes.
    pub fn applied_to(&self, former: &LoginTune) -> LoginTune {
        let lockout = former.lockout;
        LoginTune {
            default_lease_ttl: self.default_lease_ttl.unwrap_or(former.default_lease_ttl),
            max_lease_ttl: self.max_lease_ttl.unwrap_or(former.max_lease_ttl),
            token_type: self.token_type.unwrap_or(former.token_type),
            lockout: Lockout {
                threshold: self.lockout_threshold.unwrap_or(lockout.threshold),
                duration: self.lockout_duration.unwrap_or(lockout.duration),
                counter_reset: self.lockout_counter_reset.unwrap_or(lockout.counter_reset),
                disabled: self.lockout_disabled.unwrap_or(lockout.disabled),
            },
            vault: former.vault.changed(&self.vault),
        }
    }
}

/// What is known of a secret id beside its hash, uses and end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretIdFacts {
    /// From where it may be used; empty: from anywhere.
    pub cidr_list: Vec<IpNet>,
    /// From where its tokens may be used; empty: as the role says.
    pub token_bound_cidrs: Vec<IpNet>,
    /// What stands in its tokens.
    pub metadata: BTreeMap<String, String>,
    /// How long it was made for; 0: for ever.
    pub ttl: Duration,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used or made.
    pub updated_at: Timestamp,
}

impl Default for SecretIdFacts {
    fn default() -> Self {
        Self {
            cidr_list: Vec::new(),
            token_bound_cidrs: Vec::new(),
            metadata: BTreeMap::new(),
            ttl: Duration::ZERO,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_zero_are_the_systems() {
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
            let tune = LoginTune {
                default_lease_ttl: hours(default),
                max_lease_ttl: hours(max),
                ..LoginTune::default()
            };
            assert_eq!(tune.usual(), hours(usual), "{default} {max}");
            assert_eq!(tune.longest(), hours(longest), "{default} {max}");
            assert_eq!(tune.check().is_ok(), fits, "{default} {max}");
        }
    }
}
