//! Requests with an `Idempotency-Key`: a repeat is the same operation.
//!
//! The key is committed with the intent. A repeat finds the operation and asks
//! the provider for it once more; a provider answers the same operation with the
//! same credential. So a caller whose answer was lost, with the connection or
//! with the whole host, gets its credential, and never a second one.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lessor_model::{
    clock::Timestamp,
    id::{OperationId, RoleName},
    lifetime::{Length, NEVER},
    refusal::Refusal,
    secret::Secret,
};
use lessor_store::{IdempotencyRow, LeaseState, NewLease};

use super::{
    IssueRequest, Issued, Leases, id_of,
    issue::{Making, early},
    view,
};
use crate::mount::{Mount, give_up_after};

/// The time for which a key stands for its operation.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Longest key in bytes.
const LONGEST: usize = 255;

/// A caller's name for one request.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(String);

impl std::str::FromStr for IdempotencyKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits =
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
            .ok_or("Idempotency-Key must be 1 to 255 visible ASCII characters")
    }
}

impl std::fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Operations with a key that are being answered, so that a repeat that comes
/// too early does not run beside the original.
#[derive(Debug, Default)]
pub(super) struct Answering(Mutex<HashSet<OperationId>>);

/// The right to answer one operation.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Answering, OperationId);

impl Answering {
    /// None while somebody else answers it.
    pub(super) fn begin(&self, operation: OperationId) -> Option<Turn<'_>> {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Made only where it is this one's: dropping one takes the lock.
        set.insert(operation).then(|| Turn(self, operation))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut set = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.remove(&self.1);
    }
}

impl Leases {
    /// The row of a request with a key, to be stored if it is the first.
    pub(super) fn idempotency_row(
        &self,
        mount: &Mount,
        role: &RoleName,
        request: &IssueRequest,
        operation: OperationId,
        now: Timestamp,
    ) -> Option<IdempotencyRow> {
        let key = request.key.as_ref()?;
        let ttl = match request.ttl {
            None => String::new(),
            Some(Length::For(ttl)) => ttl.as_millis().to_string(),
            Some(Length::Never) => NEVER.to_owned(),
        };
        let body = request.body.to_string();
        let whose = &request.requester.accessor;
        let of = |parts: &[&str]| self.keyring.idempotency_hash(parts);
        Some(IdempotencyRow {
            key: of(&[&mount.spec.uuid, role.as_str(), whose, &key.0]),
            request: of(&[&ttl, &body]),
            operation,
            expires_at: now.plus(LIFE),
        })
    }

    /// Answers a request whose key was seen before.
    pub(super) async fn repeat(
        &self,
        mount: &std::sync::Arc<Mount>,
        role_name: &RoleName,
        request: &IssueRequest,
        asked: &IdempotencyRow,
        first: &IdempotencyRow,
    ) -> Result<Issued, Refusal> {
        if first.request != asked.request {
            return Err(Refusal::Conflict(
                "this Idempotency-Key was used for another request; use a new one".into(),
            ));
        }
        let ended = || {
            Refusal::Conflict(
                "the lease of this Idempotency-Key has ended; use a new key to get another credential".into(),
            )
        };
        let _turn = self.answering.begin(first.operation).ok_or_else(early)?;
        let plugin = self.mounts.plugin(mount).await?;
        let mut body = request.body.clone();
        plugin
            .request
            .check("request", &mut body)
            .map_err(Refusal::Invalid)?;
        // The lease has its connection, whatever the role is for by now.
        let row = self
            .storage
            .lease(first.operation)
            .await?
            .ok_or_else(ended)?;
        let connection = self.mounts.connection_by_id(row.connection);
        let connection = connection.ok_or_else(ended)?;
        let mut root = self.rotations.root_for(&connection, &plugin).await?;
        let slot = connection.slot().await?;
        let now = self.clock.now();
        // From here on the intent has time until then, as at the first try.
        let patience = request.patience.unwrap_or(mount.spec.tune.timeout);
        let due = give_up_after(patience, now);
        let row = self.storage.resume_intent(first.operation, due).await?;
        let row = row
            .filter(|row| row.expires_at.is_none_or(|end| end > now))
            .ok_or_else(ended)?;
        let role = self.roles.version(row.role_id).await?;
        let was_active = row.state == LeaseState::Active;
        let lease = NewLease::of_row(&row, root.root.version, due);
        let making = Making {
            connection: &connection,
            plugin: &plugin,
            role_name,
            document: self.roles.document(&plugin, mount, &role).await?,
            body: Secret::new(body.to_string()),
            lease: &lease,
            has_intent: true,
            patience,
            first_attempt: 2,
        };
        let (attempt, made) = self.make(&making, &mut root).await?;
        drop(slot);
        drop(root);
        let abilities = &plugin.provider.descriptor().abilities;
        let credential = match made {
            Ok(credential) => credential,
            // The lease stands: only its credential cannot be told again now.
            Err(failure) if was_active => return Err(failure.into()),
            Err(failure) => {
                let id = id_of(mount, role_name, lease.operation);
                return Err(self.not_made(id, lease, attempt, failure).await);
            }
        };
        if !was_active {
            return self
                .activate(mount, role_name, lease, credential, abilities.renewal)
                .await;
        }
        if row.credential_id.as_deref() != Some(credential.id.as_str()) {
            return Err(Refusal::internal(std::io::Error::other(
                "the provider answered a repeat with another credential",
            )));
        }
        Ok(Issued {
            lease: view(mount, row, abilities.renewal),
            data: credential.data,
            effective_after: credential.effective_in.map(|wait| now.plus(wait)),
            warnings: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_visible_text() {
        for (key, fits) in [
            ("a", true),
            ("6f0c6d0e-7c0b-4a8a-9a43-0a1e5f1f7f5b", true),
            ("", false),
            ("a b", false),
            ("ä", false),
            ("a\n", false),
        ] {
            assert_eq!(key.parse::<IdempotencyKey>().is_ok(), fits, "{key:?}");
        }
        assert!("k".repeat(255).parse::<IdempotencyKey>().is_ok());
        assert!("k".repeat(256).parse::<IdempotencyKey>().is_err());
    }

    #[test]
    fn one_operation_is_answered_once_at_a_time() {
        let answering = Answering::default();
        let operation = OperationId::from_bytes([1; 16]);
        let turn = answering.begin(operation);
        assert!(turn.is_some() && answering.begin(operation).is_none());
        drop(turn);
        assert!(answering.begin(operation).is_some());
    }
}
