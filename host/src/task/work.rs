//! The work of a task: kept sealed as JSON, and carried out.

use std::time::Duration;

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionName, LeaseId, MountPath, RoleName},
    lifetime::Length,
    refusal::Refusal,
    secret::Secret,
};
use lessor_store::{TaskError, TaskRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TaskCredential, Tasks};
use crate::lease::IssueRequest;

const ISSUE: &str = "issue";
const RECONCILE: &str = "reconcile";

/// The kinds whose work can be cancelled once it has begun.
pub(super) const CANCELLABLE: [&str; 2] = [ISSUE, RECONCILE];

/// Whether what a task of this kind comes to is shown to whoever may see the task, as
/// often as they ask.
pub(super) fn is_report(kind: &str) -> bool {
    kind == RECONCILE
}

/// The work that is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Make a credential.
    Issue {
        /// At this mount.
        mount: String,
        /// By this role.
        role: String,
        /// The provider's part of the request.
        body: Value,
        /// Length asked for, in milliseconds.
        ttl_ms: Option<u64>,
        /// Whether it was asked to be without end.
        #[serde(default)]
        endless: bool,
        /// The caller's own idempotency key.
        key: Option<String>,
        /// As `IssueRequest::token_end`.
        #[serde(default)]
        token_end: Option<Timestamp>,
        /// As `IssueRequest::waits`.
        #[serde(default)]
        waits: bool,
    },
    /// Wait until what was marked is ended upstream.
    Drain {
        /// The reason for which they are ended.
        kind: Draining,
        /// A prefix of lease ids.
        prefix: String,
        /// The mount whose leases those are; absent: whatever has ids under the prefix.
        #[serde(default)]
        of: Option<i64>,
        /// An operation that is newer than all of them: those that are made under the
        /// prefix meanwhile are not waited for.
        #[serde(default)]
        newest: Option<String>,
    },
    /// Renew the root credential.
    RotateRoot {
        /// Of this mount.
        mount: String,
        /// By this connection of it; absent: the default one.
        #[serde(default)]
        connection: Option<String>,
        /// Version of the config when it was asked for: a newer one in use means
        /// that it was done.
        before: u32,
    },
    /// Compare what upstream holds with the leases.
    Reconcile {
        /// Of this mount.
        mount: String,
        /// By this connection of it; absent: the default one.
        #[serde(default)]
        connection: Option<String>,
        /// The orphans to end.
        revoke: Vec<String>,
    },
}

/// The reason for which leases are being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Draining {
    /// One lease.
    Revoke,
    /// All under a prefix.
    RevokePrefix,
    /// All under a prefix that upstream has not failed to end.
    RevokeForce,
    /// All of a role that is gone.
    RemoveRole,
    /// All of a mount that is gone.
    Unmount,
}

/// The form in which a credential waits for whoever asked for it.
#[derive(Serialize, Deserialize)]
struct Waiting {
    lease: String,
    /// JSON as text, so that it stays as the provider wrote it.
    data: String,
    #[serde(default)]
    effective_after: Option<Timestamp>,
}

impl Work {
    /// Its name in storage and answers.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Issue { .. } => ISSUE,
            Self::Drain { kind, .. } => match kind {
                Draining::Revoke => "revoke",
                Draining::RevokePrefix => "revoke-prefix",
                Draining::RevokeForce => "revoke-force",
                Draining::RemoveRole => "remove-role",
                Draining::Unmount => "unmount",
            },
            Self::RotateRoot { .. } => "rotate-root",
            Self::Reconcile { .. } => RECONCILE,
        }
    }

    /// The target of the work, as a path.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Issue { mount, role, .. } => format!("{mount}/creds/{role}"),
            Self::Drain { prefix, .. } => prefix.clone(),
            Self::RotateRoot { mount, .. } | Self::Reconcile { mount, .. } => mount.clone(),
        }
    }

    /// Path of the mount whose upstream it asks; none for one that only waits.
    pub(super) fn mount(&self) -> Option<&str> {
        match self {
            Self::Issue { mount, .. }
            | Self::RotateRoot { mount, .. }
            | Self::Reconcile { mount, .. } => Some(mount),
            Self::Drain { .. } => None,
        }
    }

    /// Whether it changes nothing, here or upstream.
    pub(super) fn only_looks(&self) -> bool {
        matches!(self, Self::Reconcile { revoke, .. } if revoke.is_empty())
    }

    pub(super) fn to_json(&self) -> Result<Secret<String>, Refusal> {
        serde_json::to_string(self)
            .map(Secret::new)
            .map_err(Refusal::internal)
    }

    pub(super) fn from_json(text: &Secret<String>) -> Result<Self, Refusal> {
        serde_json::from_str(text.expose()).map_err(Refusal::internal)
    }
}

impl Tasks {
    /// Does the work of a task, from wherever it stands.
    pub(super) async fn carry_out(&self, row: &TaskRow, work: Work) -> Result<Done, Refusal> {
        match work {
            Work::Issue {
                mount,
                role,
                body,
                ttl_ms,
                endless,
                key,
                token_end,
                waits,
            } => {
                let mount: MountPath = mount.parse()?;
                let role: RoleName = role.parse()?;
                // A task is its own key, so that going on is no second issue.
                let key = key.unwrap_or_else(|| format!("task/{}", row.id));
                let key = key
                    .parse()
                    .map_err(|sentence: &str| Refusal::Invalid(sentence.into()))?;
                let patience = self.mounts.open(&mount)?.spec.tune.task_timeout;
                let request = IssueRequest {
                    body,
                    ttl: match endless {
                        true => Some(Length::Never),
                        false => ttl_ms.map(|ttl| Length::For(Duration::from_millis(ttl))),
                    },
                    requester: row.requester.clone(),
                    key: Some(key),
                    patience: Some(patience),
                    token_end,
                    waits,
                };
                let issued = self.leases.issue(&mount, &role, request).await?;
                Ok(Done::Credential(TaskCredential {
                    lease: issued.lease.id,
                    data: issued.data,
                    effective_after: issued.effective_after,
                }))
            }
            Work::Drain {
                prefix, of, newest, ..
            } => {
                let newest = newest.map_or(Ok(row.id), |newest| newest.parse())?;
                self.leases.drained_before(&prefix, of, newest).await?;
                Ok(Done::Nothing)
            }
            Work::RotateRoot {
                mount,
                connection,
                before,
            } => {
                let mount: MountPath = mount.parse()?;
                let name = named(connection)?;
                if self.rotations.version(&mount, &name).await? == before {
                    let requester = Some(row.requester.clone());
                    self.rotations.rotate_root(&mount, &name, requester).await?;
                }
                Ok(Done::Nothing)
            }
            Work::Reconcile {
                mount,
                connection,
                revoke,
            } => {
                let mount: MountPath = mount.parse()?;
                let name = named(connection)?;
                let requester = row.requester.clone();
                let found = self
                    .leases
                    .reconcile(&mount, &name, &revoke, requester)
                    .await?;
                Ok(Done::Report(found.report(revoke.is_empty())))
            }
        }
    }
}

/// The connection that a task is for.
fn named(connection: Option<String>) -> Result<ConnectionName, Refusal> {
    Ok(connection.map_or(Ok(ConnectionName::DEFAULT), |name| name.parse())?)
}

/// The result of a task.
#[derive(Debug)]
pub enum Done {
    /// No more than that it is done.
    Nothing,
    /// A credential, for whoever asked for it.
    Credential(TaskCredential),
    /// The findings of a comparison.
    Report(Value),
}

impl Done {
    /// The form in which it is sealed, where there is something to keep.
    pub(super) fn text(&self) -> Result<Option<Secret<String>>, Refusal> {
        match self {
            Self::Nothing => Ok(None),
            Self::Credential(credential) => credential_text(credential).map(Some),
            Self::Report(report) => Ok(Some(Secret::new(report.to_string()))),
        }
    }
}

/// The form in which a credential is sealed.
fn credential_text(credential: &TaskCredential) -> Result<Secret<String>, Refusal> {
    let waiting = Waiting {
        lease: credential.lease.to_string(),
        data: credential.data.expose().clone(),
        effective_after: credential.effective_after,
    };
    let text = serde_json::to_string(&waiting).map(Secret::new);
    drop(Secret::new(waiting.data));
    text.map_err(Refusal::internal)
}

/// Reads what [`credential_text`] wrote.
pub(super) fn read_credential(text: &Secret<String>) -> Result<TaskCredential, Refusal> {
    let waiting: Waiting = serde_json::from_str(text.expose()).map_err(Refusal::internal)?;
    let lease: LeaseId = waiting.lease.parse()?;
    Ok(TaskCredential {
        lease,
        data: Secret::new(waiting.data),
        effective_after: waiting.effective_after,
    })
}

/// The error of a task that was refused: the provider's code, or the host's.
pub(super) fn error_of(refusal: &Refusal) -> TaskError {
    let code = match refusal.cause() {
        Refusal::Denied => "denied",
        Refusal::Invalid(_) => "invalid",
        Refusal::NotFound(_) => "not-found",
        Refusal::Conflict(_) => "conflict",
        Refusal::Limit { .. } => "limit",
        Refusal::NotYet { .. } | Refusal::Unavailable(_) => "unavailable",
        Refusal::Provider(failure) => &failure.code,
        Refusal::Internal(source) => {
            tracing::error!(%source, "a task failed within the host");
            "internal"
        }
        Refusal::Partly { .. } => "partly",
    };
    TaskError {
        code: code.to_owned(),
        description: refusal.to_string(),
    }
}
