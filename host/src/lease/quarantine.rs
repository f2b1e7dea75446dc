//! Leases that storage cannot read: what is known of them, and letting them go.

use lessor_model::{event::Event, id::LeaseId, refusal::Refusal};
use lessor_store::{LeaseRow, Quarantined};

use super::Leases;

impl Leases {
    /// The leases that were set aside, the oldest first, and how many there are.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn quarantined(&self) -> Result<(Vec<Quarantined>, u64), Refusal> {
        Ok(self.storage.quarantined().await?)
    }

    /// The number of leases that were set aside.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn count_quarantined(&self) -> Result<u64, Refusal> {
        Ok(self.storage.count_quarantined().await?)
    }

    /// Forgets a lease that was set aside, once somebody has seen to what it
    /// left upstream.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn forget_quarantined(&self, id: i64) -> Result<(), Refusal> {
        match self.storage.forget_quarantined(id).await? {
            Some(gone) => {
                Event::LeaseQuarantineForgotten {
                    operation: gone.operation,
                    mount: gone.mount,
                    credential: gone.credential_id,
                }
                .record();
                Ok(())
            }
            None => Err(Refusal::NotFound(format!(
                "nothing is quarantined under number {id}"
            ))),
        }
    }

    /// A lease as stored; one that cannot be read is set aside.
    pub(super) async fn stored(&self, id: &LeaseId) -> Result<Option<LeaseRow>, Refusal> {
        let operation = id.operation;
        match self.storage.lease(operation).await {
            Err(error) if error.is_unreadable() => {
                let operations = vec![operation.to_bytes().to_vec()];
                let now = self.clock.now();
                report(&self.storage.set_aside_leases(operations, now).await?);
                Err(Refusal::Conflict(format!(
                    "the lease {operation} cannot be read and is set aside; GET /v1/sys/leases/quarantine, \
                     or `lessor lease quarantine`, shows what is known of it"
                )))
            }
            other => Ok(other?),
        }
    }

    /// Sets leases aside that a list met. The list is well without it: where storage
    /// refuses that, whatever takes them up next sets them aside.
    pub(super) async fn set_aside(&self, operations: Vec<Vec<u8>>) {
        let set_aside = self
            .storage
            .set_aside_leases(operations, self.clock.now())
            .await;
        match set_aside {
            Ok(set_aside) => report(&set_aside),
            Err(error) => tracing::warn!(%error, "could not set leases aside that cannot be read"),
        }
    }
}

/// Tells of leases that were set aside.
pub(super) fn report(set_aside: &[Quarantined]) {
    for lease in set_aside {
        let lease = lease.clone();
        Event::LeaseQuarantined {
            operation: lease.operation,
            mount: lease.mount,
            role: lease.role,
            principal: lease.principal,
            reason: lease.reason,
        }
        .record();
    }
}
