//! Which path means what. Pure: text in, a [`Route`] out.
//!
//! Paths of the host itself stand in one table here. Everything else belongs to
//! a mount, whose path may hold slashes: the caller resolves the longest one and
//! asks [`within_mount`] about the rest.

use http::Method;

/// What a method asks for. PUT and POST are one write; `LIST` and
/// `GET ?list=true` are one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Showing one thing.
    Read,
    /// Naming all of them.
    List,
    /// Making or changing one.
    Write,
    /// Removing one.
    Delete,
}

impl Operation {
    /// The operation of a method and query; none for a method that no path takes.
    pub fn of(method: &Method, query: &str) -> Option<Self> {
        match method.as_str() {
            "GET" | "HEAD" if asks_for_list(query) => Some(Self::List),
            "GET" | "HEAD" => Some(Self::Read),
            "LIST" => Some(Self::List),
            "PUT" | "POST" => Some(Self::Write),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// Vault's name of it, as audit lines have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "update",
            Self::Delete => "delete",
        }
    }
}

/// `list=true` in any case: hvac sends `list=True`.
fn asks_for_list(query: &str) -> bool {
    query.split('&').any(|pair| {
        pair.split_once('=').is_some_and(|(name, value)| {
            name == "list" && (value.eq_ignore_ascii_case("true") || value == "1")
        })
    })
}

/// `help=1` or `help=true`: what a path does, instead of doing it.
pub(super) fn asks_for_help(query: &str) -> bool {
    query.split('&').any(|pair| {
        pair.split_once('=').is_some_and(|(name, value)| {
            name == "help" && (value.eq_ignore_ascii_case("true") || value == "1")
        })
    })
}

/// How a request says which token it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its value, in `token`.
    Value,
    /// By its accessor, in `accessor`.
    Accessor,
    /// The one that asks.
    Own,
}

/// A path of the host itself, or of some mount.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "a variant's name is its path, and the help says what that does"
)]
pub enum Route<'p> {
    Health,
    SealStatus,
    Init,
    Leader,
    Catalog,
    CatalogType {
        kind: &'p str,
    },
    CatalogEntry {
        kind: &'p str,
        name: &'p str,
    },
    Pins,
    Unpinned,
    InspectPlugin {
        file: &'p str,
    },
    ReloadPlugins,
    UpgradePlugin,
    Mounts,
    Mount {
        path: String,
    },
    MountTune {
        path: String,
    },
    UiMounts,
    UiMount {
        path: String,
    },
    ResultantAcl,
    HostInfo,
    InFlight,
    HaStatus,
    VersionHistory,
    Monitor,
    Counter {
        what: &'p str,
    },
    Remount,
    RemountStatus {
        id: &'p str,
    },
    Leases,
    LeaseLookup {
        prefix: String,
    },
    LeaseRenew {
        id: String,
    },
    LeaseRevoke {
        id: String,
    },
    LeaseRevokePrefix {
        prefix: String,
    },
    LeaseRevokeForce {
        prefix: String,
    },
    LeaseCount,
    LeaseTidy,
    Quarantine,
    Quarantined {
        number: &'p str,
    },
    Backup,
    Hold,
    ReleaseHold,
    Tasks,
    Task {
        id: &'p str,
    },
    Metrics,
    Logins,
    Login {
        path: String,
    },
    LoginTune {
        path: String,
        /// Asked for as of a mount.
        as_mount: bool,
    },
    LockedUsers,
    UnlockUser {
        accessor: &'p str,
        name: String,
    },
    /// Below a login method, perhaps: its path and what is below it.
    Auth {
        path: String,
    },
    TokenCreate {
        role: Option<&'p str>,
    },
    TokenCreateOrphan,
    TokenLookup(Which),
    TokenRenew(Which),
    TokenRevoke(Which),
    TokenRevokeOrphan,
    TokenAccessors,
    TokenTidy,
    TokenRoles,
    TokenRole {
        name: &'p str,
    },
    WrappingWrap,
    WrappingUnwrap,
    WrappingRewrap,
    WrappingLookup,
    /// `sys/policy`, as Vault had policies first.
    Policies,
    Policy {
        name: String,
    },
    /// `sys/policies/acl`
    AclPolicies,
    AclPolicy {
        name: String,
    },
    Capabilities(Which),
    #[cfg(feature = "test-hooks")]
    TestClock,
    #[cfg(feature = "test-hooks")]
    TestStorage,
    /// Below `sys` or `auth`, and nothing answers there.
    Unknown,
    /// Everything else: the path of a mount and what is below it.
    Mounted {
        path: String,
    },
}

impl<'p> Route<'p> {
    /// The route of a path's segments below `/v1/`.
    pub fn of(segments: &[&'p str]) -> Self {
        match segments {
            ["sys", rest @ ..] => Self::of_system(rest),
            ["auth", "token", rest @ ..] => Self::of_token(rest),
            ["auth", path @ ..] if !path.is_empty() => Self::Auth {
                path: path.join("/"),
            },
            ["auth"] | [] => Self::Unknown,
            path => Self::Mounted {
                path: path.join("/"),
            },
        }
    }

    fn of_token(segments: &[&'p str]) -> Self {
        match segments {
            ["create"] => Self::TokenCreate { role: None },
            ["create", role] => Self::TokenCreate { role: Some(role) },
            ["create-orphan"] => Self::TokenCreateOrphan,
            ["lookup"] => Self::TokenLookup(Which::Value),
            ["lookup-self"] => Self::TokenLookup(Which::Own),
            ["lookup-accessor"] => Self::TokenLookup(Which::Accessor),
            ["renew"] => Self::TokenRenew(Which::Value),
            ["renew-self"] => Self::TokenRenew(Which::Own),
            ["renew-accessor"] => Self::TokenRenew(Which::Accessor),
            ["revoke"] => Self::TokenRevoke(Which::Value),
            ["revoke-self"] => Self::TokenRevoke(Which::Own),
            ["revoke-accessor"] => Self::TokenRevoke(Which::Accessor),
            ["revoke-orphan"] => Self::TokenRevokeOrphan,
            ["accessors"] => Self::TokenAccessors,
            ["tidy"] => Self::TokenTidy,
            ["roles"] => Self::TokenRoles,
            ["roles", name] => Self::TokenRole { name },
            _ => Self::Unknown,
        }
    }

    fn of_system(segments: &[&'p str]) -> Self {
        match segments {
            ["health"] => Self::Health,
            ["seal-status"] => Self::SealStatus,
            ["init"] => Self::Init,
            ["leader"] => Self::Leader,
            ["plugins", "catalog"] => Self::Catalog,
            ["plugins", "catalog", kind] => Self::CatalogType { kind },
            ["plugins", "catalog", kind, name] => Self::CatalogEntry { kind, name },
            ["plugins", "pins"] => Self::Pins,
            ["plugins", "unpinned"] => Self::Unpinned,
            ["plugins", "inspect", file] => Self::InspectPlugin { file },
            ["plugins", "reload", "backend"] => Self::ReloadPlugins,
            ["plugins", "upgrade"] => Self::UpgradePlugin,
            ["mounts"] => Self::Mounts,
            ["auth"] => Self::Logins,
            ["auth", path @ .., "tune"] if !path.is_empty() => Self::LoginTune {
                path: path.join("/"),
                as_mount: false,
            },
            // What Vault's own client and Terraform use.
            ["mounts", "auth", path @ .., "tune"] if !path.is_empty() => Self::LoginTune {
                path: path.join("/"),
                as_mount: true,
            },
            ["auth", path @ ..] => Self::Login {
                path: path.join("/"),
            },
            ["locked-users"] => Self::LockedUsers,
            ["locked-users", accessor, "unlock", name @ ..] if !name.is_empty() => {
                Self::UnlockUser {
                    accessor,
                    name: name.join("/"),
                }
            }
            ["mounts", path @ .., "tune"] if !path.is_empty() => Self::MountTune {
                path: path.join("/"),
            },
            ["mounts", path @ ..] => Self::Mount {
                path: path.join("/"),
            },
            ["remount"] => Self::Remount,
            ["remount", "status", id] => Self::RemountStatus { id },
            ["internal", "ui", "mounts"] => Self::UiMounts,
            ["internal", "ui", "resultant-acl"] => Self::ResultantAcl,
            ["internal", "counters", what] => Self::Counter { what },
            ["host-info"] => Self::HostInfo,
            ["in-flight-req"] => Self::InFlight,
            ["ha-status"] => Self::HaStatus,
            ["version-history"] => Self::VersionHistory,
            ["monitor"] => Self::Monitor,
            ["internal", "ui", "mounts", path @ ..] => Self::UiMount {
                path: path.join("/"),
            },
            ["leases"] => Self::Leases,
            ["leases", "lookup", prefix @ ..] => Self::LeaseLookup {
                prefix: prefix.join("/"),
            },
            // Without `leases`, as they were called before Vault 0.9.
            ["leases", "renew", id @ ..] | ["renew", id @ ..] => {
                Self::LeaseRenew { id: id.join("/") }
            }
            ["leases", "revoke", id @ ..] | ["revoke", id @ ..] => {
                Self::LeaseRevoke { id: id.join("/") }
            }
            ["leases", "revoke-prefix", prefix @ ..] | ["revoke-prefix", prefix @ ..] => {
                Self::LeaseRevokePrefix {
                    prefix: prefix.join("/"),
                }
            }
            ["leases", "revoke-force", prefix @ ..] | ["revoke-force", prefix @ ..] => {
                Self::LeaseRevokeForce {
                    prefix: prefix.join("/"),
                }
            }
            ["leases", "count"] => Self::LeaseCount,
            ["leases", "tidy"] => Self::LeaseTidy,
            ["leases", "quarantine"] => Self::Quarantine,
            ["leases", "quarantine", number] => Self::Quarantined { number },
            ["storage", "backup"] => Self::Backup,
            ["hold"] => Self::Hold,
            ["hold", "release"] => Self::ReleaseHold,
            ["tasks"] => Self::Tasks,
            ["tasks", id] => Self::Task { id },
            ["metrics"] => Self::Metrics,
            ["wrapping", "wrap"] => Self::WrappingWrap,
            ["wrapping", "unwrap"] => Self::WrappingUnwrap,
            ["wrapping", "rewrap"] => Self::WrappingRewrap,
            ["wrapping", "lookup"] => Self::WrappingLookup,
            ["policy"] => Self::Policies,
            ["policy", name @ ..] => Self::Policy {
                name: name.join("/"),
            },
            ["policies", "acl"] => Self::AclPolicies,
            ["policies", "acl", name @ ..] => Self::AclPolicy {
                name: name.join("/"),
            },
            ["capabilities"] => Self::Capabilities(Which::Value),
            ["capabilities-self"] => Self::Capabilities(Which::Own),
            ["capabilities-accessor"] => Self::Capabilities(Which::Accessor),
            #[cfg(feature = "test-hooks")]
            ["test", "clock"] => Self::TestClock,
            #[cfg(feature = "test-hooks")]
            ["test", "storage"] => Self::TestStorage,
            _ => Self::Unknown,
        }
    }

    /// Whether anybody may ask, without a token.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Health | Self::SealStatus | Self::Init | Self::Leader
        )
    }

    /// Whether a policy must grant `sudo` beside what is done: what reaches over
    /// the tokens, leases and mounts of others, and what makes code run. Vault has
    /// the same list; what it does not know is at the end.
    pub fn needs_sudo(&self, operation: Operation) -> bool {
        match self {
            Self::TokenCreateOrphan
            | Self::TokenRevokeOrphan
            | Self::TokenAccessors
            | Self::Remount
            | Self::Login { .. }
            | Self::LoginTune {
                as_mount: false, ..
            }
            | Self::LeaseRevokePrefix { .. }
            | Self::LeaseRevokeForce { .. }
            | Self::Leases => true,
            Self::LeaseLookup { .. } => operation == Operation::List,
            Self::CatalogEntry { .. } => operation != Operation::Read,
            Self::Quarantine | Self::Quarantined { .. } | Self::Backup => true,
            Self::Hold | Self::ReleaseHold | Self::InspectPlugin { .. } => true,
            #[cfg(feature = "test-hooks")]
            Self::TestClock | Self::TestStorage => true,
            _ => false,
        }
    }

    /// Whether what is done there cannot be undone: it ends or renews something upstream,
    /// or removes something here. What is within a mount says so itself
    /// ([`Within::cannot_be_undone`]).
    pub(super) fn cannot_be_undone(&self, operation: Operation) -> bool {
        let ends = match self {
            Self::LeaseRevoke { .. }
            | Self::LeaseRevokePrefix { .. }
            | Self::LeaseRevokeForce { .. }
            | Self::TokenRevoke(_)
            | Self::TokenRevokeOrphan
            | Self::ReleaseHold => true,
            Self::Auth { path } => path.ends_with("/destroy"),
            _ => false,
        };
        operation == Operation::Delete || (operation == Operation::Write && ends)
    }

    /// Whether a request is worth an audit line: what monitors ask every second
    /// and must learn also when no audit line can be written is not.
    pub(super) fn is_audited(&self) -> bool {
        !matches!(self, Self::Health | Self::SealStatus | Self::Leader)
    }
}

/// What a path within a mount means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "a variant's name is its path, and the help says what that does"
)]
pub enum Within<'p> {
    Config,
    RotateRoot,
    RotateRootAbort,
    RotateRootRetry,
    Roles,
    Role {
        name: &'p str,
    },
    Creds {
        role: &'p str,
    },
    StaticRoles,
    StaticRole {
        name: &'p str,
    },
    StaticCreds {
        name: &'p str,
    },
    RotateRole {
        name: &'p str,
    },
    Reconcile,
    /// A public document, where the provider makes one of this name.
    Document {
        name: &'p str,
    },
}

impl Within<'_> {
    /// As [`Route::cannot_be_undone`].
    pub(super) fn cannot_be_undone(self, operation: Operation) -> bool {
        let ends = matches!(
            self,
            Self::RotateRoot
                | Self::RotateRootAbort
                | Self::RotateRootRetry
                | Self::RotateRole { .. }
                | Self::Reconcile
        );
        operation == Operation::Delete || (operation == Operation::Write && ends)
    }
}

/// Reads what is left of a path behind the mount's own.
pub fn within_mount(rest: &str) -> Within<'_> {
    let segments: Vec<&str> = rest.split('/').collect();
    match segments.as_slice() {
        ["config"] => Within::Config,
        ["rotate-root"] | ["config", "rotate-root"] => Within::RotateRoot,
        ["rotate-root", "abort"] | ["config", "rotate-root", "abort"] => Within::RotateRootAbort,
        ["rotate-root", "retry"] | ["config", "rotate-root", "retry"] => Within::RotateRootRetry,
        ["roles"] => Within::Roles,
        ["roles", name] => Within::Role { name },
        ["creds", role] => Within::Creds { role },
        ["static-roles"] => Within::StaticRoles,
        ["static-roles", name] => Within::StaticRole { name },
        ["static-creds", name] => Within::StaticCreds { name },
        ["rotate-role", name] => Within::RotateRole { name },
        ["reconcile"] => Within::Reconcile,
        _ => Within::Document { name: rest },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{api::help, id::HOST_PATHS};

    fn route(path: &str) -> Route<'_> {
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        Route::of(&segments)
    }

    #[test]
    fn each_path_of_the_host_has_its_route() {
        let text = String::from;
        for (path, expected) in [
            ("sys/health", Route::Health),
            ("sys/seal-status", Route::SealStatus),
            ("sys/init", Route::Init),
            ("sys/leader", Route::Leader),
            ("sys/plugins/catalog", Route::Catalog),
            (
                "sys/plugins/catalog/secret",
                Route::CatalogType { kind: "secret" },
            ),
            (
                "sys/plugins/catalog/secret/pg",
                Route::CatalogEntry {
                    kind: "secret",
                    name: "pg",
                },
            ),
            ("sys/plugins/catalog/secret/pg/x", Route::Unknown),
            ("sys/plugins/pins", Route::Pins),
            ("sys/plugins/unpinned", Route::Unpinned),
            (
                "sys/plugins/inspect/a.wasm",
                Route::InspectPlugin { file: "a.wasm" },
            ),
            ("sys/plugins/inspect", Route::Unknown),
            ("sys/plugins/reload/backend", Route::ReloadPlugins),
            ("sys/plugins/upgrade", Route::UpgradePlugin),
            ("sys/mounts", Route::Mounts),
            ("sys/mounts/db", Route::Mount { path: text("db") }),
            (
                "sys/mounts/db/orders",
                Route::Mount {
                    path: text("db/orders"),
                },
            ),
            (
                "sys/mounts/db/orders/tune",
                Route::MountTune {
                    path: text("db/orders"),
                },
            ),
            ("sys/mounts/tune", Route::Mount { path: text("tune") }),
            (
                "sys/internal/ui/mounts/db/x",
                Route::UiMount { path: text("db/x") },
            ),
            ("sys/remount", Route::Remount),
            ("sys/remount/status/1", Route::RemountStatus { id: "1" }),
            ("sys/leases", Route::Leases),
            ("sys/leases/lookup", Route::LeaseLookup { prefix: text("") }),
            (
                "sys/leases/lookup/db/creds",
                Route::LeaseLookup {
                    prefix: text("db/creds"),
                },
            ),
            ("sys/leases/renew", Route::LeaseRenew { id: text("") }),
            ("sys/renew", Route::LeaseRenew { id: text("") }),
            (
                "sys/leases/renew/db/creds/r/1",
                Route::LeaseRenew {
                    id: text("db/creds/r/1"),
                },
            ),
            (
                "sys/leases/revoke/db/creds/r/1",
                Route::LeaseRevoke {
                    id: text("db/creds/r/1"),
                },
            ),
            (
                "sys/leases/revoke-prefix/db",
                Route::LeaseRevokePrefix { prefix: text("db") },
            ),
            (
                "sys/leases/revoke-force/db",
                Route::LeaseRevokeForce { prefix: text("db") },
            ),
            ("sys/leases/count", Route::LeaseCount),
            ("sys/leases/tidy", Route::LeaseTidy),
            ("sys/hold", Route::Hold),
            ("sys/hold/release", Route::ReleaseHold),
            ("sys/leases/quarantine", Route::Quarantine),
            (
                "sys/leases/quarantine/1",
                Route::Quarantined { number: "1" },
            ),
            ("sys/storage/backup", Route::Backup),
            ("sys/tasks", Route::Tasks),
            ("sys/tasks/1", Route::Task { id: "1" }),
            ("sys/metrics", Route::Metrics),
            ("auth/token/create", Route::TokenCreate { role: None }),
            (
                "auth/token/create/ci",
                Route::TokenCreate { role: Some("ci") },
            ),
            ("auth/token/create-orphan", Route::TokenCreateOrphan),
            ("auth/token/lookup", Route::TokenLookup(Which::Value)),
            ("auth/token/lookup-self", Route::TokenLookup(Which::Own)),
            (
                "auth/token/renew-accessor",
                Route::TokenRenew(Which::Accessor),
            ),
            ("auth/token/revoke-orphan", Route::TokenRevokeOrphan),
            ("auth/token/roles/ci", Route::TokenRole { name: "ci" }),
            ("auth/token/other", Route::Unknown),
            ("auth", Route::Unknown),
            (
                "auth/team/approle/login",
                Route::Auth {
                    path: text("team/approle/login"),
                },
            ),
            ("sys/auth", Route::Logins),
            (
                "sys/auth/team/approle",
                Route::Login {
                    path: text("team/approle"),
                },
            ),
            (
                "sys/auth/team/approle/tune",
                Route::LoginTune {
                    path: text("team/approle"),
                    as_mount: false,
                },
            ),
            (
                "sys/mounts/auth/approle/tune",
                Route::LoginTune {
                    path: text("approle"),
                    as_mount: true,
                },
            ),
            ("sys/locked-users", Route::LockedUsers),
            (
                "sys/locked-users/auth_userpass_1/unlock/bob",
                Route::UnlockUser {
                    accessor: "auth_userpass_1",
                    name: text("bob"),
                },
            ),
            ("sys/locked-users/auth_userpass_1", Route::Unknown),
            (
                "sys/renew/db/creds/r/1",
                Route::LeaseRenew {
                    id: text("db/creds/r/1"),
                },
            ),
            ("sys/wrapping/unwrap", Route::WrappingUnwrap),
            ("sys/policy", Route::Policies),
            ("sys/policy/ops", Route::Policy { name: text("ops") }),
            (
                "sys/policy/team/ops",
                Route::Policy {
                    name: text("team/ops"),
                },
            ),
            ("sys/policies", Route::Unknown),
            ("sys/policies/acl", Route::AclPolicies),
            (
                "sys/policies/acl/team/ops",
                Route::AclPolicy {
                    name: text("team/ops"),
                },
            ),
            ("sys/policies/password/x", Route::Unknown),
            ("sys/capabilities", Route::Capabilities(Which::Value)),
            ("sys/capabilities-self", Route::Capabilities(Which::Own)),
            (
                "sys/capabilities-accessor",
                Route::Capabilities(Which::Accessor),
            ),
            ("sys", Route::Unknown),
            ("sys/raw", Route::Unknown),
            ("", Route::Unknown),
            (
                "db/orders/creds/ro",
                Route::Mounted {
                    path: text("db/orders/creds/ro"),
                },
            ),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn paths_within_a_mount_are_told_apart() {
        for (rest, expected) in [
            ("config", Within::Config),
            ("rotate-root", Within::RotateRoot),
            ("config/rotate-root", Within::RotateRoot),
            ("rotate-root/abort", Within::RotateRootAbort),
            ("rotate-root/retry", Within::RotateRootRetry),
            ("roles", Within::Roles),
            ("roles/ro", Within::Role { name: "ro" }),
            ("creds/ro", Within::Creds { role: "ro" }),
            ("reconcile", Within::Reconcile),
            ("creds", Within::Document { name: "creds" }),
            ("static-roles", Within::StaticRoles),
            ("static-roles/app", Within::StaticRole { name: "app" }),
            ("static-creds/app", Within::StaticCreds { name: "app" }),
            ("rotate-role/app", Within::RotateRole { name: "app" }),
            (
                "rotate-role",
                Within::Document {
                    name: "rotate-role",
                },
            ),
            ("roles/a/b", Within::Document { name: "roles/a/b" }),
            ("crl/pem", Within::Document { name: "crl/pem" }),
            ("", Within::Document { name: "" }),
        ] {
            assert_eq!(within_mount(rest), expected, "{rest}");
        }
    }

    /// A document of a provider could never be read where the host answers itself. Of
    /// each page of the help another test shows that the host serves it.
    #[test]
    fn what_the_host_serves_below_a_mount_is_kept_for_it() {
        let pages = help::MOUNT.iter().map(|(path, ..)| *path);
        let mut told: BTreeSet<&str> = pages.map(|path| path.split('/').next().unwrap()).collect();
        // Nothing stands there yet; some engines of Vault serve them.
        told.extend(["issue", "tidy"]);
        assert_eq!(told, BTreeSet::from(HOST_PATHS));
    }

    #[test]
    fn methods_mean_what_vaults_clients_mean() {
        let list = Method::from_bytes(b"LIST").unwrap();
        for (method, query, expected) in [
            (Method::GET, "", Some(Operation::Read)),
            (Method::HEAD, "", Some(Operation::Read)),
            (Method::GET, "list=true", Some(Operation::List)),
            (Method::GET, "a=b&list=True", Some(Operation::List)),
            (Method::GET, "list=false", Some(Operation::Read)),
            (Method::GET, "listing=true", Some(Operation::Read)),
            (list, "", Some(Operation::List)),
            (Method::PUT, "", Some(Operation::Write)),
            (Method::POST, "list=true", Some(Operation::Write)),
            (Method::DELETE, "", Some(Operation::Delete)),
            (Method::PATCH, "", None),
            (Method::OPTIONS, "", None),
        ] {
            assert_eq!(Operation::of(&method, query), expected, "{method} {query}");
        }
    }
}
