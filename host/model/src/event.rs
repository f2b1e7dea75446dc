//! Changes of state, as the audit log and the operator's log tell of them.
//!
//! A change of state is recorded as one [`Event`] once it is committed, in the module that made
//! it. Recording makes one event of `tracing`, with the facts as its fields: the log prints it
//! by its own filter, and `audit` writes each one to the audit device, whatever that filter
//! says, with the id of the request within which it happened. Nothing else becomes a line of
//! type `change`.
//!
//! An event holds no secret: its fields are names, paths, accessors, digests, counts and
//! reasons. Plain data; it knows of no engine, so that every layer can record one.

use std::{fmt, net::IpAddr};

use tracing::Value;

use crate::{
    clock::Timestamp,
    id::{ConnectionName, Digest, LeaseId, MountPath, OperationId, RoleName},
};

/// The module that alone makes events of changes; `audit` recognises them by it.
pub const MODULE: &str = module_path!();

/// Accessors that one event names at most: as many as fit in a line of the audit log.
pub const ACCESSORS: usize = 500;

/// The name of the one event that a stranger can cause again and again, so its lines are
/// bounded.
pub const LOGIN_FAILED: &str = "login.failed";

/// The type of an event's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, such as a name or an id.
    Text,
    /// A number.
    Number,
    /// True or false.
    Truth,
    /// A moment, as RFC 3339 has it.
    Moment,
    /// A list of texts.
    List,
}

impl Kind {
    /// Its name in the reference.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Truth => "truth",
            Self::Moment => "moment",
            Self::List => "list",
        }
    }
}

/// A field of an event, for the reference.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in the line.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// Its meaning, the same in every event.
    pub meaning: &'static str,
    /// Whether there are lines without it.
    pub optional: bool,
}

/// The description of a kind of event, for the reference.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The stable name, in `event` of the line.
    pub name: &'static str,
    /// The name of the variant.
    pub variant: &'static str,
    /// The sentence in `change` of the line; a name in braces stands for a field.
    pub change: &'static str,
    /// The occasion on which it is recorded.
    pub when: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A value that a field may have.
trait Fact {
    const KIND: Kind;
    const OPTIONAL: bool = false;

    /// The value as a field of an event of `tracing`.
    fn shown(&self) -> impl Value + '_;
}

macro_rules! texts {
    ($($type:ty),+) => {$(
        impl Fact for $type {
            const KIND: Kind = Kind::Text;

            fn shown(&self) -> impl Value + '_ {
                tracing::field::display(self)
            }
        }
    )+};
}

texts!(
    LeaseId,
    MountPath,
    ConnectionName,
    RoleName,
    OperationId,
    Digest,
    IpAddr
);

macro_rules! plain {
    ($($type:ty: $kind:ident),+) => {$(
        impl Fact for $type {
            const KIND: Kind = Kind::$kind;

            fn shown(&self) -> impl Value + '_ {
                self
            }
        }
    )+};
}

plain!(String: Text, u32: Number, u64: Number, i64: Number, usize: Number, bool: Truth);

impl Fact for &'static str {
    const KIND: Kind = Kind::Text;

    fn shown(&self) -> impl Value + '_ {
        *self
    }
}

impl Fact for Timestamp {
    const KIND: Kind = Kind::Moment;

    fn shown(&self) -> impl Value + '_ {
        self.rfc3339()
    }
}

impl Fact for Vec<String> {
    const KIND: Kind = Kind::List;

    fn shown(&self) -> impl Value + '_ {
        tracing::field::debug(Listed(self))
    }
}

impl<T: Fact> Fact for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn shown(&self) -> impl Value + '_ {
        self.as_ref().map(|fact| fact.shown())
    }
}

/// A list as JSON, by which the audit log reads it again.
struct Listed<'a>(&'a [String]);

impl fmt::Debug for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// The meaning of a field: one for each name.
macro_rules! meaning {
    (accessor) => {
        "Accessor of the token, or of the secret id"
    };
    (accessors) => {
        "Accessors of the tokens that ended, their children included"
    };
    (account) => {
        "Name of the account upstream"
    };
    (allowed_hosts) => {
        "The hosts that the provider of the mount may reach"
    };
    (attempts) => {
        "Number of attempts so far, this one included"
    };
    (audience) => {
        "The party that the token is for, its claim aud"
    };
    (bytes) => {
        "Number of bytes"
    };
    (code) => {
        "Code of the limit"
    };
    (count) => {
        "Number of secret ids"
    };
    (connection) => {
        "Name of the mount's connection"
    };
    (credential) => {
        "Id of the credential upstream"
    };
    (credentials) => {
        "Number of root credentials"
    };
    (delete_protection) => {
        "Whether the mount or role cannot be removed"
    };
    (dropped) => {
        "Amount that was dropped, in the unit of `unit`"
    };
    (ending) => {
        "Number of leases that are to end"
    };
    (entry) => {
        "`role` or `user`"
    };
    (expires) => {
        "Time when it ends; absent: never"
    };
    (file) => {
        "File in the plugin directory"
    };
    (follows) => {
        "What the host does about it now"
    };
    (former) => {
        "Accessor of the token that opened the answer before"
    };
    (from) => {
        "Former path"
    };
    (kid) => {
        "Name of the key"
    };
    (kind) => {
        "Kind of token, task or login method"
    };
    (last_error) => {
        "Reason why the last attempt failed"
    };
    (lease) => {
        "Id of the lease"
    };
    (leases) => {
        "Number of leases that end with it"
    };
    (left) => {
        "Reason why a root credential is left to be ended upstream"
    };
    (limit) => {
        "The limit that was reached"
    };
    (maker) => {
        "Accessor of the token that made it"
    };
    (maybe_made) => {
        "Whether upstream may have made a credential all the same; if so, it is looked for and ended"
    };
    (mount) => {
        "Path of the mount"
    };
    (mounts) => {
        "Number of mounts"
    };
    (name) => {
        "Name of the role or user"
    };
    (newest) => {
        "Newest version, which the mount's config or roles do not fit"
    };
    (next) => {
        "Time of the next attempt, or when it is due next"
    };
    (number) => {
        "Number of its row in the database"
    };
    (operation) => {
        "Id of the operation, by which upstream knows it"
    };
    (path) => {
        "Path of the login method, or of the request"
    };
    (plain_request_keys) => {
        "Fields of requests that the audit log shows in clear"
    };
    (plain_response_keys) => {
        "Fields of answers that the audit log shows in clear"
    };
    (plugin) => {
        "Name of the plugin, or the digest of its bytes"
    };
    (policies) => {
        "Policies of the token"
    };
    (policy) => {
        "Name of the policy"
    };
    (prefix) => {
        "Prefix of the paths of the tokens or leases"
    };
    (principal) => {
        "Name that the host gave the provider for the credential"
    };
    (reason) => {
        "Reason"
    };
    (remote_address) => {
        "Address that the login came from"
    };
    (replaced) => {
        "Digest of the bytes that were pinned as this version before"
    };
    (revoking) => {
        "Number of leases that are revoked with it"
    };
    (role) => {
        "Name of the role"
    };
    (setting) => {
        "Setting of `[sandbox]` that has the limit"
    };
    (sha256) => {
        "Digest of the plugin's bytes"
    };
    (source) => {
        "Source of the pin: `api`, `config` or `dev`"
    };
    (state) => {
        "State after the change"
    };
    (static_role) => {
        "Name of the static role"
    };
    (stream) => {
        "Output that the provider wrote to"
    };
    (tags) => {
        "The operator's own words for the mount or role"
    };
    (target) => {
        "Path that the task is for"
    };
    (task) => {
        "Id of the task"
    };
    (to) => {
        "New path"
    };
    (token_id) => {
        "Id of the token, its claim jti"
    };
    (tokens) => {
        "Number of tokens"
    };
    (ttl_s) => {
        "Number of seconds that it lives; 0: for ever"
    };
    (unit) => {
        "Unit of `dropped`"
    };
    (until) => {
        "Time until which it lasts"
    };
    (version) => {
        "Version of the plugin, a text; or of the credential, a number"
    };
    (with) => {
        "Accessors of the tokens that it made and that end with it"
    };
    (wrapped_accessor) => {
        "Accessor of a token in the answer"
    };
}

macro_rules! events {
    ($(
        $target:literal {
            $(
                $(#[doc = $when:literal])+
                $variant:ident = $name:literal, $level:ident, $change:literal,
                { $($field:ident: $type:ty),* $(,)? }
            )+
        }
    )+) => {
        /// A change of state. The doc of each variant says when it is recorded; `docs/audit.md`
        /// gives the meaning of its fields, and the name that its line has.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use = "an event that nobody records stands nowhere"]
        pub enum Event {
            $($(
                $(#[doc = $when])+
                $variant { $(#[doc = meaning!($field)] $field: $type),* },
            )+)+
        }

        /// All events there are.
        pub const EVENTS: &[Description] = &[
            $($(
                Description {
                    name: $name,
                    variant: stringify!($variant),
                    change: $change,
                    when: concat!($($when),+),
                    fields: &[
                        $(Field {
                            name: stringify!($field),
                            kind: <$type as Fact>::KIND,
                            meaning: meaning!($field),
                            optional: <$type as Fact>::OPTIONAL,
                        }),*
                    ],
                },
            )+)+
        ];

        impl Event {
            /// Records the change, in the log and the audit log. To be called once,
            /// when the change is committed.
            pub fn record(self) {
                match self {
                    $($(
                        Self::$variant { $($field),* } => {
                            tracing::$level!(
                                name: $name, target: $target,
                                $($field = Fact::shown(&$field),)*
                                $change
                            );
                        }
                    )+)+
                }
            }
        }
    };
}

events! {
    "lessor::installation" {
        /// Keys and the first root token were made.
        InstallationInitialised = "installation.initialised", info,
            "initialised the installation", { accessor: String }
        /// The first root token was replaced by another one, because nobody had used it.
        InstallationInitialisedAgain = "installation.initialised_again", warn,
            "initialised the installation again: its first root token was not used, and ended",
            { accessor: String }
        /// Somebody used a token for the first time; from then on the initialisation cannot be repeated.
        FirstTokenUsed = "installation.first_token_used", info,
            "the first root token was used: the installation can be initialised no more", {}
        /// A backup of the database was made through the API.
        BackedUp = "storage.backed_up", info, "backed up the database", { bytes: u64 }
    }

    "lessor::catalog" {
        /// A plugin was pinned, or the pin of a version replaced.
        PluginPinned = "plugin.pinned", info, "pinned a plugin",
            { plugin: String, version: String, file: String, sha256: Digest, replaced: Option<String>, source: &'static str }
        /// A pin was removed.
        PluginUnpinned = "plugin.unpinned", info, "removed a pin", { plugin: String, version: String }
        /// The file of a plugin is gone or has other bytes; its mounts do nothing until the pinned ones are back.
        PluginDisabled = "plugin.disabled", warn, "a plugin can run no more",
            { plugin: String, version: String, file: String, sha256: Digest, reason: String }
        /// The pinned bytes of a plugin are back.
        PluginEnabled = "plugin.enabled", info, "a plugin can run again", { plugin: String }
    }

    "lessor::upgrade" {
        /// A mount was moved to another version of its plugin.
        MountUpgraded = "mount.upgraded", info, "upgraded a mount",
            { mount: MountPath, plugin: String, version: String, sha256: Digest }
        /// A mount names the version that it ran, because a newer one does not fit its config or roles.
        MountVersionKept = "mount.version_kept", warn,
            "a mount stays at its version, because the newest does not fit it",
            { mount: MountPath, plugin: String, version: String, newest: String, reason: String }
    }

    "lessor::mount" {
        /// A provider was mounted.
        MountEnabled = "mount.enabled", info, "mounted a provider",
            { mount: MountPath, plugin: String, version: Option<String>, allowed_hosts: Vec<String> }
        /// A mount was moved to another path.
        MountMoved = "mount.moved", info, "moved a mount", { from: MountPath, to: MountPath }
        /// Settings of a mount were written.
        MountTuned = "mount.tuned", info, "tuned a mount",
            {
                mount: MountPath, allowed_hosts: Vec<String>, delete_protection: bool, tags: Vec<String>,
                plain_request_keys: Vec<String>, plain_response_keys: Vec<String>
            }
        /// A mount was disabled: it is refused new work, and its leases are revoked.
        MountDisabled = "mount.disabled", info, "unmounted a provider", { mount: MountPath, revoking: usize }
        /// The last lease of a disabled mount has ended, and nothing is kept of it.
        MountRemoved = "mount.removed", info, "removed a mount that was disabled", { mount: MountPath }
        /// A restored database was opened; revocations, expiries and rotations wait for the operator.
        HoldBegun = "hold.begun", warn,
            "held mounts since a backup was restored: nothing ends, expires or rotates upstream by itself until \
             `lessor release`; GET /v1/sys/hold tells what is overdue",
            { mounts: usize }
        /// The operator let a mount go on after a restore.
        HoldReleased = "hold.released", info, "released a mount that was held since a restore", { mount: MountPath }
    }

    "lessor::identity" {
        /// A signing key of the issuer was made; it is published at once.
        IdentityKeyMade = "identity.key_made", info, "made a key of the issuer", { kid: String }
        /// A signing key of the issuer was removed after the last token that it signed had ended.
        IdentityKeyRemoved = "identity.key_removed", info, "removed a key of the issuer", { kid: String }
        /// A provider asked for a token that says which mount it is, and the operator has not allowed that.
        IdentityRefused = "identity.refused", warn, "refused to vouch for a mount",
            { mount: Option<String>, plugin: String, operation: Option<String>, reason: String }
        /// A provider was given a token that says which mount it is.
        IdentityTokenIssued = "identity.token_issued", info, "vouched for a mount",
            { mount: MountPath, audience: String, plugin: Digest, operation: OperationId, token_id: String }
    }

    "lessor::connection_config" {
        /// A config was written: a root credential, or the settings beside it.
        ConfigWritten = "config.written", info, "wrote a config", { mount: MountPath, connection: ConnectionName, version: u32 }
        /// The root credential of a new config was to be rotated at once, and the rotation failed.
        ConfigNotRotated = "config.not_rotated", warn, "wrote a config and could not rotate its root credential",
            { mount: MountPath, connection: ConnectionName, version: u32, reason: String, follows: String }
        /// A config was erased.
        ConfigErased = "config.erased", info, "erased a config", { mount: MountPath, connection: ConnectionName, left: Option<String> }
    }

    "lessor::role" {
        /// A role was written.
        RoleWritten = "role.written", info, "wrote a role",
            { mount: MountPath, role: RoleName, delete_protection: bool, tags: Vec<String> }
        /// A role was removed.
        RoleRemoved = "role.removed", info, "removed a role", { mount: MountPath, role: RoleName, revoking: usize }
    }

    "lessor::lease" {
        /// A credential was made and is handed out.
        LeaseIssued = "lease.issued", info, "issued a credential", { lease: LeaseId, expires: Option<Timestamp> }
        /// The provider failed to make a credential.
        LeaseNotIssued = "lease.not_issued", info, "could not issue a credential",
            { lease: LeaseId, maybe_made: bool, reason: String }
        /// A lease was renewed.
        LeaseRenewed = "lease.renewed", info, "renewed a lease", { lease: LeaseId, expires: Option<Timestamp> }
        /// The end of one lease was ordered; the request does not wait for it, or it is not possible yet.
        LeaseMarked = "lease.marked", info, "marked a lease to be revoked", { lease: LeaseId }
        /// The end of all leases below a prefix was ordered.
        LeasesOrdered = "lease.end_ordered", info, "ordered the end of leases", { prefix: String, ending: usize }
        /// A credential was ended upstream because somebody or something ended its lease.
        LeaseRevoked = "lease.revoked", info, "revoked a lease", { lease: LeaseId, attempts: u32 }
        /// A credential was ended upstream because the time of its lease was over.
        LeaseExpired = "lease.expired", info, "revoked a lease whose time was over", { lease: LeaseId, attempts: u32 }
        /// Upstream did not end a credential; it is tried again.
        LeaseNotRevoked = "lease.not_revoked", warn, "could not revoke a lease",
            { lease: LeaseId, attempts: u32, state: &'static str, next: Timestamp, reason: String }
        /// A lease that upstream failed to end was dropped by force.
        LeaseForced = "lease.forced", warn, "dropped a lease by force: its credential may still work upstream",
            { lease: LeaseId, principal: String, credential: String, attempts: u32, last_error: Option<String>, reason: String }
        /// A lease that cannot be read was set aside.
        LeaseQuarantined = "lease.quarantined", error, "set aside a lease that cannot be read",
            { operation: String, mount: Option<String>, role: Option<String>, principal: Option<String>, reason: String }
        /// A lease that was set aside was forgotten.
        LeaseQuarantineForgotten = "lease.quarantine_forgotten", info, "forgot a quarantined lease",
            { operation: String, mount: Option<String>, credential: Option<String> }
        /// A credential without a lease was ended upstream.
        OrphanRevoked = "orphan.revoked", info, "revoked an orphan", { mount: MountPath, credential: String }
        /// Upstream did not end a credential without a lease.
        OrphanNotRevoked = "orphan.not_revoked", warn, "could not revoke an orphan",
            { mount: MountPath, credential: String, reason: String }
        /// Upstream does not answer; the leases of the mount are ended one at a time until it does.
        UpstreamLost = "upstream.lost", warn,
            "upstream does not answer: leases are tried one at a time until it does", { mount: MountPath, connection: ConnectionName, reason: String }
        /// Upstream answers again, and what failed meanwhile is tried at once.
        UpstreamReturned = "upstream.returned", info, "upstream answers again", { mount: MountPath, connection: ConnectionName }
    }

    "lessor::rotation" {
        /// A rotation of a root credential was begun.
        RotationBegun = "rotation.begun", info, "began the rotation of a root credential",
            { mount: MountPath, connection: ConnectionName, operation: OperationId, version: u32 }
        /// A rotation that changed nothing upstream was given up.
        RotationAbandoned = "rotation.abandoned", info, "gave up a rotation that changed nothing upstream",
            { mount: MountPath, connection: ConnectionName, operation: OperationId, reason: String }
        /// A new root credential was made and stored; it is checked next.
        RotationStaged = "rotation.staged", info, "staged a root credential",
            { mount: MountPath, connection: ConnectionName, operation: OperationId, version: u32 }
        /// A new root credential was made; it is taken into use only once the operator says so.
        RotationWaiting = "rotation.waiting", error, "staged a root credential that waits for the operator",
            { mount: MountPath, connection: ConnectionName, operation: OperationId, version: u32, reason: String }
        /// A new root credential works and is in use.
        RotationCompleted = "rotation.completed", info, "rotated a root credential", { mount: MountPath, connection: ConnectionName, version: u32 }
        /// A step of a rotation failed; without a time for the next attempt it waits for the operator.
        RotationFailed = "rotation.failed", warn, "a step of a rotation failed",
            { mount: Option<MountPath>, connection: Option<ConnectionName>, operation: OperationId, attempts: u32, next: Option<Timestamp>, reason: String }
        /// The operator had a failed rotation taken up again.
        RotationRetried = "rotation.retried", info, "took up a failed rotation again",
            { mount: MountPath, connection: ConnectionName, operation: OperationId }
        /// A rotation was given up; its new root credential, if there is one, is ended.
        RotationGivenUp = "rotation.given_up", info, "gave up a rotation", { mount: MountPath, connection: ConnectionName, operation: OperationId }
        /// A former root credential was ended upstream.
        RotationFormerEnded = "rotation.former_ended", info, "ended a former root credential",
            { mount: MountPath, connection: ConnectionName, version: u32 }
        /// The root credential of a rotation that was given up was ended upstream.
        RotationUndone = "rotation.undone", info, "ended the root credential of a rotation that was given up",
            { mount: MountPath, connection: ConnectionName, operation: OperationId, version: Option<u32> }
        /// Root credentials that rotations left to be ended were dropped by force.
        RotationForced = "rotation.forced", warn,
            "dropped by force the root credentials that rotations left to be ended: they may still work upstream",
            { mount: MountPath, connection: ConnectionName, credentials: usize, reason: String }
        /// A rotation that cannot be read was set aside.
        RotationSetAside = "rotation.set_aside", error, "a rotation cannot be read and is left to the operator",
            { operation: String, reason: String }
        /// A scheduled rotation could not be begun, or failed.
        RotationPutOff = "rotation.put_off", error, "put a scheduled rotation off",
            { mount: Option<MountPath>, connection: Option<ConnectionName>, next: Timestamp, reason: String }
        /// The window of a scheduled rotation passed without one.
        RotationMissed = "rotation.missed", warn, "missed the window of a scheduled rotation",
            { mount: MountPath, connection: ConnectionName, next: Option<Timestamp> }
    }

    "lessor::static_role" {
        /// A static role was written for an account that had none.
        StaticRoleWritten = "static_role.written", info, "wrote a static role",
            { mount: MountPath, static_role: RoleName, account: String }
        /// A static role was changed.
        StaticRoleChanged = "static_role.changed", info, "changed a static role",
            { mount: MountPath, static_role: RoleName, account: String }
        /// A static role was removed; its account stays upstream.
        StaticRoleRemoved = "static_role.removed", info, "removed a static role",
            { mount: MountPath, static_role: RoleName }
        /// A static role cannot be read, and its rotation is put off.
        StaticRolePutOff = "static_role.put_off", error,
            "put off the rotation of a static role that cannot be read; remove the role and write it again",
            { mount: MountPath, number: i64, until: Timestamp }
        /// The rotation of an account's credential was begun.
        StaticRoleRotationBegun = "static_role.rotation_begun", info, "began the rotation of an account's credential",
            { mount: MountPath, static_role: RoleName, account: String }
        /// An account has a new credential, which is stored.
        StaticRoleRotated = "static_role.rotated", info, "rotated an account's credential",
            { mount: MountPath, static_role: RoleName, account: String, version: u32 }
        /// A step of the rotation of an account's credential failed.
        StaticRoleNotRotated = "static_role.not_rotated", warn, "could not rotate an account's credential",
            { mount: MountPath, static_role: RoleName, account: String, attempts: u32, state: &'static str, next: Option<Timestamp>, reason: String }
        /// The time for which an account's former credential was kept is over.
        StaticRoleFormerDue = "static_role.former_due", info, "an account's former credential is to be ended",
            { mount: MountPath, static_role: RoleName, account: String }
        /// An account's former credential was ended upstream.
        StaticRoleFormerEnded = "static_role.former_ended", info, "ended an account's former credential",
            { mount: MountPath, static_role: RoleName, account: String }
        /// The window of a scheduled rotation of an account's credential passed without one.
        StaticRoleMissed = "static_role.missed", warn, "missed the window of a scheduled rotation",
            { mount: MountPath, static_role: RoleName, account: String, next: Option<Timestamp> }
    }

    "lessor::task" {
        /// A task was queued.
        TaskQueued = "task.queued", info, "queued a task", { task: OperationId, kind: String, target: String }
        /// A task has ended, done or failed.
        TaskEnded = "task.ended", info, "ended a task", { task: OperationId, kind: String, state: &'static str }
        /// A task was cancelled.
        TaskCancelled = "task.cancelled", info, "cancelled a task", { task: OperationId }
        /// The credential that a task made was given to the caller that asked for it, and erased.
        TaskCollected = "task.collected", info, "gave out the credential of a task", { task: OperationId }
        /// A task that cannot be read was set aside.
        TaskSetAside = "task.set_aside", error, "set aside a task that cannot be read",
            { task: String, reason: String }
    }

    "lessor::token" {
        /// A token was made, by the holder of another token or by a login.
        TokenCreated = "token.created", info, "made a token",
            { accessor: String, kind: &'static str, path: String, policies: Vec<String>, ttl_s: u64 }
        /// A root token made another one; recorded beside `token.created`.
        RootTokenCreated = "token.root_created", warn, "a root token made another one",
            { accessor: String, maker: String }
        /// A token was renewed.
        TokenRenewed = "token.renewed", info, "renewed a token", { accessor: String, expires: Timestamp }
        /// A token was revoked, or used up.
        TokenRevoked = "token.revoked", info, "revoked a token",
            { accessor: String, with: Vec<String>, leases: usize }
        /// The tokens that were made by paths below a prefix were revoked.
        TokensRevoked = "token.revoked_below", info, "revoked tokens",
            { prefix: String, accessors: Vec<String>, tokens: usize, leases: usize }
        /// The time of tokens was over. The tokens that ended in one sweep share a line, 500 at most.
        TokensExpired = "token.expired", info, "ended expired tokens",
            { accessors: Vec<String>, tokens: usize, leases: usize }
        /// A token role was written.
        TokenRoleWritten = "token_role.written", info, "wrote a token role", { role: String }
        /// A token role was removed.
        TokenRoleRemoved = "token_role.removed", info, "removed a token role", { role: String }
    }

    "lessor::wrapping" {
        /// An answer was wrapped.
        AnswerWrapped = "wrapping.wrapped", info, "wrapped an answer",
            { accessor: String, path: String, ttl_s: u64, wrapped_accessor: Option<String>, lease: Option<String> }
        /// A wrapped answer was opened, and is gone.
        AnswerUnwrapped = "wrapping.unwrapped", info, "opened a wrapped answer", { accessor: String, path: String }
        /// A wrapped answer was put under another token.
        AnswerRewrapped = "wrapping.rewrapped", info, "wrapped an answer anew",
            { accessor: String, former: String, path: String, ttl_s: u64 }
    }

    "lessor::policies" {
        /// A policy was written.
        PolicyWritten = "policy.written", info, "wrote a policy", { policy: String }
        /// A policy was removed.
        PolicyRemoved = "policy.removed", info, "removed a policy", { policy: String }
    }

    "lessor::login" {
        /// A login method was enabled.
        LoginEnabled = "login.enabled", info, "enabled a login method", { path: MountPath, kind: &'static str }
        /// Settings of a login method were written.
        LoginTuned = "login.tuned", info, "tuned a login method",
            { path: MountPath, plain_request_keys: Vec<String>, plain_response_keys: Vec<String> }
        /// A login method was moved to another path.
        LoginMoved = "login.moved", info, "moved a login method", { from: MountPath, to: MountPath }
        /// A login method was disabled, and the tokens that it gave were ended.
        LoginDisabled = "login.disabled", info, "disabled a login method", { path: MountPath }
        /// The config of a login method was written.
        LoginConfigured = "login.configured", info, "configured a login method", { path: MountPath }
        /// A role or user of a login method was written.
        LoginEntryWritten = "login_entry.written", info, "wrote a {entry} of a login method",
            { path: MountPath, entry: &'static str, name: String }
        /// A role or user of a login method was removed.
        LoginEntryRemoved = "login_entry.removed", info, "removed a {entry} of a login method",
            { path: MountPath, entry: &'static str, name: String }
        /// A secret id was made.
        SecretIdCreated = "secret_id.created", info, "made a secret id",
            { path: MountPath, role: String, accessor: String }
        /// One of the uses of a secret id was spent; the last use removes it.
        SecretIdUsed = "secret_id.used", info, "used a secret id", { path: MountPath, role: String, accessor: String }
        /// A secret id was destroyed.
        SecretIdDestroyed = "secret_id.destroyed", info, "destroyed a secret id",
            { path: MountPath, role: String, accessor: Option<String> }
        /// Secret ids were removed because their time was over.
        SecretIdsExpired = "secret_id.expired", info, "removed secret ids that had ended",
            { path: MountPath, count: usize }
        /// A login succeeded; recorded beside `token.created`.
        LoginSucceeded = "login.succeeded", info, "somebody logged in",
            { path: MountPath, name: String, accessor: String, remote_address: IpAddr }
        /// A login failed. At most 60 lines a minute are written for one address, and 1,000 for all.
        LoginFailed = "login.failed", debug, "a login failed",
            { path: MountPath, reason: &'static str, remote_address: IpAddr }
        /// A name was locked for a while after failed logins.
        LoginLocked = "login.locked", warn, "locked a name after failed logins",
            { path: MountPath, name: String, until: Timestamp }
        /// The operator unlocked a name.
        LoginUnlocked = "login.unlocked", info, "unlocked a name", { path: MountPath, name: String }
    }

    "lessor::grant" {
        /// A provider wanted to connect to a host that it was not granted.
        GrantRefused = "grant.refused", warn, "refused a connection that no grant allows",
            { mount: Option<String>, plugin: String, operation: Option<String>, reason: String }
    }

    "lessor::limit" {
        /// A provider wrote more than its limits allow, and the rest was dropped.
        OutputDropped = "limit.exceeded", warn, "dropped {unit} that a provider wrote beyond `sandbox.{setting}`",
            { mount: Option<String>, plugin: String, operation: Option<String>, stream: String, unit: String, code: String, setting: String, limit: usize, dropped: u64 }
    }
}

#[cfg(test)]
mod tests;
