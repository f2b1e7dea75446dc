//! Leases: the state machine between a request and a credential that is gone.
//!
//! ```text
//!             create answers            expiry, revoke, prefix, mount gone
//!  creating ──────────────────▶ active ───────────────────────▶ revoking ──▶ (no row)
//!     │                                                            │  ▲
//!     │ failure, crash                                             ▼  │ next try, revoke
//!     └───────────────────────────────────────────────────────▶ out-of-sync ──▶ (no row; operator's force)
//! ```
//!
//! The row is committed before the provider is called, and every provider call
//! may be repeated: so a crash at any line leaves a row that leads to the
//! credential's end. The table holds what upstream holds, or may hold; nothing
//! of a lease lives in memory.

mod ends;
mod force;
mod issue;
mod prefix;
mod publish;
mod quarantine;
mod reconcile;
mod renew;
mod repeat;
mod revoke;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use lessor_model::{
    clock::{Clock, Timestamp},
    id::{Digest, LeaseId, OperationId, RoleName},
    lifetime::Length,
    provider::{Call, Requester},
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{LeaseRow, LeaseState, Storage};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    backoff,
    context::Context,
    mount::{Connection, Mount, Mounts},
    role::Roles,
    rotation::Rotations,
};

pub use force::Forced;
pub use prefix::Ending;
pub use reconcile::{Reconciliation, Vanished};
pub use renew::Renewed;
pub use repeat::IdempotencyKey;
pub use revoke::RevokeOutcome;

/// A request for a credential.
#[derive(Debug)]
pub struct IssueRequest {
    /// By the provider's request schema; the host's fields are taken out.
    pub body: Value,
    /// Length asked for; the role's default where absent.
    pub ttl: Option<Length>,
    /// The caller that asks.
    pub requester: Requester,
    /// The caller's name of the request: a repeat under the same one is the same
    /// operation.
    pub key: Option<IdempotencyKey>,
    /// Limit of the provider's call; the mount's where absent.
    pub patience: Option<Duration>,
    /// The time when the requester's token ends, where nothing can move that (a batch
    /// token): a lease that is bound to it ends then.
    pub token_end: Option<Timestamp>,
    /// Whether to answer only once upstream honours the credential, as long as the limit
    /// of the call allows.
    pub waits: bool,
}

/// A credential and its lease.
#[derive(Debug)]
pub struct Issued {
    /// The lease.
    pub lease: LeaseView,
    /// The credential as JSON; shown once and never stored.
    pub data: Secret<String>,
    /// From when on upstream honours it, where it does not yet.
    pub effective_after: Option<Timestamp>,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

/// A lease as shown.
#[derive(Clone, Debug)]
pub struct LeaseView {
    /// Its id.
    pub id: LeaseId,
    /// The state.
    pub state: LeaseState,
    /// The time when it was made.
    pub issue_time: Timestamp,
    /// The time when it ends; absent: never.
    pub expire_time: Option<Timestamp>,
    /// The time when it was last renewed.
    pub last_renewal: Option<Timestamp>,
    /// Whether its end can be moved.
    pub renewable: bool,
    /// The credential's id upstream.
    pub credential_id: Option<String>,
    /// Facts that the provider told.
    pub metadata: Value,
    /// The caller that asked for it.
    pub requester: Requester,
    /// Since when it waits for its end.
    pub ending_since: Option<Timestamp>,
    /// Attempts to revoke it.
    pub attempts: u32,
    /// The time when it is tried next.
    pub next_attempt: Option<Timestamp>,
    /// The reason why the last attempt failed.
    pub last_error: Option<String>,
    /// Accessor of the token with which it ends.
    pub bound_to: Option<String>,
    /// Digest of the provider that made it.
    pub plugin_sha256: Digest,
}

impl LeaseView {
    /// The rest of the lease's time at `now`; zero for one that never ends, as Vault shows it.
    pub fn ttl(&self, now: Timestamp) -> Duration {
        self.expire_time
            .map_or(Duration::ZERO, |end| end.since(now))
    }
}

/// The leases of all mounts.
pub struct Leases {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    roles: Arc<Roles>,
    rotations: Arc<Rotations>,
    clock: Clock,
    /// Told whenever an attempt to end a lease is over.
    ended: Notify,
    published: publish::Cache,
    answering: repeat::Answering,
    /// Held by the one comparison with an inventory that there is at a time.
    comparing: tokio::sync::Mutex<()>,
    /// The time when a credential was last asked for, in milliseconds.
    asked: AtomicI64,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leases")
    }
}

impl Leases {
    /// Leases over a storage.
    pub fn new(
        context: Context,
        mounts: Arc<Mounts>,
        roles: Arc<Roles>,
        rotations: Arc<Rotations>,
    ) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            mounts,
            roles,
            rotations,
            clock,
            ended: Notify::new(),
            published: publish::Cache::default(),
            answering: repeat::Answering::default(),
            comparing: tokio::sync::Mutex::default(),
            asked: AtomicI64::new(i64::MIN),
        }
    }

    /// The time when a credential was last asked for; long ago where none was.
    pub fn last_asked(&self) -> Timestamp {
        Timestamp(self.asked.load(Ordering::Relaxed))
    }

    /// One lease.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn lookup(&self, id: &LeaseId) -> Result<LeaseView, Refusal> {
        let (mount, row) = self.find(id).await?;
        // Without its plugin a lease can be looked at, but not renewed.
        let renews = self
            .mounts
            .maker(&mount, row.plugin_sha256)
            .await
            .map(|plugin| plugin.provider.descriptor().abilities.renewal);
        Ok(view(&mount, row, renews.unwrap_or(false)))
    }

    /// A lease whose id names the role that it belongs to, and the mount, by its path or
    /// by one that it had when the lease was handed out; with the connection that made it.
    /// The mount may be draining.
    async fn find(&self, id: &LeaseId) -> Result<(Arc<Connection>, LeaseRow), Refusal> {
        let unknown = || Refusal::NotFound(format!("there is no lease {id}"));
        let row = self.stored(id).await?.ok_or_else(unknown)?;
        let connection = self.mounts.connection_by_id(row.connection);
        let connection = connection.ok_or_else(unknown)?;
        if connection.answers_to(&id.mount, row.operation) && row.role_name == id.role {
            Ok((connection, row))
        } else {
            Err(unknown())
        }
    }

    /// The connection of a lease; none where there is no such lease.
    async fn known(&self, id: &LeaseId) -> Result<Option<Arc<Connection>>, Refusal> {
        match self.find(id).await {
            Err(Refusal::NotFound(_)) => Ok(None),
            found => found.map(|(connection, _)| Some(connection)),
        }
    }

    fn call(
        &self,
        connection: &Connection,
        root: &crate::mount::Root,
        operation: OperationId,
        attempt: u32,
        principal: &str,
        role: &RoleName,
    ) -> Call {
        Call {
            role_name: Some(role.clone()),
            ..connection.call(operation, attempt, principal, root)
        }
    }
}

/// Whether a lease can be renewed: it has an end, and upstream's own end is not
/// in the way. One that has reached its longest life can be renewed to no effect,
/// as clients of Vault expect.
fn is_renewable(
    expires_at: Option<Timestamp>,
    upstream_end: Option<Timestamp>,
    renews: bool,
) -> bool {
    expires_at.is_some_and(|end| renews || upstream_end.is_none_or(|upstream| end < upstream))
}

fn id_of(mount: &Mount, role: &RoleName, operation: OperationId) -> LeaseId {
    LeaseId {
        mount: mount.path().clone(),
        role: role.clone(),
        operation,
    }
}

/// The end of a lease as the log shows it.
fn view(mount: &Mount, row: LeaseRow, renews: bool) -> LeaseView {
    let renewable = row.state == LeaseState::Active
        && is_renewable(row.expires_at, row.upstream_expires_at, renews);
    LeaseView {
        id: id_of(mount, &row.role_name, row.operation),
        state: row.state,
        issue_time: row.issued_at,
        expire_time: row.expires_at,
        last_renewal: row.renewed_at,
        renewable,
        credential_id: row.credential_id,
        metadata: row.metadata,
        requester: row.requester,
        ending_since: row.ending_since,
        attempts: row.attempts,
        next_attempt: row.due_at.filter(|_| row.state != LeaseState::Active),
        last_error: row.last_error,
        bound_to: row.bound_to,
        plugin_sha256: row.plugin_sha256,
    }
}

/// The consequence of a failed attempt to revoke: the state, and the time to the next attempt.
fn after_failed_revocation(
    attempts: u32,
    transient: bool,
    was: LeaseState,
) -> (LeaseState, Duration) {
    if was == LeaseState::OutOfSync || attempts >= backoff::SOON || !transient {
        (LeaseState::OutOfSync, backoff::DAILY)
    } else {
        (LeaseState::Revoking, backoff::jittered(attempts))
    }
}

#[cfg(test)]
mod pure_tests;
#[cfg(test)]
mod tests;
