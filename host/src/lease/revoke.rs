//! Ending leases: one by one, by the scheduler, or at a caller's request.

use std::{sync::Arc, time::Duration};

use lessor_model::{
    clock::Timestamp,
    event::Event,
    id::LeaseId,
    provider::{Failure, FailureClass, Revocation, RevocationShape, Trigger},
    refusal::Refusal,
    secret::Secret,
};
use lessor_store::{EarlyRevocation, LeaseRow};

use super::{Leases, after_failed_revocation, id_of, quarantine};
use crate::{
    catalog::Plugin,
    fault,
    mount::{Connection, give_up_at},
};

/// The outcome of a request to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The credential is ended upstream.
    Revoked,
    /// There is no such lease; it may have ended before.
    Unknown,
    /// It is marked and will be tried again; why it is not ended yet.
    Queued(String),
}

impl Leases {
    /// Revokes a lease and waits for upstream. Where upstream fails, the lease
    /// stays marked and is tried again for ever.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn revoke(&self, id: &LeaseId) -> Result<RevokeOutcome, Refusal> {
        let Some(connection) = self.known(id).await? else {
            return Ok(RevokeOutcome::Unknown);
        };
        let now = self.clock.now();
        let claimed = self
            .storage
            .mark_and_claim(id.operation, now, give_up_at(&connection, now))
            .await?;
        fault::point("revoke.after_mark");
        let Some(row) = claimed else {
            return Ok(match self.known(id).await? {
                None => RevokeOutcome::Unknown,
                Some(_) => {
                    Event::LeaseMarked { lease: id.clone() }.record();
                    RevokeOutcome::Queued(
                        "it is still being made, and is revoked right after".into(),
                    )
                }
            });
        };
        let outcome = self
            .end_upstream(&connection, &row, Some(Trigger::Request))
            .await;
        Ok(match self.record_end(&connection, row, outcome).await {
            Ok(()) => RevokeOutcome::Revoked,
            Err(reason) => RevokeOutcome::Queued(reason),
        })
    }

    /// Marks a lease for revocation and does not wait. False where there is none.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn mark(&self, id: &LeaseId) -> Result<bool, Refusal> {
        if self.known(id).await?.is_none() {
            return Ok(false);
        }
        let marked = self
            .storage
            .mark_lease(id.operation, self.clock.now())
            .await?;
        if marked {
            Event::LeaseMarked { lease: id.clone() }.record();
        }
        Ok(marked)
    }

    /// Takes a connection's leases that are due or whose end is ordered, at most `limit`,
    /// for one attempt each.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn claim_due(
        &self,
        connection: &Connection,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeaseRow>, Refusal> {
        let due = self
            .storage
            .claim_due(connection.id, now, give_up_at(connection, now), limit)
            .await?;
        quarantine::report(&due.set_aside);
        Ok(due.rows)
    }

    /// The time when a connection's next lease is due.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn next_due(&self, connection: &Connection) -> Result<Option<Timestamp>, Refusal> {
        Ok(self.storage.next_due(connection.id).await?)
    }

    /// Records an attempt to end a claimed lease upstream, however it went.
    ///
    /// # Errors
    /// Why it is not ended; it is tried again.
    pub async fn record_end(
        &self,
        connection: &Connection,
        row: LeaseRow,
        outcome: Result<Option<EarlyRevocation>, Refusal>,
    ) -> Result<(), String> {
        let id = id_of(connection, &row.role_name, row.operation);
        let failure = match outcome {
            Ok(early) => {
                self.upstream_answered(connection).await;
                fault::point("revoke.after_provider");
                return match self.storage.record_revoked(row.operation, early).await {
                    Ok(()) => {
                        fault::point("revoke.after_commit");
                        self.published.forget(connection.id);
                        self.ended.notify_waiters();
                        ended(id, &row).record();
                        Ok(())
                    }
                    Err(error) => {
                        // Ended upstream, and due again once the claim ends: then
                        // it is found to be gone.
                        tracing::error!(lease = %id, %error, "could not record a revocation");
                        Err(format!(
                            "it is ended upstream, but that could not be stored: {error}"
                        ))
                    }
                };
            }
            Err(failure) => failure,
        };
        let (transient, reason) = match &failure {
            Refusal::Provider(failure) => (failure.class.is_transient(), failure.to_string()),
            other => (true, other.to_string()),
        };
        let (state, delay) = after_failed_revocation(row.attempts, transient, row.state);
        let asked = match &failure {
            Refusal::Provider(Failure {
                retry_after: Some(span),
                ..
            }) => *span,
            _ => Duration::ZERO,
        };
        let now = self.clock.now();
        if is_outage(&failure) && connection.upstream_failed(now) {
            Event::UpstreamLost {
                mount: connection.path().clone(),
                connection: connection.name.clone(),
                reason: reason.clone(),
            }
            .record();
        }
        let due = now.plus(delay.max(asked));
        if let Err(error) = self
            .storage
            .record_revocation_failure(row.operation, state, now, due, reason.clone())
            .await
        {
            // The claim ends by itself, and the lease is due again then.
            tracing::error!(lease = %id, %error, "could not record a failed revocation");
        }
        Event::LeaseNotRevoked {
            lease: id,
            attempts: row.attempts,
            state: state.as_str(),
            next: due,
            reason: reason.clone(),
        }
        .record();
        self.ended.notify_waiters();
        Err(reason)
    }

    /// Upstream answered: what failed while it was down is tried again at once.
    pub(super) async fn upstream_answered(&self, connection: &Connection) {
        if !connection.upstream_answered() {
            return;
        }
        Event::UpstreamReturned {
            mount: connection.path().clone(),
            connection: connection.name.clone(),
        }
        .record();
        let now = self.clock.now();
        if let Err(error) = self.storage.wake_revocations(connection.id, now).await {
            // They keep their own times.
            tracing::error!(mount = %connection.title(), %error, "could not make failed revocations due");
        }
    }

    /// Has a claimed credential ended by the provider that made it, as long as that is
    /// pinned, and else by the one of its mount. Answers what a revocation list needs,
    /// for [`Self::record_end`]. Why it ends is read from its row where that is not
    /// given.
    ///
    /// # Errors
    /// Why it is not ended.
    pub async fn end_upstream(
        &self,
        connection: &Arc<Connection>,
        row: &LeaseRow,
        trigger: Option<Trigger>,
    ) -> Result<Option<EarlyRevocation>, Refusal> {
        let maker = self.mounts.maker(connection, row.plugin_sha256).await?;
        let trigger = match trigger {
            Some(trigger) => trigger,
            None => self.why(connection, row).await?,
        };
        match self.end_by(&maker, connection, row, trigger).await {
            // The config is for the version that the mount runs: another may not be
            // able to do anything with it.
            Err(Refusal::Provider(failure)) if !failure.class.is_transient() => {
                match self.mounts.plugin(connection).await {
                    Ok(running) if running.provider.digest() != maker.provider.digest() => {
                        self.end_by(&running, connection, row, trigger).await
                    }
                    _ => Err(failure.into()),
                }
            }
            outcome => outcome,
        }
    }

    async fn end_by(
        &self,
        plugin: &Arc<Plugin>,
        connection: &Arc<Connection>,
        row: &LeaseRow,
        trigger: Trigger,
    ) -> Result<Option<EarlyRevocation>, Refusal> {
        let descriptor = plugin.provider.descriptor();
        let now = self.clock.now();
        let outlives = row.upstream_expires_at.is_none_or(|end| end > now);
        let early = (!descriptor.abilities.publication.is_empty() && outlives)
            .then_some(EarlyRevocation { revoked_at: now });
        if descriptor.revocation != RevocationShape::Deletes {
            return Ok(early);
        }

        let document = self.role_for(plugin, connection, row).await;
        let what = match &row.credential_id {
            Some(id) => Revocation::Credential(id.clone()),
            None => Revocation::UnknownCredential,
        };
        let (document, what) = (document.as_deref(), &what);
        let ended = self
            .rotations
            .with_root(connection, plugin, row.attempts, |root, attempt| {
                Box::pin(async move {
                    let mut call = self.call(
                        connection,
                        &root.root,
                        row.operation,
                        attempt,
                        &row.principal,
                        &row.role_name,
                    );
                    call.trigger = trigger;
                    let provider = &plugin.provider;
                    Ok(provider.revoke(&call, &root.config, document, what).await)
                })
            });
        match ended.await? {
            Ok(()) => Ok(early),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(early),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl Leases {
    /// The reason why the scheduler ends a lease. One whose order by its caller could not be
    /// carried out at once counts as the operator's, because orders do not say whose they are.
    async fn why(&self, connection: &Connection, row: &LeaseRow) -> Result<Trigger, Refusal> {
        if row.credential_id.is_none() {
            return Ok(Trigger::Recovery);
        }
        if ends_by_time(row) {
            return Ok(Trigger::Expiry);
        }
        // Asked of the rows: whoever unmounts wakes the scheduler before the table of
        // mounts is read again.
        let (mount, role) = (connection.mount.id, row.role_name.clone());
        let belongs_to_nothing =
            row.bound_to.is_some() || !self.storage.is_role_offered(mount, role).await?;
        Ok(match belongs_to_nothing {
            true => Trigger::Cascade,
            false => Trigger::Operator,
        })
    }

    /// The role of a lease for the provider that ends it. None where it is no role for
    /// that one, or cannot be read: a provider ends a credential without, too, and one
    /// that stays because of its role stays for ever.
    async fn role_for(
        &self,
        plugin: &Plugin,
        connection: &Connection,
        row: &LeaseRow,
    ) -> Option<Arc<Secret<String>>> {
        let document = match self.roles.version(row.role_id).await {
            Ok(role) => self.roles.document(plugin, connection, &role).await,
            Err(refusal) => Err(refusal),
        };
        document
            .inspect_err(|reason| {
                let lease = id_of(connection, &row.role_name, row.operation);
                tracing::warn!(%lease, %reason, "a credential is ended without its role, which the provider cannot be given");
            })
            .ok()
    }
}

/// The event of a lease's end, by its cause.
fn ended(lease: LeaseId, row: &LeaseRow) -> Event {
    let attempts = row.attempts;
    match ends_by_time(row) {
        true => Event::LeaseExpired { lease, attempts },
        false => Event::LeaseRevoked { lease, attempts },
    }
}

/// Whether a lease ends because its time is over. Whatever is ordered before that has
/// waited since before it.
fn ends_by_time(row: &LeaseRow) -> bool {
    row.expires_at
        .is_some_and(|end| row.ending_since.is_some_and(|since| since >= end))
}

/// Whether a failure speaks of upstream as a whole rather than of one credential.
fn is_outage(failure: &Refusal) -> bool {
    matches!(
        failure,
        Refusal::Provider(Failure {
            class: FailureClass::Unavailable | FailureClass::RateLimited,
            ..
        })
    )
}
