//! Mounts of providers.

use std::sync::Arc;

use async_trait::async_trait;
use lessor_model::{
    clock::Clock,
    event::Event,
    id::{MountPath, OperationId},
    refusal::Refusal,
};
use lessor_store::Storage;

use super::{
    Mount,
    backend::{Backend, Parts, Stillness},
};
use crate::{catalog::Catalog, fault};

/// A provider at a path: its plugin is pinned, and its leases end before its row goes.
#[derive(Debug)]
pub(super) struct Providers {
    storage: Storage,
    catalog: Arc<Catalog>,
    clock: Clock,
}

impl Providers {
    pub(super) fn new(storage: Storage, catalog: Arc<Catalog>, clock: Clock) -> Self {
        Self {
            storage,
            catalog,
            clock,
        }
    }
}

#[async_trait]
impl Backend for Providers {
    fn handle(&self) -> &'static str {
        ""
    }

    async fn admit(&self, plugin: &str, version: Option<&str>) -> Result<Option<String>, Refusal> {
        let (pin, _) = self.catalog.plugin(plugin, version).await?;
        // As the pin is named, however the operator wrote it.
        Ok(version.map(|_| pin.version))
    }

    async fn tuned(&self, of: &Parts) -> Result<(), Refusal> {
        // A missing grant may have been what kept leases from being revoked and
        // accounts from being rotated.
        let now = self.clock.now();
        for connection in &of.connections {
            self.storage.wake_revocations(connection.id, now).await?;
            self.storage.wake_static_roles(connection.id, now).await?;
        }
        Ok(())
    }

    async fn hold_still(&self, of: &Parts) -> Result<Stillness, Refusal> {
        // Whoever rotates or writes a config has the mount by its former path. In the one
        // order, so that no two moves wait for each other.
        let mut turns = Vec::new();
        for connection in &of.connections {
            turns.push(connection.rotation_turn().await);
        }
        Ok(Box::new(turns))
    }

    async fn moved(&self, from: &MountPath, to: &MountPath) -> Result<(), Refusal> {
        // Only now does nobody make a lease under the former path any more. Where this
        // fails, ids under it name more leases than they should until the next start.
        let newest = OperationId::last_of(self.clock.now());
        let settled = self.storage.settle_moves(newest).await;
        if let Err(error) = settled {
            tracing::error!(mount = %from, to = %to, %error, "could not settle a move; the next start does");
        }
        Ok(())
    }

    async fn end(&self, of: &Parts) -> Result<usize, Refusal> {
        let mount = &of.mount;
        let revoking = self
            .storage
            .total_leases(mount.id, None, OperationId::GREATEST)
            .await?;
        self.storage.drain_mount(mount.id, self.clock.now()).await?;
        fault::point("cascade.after_mount");
        Ok(revoking)
    }

    fn told_made(&self, mount: &Mount) -> Event {
        let spec = &mount.spec;
        Event::MountEnabled {
            plugin: spec.plugin.clone(),
            version: spec.plugin_version.clone(),
            allowed_hosts: spec.tune.allowed_hosts.clone(),
            mount: spec.path.clone(),
        }
    }

    fn told_tuned(&self, mount: &Mount) -> Event {
        let tune = &mount.spec.tune;
        let (plain_request_keys, plain_response_keys) = tune.vault.plain_keys();
        Event::MountTuned {
            mount: mount.path().clone(),
            allowed_hosts: tune.allowed_hosts.clone(),
            delete_protection: tune.delete_protection,
            tags: tune.tags.clone(),
            plain_request_keys,
            plain_response_keys,
        }
    }

    fn told_moved(&self, from: MountPath, to: MountPath) -> Event {
        Event::MountMoved { from, to }
    }

    fn told_ended(&self, mount: MountPath, revoking: usize) -> Event {
        Event::MountDisabled { mount, revoking }
    }

    fn unknown(&self, path: &MountPath) -> Refusal {
        Refusal::NotFound(format!("no mount at {:?}", path.as_str()))
    }
}
