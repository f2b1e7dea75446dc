//! Logins: the kinds of methods, and the facts about a secret id.

use std::{collections::BTreeMap, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The way in which callers of a login method prove who they are.
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

    /// The word for its entries.
    pub fn noun(self) -> &'static str {
        match self {
            Self::AppRole | Self::Jwt => "role",
            Self::Userpass => "user",
        }
    }

    /// Whether failed logins of one name lock it. They do not where a login's proof cannot be
    /// guessed.
    pub fn locks_out(self) -> bool {
        matches!(self, Self::AppRole | Self::Userpass)
    }
}

/// The facts about a secret id beside its hash, uses and end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretIdFacts {
    /// From where it may be used; empty: from anywhere.
    pub cidr_list: Vec<IpNet>,
    /// From where its tokens may be used; empty: as the role says.
    pub token_bound_cidrs: Vec<IpNet>,
    /// The metadata of its tokens.
    pub metadata: BTreeMap<String, String>,
    /// The lifetime that it was made with; 0: for ever.
    pub ttl: Duration,
    /// The time when it was made.
    pub created_at: Timestamp,
    /// The time when it was used or made.
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
