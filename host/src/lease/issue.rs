//! Issuing: intent, provider call, outcome, each committed before the next.

use std::time::Duration;

use super::{IssueRequest, Issued, LeaseView, Leases, is_renewable, requested_ttl, shown_end};
use crate::{
    fault,
    id::{LeaseId, MountPath, OperationId, RoleName},
    mount::{Mount, give_up_at},
    principal,
    provider::{Credential, Failure},
    refusal::Refusal,
    role::Bounds,
    secret::Secret,
    storage::{Activation, Cap, LeaseState, NewLease, StorageError},
};

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
            renewable: is_renewable(expires_at, upstream_end, renews),
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
        let active = self.storage.record_active(lease, activation, now).await;
        fault::point("issue.after_commit");
        // The end of the new lease may come before whatever the scheduler awaits;
        // so may the time to end what could not be recorded.
        self.nudge.notify_one();
        let active = active.map_err(|error| not_recorded(&id, error))?;
        if !active {
            return Err(Refusal::Conflict(format!(
                "lease {id} was revoked while it was being made"
            )));
        }
        tracing::info!(lease = %id, expires = %shown_end(expires_at), "issued a credential");
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
}

/// The credential exists, and its row still says `creating`: that leads to its
/// end, and nobody was given it.
fn not_recorded(id: &LeaseId, error: StorageError) -> Refusal {
    tracing::error!(lease = %id, %error, "could not record a credential that was made; it is revoked");
    if error.refuses_writes() {
        Refusal::Unavailable(format!(
            "storage refuses writes (disk full, read-only or failing), so lease {id} could not be recorded: \
             its credential is revoked, and requests succeed again once storage accepts them"
        ))
    } else {
        error.into()
    }
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
