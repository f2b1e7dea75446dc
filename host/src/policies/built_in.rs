//! The policies that are there before anybody wrote one.

use crate::token::{DEFAULT, WRAPPING};

/// A policy of this program.
#[derive(Clone, Copy, Debug)]
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    /// As if it had been written so often: Vault writes it once at the start.
    pub(super) version: i64,
}

/// The built-in policy of a name.
pub(super) fn built_in(name: &str) -> Option<BuiltIn> {
    ALL.into_iter().find(|built_in| built_in.name == name)
}

const ALL: [BuiltIn; 2] = [
    BuiltIn {
        name: DEFAULT,
        text: DEFAULT_TEXT,
        version: 1,
    },
    BuiltIn {
        name: WRAPPING,
        text: WRAPPING_TEXT,
        version: 1,
    },
];

/// The text that Vault documents for it, as far as the paths exist here.
const DEFAULT_TEXT: &str = r#"# What every token may do about itself, and with what it was handed.

# The token in use: what it is, longer, and over.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# What its policies allow.
path "sys/capabilities-self" {
  capabilities = ["update"]
}

# Mounts, as clients ask for them before they use one. The answer is only about
# mounts that the token may use.
path "sys/internal/ui/mounts" {
  capabilities = ["read"]
}
path "sys/internal/ui/mounts/*" {
  capabilities = ["read"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Leases whose id it knows.
path "sys/leases/lookup" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/renew" {
  capabilities = ["update"]
}

# Answers that wait for whoever holds their token.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["read", "update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
"#;

/// The token of a wrapped answer takes the answer and nothing else.
const WRAPPING_TEXT: &str = r#"path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
"#;
