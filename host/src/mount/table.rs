//! The table of mounts: made, found, changed and removed.
//!
//! It is small and read into memory as a whole when it changes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    grants::{Grants, beyond},
    id::{Digest, MountPath, OperationId},
    mount::{Tune, TunePatch},
    provider::Scope,
    random,
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{ConfigRow, MountRow, NewMount, Storage};
use tokio::sync::Semaphore;

use super::{
    Mount, Move, Root, authorities::kept_roots, config_context, loopback::loopback_endpoints,
    moves::Moves,
};
use crate::{
    catalog::{Catalog, Plugin, Standing},
    fault,
    identity::{Issuer, Subject},
};

/// Which of a mount's root credentials a call is with: there is one.
const CONNECTION: &str = "default";

/// A mount to be made.
#[derive(Clone, Debug)]
pub struct MountSpec {
    /// Where.
    pub path: MountPath,
    /// Name of a pinned plugin.
    pub plugin: String,
    /// Version of the pin; absent: follow the newest.
    pub version: Option<String>,
    /// For people.
    pub description: String,
    /// Its settings.
    pub tune: Tune,
}

/// A mount as shown.
#[derive(Clone, Debug)]
pub struct MountView {
    /// Where.
    pub path: MountPath,
    /// Public handle.
    pub accessor: String,
    /// Names it for ever.
    pub uuid: String,
    /// Name of the plugin.
    pub plugin: String,
    /// Version asked for.
    pub plugin_version: Option<String>,
    /// Version that runs.
    pub running_version: Option<String>,
    /// Digest that runs.
    pub running_sha256: Option<Digest>,
    /// For people.
    pub description: String,
    /// Its settings.
    pub tune: Tune,
    /// Why its plugin cannot run, where it cannot.
    pub problem: Option<String>,
}

/// All mounts.
#[derive(Debug)]
pub struct Mounts {
    pub(super) storage: Storage,
    keyring: Keyring,
    catalog: Arc<Catalog>,
    clock: Clock,
    issuer: Arc<Issuer>,
    /// `--dev`: what a config names on loopback is granted.
    dev: bool,
    /// By storage id; replaced as a whole on every change.
    table: RwLock<Arc<HashMap<i64, Arc<Mount>>>>,
    /// Held from reading the rows to replacing the table, so that an older
    /// reading never replaces a newer one.
    rereading: tokio::sync::Mutex<()>,
    moves: Moves,
}

impl Mounts {
    /// Reads the mounts.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn open_all(
        storage: Storage,
        keyring: Keyring,
        catalog: Arc<Catalog>,
        clock: Clock,
        issuer: Arc<Issuer>,
        dev: bool,
    ) -> Result<Self, Refusal> {
        let mounts = Self {
            issuer,
            storage,
            keyring,
            catalog,
            clock,
            dev,
            table: RwLock::default(),
            rereading: tokio::sync::Mutex::default(),
            moves: Moves::default(),
        };
        let held = mounts.storage.begin_holds(mounts.clock.now()).await?;
        if held > 0 {
            Event::HoldBegun { mounts: held }.record();
        }
        // Moves that a crash left unsettled; nobody hands anything out yet.
        let newest = OperationId::last_of(mounts.clock.now());
        mounts.storage.settle_moves(newest).await?;
        mounts.storage.forget_former_paths().await?;
        mounts.reread().await?;
        Ok(mounts)
    }

    /// Whether what comes by time waits for the operator anywhere.
    pub fn any_held(&self) -> bool {
        self.table().values().any(|mount| mount.held.is_some())
    }

    /// Lets a mount, or all, go on after a restore; the paths of those that were held.
    ///
    /// # Errors
    /// `NotFound`; where storage fails.
    pub async fn release(&self, path: Option<&MountPath>) -> Result<Vec<MountPath>, Refusal> {
        if let Some(path) = path
            && !self.every().iter().any(|mount| mount.path() == path)
        {
            self.open(path)?;
        }
        let held = self
            .every()
            .into_iter()
            .filter(|mount| mount.held.is_some() && path.is_none_or(|path| mount.path() == path));
        let held: Vec<Arc<Mount>> = held.collect();
        let ids = held.iter().map(|mount| mount.id).collect();
        self.storage.release_holds(ids).await?;
        self.reread().await?;
        for mount in &held {
            let mount = mount.path().clone();
            Event::HoldReleased { mount }.record();
        }
        Ok(held.iter().map(|mount| mount.path().clone()).collect())
    }

    /// Mounts a provider.
    ///
    /// # Errors
    /// A sentence where the path is taken or overlaps, the plugin is not pinned
    /// or cannot run, or a setting cannot work.
    pub async fn create(&self, spec: MountSpec) -> Result<MountView, Refusal> {
        spec.tune.check()?;
        let (pin, _) = self
            .catalog
            .plugin(&spec.plugin, spec.version.as_deref())
            .await?;
        // As the pin is named, however the operator wrote it.
        let version = spec.version.map(|_| pin.version);
        let path = spec.path.clone();
        if let Some(other) = self.overlapping(&path) {
            return Err(Refusal::Conflict(format!(
                "path is already in use at {other}/"
            )));
        }
        let handle = hex::encode(random::bytes::<4>()?);
        let taken = self
            .every()
            .iter()
            .any(|mount| mount.spec.known_as == path.as_str());
        let known_as = match taken {
            true => format!("{path}~{handle}"),
            false => path.to_string(),
        };
        let stored = self
            .storage
            .record_mount(NewMount {
                path: spec.path,
                known_as,
                accessor: format!("{}_{handle}", spec.plugin),
                uuid: OperationId::new(self.clock.now())?.to_string(),
                plugin: spec.plugin,
                plugin_version: version,
                description: spec.description,
                tune: spec.tune,
                created_at: self.clock.now(),
            })
            .await;
        match stored {
            Err(error) if error.is_duplicate() => {
                return Err(Refusal::Conflict(format!(
                    "path is already in use at {path}/"
                )));
            }
            other => other?,
        };
        self.reread().await?;
        let view = self.view(&path).await?;
        Event::MountEnabled {
            plugin: view.plugin.clone(),
            version: view.plugin_version.clone(),
            allowed_hosts: self.grants_of(&path),
            mount: path,
        }
        .record();
        Ok(view)
    }

    /// Moves a mount: its leases, roles and root credential go along, under new
    /// paths and ids. Ids that its leases had before go on naming them
    /// ([`Mount::answers_to`]). Gives the id by which [`Mounts::moved`] knows the move.
    ///
    /// # Errors
    /// `NotFound`; a sentence where the new path is taken or overlaps.
    pub async fn remount(&self, from: &MountPath, to: &MountPath) -> Result<OperationId, Refusal> {
        let id = OperationId::new(self.clock.now())?;
        let mount = self.open(from)?;
        let taken = |other: &MountPath| {
            Refusal::Conflict(format!("to: the path is already in use at {other}/"))
        };
        if let Some(other) = self
            .overlapping(to)
            .filter(|other| other != from || to == from)
        {
            return Err(taken(&other));
        }
        // Whoever rotates or writes a config has the mount by its former path.
        let _turn = mount.rotation_turn().await;
        let moved = self.storage.move_mount(mount.id, from.clone(), to.clone());
        match moved.await {
            Err(error) if error.is_duplicate() => return Err(taken(to)),
            Ok(false) => return Err(unknown(from.as_str())),
            other => other.map(drop)?,
        }
        fault::point("remount.after_move");
        self.reread().await?;
        // Only now does nobody make a lease under the former path any more. Where this
        // fails, ids under it name more leases than they should until the next start.
        let newest = OperationId::last_of(self.clock.now());
        let settled = self.storage.settle_moves(newest).await;
        if let Err(error) = settled {
            tracing::error!(mount = %from, to = %to, %error, "could not settle a move; the next start does");
        }
        self.reread().await?;
        Event::MountMoved {
            from: from.clone(),
            to: to.clone(),
        }
        .record();
        self.remember_move(Move {
            id,
            from: from.to_string(),
            to: to.to_string(),
        });
        Ok(id)
    }

    /// Remembers a move that is done, for those who ask how it stands.
    pub fn remember_move(&self, done: Move) {
        self.moves.remember(done);
    }

    /// A mount or login method that was moved since the server started.
    pub fn moved(&self, id: &OperationId) -> Option<Move> {
        self.moves.find(id)
    }

    /// All live mounts by path.
    pub async fn list(&self) -> Vec<MountView> {
        let mut views = Vec::new();
        let live = self.live();
        for (mount, standing) in live.iter().zip(self.standing(&live).await) {
            views.push(view_of(mount, standing));
        }
        views.sort_by(|a, b| a.path.cmp(&b.path));
        views
    }

    /// One mount.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn view(&self, path: &MountPath) -> Result<MountView, Refusal> {
        let mount = self.open(path)?;
        let standing = self.standing(&[Arc::clone(&mount)]).await.pop();
        Ok(view_of(&mount, standing.unwrap_or_default()))
    }

    /// Changes a mount's settings; calls under way keep the former ones.
    ///
    /// # Errors
    /// `NotFound`, or a sentence where a setting cannot work.
    pub async fn tune(&self, path: &MountPath, patch: TunePatch) -> Result<MountView, Refusal> {
        let mount = self.open(path)?;
        let former = &mount.spec.tune;
        let (default_lease_ttl, max_lease_ttl) = patch.lifetimes(former);
        let tune = Tune {
            default_lease_ttl,
            max_lease_ttl,
            revoke_leases_with_role: patch
                .revoke_leases_with_role
                .unwrap_or(former.revoke_leases_with_role),
            allowed_hosts: patch
                .allowed_hosts
                .unwrap_or_else(|| former.allowed_hosts.clone()),
            extra_roots: patch
                .extra_roots
                .unwrap_or_else(|| former.extra_roots.clone()),
            max_leases: patch.max_leases.unwrap_or(former.max_leases),
            max_concurrency: patch.max_concurrency.unwrap_or(former.max_concurrency),
            timeout: patch.timeout.unwrap_or(former.timeout),
            identity_audiences: patch
                .identity_audiences
                .unwrap_or_else(|| former.identity_audiences.clone()),
            task_timeout: patch.task_timeout.unwrap_or(former.task_timeout),
            vault: former.vault.changed(&patch.vault),
        };
        tune.check()?;
        let (plain_request_keys, plain_response_keys) = tune.vault.plain_keys();
        let mut version = match patch.plugin_version {
            Some(version) if version.is_empty() => None,
            Some(version) => Some(version),
            None => mount.spec.plugin_version.clone(),
        };
        if version != mount.spec.plugin_version {
            let (pin, _) = self
                .catalog
                .plugin(&mount.spec.plugin, version.as_deref())
                .await?;
            version = version.map(|_| pin.version);
        }
        let description = patch
            .description
            .unwrap_or_else(|| mount.spec.description.clone());
        if !self
            .storage
            .change_mount(mount.id, version, description, tune)
            .await?
        {
            return Err(unknown(path.as_str()));
        }
        // Grants may have been narrowed: parked connections were made under the
        // former ones.
        self.catalog.drop_parked(mount.id);
        self.reread().await?;
        // A missing grant may have been what kept leases from being revoked and
        // accounts from being rotated.
        let now = self.clock.now();
        self.storage.wake_revocations(mount.id, now).await?;
        self.storage.wake_accounts(mount.id, now).await?;
        Event::MountTuned {
            mount: path.clone(),
            allowed_hosts: self.grants_of(path),
            plain_request_keys,
            plain_response_keys,
        }
        .record();
        self.view(path).await
    }

    /// What of a mount's grants allows more than its provider asks for, a sentence
    /// each. Empty where the provider cannot run now.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn needless_grants(&self, path: &MountPath) -> Result<Vec<String>, Refusal> {
        let mount = self.open(path)?;
        let entries = &mount.spec.tune.allowed_hosts;
        let plugin = self.plugin(&mount).await;
        Ok(plugin.map_or_else(
            |_| Vec::new(),
            |plugin| beyond(entries, &plugin.provider.descriptor().endpoints),
        ))
    }

    /// Unmounts: refused new work at once; its leases are revoked in the
    /// background, then its row goes. Answers how many leases it has.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(&self, path: &MountPath) -> Result<usize, Refusal> {
        let mount = self.open(path)?;
        let revoking = self
            .storage
            .total_leases(mount.id, None, OperationId::GREATEST)
            .await?;
        self.storage.drain_mount(mount.id, self.clock.now()).await?;
        fault::point("cascade.after_mount");
        self.reread().await?;
        let mount = path.clone();
        Event::MountDisabled { mount, revoking }.record();
        Ok(revoking)
    }

    /// Removes a mount that was drained. False while leases are left.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn remove_drained(&self, mount: &Mount) -> Result<bool, Refusal> {
        let now = self.clock.now();
        let removed = self.storage.remove_drained_mount(mount.id, now).await?;
        if removed {
            let path = mount.path().clone();
            Event::MountRemoved { mount: path }.record();
            self.catalog.drop_parked(mount.id);
            self.reread().await?;
        }
        Ok(removed)
    }

    /// The live mount with the longest path that begins `path`, and the rest
    /// behind it without a leading slash.
    pub fn resolve(&self, path: &str) -> Option<(MountPath, String)> {
        let path = path.trim_matches('/');
        let mount = self.answering(path)?;
        let rest = path.strip_prefix(mount.path().as_str())?;
        let rest = rest.trim_start_matches('/').to_owned();
        Some((mount.path().clone(), rest))
    }

    /// The live mount with the longest path that begins `path`.
    pub fn answering(&self, path: &str) -> Option<Arc<Mount>> {
        let path = path.trim_matches('/');
        let table = self.table();
        let answers = |mount: &&Arc<Mount>| {
            let rest = path.strip_prefix(mount.path().as_str());
            mount.live && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = table.values().filter(answers);
        let longest = found.max_by_key(|mount| mount.path().as_str().len());
        longest.cloned()
    }

    /// A live mount.
    ///
    /// # Errors
    /// `NotFound`, naming the nearest known path.
    pub fn open(&self, path: &MountPath) -> Result<Arc<Mount>, Refusal> {
        self.live()
            .into_iter()
            .find(|mount| mount.path() == path)
            .ok_or_else(|| {
                let live = self.live();
                let paths = live.iter().map(|mount| mount.path().as_str());
                let hint = lessor_model::suggest::hint(path.as_str(), paths);
                Refusal::NotFound(format!("no mount at {path:?}{hint}"))
            })
    }

    /// A mount by its storage id, draining ones included.
    pub fn by_id(&self, id: i64) -> Option<Arc<Mount>> {
        self.table().get(&id).cloned()
    }

    /// Every mount, draining ones included.
    pub fn every(&self) -> Vec<Arc<Mount>> {
        self.table().values().cloned().collect()
    }

    /// The provider of a mount.
    ///
    /// # Errors
    /// `Unavailable` with a sentence where it cannot run.
    pub async fn plugin(&self, mount: &Mount) -> Result<Arc<Plugin>, Refusal> {
        let loaded = self
            .catalog
            .plugin(&mount.spec.plugin, mount.spec.plugin_version.as_deref())
            .await;
        match loaded {
            Ok((_, plugin)) => Ok(plugin),
            Err(Refusal::Invalid(sentence)) => Err(Refusal::Unavailable(sentence)),
            Err(other) => Err(other),
        }
    }

    /// The provider that is to end what the one of a digest made: that one itself, as
    /// long as it is pinned and can run, else the one of the mount.
    ///
    /// # Errors
    /// As [`Self::plugin`].
    pub async fn maker(&self, mount: &Mount, sha256: Digest) -> Result<Arc<Plugin>, Refusal> {
        let running = self.plugin(mount).await;
        if let Ok(running) = &running
            && running.provider.digest() == sha256
        {
            return Ok(Arc::clone(running));
        }
        match self.catalog.pinned(&mount.spec.plugin, sha256).await {
            Some(maker) => Ok(maker),
            None => running,
        }
    }

    /// Names of the plugins that mounts run, draining ones included.
    pub fn plugins(&self) -> BTreeSet<String> {
        let mounts = self.every().into_iter();
        mounts.map(|mount| mount.spec.plugin.clone()).collect()
    }

    /// Has failed revocations and rotations of the mounts of a plugin tried at once: a
    /// change of its pins may have mended what stood in their way.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn wake_users(&self, plugin: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        for mount in self.every() {
            if mount.spec.plugin == plugin {
                self.storage.wake_revocations(mount.id, now).await?;
                self.storage.wake_accounts(mount.id, now).await?;
            }
        }
        Ok(())
    }

    /// The root credential in use, still sealed.
    ///
    /// # Errors
    /// `Invalid` where the mount has no config yet.
    pub async fn root(&self, mount: &Mount, plugin: &Plugin) -> Result<Arc<Root>, Refusal> {
        let changes = {
            let cached = mount.cached_root();
            if let Some(root) = &cached.root {
                return Ok(Arc::clone(root));
            }
            cached.changes
        };
        let row = self.storage.current_config(mount.id).await?.ok_or_else(|| {
            Refusal::Invalid(format!(
                "mount {path} has no config: write one with `lessor config write {path} …` or POST /v1/{path}/config",
                path = mount.path()
            ))
        })?;
        let root = self.root_of(mount, plugin, &row)?;
        let mut cached = mount.cached_root();
        if cached.changes == changes {
            cached.root = Some(Arc::clone(&root));
        }
        Ok(root)
    }

    /// A stored version of the root credential, still sealed.
    ///
    /// # Errors
    /// `Conflict` where it is retired.
    pub fn root_of(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        row: &ConfigRow,
    ) -> Result<Arc<Root>, Refusal> {
        let document = row.document.clone().ok_or_else(|| {
            Refusal::Conflict(format!("version {} of the config is retired", row.version))
        })?;
        let plain = self
            .keyring
            .open_text(&config_context(mount.id, row.version), &document)?;
        let scope = self.scope(mount, plugin, row.version, &plain)?;
        let root = Arc::new(Root {
            version: row.version,
            scope,
            document,
            mount_id: mount.id,
        });
        let mut lent = mount
            .shared
            .lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lent.retain(|lent| lent.strong_count() > 0);
        lent.push(Arc::downgrade(&root));
        Ok(root)
    }

    /// The config in use, opened, where the mount has one.
    ///
    /// # Errors
    /// Where storage fails or the keyring cannot open it.
    pub async fn config(&self, mount: &Mount) -> Result<Option<Secret<String>>, Refusal> {
        let Some(row) = self.storage.current_config(mount.id).await? else {
            return Ok(None);
        };
        let context = config_context(mount.id, row.version);
        let document = row.document.as_deref();
        Ok(document
            .map(|document| self.keyring.open_text(&context, document))
            .transpose()?)
    }

    /// Lets mounts name a version of their plugin, all of them or none; calls under
    /// way end on the one that they began with.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn name_version(&self, mounts: &[Arc<Mount>], version: &str) -> Result<(), Refusal> {
        let ids = mounts.iter().map(|mount| mount.id).collect();
        self.storage
            .name_plugin_version(ids, version.to_owned())
            .await?;
        self.reread().await
    }

    /// What calls with a config are bounded by.
    ///
    /// # Errors
    /// Where the config is not JSON, which storing it has ruled out.
    pub fn scope(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        version: u32,
        config: &Secret<String>,
    ) -> Result<Arc<Scope>, Refusal> {
        let grants = if self.dev {
            let descriptor = plugin.provider.descriptor();
            let (endpoints, schema) = (&descriptor.endpoints, &descriptor.config_schema);
            let extra = loopback_endpoints(endpoints, schema, config.expose());
            if extra.is_empty() {
                Arc::clone(&mount.grants)
            } else {
                tracing::warn!(mount = %mount.path(), granted = ?extra, "granted what the config names on loopback (--dev)");
                let all: Vec<String> = mount
                    .spec
                    .tune
                    .allowed_hosts
                    .iter()
                    .cloned()
                    .chain(extra)
                    .collect();
                Arc::new(Grants::parse(&all).map_err(|error| Refusal::Invalid(error.to_string()))?)
            }
        } else {
            Arc::clone(&mount.grants)
        };
        Ok(Arc::new(Scope {
            mount_id: mount.id,
            mount: mount.path().clone(),
            known_as: mount.spec.known_as.clone(),
            config_version: version,
            grants,
            extra_roots: Arc::clone(&mount.extra_roots),
            derivation_key: Arc::clone(&mount.derivation_key),
            identity: Some(self.issuer.identity(Subject {
                uuid: mount.spec.uuid.clone(),
                path: mount.path().clone(),
                connection: CONNECTION.into(),
                audiences: mount.spec.tune.identity_audiences.clone(),
            })),
        }))
    }

    /// Looks after the keys by which the host says who its mounts are; the moment to look
    /// again.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn look_after_identity(&self, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        self.issuer.look_after(now).await
    }

    /// Drops the connections that were parked for a mount.
    pub fn drop_parked(&self, mount: &Mount) {
        self.catalog.drop_parked(mount.id);
    }

    /// Opens a root credential for one call.
    ///
    /// # Errors
    /// Where the keyring cannot open it.
    pub fn unseal(&self, root: &Root) -> Result<Secret<String>, Refusal> {
        Ok(self
            .keyring
            .open_text(&config_context(root.mount_id, root.version), &root.document)?)
    }

    fn grants_of(&self, path: &MountPath) -> Vec<String> {
        let mount = self.open(path);
        mount.map_or_else(
            |_| Vec::new(),
            |mount| mount.spec.tune.allowed_hosts.clone(),
        )
    }

    fn overlapping(&self, path: &MountPath) -> Option<MountPath> {
        let inside = |outer: &str, inner: &str| {
            inner == outer
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        self.live()
            .into_iter()
            .map(|mount| mount.path().clone())
            .find(|other| {
                inside(other.as_str(), path.as_str()) || inside(path.as_str(), other.as_str())
            })
    }

    fn live(&self) -> Vec<Arc<Mount>> {
        self.table()
            .values()
            .filter(|mount| mount.live)
            .cloned()
            .collect()
    }

    fn table(&self) -> Arc<HashMap<i64, Arc<Mount>>> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn reread(&self) -> Result<(), Refusal> {
        let _turn = self.rereading.lock().await;
        let rows = self.storage.mounts().await?;
        let holds = HashMap::from_iter(self.storage.holds().await?);
        let former = self.table();
        let mut table = HashMap::new();
        for row in rows {
            let mount = self.mount_of(row, &former, &holds)?;
            mount.forget_root();
            table.insert(mount.id, Arc::new(mount));
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }

    fn mount_of(
        &self,
        row: MountRow,
        former: &HashMap<i64, Arc<Mount>>,
        holds: &HashMap<i64, Timestamp>,
    ) -> Result<Mount, Refusal> {
        let tune = &row.mount.tune;
        let former = former.get(&row.id);
        // Another number of slots begins anew: calls under way end on the former.
        let slots = former
            .filter(|mount| mount.spec.tune.max_concurrency == tune.max_concurrency)
            .map(|mount| Arc::clone(&mount.slots))
            .unwrap_or_else(|| {
                Arc::new(Semaphore::new(
                    usize::try_from(tune.max_concurrency).unwrap_or(1),
                ))
            });
        let shared = former
            .map(|mount| Arc::clone(&mount.shared))
            .unwrap_or_default();
        let grants = Grants::parse(&tune.allowed_hosts).map_err(Refusal::internal)?;
        Ok(Mount {
            id: row.id,
            live: row.live,
            former: row.former,
            held: holds.get(&row.id).copied(),
            grants: Arc::new(grants),
            extra_roots: kept_roots(&row.mount.path, &tune.extra_roots).into(),
            derivation_key: Arc::new(self.keyring.derivation_key(&row.mount.uuid)?),
            slots,
            shared,
            spec: row.mount,
        })
    }

    /// How the plugins of mounts stand.
    async fn standing(&self, mounts: &[Arc<Mount>]) -> Vec<Standing> {
        let named = mounts.iter().map(|mount| {
            let spec = &mount.spec;
            (spec.plugin.as_str(), spec.plugin_version.as_deref())
        });
        self.catalog.standing(&named.collect::<Vec<_>>()).await
    }
}

fn view_of(mount: &Mount, standing: Standing) -> MountView {
    let spec = &mount.spec;
    let Standing { pin, problem } = standing;
    let (running_version, running_sha256) = pin.map(|pin| (pin.version, pin.sha256)).unzip();
    MountView {
        path: spec.path.clone(),
        accessor: spec.accessor.clone(),
        uuid: spec.uuid.clone(),
        plugin: spec.plugin.clone(),
        plugin_version: spec.plugin_version.clone(),
        running_version,
        running_sha256,
        description: spec.description.clone(),
        tune: spec.tune.clone(),
        problem,
    }
}

fn unknown(path: &str) -> Refusal {
    Refusal::NotFound(format!("no mount at {path:?}"))
}
