//! Tokens: how a token is kept, and the standard `token_*` parameters, by which a role of a
//! login method or a token role describes the tokens that it makes.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::addresses::admits;

/// The kind of a token: whether it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A row.
    Service,
    /// Sealed in itself.
    Batch,
}

impl TokenKind {
    /// The name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Batch => "batch",
        }
    }
}

/// The kind of token that a role makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleTokenKind {
    /// Service, unless a caller may choose and does.
    #[default]
    DefaultService,
    /// Batch, unless a caller may choose and does.
    DefaultBatch,
    /// Service alone.
    Service,
    /// Batch alone.
    Batch,
}

impl RoleTokenKind {
    const ALL: [Self; 4] = [
        Self::DefaultService,
        Self::DefaultBatch,
        Self::Service,
        Self::Batch,
    ];

    /// The name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefaultService => "default-service",
            Self::DefaultBatch => "default-batch",
            Self::Service => "service",
            Self::Batch => "batch",
        }
    }

    /// Reads the name; the empty one and `default` leave it to the program.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text == "default" {
            return Some(Self::default());
        }
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind of a token for which a caller asked, or did not.
    pub fn choose(self, asked: Option<TokenKind>) -> TokenKind {
        match self {
            Self::Service => TokenKind::Service,
            Self::Batch => TokenKind::Batch,
            Self::DefaultService => asked.unwrap_or(TokenKind::Service),
            Self::DefaultBatch => asked.unwrap_or(TokenKind::Batch),
        }
    }
}

/// The parameters of a role's or user's tokens. A span of zero leaves the length to the mount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenParameters {
    /// Length of a token.
    pub ttl: Duration,
    /// Longest life by renewals.
    pub max_ttl: Duration,
    /// Longest life, fixed when the token is made.
    pub explicit_max_ttl: Duration,
    /// Length of each renewal, without a longest life.
    pub period: Duration,
    /// Names of policies.
    pub policies: Vec<String>,
    /// Whether `default` is left out.
    pub no_default_policy: bool,
    /// Requests that a token may make; 0: any number.
    pub num_uses: u32,
    /// Addresses that may log in and use the token; empty: all.
    pub bound_cidrs: Vec<IpNet>,
    /// The kind of token.
    pub kind: RoleTokenKind,
    /// Older names, without `token_`, by which parameters were written: they are shown under
    /// these, too.
    pub older_names: BTreeSet<String>,
}

impl TokenParameters {
    /// Whether somebody at `peer` may have such a token.
    pub fn admits(&self, peer: IpAddr) -> bool {
        admits(&self.bound_cidrs, peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_decides_the_kind_unless_it_leaves_it_to_the_caller() {
        use TokenKind::{Batch, Service};
        for (role, asked, expected) in [
            ("", None, Service),
            ("", Some(Batch), Batch),
            ("default-service", Some(Service), Service),
            ("default-batch", None, Batch),
            ("default-batch", Some(Service), Service),
            ("service", Some(Batch), Service),
            ("batch", Some(Service), Batch),
            ("batch", None, Batch),
        ] {
            let role = RoleTokenKind::parse(role).unwrap();
            assert_eq!(role.choose(asked), expected, "{role:?} {asked:?}");
        }
        assert_eq!(RoleTokenKind::parse("root"), None);
    }
}
