//! Mounts made, tuned, moved and removed: the same for every kind, but for what its
//! [`Backend`](super::Backend) does.

use std::sync::Arc;

use lessor_model::{
    event::Event,
    id::{MountPath, OperationId},
    mount::{Kind, TunePatch},
    random,
    refusal::Refusal,
};
use lessor_store::NewMount;

use super::{Mount, MountSpec, MountView, Mounts, Move, backend::Parts, proxy, table::TOKENS};
use crate::fault;

impl Mounts {
    /// Mounts a provider.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub async fn create(&self, spec: MountSpec) -> Result<MountView, Refusal> {
        let path = spec.path.clone();
        self.make(spec).await?;
        self.view(&path).await
    }

    /// Changes the settings of a provider's mount; calls under way keep the former ones.
    ///
    /// # Errors
    /// `NotFound`, or a sentence where a setting cannot work.
    pub async fn tune(&self, path: &MountPath, patch: TunePatch) -> Result<MountView, Refusal> {
        let mount = self.open(path)?;
        self.change(&mount, patch).await?;
        self.view(path).await
    }

    /// Moves a provider's mount: its leases, roles and root credentials go along, under
    /// new paths and ids. Ids that its leases had before go on naming them
    /// ([`Mount::answers_to`]). Gives the id by which [`Mounts::moved`] knows the move.
    ///
    /// # Errors
    /// `NotFound`; a sentence where the new path is taken or overlaps.
    pub async fn remount(&self, from: &MountPath, to: &MountPath) -> Result<OperationId, Refusal> {
        let mount = self.open(from)?;
        self.move_to(&mount, to).await
    }

    /// Unmounts a provider: it is refused new work at once; its leases are revoked in the
    /// background, then its row goes. Answers how many leases it has.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it is protected.
    pub async fn remove(&self, path: &MountPath) -> Result<usize, Refusal> {
        let mount = self.open(path)?;
        if mount.spec.tune.delete_protection {
            return Err(Refusal::Conflict(format!(
                "mount {path} is protected from removal; `lessor mount tune {path} --delete-protection false` lifts \
                 that"
            )));
        }
        self.end(&mount).await
    }

    /// Makes a mount.
    ///
    /// # Errors
    /// A sentence where the path is taken or overlaps, what it is to run cannot, or a
    /// setting cannot work.
    pub async fn make(&self, spec: MountSpec) -> Result<(), Refusal> {
        let (kind, path) = (spec.kind, spec.path);
        spec.tune.check(kind)?;
        let backend = self.backend(kind)?;
        let version = backend.admit(&spec.plugin, spec.version.as_deref()).await?;
        if let Some(other) = self.overlapping(kind, &path) {
            return Err(backend.taken(&other));
        }
        let handle = hex::encode(random::bytes::<4>()?);
        let whole = kind.whole_path(&path);
        let is_known = |mount: &Arc<Mount>| mount.spec.known_as == whole;
        let known_as = match self.of_every_kind().iter().any(is_known) {
            true => format!("{whole}~{handle}"),
            false => whole,
        };
        let now = self.clock.now();
        let uuid = OperationId::new(now)?.to_string();
        let mut tune = spec.tune;
        if let Some(credentials) = &spec.http_proxy_credentials {
            proxy::seal(&self.keyring, &uuid, &mut tune, credentials)?;
        }
        let new = NewMount {
            kind,
            path: path.clone(),
            known_as,
            accessor: format!("{}{}_{handle}", backend.handle(), spec.plugin),
            uuid,
            plugin: spec.plugin,
            plugin_version: version,
            description: spec.description,
            tune,
            created_at: now,
        };
        let id = match self.storage.record_mount(new).await {
            Err(error) if error.is_duplicate() => return Err(backend.taken(&path)),
            other => other?.0,
        };
        self.reread().await?;
        if let Some(mount) = self.by_id(id) {
            backend.told_made(&mount).record();
        }
        Ok(())
    }

    /// Changes a mount's settings; what is under way keeps the former ones.
    ///
    /// # Errors
    /// `NotFound` where it was removed meanwhile; a sentence where a setting cannot work.
    pub async fn change(&self, mount: &Mount, patch: TunePatch) -> Result<(), Refusal> {
        let (spec, backend) = (&mount.spec, self.backend(mount.spec.kind)?);
        let mut tune = patch.applied_to(spec.kind, &spec.tune)?;
        if let Some(credentials) = &patch.http_proxy_credentials {
            proxy::seal(&self.keyring, &spec.uuid, &mut tune, credentials)?;
        }
        let mut version = match patch.plugin_version {
            Some(version) if version.is_empty() => None,
            Some(version) => Some(version),
            None => spec.plugin_version.clone(),
        };
        if version != spec.plugin_version {
            version = backend.admit(&spec.plugin, version.as_deref()).await?;
        }
        let description = patch
            .description
            .unwrap_or_else(|| spec.description.clone());
        let changed = self
            .storage
            .change_mount(mount.id, version, description, tune);
        if !changed.await? {
            return Err(backend.unknown(mount.path()));
        }
        // Grants may have been narrowed: parked streams were made under the former ones.
        for connection in self.connections_of(mount) {
            self.drop_parked(&connection);
        }
        self.reread().await?;
        let Some(mount) = self.by_id(mount.id) else {
            return Err(backend.unknown(mount.path()));
        };
        backend.tuned(&self.parts_of(&mount)).await?;
        backend.told_tuned(&mount).record();
        Ok(())
    }

    /// Moves a mount. Gives the id by which [`Mounts::moved`] knows the move.
    ///
    /// # Errors
    /// `NotFound` where it was removed meanwhile; a sentence where the new path is taken
    /// or overlaps.
    pub async fn move_to(
        &self,
        mount: &Arc<Mount>,
        to: &MountPath,
    ) -> Result<OperationId, Refusal> {
        let id = OperationId::new(self.clock.now())?;
        let (kind, from) = (mount.spec.kind, mount.path());
        let backend = self.backend(kind)?;
        let taken = |other: &MountPath| {
            let other = kind.whole_path(other);
            Refusal::Conflict(format!("to: the path is already in use at {other}/"))
        };
        if let Some(other) = self
            .overlapping(kind, to)
            .filter(|other| other != from || to == from)
        {
            return Err(taken(&other));
        }
        let still = backend.hold_still(&self.parts_of(mount)).await?;
        let moved = self
            .storage
            .move_mount(mount.id, kind, from.clone(), to.clone());
        match moved.await {
            Err(error) if error.is_duplicate() => return Err(taken(to)),
            Ok(false) => return Err(backend.unknown(from)),
            other => other.map(drop)?,
        }
        fault::point("remount.after_move");
        self.reread().await?;
        backend.moved(from, to).await?;
        self.reread().await?;
        drop(still);
        backend.told_moved(from.clone(), to.clone()).record();
        self.remember_move(Move {
            id,
            from: kind.whole_path(from),
            to: kind.whole_path(to),
        });
        Ok(id)
    }

    /// Takes a mount from its path and ends what there is by it. Answers how many leases
    /// end with it.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn end(&self, mount: &Arc<Mount>) -> Result<usize, Refusal> {
        let backend = self.backend(mount.spec.kind)?;
        let revoking = backend.end(&self.parts_of(mount)).await?;
        self.reread().await?;
        let told: Event = backend.told_ended(mount.path().clone(), revoking);
        told.record();
        Ok(revoking)
    }

    fn parts_of(&self, mount: &Arc<Mount>) -> Parts {
        let logins = self.logins();
        Parts {
            mount: Arc::clone(mount),
            connections: self.connections_of(mount),
            login: logins.iter().find(|login| login.id == mount.id).cloned(),
        }
    }

    /// The path of a live mount in the same place that a path overlaps with, where there
    /// is one.
    fn overlapping(&self, kind: Kind, path: &MountPath) -> Option<MountPath> {
        let inside = |outer: &str, inner: &str| {
            inner == outer
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let mounts = self.of_every_kind().into_iter();
        let mounts = mounts.filter(|mount| mount.live && mount.spec.kind.is_beside(kind));
        let paths = mounts.map(|mount| mount.path().clone());
        let own = kind.own_path(TOKENS).and_then(|path| path.parse().ok());
        paths.chain(own).find(|other| {
            inside(other.as_str(), path.as_str()) || inside(path.as_str(), other.as_str())
        })
    }
}
