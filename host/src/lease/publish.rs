//! Public documents of a mount, such as a revocation list: made by the provider
//! from what the host remembers, kept for as long as the provider allows.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, ConnectionName, MountPath, OperationId},
    provider::{Document, Trigger},
    refusal::Refusal,
};

use super::Leases;

/// Documents kept; names are chosen by anonymous callers, so their number is
/// bounded and the whole is dropped beyond.
const CACHE_LIMIT: usize = 256;

/// The time for which a name is known to have no document.
const NOTHING: Duration = Duration::from_secs(60);

/// Documents that were made, by connection and name.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<(ConnectionId, String), Kept>>);

#[derive(Clone, Debug)]
struct Kept {
    document: Option<Document>,
    version: u32,
    until: Timestamp,
}

impl Cache {
    /// Drops a connection's documents: the next reader gets new ones.
    pub(super) fn forget(&self, of: ConnectionId) {
        self.entries().retain(|(kept, _), _| *kept != of);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<(ConnectionId, String), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases {
    /// A public document of a mount by one of its connections; none where the provider makes none of that
    /// name.
    ///
    /// # Errors
    /// `NotFound` where there is no mount; the provider's failure.
    pub async fn publish(
        &self,
        path: &MountPath,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<Option<Document>, Refusal> {
        let connection = self.mounts.connection(path, connection)?;
        let plugin = self.mounts.plugin(&connection).await?;
        let offered = &plugin.provider.descriptor().abilities.publication;
        let serves = |known: &String| {
            known == name || (known.ends_with('/') && name.starts_with(known.as_str()))
        };
        if !offered.iter().any(serves) {
            return Ok(None);
        }
        let now = self.clock.now();
        let mut root = self.rotations.root_for(&connection, &plugin).await?;
        let key = (connection.id, name.to_owned());
        if let Some(kept) = self.published.entries().get(&key)
            && kept.version == root.root.version
            && kept.until > now
        {
            return Ok(kept.document.clone());
        }

        self.storage
            .prune_early_revocations(connection.id, now)
            .await?;
        let revoked = self.storage.early_revocations(connection.id, now).await?;
        let _slot = connection.slot().await?;
        let operation = OperationId::new(now)?;
        let (at, provider, so_far) = (&connection, &plugin.provider, &revoked);
        let asked = root.ask(1, |root, attempt| {
            Box::pin(async move {
                let mut call = at.call(operation, attempt, "publish", &root.root);
                call.trigger = Trigger::Request;
                Ok(provider.publish(&call, &root.config, name, so_far).await)
            })
        });
        let document = asked.await?.1?;
        let valid_for = document
            .as_ref()
            .map_or(NOTHING, |document| document.valid_for);
        let until = now.plus(valid_for);
        // A revocation that came meanwhile dropped what was kept; what was made
        // before it must not come back.
        if self.storage.early_revocations(connection.id, now).await? == revoked {
            let mut entries = self.published.entries();
            if entries.len() >= CACHE_LIMIT {
                entries.clear();
            }
            entries.insert(
                key,
                Kept {
                    document: document.clone(),
                    version: root.root.version,
                    until,
                },
            );
        }
        Ok(document)
    }
}
