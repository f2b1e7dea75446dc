//! Renewing: upstream first, then the row.

use std::time::Duration;

use super::{LeaseView, Leases, is_renewable, requested_ttl, shown_end, view};
use crate::{
    fault,
    id::LeaseId,
    refusal::Refusal,
    role::Bounds,
    storage::{LeaseRow, LeaseState},
};

impl Leases {
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
        // A restored copy knows only the end of that time, and ends nothing yet.
        let is_over = row.expires_at.is_some_and(|end| end <= now) && mount.held.is_none();
        if row.state != LeaseState::Active || is_over {
            return refuse("is not active any more, so it cannot be renewed; ask for a new one");
        }
        let plugin = self.mounts.plugin(&mount).await?;
        let renews = plugin.provider.descriptor().abilities.renewal;
        if !is_renewable(row.expires_at, row.upstream_expires_at, renews) {
            return refuse(
                "is not renewable: upstream ends the credential by itself; ask for a new one",
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
        fault::point("renew.after_commit");
        self.nudge.at(expires_at);
        tracing::info!(lease = %id, expires = %shown_end(expires_at), "renewed a lease");
        let renewed = LeaseRow {
            expires_at,
            renewed_at: Some(now),
            ..row
        };
        Ok(view(&mount, renewed, renews))
    }
}
