//! Leases: the state machine between a request and a credential that is gone.
//!
//! ```text
//!             create answers            expiry, revoke, prefix, mount gone
//!  creating ──────────────────▶ active ───────────────────────▶ revoking ──▶ (no row)
//!     │                                                            │  ▲
//!     │ failure, crash                                             ▼  │ next try, revoke
//!     └───────────────────────────────────────────────────────▶ out-of-sync
//! ```
//!
//! The row is committed before the provider is called, and every provider call
//! may be repeated: so a crash at any line leaves a row that leads to the
//! credential's end. The table holds what upstream holds, or may hold; nothing
//! of a lease lives in memory.

mod prefix;
mod publish;
mod revoke;

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use crate::{
    backoff,
    clock::{Clock, Timestamp},
    fault,
    id::{Digest, LeaseId, MountPath, OperationId, RoleName},
    mount::{Mount, Mounts, give_up_at},
    principal,
    provider::{Call, Credential, Failure, Requester},
    refusal::Refusal,
    role::{Bounds, Roles},
    rotation::Rotations,
    secret::Secret,
    storage::{Activation, Cap, LeaseRow, LeaseState, NewLease, Storage},
};

pub use revoke::RevokeOutcome;

/// A request for a credential.
#[derive(Debug)]
pub struct IssueRequest {
    /// By the provider's request schema; the host's fields are taken out.
    pub body: Value,
    /// Length asked for; the role's default where absent.
    pub ttl: Option<Duration>,
    /// Who asks.
    pub requester: Requester,
}

/// A credential and its lease.
#[derive(Debug)]
pub struct Issued {
    /// The lease.
    pub lease: LeaseView,
    /// The credential as JSON; shown once and never stored.
    pub data: Secret<String>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// A lease as shown.
#[derive(Clone, Debug)]
pub struct LeaseView {
    /// Its id.
    pub id: LeaseId,
    /// Where it stands.
    pub state: LeaseState,
    /// When it was made.
    pub issue_time: Timestamp,
    /// When it ends; absent: never.
    pub expire_time: Option<Timestamp>,
    /// When it was last renewed.
    pub last_renewal: Option<Timestamp>,
    /// Whether its end can be moved.
    pub renewable: bool,
    /// The credential's id upstream.
    pub credential_id: Option<String>,
    /// Facts that the provider told.
    pub metadata: Value,
    /// Who asked for it.
    pub requester: Requester,
    /// Attempts to revoke it.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Digest of the provider that made it.
    pub plugin_sha256: Digest,
}

impl LeaseView {
    /// What is left of the lease at `now`; zero for one that never ends, as
    /// Vault shows it.
    pub fn ttl(&self, now: Timestamp) -> Duration {
        self.expire_time
            .map_or(Duration::ZERO, |end| end.since(now))
    }
}

/// The leases of all mounts.
pub struct Leases {
    storage: Storage,
    mounts: Arc<Mounts>,
    roles: Arc<Roles>,
    rotations: Arc<Rotations>,
    clock: Clock,
    /// Wakes the scheduler.
    nudge: Arc<Notify>,
    /// Told whenever a lease has ended.
    ended: Notify,
    published: publish::Cache,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leases")
    }
}

impl Leases {
    /// Leases over a storage; `nudge` wakes the scheduler.
    pub fn new(
        storage: Storage,
        mounts: Arc<Mounts>,
        roles: Arc<Roles>,
        rotations: Arc<Rotations>,
        clock: Clock,
        nudge: Arc<Notify>,
    ) -> Self {
        Self {
            storage,
            mounts,
            roles,
            rotations,
            clock,
            nudge,
            ended: Notify::new(),
            published: publish::Cache::default(),
        }
    }

    /// Makes a credential. It is made to the end even where the caller goes away
    /// meanwhile, and then revoked, because nobody has seen it.
    ///
    /// # Errors
    /// One sentence that names the field; the provider's failure; `Limit` where
    /// a cap is reached. No lease is left, or one that is being revoked.
    pub async fn issue(
        self: &Arc<Self>,
        path: &MountPath,
        role: &RoleName,
        request: IssueRequest,
    ) -> Result<Issued, Refusal> {
        let (leases, path, role) = (Arc::clone(self), path.clone(), role.clone());
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let outcome = leases.make(&path, &role, request).await;
            if let Err(Ok(unseen)) = answer.send(outcome) {
                let id = unseen.lease.id;
                tracing::info!(lease = %id, "revoking a credential whose caller went away");
                if let Err(error) = leases
                    .storage
                    .mark_lease(id.operation, leases.clock.now())
                    .await
                {
                    tracing::error!(lease = %id, %error, "could not mark an unseen credential; it ends at its expiry");
                }
                leases.nudge.notify_one();
            }
        });
        answered.await.map_err(Refusal::internal)?
    }

    async fn make(
        &self,
        path: &MountPath,
        role_name: &RoleName,
        request: IssueRequest,
    ) -> Result<Issued, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let role = self.roles.current(&mount, role_name).await?;
        let mut body = request.body;
        plugin
            .request
            .check("request", &mut body)
            .map_err(Refusal::Invalid)?;
        let body = Secret::new(body.to_string());
        let bounds = Bounds::of(&role.host, &mount);
        let ttl = requested_ttl("ttl", request.ttl, bounds)?;
        let document = self.roles.open(&mount, &role)?;
        let mut root = self.rotations.root_for(&mount, &plugin).await?;
        let slot = mount.slot().await?;

        let now = self.clock.now();
        let operation = OperationId::new(now)?;
        let parts = principal::Parts {
            mount: path.as_str(),
            role: role_name.as_str(),
            requester: &request.requester.display_name,
            operation,
        };
        let descriptor = plugin.provider.descriptor();
        let principal = principal::name(&role.host.name_template, parts, descriptor.name_limit)
            .map_err(Refusal::Invalid)?;
        let lease = NewLease {
            operation,
            mount_id: mount.id,
            role_id: role.id,
            principal,
            requester: request.requester,
            plugin_sha256: plugin.provider.digest(),
            config_version: root.root.version,
            issued_at: now,
            expires_at: ttl.map(|ttl| now.plus(ttl)),
            max_expires_at: bounds.max.map(|max| now.plus(max)),
            give_up_at: give_up_at(&mount, now),
            role_cap: role.host.max_leases,
            mount_cap: mount.spec.tune.max_leases,
        };
        fault::point("issue.before_intent");
        self.storage
            .record_intent(lease.clone())
            .await?
            .map_err(|cap| full(cap, path, role_name))?;
        fault::point("issue.after_intent");

        let mut attempt = 1;
        let made = loop {
            let mut call = self.call(
                &mount,
                &root.root,
                operation,
                attempt,
                &lease.principal,
                role_name,
            );
            call.requester = Some(lease.requester.clone());
            let created = plugin
                .provider
                .create(&call, &root.config, &document, &body, lease.expires_at)
                .await;
            match created {
                Err(failure) if root.renewed_after(&failure).await? => attempt += 1,
                other => break other,
            }
        };
        drop(slot);
        drop(root);
        let credential = match made {
            Ok(credential) => credential,
            Err(failure) => return Err(self.not_made(&lease, attempt, failure).await),
        };
        fault::point("issue.after_create");
        self.activate(
            &mount,
            role_name,
            lease,
            credential,
            descriptor.abilities.renewal,
        )
        .await
    }

    /// Commits a credential before its caller sees it.
    async fn activate(
        &self,
        mount: &Mount,
        role: &RoleName,
        lease: NewLease,
        credential: Credential,
        renews: bool,
    ) -> Result<Issued, Refusal> {
        let now = self.clock.now();
        let upstream_end = credential.expires_in.map(|span| now.plus(span));
        let expires_at = [lease.expires_at, upstream_end].into_iter().flatten().min();
        let id = LeaseId {
            mount: mount.path().clone(),
            role: role.clone(),
            operation: lease.operation,
        };
        let view = LeaseView {
            id: id.clone(),
            state: LeaseState::Active,
            issue_time: lease.issued_at,
            expire_time: expires_at,
            last_renewal: None,
            renewable: is_renewable(expires_at, lease.max_expires_at, upstream_end, renews),
            credential_id: Some(credential.id.clone()),
            metadata: credential.metadata.clone(),
            requester: lease.requester.clone(),
            attempts: 0,
            next_attempt: None,
            last_error: None,
            plugin_sha256: lease.plugin_sha256,
        };
        let activation = Activation {
            credential_id: credential.id,
            metadata: credential.metadata,
            expires_at,
            upstream_expires_at: upstream_end,
        };
        let active = self.storage.record_active(lease, activation, now).await?;
        fault::point("issue.after_commit");
        // The end of the new lease may come before whatever the scheduler awaits.
        self.nudge.notify_one();
        if !active {
            return Err(Refusal::Conflict(format!(
                "lease {id} was revoked while it was being made"
            )));
        }
        tracing::info!(lease = %id, expires = ?expires_at, "issued a credential");
        Ok(Issued {
            lease: view,
            data: credential.data,
            warnings: Vec::new(),
        })
    }

    /// After `create` failed: forgets the intent where upstream was not reached,
    /// has it revoked otherwise.
    async fn not_made(&self, lease: &NewLease, attempt: u32, failure: Failure) -> Refusal {
        let outcome = if attempt == 1 && !failure.reached_upstream {
            self.storage.forget_intent(lease.operation).await
        } else {
            // A request that timed out may still land; any other has ended.
            let due = if failure.code == "timeout" {
                lease.give_up_at
            } else {
                self.clock.now()
            };
            self.storage
                .record_revocation_failure(
                    lease.operation,
                    LeaseState::Revoking,
                    due,
                    failure.to_string(),
                )
                .await
        };
        if let Err(error) = outcome {
            // The row stands as `creating` and is found when it is due.
            tracing::error!(operation = %lease.operation, %error, "could not record a failed issue");
        }
        self.nudge.notify_one();
        Refusal::Provider(failure)
    }

    /// Moves the end of a lease: `increment` from now, the role's default where
    /// absent, never past the longest life of the lease.
    ///
    /// # Errors
    /// `NotFound`; one sentence where the lease cannot be renewed or the
    /// increment is too long; the provider's failure. The end then stays.
    pub async fn renew(
        &self,
        id: &LeaseId,
        increment: Option<Duration>,
    ) -> Result<LeaseView, Refusal> {
        let (mount, row) = self.find(id).await?;
        let now = self.clock.now();
        let refuse = |sentence: &str| Err(Refusal::Invalid(format!("lease {id} {sentence}")));
        if row.state != LeaseState::Active || row.expires_at.is_some_and(|end| end <= now) {
            return refuse("is not active any more, so it cannot be renewed; ask for a new one");
        }
        let plugin = self.mounts.plugin(&mount).await?;
        let renews = plugin.provider.descriptor().abilities.renewal;
        if !is_renewable(
            row.expires_at,
            row.max_expires_at,
            row.upstream_expires_at,
            renews,
        ) {
            return refuse(
                "is not renewable: its end is fixed by its max_ttl or by upstream; ask for a new one",
            );
        }
        let role = self.roles.version(row.role_id).await?;
        let bounds = Bounds::of(&role.host, &mount);
        let ttl = requested_ttl(
            "increment",
            increment.filter(|increment| !increment.is_zero()),
            bounds,
        )?;
        let fixed_end = row.upstream_expires_at.filter(|_| !renews);
        let expires_at = [ttl.map(|ttl| now.plus(ttl)), row.max_expires_at, fixed_end]
            .into_iter()
            .flatten()
            .min();

        if renews && let Some(credential) = &row.credential_id {
            let document = self.roles.open(&mount, &role)?;
            let mut root = self.rotations.root_for(&mount, &plugin).await?;
            let _slot = mount.slot().await?;
            let mut attempt = 1;
            loop {
                let call = self.call(
                    &mount,
                    &root.root,
                    row.operation,
                    attempt,
                    &row.principal,
                    &id.role,
                );
                match plugin
                    .provider
                    .renew(&call, &root.config, &document, credential, expires_at)
                    .await
                {
                    Ok(()) => break,
                    Err(failure) if root.renewed_after(&failure).await? => attempt += 1,
                    Err(failure) => return Err(failure.into()),
                }
            }
        }
        // Upstream first: a crash here leaves a credential that lives longer
        // upstream than its lease, and the lease's end still ends it.
        fault::point("renew.after_provider");
        if !self
            .storage
            .record_renewed(row.operation, expires_at, now)
            .await?
        {
            return Err(Refusal::Conflict(format!(
                "lease {id} was revoked while it was being renewed"
            )));
        }
        self.nudge.notify_one();
        tracing::info!(lease = %id, expires = ?expires_at, "renewed a lease");
        let renewed = LeaseRow {
            expires_at,
            renewed_at: Some(now),
            ..row
        };
        Ok(view(&mount, renewed, renews))
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
            .plugin(&mount)
            .await
            .map(|plugin| plugin.provider.descriptor().abilities.renewal);
        Ok(view(&mount, row, renews.unwrap_or(false)))
    }

    /// A lease whose id names the mount and role that it belongs to. The mount
    /// may be draining.
    async fn find(&self, id: &LeaseId) -> Result<(Arc<Mount>, LeaseRow), Refusal> {
        let unknown = || Refusal::NotFound(format!("there is no lease {id}"));
        let row = self
            .storage
            .lease(id.operation)
            .await?
            .ok_or_else(unknown)?;
        let mount = self.mounts.by_id(row.mount_id).ok_or_else(unknown)?;
        if mount.path() == &id.mount && row.role_name == id.role {
            Ok((mount, row))
        } else {
            Err(unknown())
        }
    }

    fn call(
        &self,
        mount: &Mount,
        root: &crate::mount::Root,
        operation: OperationId,
        attempt: u32,
        principal: &str,
        role: &RoleName,
    ) -> Call {
        Call {
            role_name: Some(role.clone()),
            ..mount.call(operation, attempt, principal, root)
        }
    }
}

/// The length of a lease, asked for in `field`; none for one without end. A
/// length of 0 asks for the longest.
fn requested_ttl(
    field: &str,
    requested: Option<Duration>,
    bounds: Bounds,
) -> Result<Option<Duration>, Refusal> {
    let ttl = requested.unwrap_or(bounds.default);
    match bounds.max {
        max if ttl.is_zero() => Ok(max),
        Some(max) if ttl > max => Err(Refusal::Invalid(format!(
            "{field} ({} s) is longer than the max_ttl of {} s; ask for less or raise max_ttl of the role or mount",
            ttl.as_secs(),
            max.as_secs()
        ))),
        _ => Ok(Some(ttl)),
    }
}

/// Whether a lease's end can still be moved: it has one, below its longest life,
/// and upstream's own end is not in the way.
fn is_renewable(
    expires_at: Option<Timestamp>,
    max_expires_at: Option<Timestamp>,
    upstream_end: Option<Timestamp>,
    renews: bool,
) -> bool {
    let Some(end) = expires_at else { return false };
    let below_max = max_expires_at.is_none_or(|max| end < max);
    let upstream_allows = renews || upstream_end.is_none_or(|upstream| end < upstream);
    below_max && upstream_allows
}

fn full(cap: Cap, path: &MountPath, role: &RoleName) -> Refusal {
    let message = match cap {
        Cap::Role => format!(
            "role {role} of {path} has reached its max_leases; revoke some or raise the cap"
        ),
        Cap::Mount => {
            format!("mount {path} has reached its max_leases; revoke some or raise the cap")
        }
    };
    Refusal::Limit {
        message,
        retry_after: Duration::from_secs(60),
    }
}

fn view(mount: &Mount, row: LeaseRow, renews: bool) -> LeaseView {
    let renewable = row.state == LeaseState::Active
        && is_renewable(
            row.expires_at,
            row.max_expires_at,
            row.upstream_expires_at,
            renews,
        );
    LeaseView {
        id: LeaseId {
            mount: mount.path().clone(),
            role: row.role_name,
            operation: row.operation,
        },
        state: row.state,
        issue_time: row.issued_at,
        expire_time: row.expires_at,
        last_renewal: row.renewed_at,
        renewable,
        credential_id: row.credential_id,
        metadata: row.metadata,
        requester: row.requester,
        attempts: row.attempts,
        next_attempt: row.due_at.filter(|_| row.state != LeaseState::Active),
        last_error: row.last_error,
        plugin_sha256: row.plugin_sha256,
    }
}

/// What follows a failed attempt to revoke: the state, and the time to the next.
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
