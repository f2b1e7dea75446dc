//! Issuing: intent, provider call, outcome, each committed before the next. What leaves
//! nothing upstream has no intent: before its outcome is committed, there is nothing.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lessor_model::{
    clock::Timestamp,
    event::Event,
    id::{LeaseId, MountPath, OperationId, RoleName},
    lifetime::least,
    principal,
    provider::{Credential, Failure, Trigger},
    refusal::Refusal,
    role::Bounds,
    secret::Secret,
};
use lessor_store::{Activation, Cap, Intent, LeaseState, Made, NewLease, StorageError};

use super::{
    IssueRequest, Issued, LeaseView, Leases,
    ends::{Ends, requested},
    id_of, is_renewable,
};
use crate::{
    catalog::Plugin,
    fault,
    mount::{Connection, Mount, give_up_after},
    rotation::RootUse,
};

/// The number of times that a role may be changed while a credential is being made by it.
const ROLE_CHANGES: u32 = 3;

/// The inputs from which one credential is made.
pub(super) struct Making<'a> {
    pub(super) connection: &'a Arc<Connection>,
    pub(super) plugin: &'a Arc<Plugin>,
    pub(super) role_name: &'a RoleName,
    pub(super) document: Arc<Secret<String>>,
    pub(super) body: Secret<String>,
    pub(super) lease: &'a NewLease,
    /// Whether the lease has a row by now, which covers one call at a time.
    pub(super) has_intent: bool,
    /// Limit of one call.
    pub(super) patience: Duration,
    /// 1 where upstream was never asked.
    pub(super) first_attempt: u32,
}

impl Leases {
    /// Makes a credential. To be run to its end: where its caller goes away
    /// meanwhile, whoever drives it revokes what nobody received (`api` does).
    /// Dropped half way, it leaves an intent that is revoked in time.
    ///
    /// # Errors
    /// One sentence that names the field; the provider's failure; `Limit` where
    /// a cap is reached. No lease is left, or one that is being revoked.
    pub async fn issue(
        &self,
        path: &MountPath,
        role_name: &RoleName,
        request: IssueRequest,
    ) -> Result<Issued, Refusal> {
        let begun = self.clock.now();
        for _ in 0..ROLE_CHANGES {
            if let Some(issued) = self.by_current_role(path, role_name, &request).await? {
                return Ok(self.in_effect(path, issued, &request, begun).await);
            }
        }
        Err(Refusal::Conflict(format!(
            "role {role_name} of {path} was changed again and again while the credential was being made; ask once more"
        )))
    }

    /// Waits until upstream honours a credential, where its caller asked for that and the
    /// limit of the call allows; says so where it does not yet. The credential is recorded
    /// by then: whoever goes away meanwhile leaves a lease that is ended like any other.
    async fn in_effect(
        &self,
        path: &MountPath,
        mut issued: Issued,
        request: &IssueRequest,
        begun: Timestamp,
    ) -> Issued {
        let Some(effective) = issued.effective_after else {
            return issued;
        };
        let mut cut = "";
        if request.waits {
            let patience = request.patience.or_else(|| {
                let mount = self.mounts.open(path).ok();
                mount.map(|mount| mount.spec.tune.timeout)
            });
            let limit = begun.plus(patience.unwrap_or_default());
            self.clock.sleep_until(effective.min(limit)).await;
            if effective <= limit {
                issued.effective_after = None;
                return issued;
            }
            cut = ", which is longer than the call may take (`timeout` of the mount)";
        }
        issued.warnings.push(format!(
            "upstream honours this credential only from {effective} on{cut}"
        ));
        issued
    }

    /// Makes a credential by the role as it is now; none where it was another before
    /// the credential could be recorded.
    async fn by_current_role(
        &self,
        path: &MountPath,
        role_name: &RoleName,
        request: &IssueRequest,
    ) -> Result<Option<Issued>, Refusal> {
        // Before the mount is looked up: a lease that is made under a path from which the
        // mount is just moved is then no newer than the move.
        let now = self.clock.now();
        let mount = self.mounts.open(path)?;
        self.asked.store(now.0, Ordering::Relaxed);
        let operation = OperationId::new(now)?;
        let keyed = self.idempotency_row(&mount, role_name, request, operation, now);
        if let Some(asked) = &keyed
            && let Some(first) = self.storage.idempotency_row(asked.key, now).await?
        {
            let repeated = self.repeat(&mount, role_name, request, asked, &first);
            return repeated.await.map(Some);
        }
        let plugin = self.mounts.plugin(&mount).await?;
        let role = self.roles.current(&mount, role_name).await?;
        let connection = self.roles.connection(&role)?;
        let mut body = request.body.clone();
        plugin
            .request
            .check("request", &mut body)
            .map_err(Refusal::Invalid)?;
        let bounds = Bounds::of(&role.host, &mount.spec.tune);
        let length = requested(request.ttl, bounds)?;
        let document = self.roles.document(&plugin, &mount, &role).await?;
        let mut root = self.rotations.root_for(&connection, &plugin).await?;
        let slot = connection.slot().await?;

        let now = self.clock.now();
        let patience = request.patience.unwrap_or(mount.spec.tune.timeout);
        let parts = principal::Parts {
            mount: path.as_str(),
            role: role_name.as_str(),
            requester: &request.requester.display_name,
            operation,
        };
        let token_end = request.token_end.filter(|_| role.host.bind_to_token);
        if token_end.is_some_and(|end| end <= now) {
            return Err(no_token_to_end_with(role_name));
        }
        let descriptor = plugin.provider.descriptor();
        let principal = principal::name(&role.host.name_template, parts, descriptor.name_limit)
            .map_err(Refusal::Invalid)?;
        let ends = Ends {
            issued_at: now,
            from: now,
            length,
            longest: bounds.max,
            recorded: None,
            token: token_end,
            upstream: None,
        };
        let lease = NewLease {
            operation,
            mount_id: mount.id,
            connection: connection.id,
            role_id: role.id,
            principal,
            requester: request.requester.clone(),
            plugin_sha256: plugin.provider.digest(),
            config_version: root.root.version,
            issued_at: now,
            expires_at: ends.end(),
            max_expires_at: ends.latest(),
            give_up_at: give_up_after(patience, now),
            role_cap: role.host.max_leases,
            mount_cap: mount.spec.tune.max_leases,
            // A lease without a row is never renewed, so its end stays.
            bound: role.host.bind_to_token && request.token_end.is_none(),
        };
        // Without a key nobody asks for what nobody was told of.
        let needs_intent = descriptor.leaves_state || keyed.is_some();
        let _turn = match &keyed {
            Some(_) => Some(self.answering.begin(operation).ok_or_else(early)?),
            None => None,
        };
        if needs_intent {
            fault::point("issue.before_intent");
            let intent = self.storage.record_intent(lease.clone(), keyed).await?;
            if !taken(intent, path, role_name)? {
                return Ok(None);
            }
            fault::point("issue.after_intent");
        } else if (lease.role_cap > 0 || lease.mount_cap > 0)
            && let Some(cap) = self.storage.cap_reached(lease.clone()).await?
        {
            return Err(full(cap, path, role_name));
        }

        let making = Making {
            connection: &connection,
            plugin: &plugin,
            role_name,
            document,
            body: Secret::new(body.to_string()),
            lease: &lease,
            has_intent: needs_intent,
            patience,
            first_attempt: 1,
        };
        let (attempt, made) = self.make(&making, &mut root).await?;
        drop(slot);
        drop(root);
        let credential = match made {
            Ok(credential) => credential,
            Err(failure) if needs_intent => {
                let id = id_of(&mount, role_name, lease.operation);
                return Err(self.not_made(id, lease, attempt, failure).await);
            }
            Err(failure) => return Err(Refusal::Provider(failure)),
        };
        fault::point("issue.after_create");
        let renews = descriptor.abilities.renewal;
        if needs_intent {
            let activated = self.activate(&mount, role_name, lease, credential, renews);
            activated.await.map(Some)
        } else {
            self.admit(&mount, role_name, lease, credential, renews)
                .await
        }
    }

    /// Has the provider make a credential; a call that was refused because the
    /// root was being rotated is repeated. The last attempt and how it went.
    ///
    /// # Errors
    /// Where storage fails, or the lease was revoked or given up during the rotation.
    pub(super) async fn make<'r>(
        &'r self,
        making: &'r Making<'r>,
        root: &mut RootUse<'r>,
    ) -> Result<(u32, Result<Credential, Failure>), Refusal> {
        let (lease, first) = (making.lease, making.first_attempt);
        let asked = root.ask(first, |root, attempt| {
            Box::pin(async move {
                if attempt > first {
                    self.cover(making).await?;
                }
                let mut call = self.call(
                    making.connection,
                    &root.root,
                    lease.operation,
                    attempt,
                    &lease.principal,
                    making.role_name,
                );
                call.trigger = match making.first_attempt {
                    1 => Trigger::Request,
                    _ => Trigger::Recovery,
                };
                call.requester = Some(lease.requester.clone());
                call.timeout = making.patience;
                let (provider, document) = (&making.plugin.provider, &making.document);
                Ok(provider
                    .create(
                        &call,
                        &root.config,
                        document,
                        &making.body,
                        lease.expires_at,
                    )
                    .await)
            })
        });
        let (last, made) = asked.await?;
        if made.is_ok() {
            self.upstream_answered(making.connection).await;
        }
        Ok((last, made))
    }

    /// Gives the intent time for another call: what waited for a rotation may have
    /// waited until it is given up, and what is made after that is known to nobody.
    async fn cover(&self, making: &Making<'_>) -> Result<(), Refusal> {
        let operation = making.lease.operation;
        let due = give_up_after(making.patience, self.clock.now());
        if making.has_intent && self.storage.resume_intent(operation, due).await?.is_none() {
            let id = id_of(making.connection, making.role_name, operation);
            return Err(revoked_meanwhile(&id));
        }
        Ok(())
    }

    /// Commits a credential before its caller sees it.
    pub(super) async fn activate(
        &self,
        mount: &Mount,
        role: &RoleName,
        lease: NewLease,
        credential: Credential,
        renews: bool,
    ) -> Result<Issued, Refusal> {
        let now = self.clock.now();
        let (made, activation) = MadeLease::new(mount, role, &lease, credential, renews, now);
        let active = self.storage.record_active(lease, activation, now).await;
        fault::point("issue.after_commit");
        // A credential that could not be recorded is ended when its intent is given up.
        let active = active.map_err(|error| not_recorded(&made.view.id, error))?;
        if !active {
            return Err(revoked_meanwhile(&made.view.id));
        }
        Ok(made.handed_out())
    }

    /// Commits a credential that leaves nothing upstream and has no intent, before its
    /// caller sees it. None where the role has changed: nobody has seen the credential,
    /// and it is forgotten.
    async fn admit(
        &self,
        mount: &Mount,
        role: &RoleName,
        lease: NewLease,
        credential: Credential,
        renews: bool,
    ) -> Result<Option<Issued>, Refusal> {
        let now = self.clock.now();
        let (made, activation) = MadeLease::new(mount, role, &lease, credential, renews, now);
        let recorded = self.storage.record_made(lease, activation).await;
        fault::point("issue.after_commit");
        match recorded? {
            Made::Active => Ok(Some(made.handed_out())),
            Made::Refused(intent) => taken(intent, mount.path(), role).map(|_| None),
            Made::Revoked => Err(revoked_meanwhile(&made.view.id)),
            Made::RoleChanged => Ok(None),
        }
    }

    /// After `create` failed: forgets the intent where upstream was not reached,
    /// has it revoked otherwise.
    pub(super) async fn not_made(
        &self,
        id: LeaseId,
        lease: NewLease,
        attempt: u32,
        failure: Failure,
    ) -> Refusal {
        let operation = lease.operation;
        let nothing_made = attempt == 1 && !failure.reached_upstream;
        let outcome = if nothing_made {
            self.storage.forget_intent(operation).await
        } else {
            // Looked for too early, it would be missed and forgotten.
            let now = self.clock.now();
            let due = if failure.may_still_land() {
                give_up_after(Duration::ZERO, now)
            } else {
                now
            };
            self.storage
                .record_not_made(lease, now, due, failure.to_string())
                .await
        };
        if let Err(error) = outcome {
            // The row stands as `creating` and is found when it is due.
            tracing::error!(%operation, %error, "could not record a failed issue");
        }
        Event::LeaseNotIssued {
            lease: id.clone(),
            maybe_made: !nothing_made,
            reason: failure.to_string(),
        }
        .record();
        let refusal = Refusal::Provider(failure);
        if nothing_made {
            return refusal;
        }
        refusal.after(format!(
            "what may have been made is looked for and ended as lease {id}"
        ))
    }
}

/// A credential that was made, as its caller is to see it.
struct MadeLease {
    view: LeaseView,
    data: Secret<String>,
    effective_after: Option<Timestamp>,
}

impl MadeLease {
    /// And what is to be recorded of it before.
    fn new(
        mount: &Mount,
        role: &RoleName,
        lease: &NewLease,
        credential: Credential,
        renews: bool,
        now: Timestamp,
    ) -> (Self, Activation) {
        let upstream_end = credential.expires_in.map(|span| now.plus(span));
        let expires_at = least([lease.expires_at, upstream_end]);
        let view = LeaseView {
            id: id_of(mount, role, lease.operation),
            state: LeaseState::Active,
            issue_time: lease.issued_at,
            expire_time: expires_at,
            last_renewal: None,
            renewable: is_renewable(expires_at, upstream_end, renews),
            credential_id: Some(credential.id.clone()),
            metadata: credential.metadata.clone(),
            requester: lease.requester.clone(),
            ending_since: None,
            attempts: 0,
            next_attempt: None,
            last_error: None,
            bound_to: lease.bound.then(|| lease.requester.accessor.clone()),
            plugin_sha256: lease.plugin_sha256,
        };
        let activation = Activation {
            credential_id: credential.id,
            metadata: credential.metadata,
            expires_at,
            upstream_expires_at: upstream_end,
        };
        let made = Self {
            view,
            data: credential.data,
            effective_after: credential.effective_in.map(|wait| now.plus(wait)),
        };
        (made, activation)
    }

    /// The answer for the caller, once the credential is recorded.
    fn handed_out(self) -> Issued {
        let (lease, expires) = (self.view.id.clone(), self.view.expire_time);
        Event::LeaseIssued { lease, expires }.record();
        Issued {
            lease: self.view,
            data: self.data,
            effective_after: self.effective_after,
            warnings: Vec::new(),
        }
    }
}

/// Goes on where nothing stood against a lease; false where its role is another now.
fn taken(intent: Intent, path: &MountPath, role: &RoleName) -> Result<bool, Refusal> {
    match intent {
        Intent::Recorded => Ok(true),
        Intent::RoleChanged => Ok(false),
        Intent::Full(cap) => Err(full(cap, path, role)),
        // Another request with the same key was quicker.
        Intent::KeyTaken => Err(early()),
        Intent::TokenGone => Err(no_token_to_end_with(role)),
    }
}

fn revoked_meanwhile(id: &LeaseId) -> Refusal {
    Refusal::Conflict(format!("lease {id} was revoked while it was being made"))
        .after("its credential is handed to nobody and ended")
}

/// The credential exists, and its row still says `creating`: that leads to its
/// end, and nobody was given it.
fn not_recorded(id: &LeaseId, error: StorageError) -> Refusal {
    tracing::error!(lease = %id, %error, "could not record a credential that was made; it is revoked");
    if error.refuses_writes() {
        Refusal::Unavailable(format!(
            "storage refuses writes (disk full, read-only or failing), so lease {id} could not be recorded"
        ))
        .after("its credential is revoked, and requests succeed again once storage accepts them")
    } else {
        Refusal::from(error).after(format!("the credential of lease {id} is revoked"))
    }
}

fn no_token_to_end_with(role: &RoleName) -> Refusal {
    Refusal::Conflict(format!(
        "the token that asks has ended, or this was the last of its uses, and leases of role {role} end with their \
         requester's token (bind_to_token)"
    ))
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

/// The answer to a repeat while the original is under way.
pub(super) fn early() -> Refusal {
    Refusal::Conflict(
        "the first request with this Idempotency-Key is still being answered; repeat it in a moment".into(),
    )
}

#[cfg(test)]
mod tests;
