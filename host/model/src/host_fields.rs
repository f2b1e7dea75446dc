//! The host's own fields in documents that belong to a provider otherwise: all of them,
//! so that a provider's schemas can be read beside them.

/// In the body of a mount's config.
pub const CONFIG: [&str; 6] = [
    "rotate_on_config",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "rotation_grace",
    "replace",
];

/// In a role; a provider's schema cannot use them. `connection` and `tags` are the host's,
/// too, where the provider's schema does not have them.
pub const ROLE: [&str; 7] = [
    "default_ttl",
    "max_ttl",
    "max_leases",
    "name_template",
    "bind_to_token",
    "delete_protection",
    "db_name",
];

/// In a static role. `username` stands in the provider's part too.
pub const STATIC_ROLE: [&str; 12] = [
    "username",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "rotation_grace",
    "keep",
    "manual",
    "replace",
    "skip_import_rotation",
    "db_name",
    "credential_type",
    "rotation_statements",
];

/// In a request for a lease.
pub const REQUEST: [&str; 3] = ["ttl", "async", "wait"];
