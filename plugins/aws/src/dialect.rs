//! The words of Vault's engine for AWS, where they are others than the host's: its paths, and
//! the fields of their requests and answers
//! (<https://developer.hashicorp.com/vault/api-docs/secret/aws>).
//!
//! The fields of [`Config`](crate::Config) and [`Role`](crate::Role) have the engine's names
//! already, and the host itself serves `config/rotate-root`, `roles` and `creds/{role}`.

use lessor_sdk::{Alias, Does, Form};
use serde_json::json;

/// The fields of a config that the engine shows, and here are left out where they are not set.
const SHOWN: [&str; 7] = [
    "iam_endpoint",
    "sts_endpoint",
    "sts_region",
    "role_arn",
    "external_id",
    "identity_token_audience",
    "username_template",
];

/// The fields of a role that the engine shows as text.
const TEXTS: [&str; 5] = [
    "policy_document",
    "user_path",
    "permissions_boundary_arn",
    "external_id",
    "mfa_serial_number",
];

/// The fields of a role that the engine shows as lists.
const LISTS: [&str; 3] = ["policy_arns", "role_arns", "iam_groups"];

/// All paths that mean more than the host's own do.
pub(crate) fn aliases() -> Vec<Alias> {
    let root = |does| Alias::new("config/root", does, "The account, and its root credential.");
    let lease = |does| Alias::new("config/lease", does, "How long leases of the mount live.");
    let role = |does| Alias::new("roles/{role}", does, "A role.");

    let read_root = root(Does::ReadConfig)
        .gives("access_key", "config.access_key")
        .tells("access_key", "")
        .gives("region", "config.region")
        // The retries are the host's to choose.
        .tells("max_retries", -1);
    let read_root = SHOWN.into_iter().fold(read_root, |alias, name| {
        alias.gives(name, format!("config.{name}")).tells(name, "")
    });
    let read_role = role(Does::ReadRole)
        .gives_as("credential_types", "credential_type", Form::List)
        .gives("default_sts_ttl", "default_ttl")
        .gives("max_sts_ttl", "max_ttl")
        .tells("iam_tags", json!({}))
        .tells("session_tags", json!({}));
    let read_role = TEXTS
        .into_iter()
        .fold(read_role, |alias, name| alias.tells(name, ""));
    let read_role = LISTS
        .into_iter()
        .fold(read_role, |alias, name| alias.tells(name, json!([])));

    vec![
        root(Does::WriteConfig)
            .ignores("max_retries")
            .ignores("sts_fallback_endpoints")
            .ignores("sts_fallback_regions")
            .ignores("identity_token_ttl"),
        read_root,
        lease(Does::WriteTtls)
            .takes("lease", "default_lease_ttl")
            .takes("lease_max", "max_lease_ttl"),
        lease(Does::ReadTtls)
            .gives_as("lease", "default_lease_ttl", Form::Duration)
            .gives_as("lease_max", "max_lease_ttl", Form::Duration),
        // A session lives as long as its lease, so that there is one length of both.
        role(Does::WriteRole)
            .takes_as("credential_types", "credential_type", Form::List)
            .takes("default_sts_ttl", "default_ttl")
            .takes("max_sts_ttl", "max_ttl"),
        read_role,
        Alias::new("sts/{role}", Does::Issue, "A credential of a role."),
    ]
}
