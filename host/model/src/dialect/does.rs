//! What the host does that an alias may stand for. The names are the contract's; later versions
//! of the host have more.

use serde::{Deserialize, Serialize};

use super::Method::{self, Delete, Get, List, Post};
use crate::host_fields;

/// Something that the host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the names say it, and the contract describes them"
)]
pub enum Does {
    Issue,
    ReadConfig,
    WriteConfig,
    DeleteConfig,
    Rotate,
    Reset,
    ListRoles,
    ReadRole,
    WriteRole,
    DeleteRole,
    ListAccounts,
    ReadAccount,
    WriteAccount,
    DeleteAccount,
    ReadAccountCredential,
    RotateAccount,
    ReadTtls,
    WriteTtls,
}

/// The paths that the host serves below the mount of a provider, as the API's table has them.
pub const OWN_PATHS: [&str; 21] = [
    "config",
    "config/:name",
    "config/rotate-root",
    "config/rotate-root/abort",
    "config/rotate-root/retry",
    "creds/:role",
    "reconcile",
    "reset",
    "reset/:name",
    "roles",
    "roles/:name",
    "rotate-role/:name",
    "rotate-root",
    "rotate-root/:name",
    "rotate-root/:name/abort",
    "rotate-root/:name/retry",
    "rotate-root/abort",
    "rotate-root/retry",
    "static-creds/:name",
    "static-roles",
    "static-roles/:name",
];

/// The settings of a mount: not below it, so that no alias has the same path.
const TUNE: &str = "sys/mounts/*path/tune";

/// The settings of a mount that an alias reaches: how long leases live. Where the mount may
/// connect to is none of them.
const TTLS: &[&str] = &["default_lease_ttl", "max_lease_ttl"];

/// The host's own paths for something that is done to a thing.
struct Own {
    /// With the name of the thing.
    named: &'static str,
    /// Without, where there is a default one.
    unnamed: &'static [&'static str],
    /// What an alias calls the name.
    placeholder: Option<&'static str>,
}

impl Does {
    /// Everything.
    pub const ALL: [Self; 18] = [
        Self::Issue,
        Self::ReadConfig,
        Self::WriteConfig,
        Self::DeleteConfig,
        Self::Rotate,
        Self::Reset,
        Self::ListRoles,
        Self::ReadRole,
        Self::WriteRole,
        Self::DeleteRole,
        Self::ListAccounts,
        Self::ReadAccount,
        Self::WriteAccount,
        Self::DeleteAccount,
        Self::ReadAccountCredential,
        Self::RotateAccount,
        Self::ReadTtls,
        Self::WriteTtls,
    ];

    /// Reads the contract's name.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|does| does.as_str() == word)
    }

    /// The contract's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::ReadConfig => "read-config",
            Self::WriteConfig => "write-config",
            Self::DeleteConfig => "delete-config",
            Self::Rotate => "rotate",
            Self::Reset => "reset",
            Self::ListRoles => "list-roles",
            Self::ReadRole => "read-role",
            Self::WriteRole => "write-role",
            Self::DeleteRole => "delete-role",
            Self::ListAccounts => "list-accounts",
            Self::ReadAccount => "read-account",
            Self::WriteAccount => "write-account",
            Self::DeleteAccount => "delete-account",
            Self::ReadAccountCredential => "read-account-credential",
            Self::RotateAccount => "rotate-account",
            Self::ReadTtls => "read-ttls",
            Self::WriteTtls => "write-ttls",
        }
    }

    /// The pattern of the host's own path for it, as the API's table has it: with the name of
    /// the thing that it is done to, or without.
    pub fn own_path(self, has_name: bool) -> &'static str {
        let own = self.own();
        let unnamed = own.unnamed.first().filter(|_| !has_name);
        unnamed.copied().unwrap_or(own.named)
    }

    /// Whether it is about the settings of the mount: the host's own path for it is not below
    /// the mount.
    pub fn is_of_the_mount(self) -> bool {
        self.own().named == TUNE
    }

    /// The methods by which the host does it. Nothing is changed by one that reads.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::Issue => &[Get, Post],
            Self::ListRoles | Self::ListAccounts => &[List],
            Self::ReadConfig
            | Self::ReadRole
            | Self::ReadAccount
            | Self::ReadAccountCredential
            | Self::ReadTtls => &[Get],
            Self::WriteConfig
            | Self::Rotate
            | Self::Reset
            | Self::WriteRole
            | Self::WriteAccount
            | Self::RotateAccount
            | Self::WriteTtls => &[Post],
            Self::DeleteConfig | Self::DeleteRole | Self::DeleteAccount => &[Delete],
        }
    }

    /// The only fields that it takes and tells, where the host's own path has others.
    pub fn only(self) -> Option<&'static [&'static str]> {
        self.is_of_the_mount().then_some(TTLS)
    }

    /// Whether the host does it at one of its own paths below a mount.
    pub(super) fn is_served_at(self, own_path: &str) -> bool {
        let own = self.own();
        own.named == own_path || own.unnamed.contains(&own_path)
    }

    /// What an alias calls the name of the thing that it is done to, and whether it must have
    /// one.
    pub(super) fn placeholder(self) -> Option<(&'static str, bool)> {
        let own = self.own();
        Some((own.placeholder?, own.unnamed.is_empty()))
    }

    /// The host's own fields in its requests: these keep their names and their meaning.
    pub fn host_fields(self) -> &'static [&'static str] {
        match self {
            Self::Issue => &host_fields::REQUEST,
            Self::WriteConfig => &host_fields::CONFIG,
            Self::WriteRole => &[
                "default_ttl",
                "max_ttl",
                "max_leases",
                "name_template",
                "bind_to_token",
                "db_name",
                "connection",
                "delete_protection",
                "tags",
                "replace",
            ],
            Self::WriteAccount => &[
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
                "connection",
                "credential_type",
                "rotation_statements",
            ],
            Self::DeleteConfig | Self::DeleteRole | Self::DeleteAccount => {
                &["revoke", "force", "sync", "async"]
            }
            Self::Rotate => &["async"],
            Self::ReadAccountCredential => &["version"],
            Self::ReadTtls | Self::WriteTtls => TTLS,
            Self::Reset
            | Self::ReadConfig
            | Self::ListRoles
            | Self::ReadRole
            | Self::ListAccounts
            | Self::ReadAccount
            | Self::RotateAccount => &[],
        }
    }

    /// Whether its requests hold a document of the provider.
    pub(super) fn has_document(self) -> bool {
        matches!(
            self,
            Self::Issue | Self::WriteConfig | Self::WriteRole | Self::WriteAccount
        )
    }

    fn own(self) -> Own {
        let of = |named, placeholder| Own {
            named,
            unnamed: &[],
            placeholder: Some(placeholder),
        };
        let of_connection = |named, unnamed| Own {
            named,
            unnamed,
            placeholder: Some("connection"),
        };
        let of_all = |named| Own {
            named,
            unnamed: &[],
            placeholder: None,
        };
        match self {
            Self::Issue => of("creds/:role", "role"),
            Self::ReadConfig | Self::WriteConfig | Self::DeleteConfig => {
                of_connection("config/:name", &["config"])
            }
            Self::Rotate => {
                of_connection("rotate-root/:name", &["rotate-root", "config/rotate-root"])
            }
            Self::Reset => of_connection("reset/:name", &["reset"]),
            Self::ListRoles => of_all("roles"),
            Self::ReadRole | Self::WriteRole | Self::DeleteRole => of("roles/:name", "role"),
            Self::ListAccounts => of_all("static-roles"),
            Self::ReadAccount | Self::WriteAccount | Self::DeleteAccount => {
                of("static-roles/:name", "account")
            }
            Self::ReadAccountCredential => of("static-creds/:name", "account"),
            Self::RotateAccount => of("rotate-role/:name", "account"),
            Self::ReadTtls | Self::WriteTtls => of_all(TUNE),
        }
    }
}
