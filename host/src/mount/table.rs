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
    id::{ConnectionId, ConnectionName, Digest, MountPath, OperationId},
    mount::{Kind, Tune},
    provider::Scope,
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{ConfigRow, ConnectionRow, MountRow, Storage};
use tokio::sync::{Notify, Semaphore, futures::Notified};

use super::{
    Connection, LoginMount, Mount, Move, Root, authorities::kept_roots, backend::Backend,
    config_context, loopback::loopback_endpoints, moves::Moves, provider::Providers,
    proxy::kept_proxy,
};
use crate::{
    catalog::{Catalog, Plugin, Standing},
    context::Context,
    identity::{Issuer, Subject},
};

/// A mount to be made.
#[derive(Clone, Debug)]
pub struct MountSpec {
    /// What it is.
    pub kind: Kind,
    /// Where, without what stands before the paths of its kind.
    pub path: MountPath,
    /// Name of a pinned plugin; of a login method, its kind.
    pub plugin: String,
    /// Version of the pin; absent: follow the newest.
    pub version: Option<String>,
    /// For people.
    pub description: String,
    /// Its settings.
    pub tune: Tune,
    /// The user and password that its proxy is shown, to be sealed.
    pub http_proxy_credentials: Option<Arc<Secret<String>>>,
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
    pub(super) keyring: Keyring,
    catalog: Arc<Catalog>,
    pub(super) clock: Clock,
    issuer: Arc<Issuer>,
    /// `--dev`: what a config names on loopback is granted.
    dev: bool,
    /// Replaced as a whole on every change.
    table: RwLock<Arc<Table>>,
    /// Held from reading the rows to replacing the table, so that an older
    /// reading never replaces a newer one.
    rereading: tokio::sync::Mutex<()>,
    moves: Moves,
    /// By the name of the kind.
    backends: RwLock<HashMap<&'static str, Arc<dyn Backend>>>,
    changed: Notify,
}

/// Mounts of every kind, and what belongs to one kind alone, by storage id.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) mounts: HashMap<i64, Arc<Mount>>,
    connections: HashMap<ConnectionId, Arc<Connection>>,
    /// By path.
    logins: Arc<Vec<Arc<LoginMount>>>,
}

/// Where tokens themselves are made and asked about: no login method may be there.
pub(super) const TOKENS: &str = "auth/token";

impl Mounts {
    /// Reads the mounts.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn open_all(
        context: Context,
        catalog: Arc<Catalog>,
        issuer: Arc<Issuer>,
        dev: bool,
    ) -> Result<Self, Refusal> {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
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
            backends: RwLock::default(),
            changed: Notify::new(),
        };
        let providers = Providers::new(
            mounts.storage.clone(),
            Arc::clone(&mounts.catalog),
            mounts.clock.clone(),
        );
        mounts.offer(Kind::Provider.as_str(), Arc::new(providers));
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

    /// Lets mounts of a kind be made, changed and removed.
    pub fn offer(&self, kind: &'static str, backend: Arc<dyn Backend>) {
        let mut backends = self
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        backends.insert(kind, backend);
    }

    /// What is done with mounts of a kind.
    ///
    /// # Errors
    /// `Internal` where the kind was not offered, which is a mistake of the wiring.
    pub(super) fn backend(&self, kind: Kind) -> Result<Arc<dyn Backend>, Refusal> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        backends.get(kind.as_str()).map(Arc::clone).ok_or_else(|| {
            let reason = format!("mounts of the kind {} are not offered", kind.as_str());
            Refusal::internal(std::io::Error::other(reason))
        })
    }

    /// Ready once the table has changed: what could not be done before may be done now.
    /// For the one scheduler that there is.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Whether what comes by time waits for the operator anywhere.
    pub fn any_held(&self) -> bool {
        self.table()
            .mounts
            .values()
            .any(|mount| mount.held.is_some())
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

    /// Remembers a move that is done, for those who ask how it stands.
    pub(super) fn remember_move(&self, done: Move) {
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
            for connection in self.connections_of(mount) {
                self.drop_parked(&connection);
            }
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
            mount.leases()
                && mount.live
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = table.mounts.values().filter(answers);
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
        self.table().mounts.get(&id).cloned()
    }

    /// Every mount of a provider, draining ones included.
    pub fn every(&self) -> Vec<Arc<Mount>> {
        let mut every = self.of_every_kind();
        every.retain(|mount| mount.leases());
        every
    }

    /// Every mount of every kind, draining ones included.
    pub(super) fn of_every_kind(&self) -> Vec<Arc<Mount>> {
        self.table().mounts.values().cloned().collect()
    }

    /// The login methods, by path.
    pub fn logins(&self) -> Arc<Vec<Arc<LoginMount>>> {
        Arc::clone(&self.table().logins)
    }

    /// A connection of a live mount.
    ///
    /// # Errors
    /// `NotFound`, naming the nearest known one.
    pub fn connection(
        &self,
        path: &MountPath,
        name: &ConnectionName,
    ) -> Result<Arc<Connection>, Refusal> {
        let mount = self.open(path)?;
        let known = self.connections_of(&mount);
        let found = known.iter().find(|connection| connection.name == *name);
        found.map(Arc::clone).ok_or_else(|| {
            let names = known.iter().map(|connection| connection.name.as_str());
            let hint = lessor_model::suggest::hint(name.as_str(), names);
            Refusal::NotFound(format!(
                "mount {path} has no connection {:?}{hint}",
                name.as_str()
            ))
        })
    }

    /// The connection of a live mount that has a name, made where there is none: it has
    /// no config then, and is forgotten where nothing needs it.
    ///
    /// # Errors
    /// `NotFound` where there is no mount; where storage fails.
    pub async fn named(
        &self,
        path: &MountPath,
        name: &ConnectionName,
    ) -> Result<Arc<Connection>, Refusal> {
        if let Ok(known) = self.connection(path, name) {
            return Ok(known);
        }
        let mount = self.open(path)?;
        self.storage.name_connection(mount.id, name.clone()).await?;
        self.reread().await?;
        self.connection(path, name)
    }

    /// A connection by its storage id, those of draining mounts included.
    pub fn connection_by_id(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.table().connections.get(&id).cloned()
    }

    /// The connections of a mount, in the order in which they were made.
    pub fn connections_of(&self, mount: &Mount) -> Vec<Arc<Connection>> {
        let mut all = self.every_connection();
        all.retain(|connection| connection.mount.id == mount.id);
        all
    }

    /// Every connection, those of draining mounts included, in the order in which they
    /// were made.
    pub fn every_connection(&self) -> Vec<Arc<Connection>> {
        let table = self.table();
        let mut all: Vec<Arc<Connection>> = table.connections.values().cloned().collect();
        all.sort_by_key(|connection| connection.id);
        all
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
        for connection in self.every_connection() {
            if connection.spec.plugin == plugin {
                self.wake(&connection).await?;
            }
        }
        Ok(())
    }

    /// Has what failed by a connection tried at once: what stood in its way may have gone.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn wake(&self, connection: &Connection) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.storage.wake_revocations(connection.id, now).await?;
        self.storage.wake_static_roles(connection.id, now).await?;
        Ok(())
    }

    /// Drops what is kept in memory of a connection, and has what failed by it tried at
    /// once.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn reset(&self, connection: &Connection) -> Result<(), Refusal> {
        connection.forget_root();
        self.drop_parked(connection);
        self.wake(connection).await
    }

    /// The root credential in use, still sealed.
    ///
    /// # Errors
    /// `Invalid` where the connection has no config yet.
    pub async fn root(
        &self,
        connection: &Connection,
        plugin: &Plugin,
    ) -> Result<Arc<Root>, Refusal> {
        let changes = {
            let cached = connection.cached_root();
            if let Some(root) = &cached.root {
                return Ok(Arc::clone(root));
            }
            cached.changes
        };
        let row = self.storage.current_config(connection.id).await?;
        let row = row.ok_or_else(|| Refusal::Invalid(without_config(connection)))?;
        let root = self.root_of(connection, plugin, &row)?;
        let mut cached = connection.cached_root();
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
        connection: &Connection,
        plugin: &Plugin,
        row: &ConfigRow,
    ) -> Result<Arc<Root>, Refusal> {
        let document = row.document.clone().ok_or_else(|| {
            Refusal::Conflict(format!("version {} of the config is retired", row.version))
        })?;
        let plain = self
            .keyring
            .open_text(&config_context(connection.id, row.version), &document)?;
        let scope = self.scope(connection, plugin, row.version, &plain)?;
        let root = Arc::new(Root {
            version: row.version,
            scope,
            document,
        });
        connection.lend(&root);
        Ok(root)
    }

    /// The config in use, opened, where the connection has one.
    ///
    /// # Errors
    /// Where storage fails or the keyring cannot open it.
    pub async fn config(&self, connection: &Connection) -> Result<Option<Secret<String>>, Refusal> {
        let Some(row) = self.storage.current_config(connection.id).await? else {
            return Ok(None);
        };
        let context = config_context(connection.id, row.version);
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
        connection: &Connection,
        plugin: &Plugin,
        version: u32,
        config: &Secret<String>,
    ) -> Result<Arc<Scope>, Refusal> {
        let mount = &connection.mount;
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
            connection: connection.id,
            connection_name: connection.name.clone(),
            mount: mount.path().clone(),
            known_as: mount.spec.known_as.clone(),
            config_version: version,
            grants,
            extra_roots: Arc::clone(&mount.extra_roots),
            proxy: mount.proxy.clone(),
            derivation_key: Arc::clone(&mount.derivation_key),
            identity: Some(self.issuer.identity(Subject {
                uuid: mount.spec.uuid.clone(),
                path: mount.path().clone(),
                connection: connection.name.to_string(),
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

    /// Drops what calls of a connection have left for later ones: streams to upstream, and
    /// values.
    pub fn drop_parked(&self, connection: &Connection) {
        self.catalog.drop_parked(connection.id);
    }

    /// Opens a root credential for one call.
    ///
    /// # Errors
    /// Where the keyring cannot open it.
    pub fn unseal(&self, root: &Root) -> Result<Secret<String>, Refusal> {
        let context = config_context(root.scope.connection, root.version);
        Ok(self.keyring.open_text(&context, &root.document)?)
    }

    fn live(&self) -> Vec<Arc<Mount>> {
        let mut live = self.every();
        live.retain(|mount| mount.live);
        live
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the rows again.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn reread(&self) -> Result<(), Refusal> {
        let _turn = self.rereading.lock().await;
        let rows = self.storage.mounts().await?;
        let holds = HashMap::from_iter(self.storage.holds().await?);
        // Behind the mounts: each of these has its own by then, or is of a newer one.
        let connections = self.storage.connections().await?;
        let former = self.table();
        let mut table = Table::default();
        let mut logins = Vec::new();
        for mut row in rows {
            let (kind, config) = (row.mount.kind, row.config.take());
            let mount = Arc::new(self.mount_of(row, &holds)?);
            if let Kind::Login(kind) = kind {
                let same = former.logins.iter().find(|former| former.id == mount.id);
                let same = same.map(|former| &**former);
                logins.push(Arc::new(LoginMount::new(&mount, kind, config, same)));
            }
            table.mounts.insert(mount.id, mount);
        }
        table.logins = Arc::new(logins);
        for row in connections {
            let Some(mount) = table.mounts.get(&row.mount_id) else {
                continue;
            };
            let connection = connection_of(row, mount, &former);
            connection.forget_root();
            table
                .connections
                .insert(connection.id, Arc::new(connection));
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        self.changed.notify_one();
        Ok(())
    }

    fn mount_of(&self, row: MountRow, holds: &HashMap<i64, Timestamp>) -> Result<Mount, Refusal> {
        let tune = &row.mount.tune;
        let grants = Grants::parse(&tune.allowed_hosts).map_err(Refusal::internal)?;
        let proxy = kept_proxy(&self.keyring, &row.mount)?;
        Ok(Mount {
            id: row.id,
            sealed_as: row.sealed_as,
            live: row.live,
            former: row.former,
            held: holds.get(&row.id).copied(),
            grants: Arc::new(grants),
            proxy: proxy.map(Arc::new),
            extra_roots: kept_roots(&row.mount.path, &tune.extra_roots).into(),
            derivation_key: Arc::new(self.keyring.derivation_key(&row.mount.uuid)?),
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

/// A connection as it is used from now on; what outlives a change of its mount stays.
fn connection_of(row: ConnectionRow, mount: &Arc<Mount>, former: &Table) -> Connection {
    let former = former.connections.get(&row.id);
    let most = mount.spec.tune.max_concurrency;
    // Another number of slots begins anew: calls under way end on the former.
    let slots = former
        .filter(|former| former.spec.tune.max_concurrency == most)
        .map(|former| Arc::clone(&former.slots));
    let slots =
        slots.unwrap_or_else(|| Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1))));
    Connection {
        id: row.id,
        name: row.name,
        mount: Arc::clone(mount),
        slots,
        shared: former.map_or_else(Arc::default, |former| Arc::clone(&former.shared)),
    }
}

/// What is said where a connection has no root credential.
fn without_config(connection: &Connection) -> String {
    let (path, name) = (connection.path(), &connection.name);
    match name.is_default() {
        true => format!(
            "mount {path} has no config: write one with `lessor config write {path} …` or POST /v1/{path}/config"
        ),
        false => format!(
            "connection {name} of mount {path} has no config: write one with `lessor config write {path} \
             --connection {name} …` or POST /v1/{path}/config/{name}"
        ),
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
