//! Renewing: upstream first, then the row.

use std::time::Duration;

use lessor_model::{
    clock::Timestamp, event::Event, id::LeaseId, lifetime::Length, provider::Trigger,
    refusal::Refusal, role::Bounds,
};
use lessor_store::{LeaseRow, LeaseState};

use super::{LeaseView, Leases, ends::Ends, is_renewable, view};
use crate::fault;

/// The time by which a renewal may be shorter than asked for without a warning.
const UNSAID: Duration = Duration::from_secs(1);

/// A lease whose end was moved.
#[derive(Debug)]
pub struct Renewed {
    /// The lease, with the end that it has now.
    pub lease: LeaseView,
    /// Whether it ends sooner than was asked for: something bounds it.
    pub shortened: bool,
}

impl Leases {
    /// Moves the end of a lease: `increment` from now, the role's default where
    /// absent, never past the longest life of the lease.
    ///
    /// # Errors
    /// `NotFound`; one sentence where the lease cannot be renewed; the provider's
    /// failure. The end then stays.
    pub async fn renew(&self, id: &LeaseId, increment: Option<Length>) -> Result<Renewed, Refusal> {
        let (connection, row) = self.find(id).await?;
        let now = self.clock.now();
        let refuse = |sentence: &str| Err(Refusal::Invalid(format!("lease {id} {sentence}")));
        // A restored copy knows only the end of that time, and ends nothing yet.
        let is_over = row.expires_at.is_some_and(|end| end <= now) && connection.held.is_none();
        if row.state != LeaseState::Active || is_over {
            return refuse("is not active any more, so it cannot be renewed; ask for a new one");
        }
        if row.expires_at.is_none() {
            return refuse("has no end, so there is none to move; revoke it when it is not needed");
        }
        // The role that it was made with is one for the provider that made it.
        let plugin = self.mounts.maker(&connection, row.plugin_sha256).await?;
        let renews = plugin.provider.descriptor().abilities.renewal;
        if !is_renewable(row.expires_at, row.upstream_expires_at, renews) {
            return refuse(
                "is not renewable: upstream ends the credential by itself; ask for a new one",
            );
        }
        let role = self.roles.version(row.role_id).await?;
        let bounds = Bounds::of(&role.host, &connection.spec.tune);
        let length = increment.unwrap_or(bounds.default);
        let ends = Ends {
            issued_at: row.issued_at,
            from: now,
            length: length.min(bounds.max),
            longest: bounds.max,
            recorded: row.max_expires_at,
            token: None,
            upstream: row.upstream_expires_at.filter(|_| !renews),
        };
        // One that has had its longest life, because the mount allows less since, keeps
        // the end that it has.
        let expires_at = ends.end().map_or(ends.end(), |end| match end > now {
            true => Some(end),
            false => row.expires_at,
        });
        let shortened = increment.is_some() && is_before(expires_at, length.after(now));

        if renews && let Some(credential) = &row.credential_id {
            let document = self.roles.document(&plugin, &connection, &role).await?;
            let (plugin, of, document, row) = (&plugin, &connection, &document, &row);
            let renewed = self.rotations.with_root(of, plugin, 1, |root, attempt| {
                Box::pin(async move {
                    let mut call = self.call(
                        of,
                        &root.root,
                        row.operation,
                        attempt,
                        &row.principal,
                        &id.role,
                    );
                    call.trigger = Trigger::Request;
                    let provider = &plugin.provider;
                    Ok(provider
                        .renew(&call, &root.config, document, credential, expires_at)
                        .await)
                })
            });
            renewed.await??;
        }
        // Upstream first: a crash here leaves a credential that lives longer
        // upstream than its lease, and the lease's end still ends it.
        fault::point("renew.after_provider");
        let left = "upstream may have the new end, and the lease ends at its former one";
        let renewed = self
            .storage
            .record_renewed(row.operation, expires_at, now)
            .await
            .map_err(|error| Refusal::from(error).after(left))?;
        if !renewed {
            return Err(Refusal::Conflict(format!(
                "lease {id} was revoked while it was being renewed"
            )));
        }
        fault::point("renew.after_commit");
        let (lease, expires) = (id.clone(), expires_at);
        Event::LeaseRenewed { lease, expires }.record();
        let renewed = LeaseRow {
            expires_at,
            renewed_at: Some(now),
            ..row
        };
        Ok(Renewed {
            lease: view(&connection, renewed, renews),
            shortened,
        })
    }
}

/// Whether one end comes noticeably before another; absent: never.
fn is_before(end: Option<Timestamp>, asked: Option<Timestamp>) -> bool {
    match (end, asked) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(end), Some(asked)) => end.plus(UNSAID) < asked,
    }
}
