//! Forgetting leases that upstream does not end: the operator's last resort.
//!
//! Only a lease that upstream failed to end at least once can be forgotten, by
//! somebody who says why. Its credential may still work: what is known of it
//! goes to the log and to the audit device, so that a person can end it by hand.

use lessor_model::{
    event::Event,
    id::{LeaseId, OperationId},
    refusal::Refusal,
};
use lessor_store::{Lateness, LeaseState, PurgeScope};

use super::{
    LeaseView, Leases, RevokeOutcome, id_of,
    prefix::{Cover, Covered},
    quarantine, view,
};
use crate::mount::{Connection, Mount};

/// Leases that are forgotten in one transaction.
const BATCH: usize = 1000;

/// The outcome of forcing the end of the leases below a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forced {
    /// Leases forgotten.
    pub purged: usize,
    /// Leases that upstream was never asked to end: marked, as for a revocation
    /// without force.
    pub marked: usize,
}

impl Leases {
    /// Revokes a lease, and forgets it where upstream does not end it now.
    /// `reason` stands in the log and the audit device.
    ///
    /// # Errors
    /// `Conflict` where the lease is still being made; where storage fails.
    pub async fn revoke_or_purge(
        &self,
        id: &LeaseId,
        reason: &str,
    ) -> Result<RevokeOutcome, Refusal> {
        let Some(mount) = self.known(id).await? else {
            return Ok(RevokeOutcome::Unknown);
        };
        let why = match self.revoke(id).await? {
            RevokeOutcome::Queued(why) => why,
            outcome => return Ok(outcome),
        };
        let one = PurgeScope::One(id.operation);
        let purged = self.purge(&mount, one, OperationId::GREATEST, reason);
        if purged.await? == 0 {
            return Err(Refusal::Conflict(format!(
                "lease {id} cannot be dropped yet: {why}; try again when that is over"
            ))
            .after("it is marked, and ended meanwhile if upstream lets it"));
        }
        Ok(RevokeOutcome::Revoked)
    }

    /// Forgets the leases under a prefix that upstream failed to end, and marks
    /// the others for revocation.
    ///
    /// # Errors
    /// `Invalid` for an empty prefix; where storage fails.
    pub async fn force_prefix(&self, prefix: &str, reason: &str) -> Result<Forced, Refusal> {
        let mut forced = Forced::default();
        for Covered {
            mount,
            cover,
            newest,
        } in self.covered(prefix)?
        {
            let which = match cover {
                Cover::Everything => PurgeScope::Mount,
                Cover::Role(role) => PurgeScope::Role(role),
                Cover::One(id) => PurgeScope::One(id.operation),
            };
            // Root credentials are those of the mount that is there, not of ids.
            if matches!(which, PurgeScope::Mount) && newest == OperationId::GREATEST {
                for connection in self.mounts.connections_of(&mount) {
                    self.force_rotations(&connection, reason).await?;
                }
            }
            forced.purged += self.purge(&mount, which, newest, reason).await?;
        }
        forced.marked = self.revoke_prefix(prefix).await?;
        Ok(forced)
    }

    /// Forgets what rotations of a connection left to be ended.
    async fn force_rotations(&self, connection: &Connection, reason: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        let forgotten = self
            .storage
            .forget_ending_rotations(connection.id, now)
            .await?;
        if forgotten > 0 {
            Event::RotationForced {
                mount: connection.path().clone(),
                connection: connection.name.clone(),
                credentials: forgotten,
                reason: reason.to_owned(),
            }
            .record();
        }
        Ok(())
    }

    async fn purge(
        &self,
        mount: &Mount,
        which: PurgeScope,
        newest: OperationId,
        reason: &str,
    ) -> Result<usize, Refusal> {
        let mut purged = 0;
        loop {
            let now = self.clock.now();
            let found = self
                .storage
                .purge_leases(mount.id, which.clone(), newest, now, BATCH)
                .await?;
            quarantine::report(&found.set_aside);
            for row in &found.rows {
                let credential = row.credential_id.as_deref().unwrap_or("not known");
                Event::LeaseForced {
                    lease: id_of(mount, &row.role_name, row.operation),
                    principal: row.principal.clone(),
                    credential: credential.to_owned(),
                    attempts: row.attempts,
                    last_error: row.last_error.clone(),
                    reason: reason.to_owned(),
                }
                .record();
            }
            purged += found.rows.len();
            if found.rows.len() + found.set_aside.len() < BATCH {
                break;
            }
        }
        if purged > 0 {
            self.ended.notify_waiters();
        }
        Ok(purged)
    }

    /// The number of leases of a mount, and the number of them that wait for their end.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn standing(&self, mount: &Mount) -> Result<(usize, Lateness), Refusal> {
        let total = self
            .storage
            .total_leases(mount.id, None, OperationId::GREATEST)
            .await?;
        let late = self.storage.lateness(mount.id, self.clock.now()).await?;
        Ok((total, late))
    }

    /// Leases that wait for their end, the longest waiting of each mount first,
    /// at most `limit` in all; with a state, only those in it.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn ending(
        &self,
        state: Option<LeaseState>,
        limit: usize,
    ) -> Result<Vec<LeaseView>, Refusal> {
        let mut views = Vec::new();
        for mount in self.mounts.every() {
            let left = limit.saturating_sub(views.len());
            let found = self.storage.ending_leases(mount.id, state, left).await?;
            if !found.unreadable.is_empty() {
                self.set_aside(found.unreadable).await;
            }
            views.extend(found.rows.into_iter().map(|row| view(&mount, row, false)));
        }
        Ok(views)
    }
}
