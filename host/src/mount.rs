//! Mounts: a provider at a path, with what the host grants it.
//!
//! The table of mounts is small and read into memory when it changes. What a
//! call needs of a mount is collected here: the provider, the root credential
//! in use (still sealed), the grants. Leases and rotations of a mount share the
//! `Mount` they get from [`Mounts::open`].

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    catalog::{Catalog, Plugin},
    clock::{Clock, Timestamp},
    id::{Digest, MountPath, OperationId},
    keyring::Keyring,
    provider::{Call, Scope},
    random,
    refusal::Refusal,
    sandbox::grants::Grants,
    secret::Secret,
    storage::{ConfigRow, MountRow, NewMount, Storage},
};

/// Vault's default for both TTLs, 32 days.
const DEFAULT_TTL: Duration = Duration::from_secs(768 * 3600);

/// Default and longest time for one provider call.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Calls of one mount at a time, unless tuned. An upstream that hangs then holds
/// this many sandboxes and no more.
const DEFAULT_CONCURRENCY: u32 = 64;

/// What an operator sets on a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tune {
    /// Length of a lease that asks for none.
    #[serde(with = "seconds")]
    pub default_lease_ttl: Duration,
    /// Longest length of a lease.
    #[serde(with = "seconds")]
    pub max_lease_ttl: Duration,
    /// Where the provider may connect to: `scheme://host[:port]`.
    pub allowed_hosts: Vec<String>,
    /// PEM certificates that TLS to upstream trusts beside the public roots.
    pub extra_roots: String,
    /// Cap on leases; 0: none.
    pub max_leases: u64,
    /// Calls at a time.
    pub max_concurrency: u32,
    /// Limit of one call.
    #[serde(with = "seconds")]
    pub timeout: Duration,
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            default_lease_ttl: DEFAULT_TTL,
            max_lease_ttl: DEFAULT_TTL,
            allowed_hosts: Vec::new(),
            extra_roots: String::new(),
            max_leases: 0,
            max_concurrency: DEFAULT_CONCURRENCY,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl Tune {
    /// Refuses values that cannot work, naming the field.
    fn check(&self) -> Result<(), Refusal> {
        let refuse = |sentence: String| Err(Refusal::Invalid(sentence));
        if self.max_lease_ttl.is_zero() {
            return refuse("max_lease_ttl must be longer than 0".into());
        }
        if self.default_lease_ttl > self.max_lease_ttl {
            return refuse(format!(
                "default_lease_ttl ({} s) must not be longer than max_lease_ttl ({} s)",
                self.default_lease_ttl.as_secs(),
                self.max_lease_ttl.as_secs()
            ));
        }
        if self.max_concurrency == 0 || self.max_concurrency > 10_000 {
            return refuse("max_concurrency must be from 1 to 10000".into());
        }
        if self.timeout < Duration::from_secs(1) || self.timeout > LONGEST_TIMEOUT {
            return refuse("timeout must be from 1s to 24h".into());
        }
        Grants::parse(&self.allowed_hosts)
            .map_err(|error| Refusal::Invalid(format!("allowed_hosts: {error}")))?;
        certificates(&self.extra_roots)?;
        Ok(())
    }
}

/// What to change of a mount; absent stays.
#[derive(Clone, Debug, Default)]
pub struct TunePatch {
    /// See [`Tune`].
    pub default_lease_ttl: Option<Duration>,
    /// See [`Tune`].
    pub max_lease_ttl: Option<Duration>,
    /// See [`Tune`].
    pub allowed_hosts: Option<Vec<String>>,
    /// See [`Tune`].
    pub extra_roots: Option<String>,
    /// See [`Tune`].
    pub max_leases: Option<u64>,
    /// See [`Tune`].
    pub max_concurrency: Option<u32>,
    /// See [`Tune`].
    pub timeout: Option<Duration>,
    /// For people.
    pub description: Option<String>,
    /// Another pinned version; empty: follow the newest.
    pub plugin_version: Option<String>,
}

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

/// A mount in use.
#[derive(Debug)]
pub struct Mount {
    /// Names it in storage.
    pub id: i64,
    /// False once unmounted: then it only revokes.
    pub live: bool,
    /// What was stored of it.
    pub spec: NewMount,
    grants: Arc<Grants>,
    extra_roots: Arc<[CertificateDer<'static>]>,
    derivation_key: Arc<Secret<[u8; 32]>>,
    /// One permit per call at a time.
    slots: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// What outlives a change of the mount's settings.
#[derive(Debug, Default)]
struct Shared {
    /// Held by whoever drives a rotation.
    rotation: Arc<tokio::sync::Mutex<()>>,
    /// The root credential in use; dropped whenever it may have changed.
    root: Mutex<CachedRoot>,
    /// All root credentials that calls may still use.
    lent: Mutex<Vec<Weak<Root>>>,
}

/// The root credential in use, where it was read since it last changed.
#[derive(Debug, Default)]
struct CachedRoot {
    /// Counts the changes: who read before one must not store after it.
    changes: u64,
    root: Option<Arc<Root>>,
}

/// The right to drive a mount's rotation, or to rely on none being driven.
#[derive(Debug)]
pub struct RotationTurn(
    #[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedMutexGuard<()>,
);

/// A version of a root credential, sealed, with what its calls share.
#[derive(Debug)]
pub struct Root {
    /// Config version.
    pub version: u32,
    /// What calls with it are bounded by.
    pub scope: Arc<Scope>,
    document: Vec<u8>,
    mount_id: i64,
}

impl Mount {
    /// The path.
    pub fn path(&self) -> &MountPath {
        &self.spec.path
    }

    /// One of the mount's call slots; waits until there is one.
    ///
    /// # Errors
    /// `Limit` where none comes free within the mount's timeout.
    pub async fn slot(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        let slots = Arc::clone(&self.slots);
        match tokio::time::timeout(self.spec.tune.timeout, slots.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::Limit {
                message: format!(
                    "mount {} has {} calls under way (max_concurrency), and none ended in time",
                    self.path(),
                    self.spec.tune.max_concurrency
                ),
                retry_after: Duration::from_secs(1),
            }),
        }
    }

    /// Free call slots now; the scheduler takes no more work than this.
    pub fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// Waits until nobody else drives a rotation of this mount, and keeps
    /// everybody else from it until the turn is dropped.
    pub async fn rotation_turn(&self) -> RotationTurn {
        RotationTurn(Arc::clone(&self.shared.rotation).lock_owned().await)
    }

    /// Whether a call under way still uses a version of the root credential.
    pub fn uses_root(&self, version: u32) -> bool {
        let mut lent = self
            .shared
            .lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lent.retain(|root| root.strong_count() > 0);
        lent.iter()
            .filter_map(Weak::upgrade)
            .any(|root| root.version == version)
    }

    /// The next call reads the root credential from storage again.
    pub fn forget_root(&self) {
        let mut cached = self.cached_root();
        cached.changes += 1;
        cached.root = None;
    }

    fn cached_root(&self) -> std::sync::MutexGuard<'_, CachedRoot> {
        self.shared
            .root
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call within this mount.
    pub fn call(&self, operation: OperationId, attempt: u32, principal: &str, root: &Root) -> Call {
        Call {
            operation,
            attempt,
            role_name: None,
            principal_name: principal.to_owned(),
            requester: None,
            timeout: self.spec.tune.timeout,
            scope: Arc::clone(&root.scope),
        }
    }
}

/// All mounts.
#[derive(Debug)]
pub struct Mounts {
    storage: Storage,
    keyring: Keyring,
    catalog: Arc<Catalog>,
    clock: Clock,
    /// `--dev`: what a config names on loopback is granted.
    dev: bool,
    /// By storage id; replaced as a whole on every change.
    table: RwLock<Arc<HashMap<i64, Arc<Mount>>>>,
    /// Held from reading the rows to replacing the table, so that an older
    /// reading never replaces a newer one.
    rereading: tokio::sync::Mutex<()>,
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
        dev: bool,
    ) -> Result<Self, Refusal> {
        let mounts = Self {
            storage,
            keyring,
            catalog,
            clock,
            dev,
            table: RwLock::default(),
            rereading: tokio::sync::Mutex::default(),
        };
        mounts.reread().await?;
        Ok(mounts)
    }

    /// Mounts a provider.
    ///
    /// # Errors
    /// A sentence where the path is taken or overlaps, the plugin is not pinned
    /// or cannot run, or a setting cannot work.
    pub async fn create(&self, spec: MountSpec) -> Result<MountView, Refusal> {
        spec.tune.check()?;
        self.catalog
            .plugin(&spec.plugin, spec.version.as_deref())
            .await?;
        let path = spec.path.clone();
        if let Some(other) = self.overlapping(&path) {
            return Err(Refusal::Conflict(format!(
                "path is already in use at {other}/"
            )));
        }
        let handle = hex::encode(random::bytes::<4>()?);
        let stored = self
            .storage
            .record_mount(NewMount {
                path: spec.path,
                accessor: format!("{}_{handle}", spec.plugin),
                uuid: OperationId::new(self.clock.now())?.to_string(),
                plugin: spec.plugin,
                plugin_version: spec.version,
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
        tracing::info!(mount = %path, "mounted a provider");
        self.view(&path).await
    }

    /// All live mounts by path.
    pub async fn list(&self) -> Vec<MountView> {
        let mut views = Vec::new();
        for mount in self.live() {
            views.push(self.view_of(&mount).await);
        }
        views.sort_by(|a, b| a.path.cmp(&b.path));
        views
    }

    /// One mount.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn view(&self, path: &MountPath) -> Result<MountView, Refusal> {
        Ok(self.view_of(&*self.open(path)?).await)
    }

    /// Changes a mount's settings; calls under way keep the former ones.
    ///
    /// # Errors
    /// `NotFound`, or a sentence where a setting cannot work.
    pub async fn tune(&self, path: &MountPath, patch: TunePatch) -> Result<MountView, Refusal> {
        let mount = self.open(path)?;
        let former = &mount.spec.tune;
        let tune = Tune {
            default_lease_ttl: patch.default_lease_ttl.unwrap_or(former.default_lease_ttl),
            max_lease_ttl: patch.max_lease_ttl.unwrap_or(former.max_lease_ttl),
            allowed_hosts: patch
                .allowed_hosts
                .unwrap_or_else(|| former.allowed_hosts.clone()),
            extra_roots: patch
                .extra_roots
                .unwrap_or_else(|| former.extra_roots.clone()),
            max_leases: patch.max_leases.unwrap_or(former.max_leases),
            max_concurrency: patch.max_concurrency.unwrap_or(former.max_concurrency),
            timeout: patch.timeout.unwrap_or(former.timeout),
        };
        tune.check()?;
        let version = match patch.plugin_version {
            Some(version) if version.is_empty() => None,
            Some(version) => Some(version),
            None => mount.spec.plugin_version.clone(),
        };
        if version != mount.spec.plugin_version {
            self.catalog
                .plugin(&mount.spec.plugin, version.as_deref())
                .await?;
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
        tracing::info!(mount = %path, "tuned a mount");
        self.view(path).await
    }

    /// Unmounts: refused new work at once; its leases are revoked in the
    /// background, then its row goes.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(&self, path: &MountPath) -> Result<(), Refusal> {
        let mount = self.open(path)?;
        self.storage.drain_mount(mount.id, self.clock.now()).await?;
        self.reread().await?;
        tracing::info!(mount = %path, "unmounted a provider");
        Ok(())
    }

    /// Removes a mount that was drained. False while leases are left.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn remove_drained(&self, mount: &Mount) -> Result<bool, Refusal> {
        let removed = self.storage.remove_drained_mount(mount.id).await?;
        if removed {
            self.catalog.drop_parked(mount.id);
            self.reread().await?;
        }
        Ok(removed)
    }

    /// The live mount with the longest path that begins `path`, and the rest
    /// behind it without a leading slash.
    pub fn resolve(&self, path: &str) -> Option<(MountPath, String)> {
        let path = path.trim_matches('/');
        self.live()
            .into_iter()
            .filter_map(|mount| {
                let rest = path.strip_prefix(mount.path().as_str())?;
                let rest = if rest.is_empty() {
                    rest
                } else {
                    rest.strip_prefix('/')?
                };
                Some((mount.path().clone(), rest.to_owned()))
            })
            .max_by_key(|(mount, _)| mount.as_str().len())
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
                let paths: Vec<String> = self
                    .live()
                    .iter()
                    .map(|mount| mount.path().to_string())
                    .collect();
                let hint = crate::suggest::nearest(path.as_str(), paths.iter().map(String::as_str))
                    .map(|near| format!("; did you mean {near:?}?"))
                    .unwrap_or_default();
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
            let endpoints = &plugin.provider.descriptor().endpoints;
            let extra = loopback_endpoints(endpoints, config.expose());
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
            config_version: version,
            grants,
            extra_roots: Arc::clone(&mount.extra_roots),
            derivation_key: Arc::clone(&mount.derivation_key),
        }))
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
        let former = self.table();
        let mut table = HashMap::new();
        for row in rows {
            let mount = self.mount_of(row, &former)?;
            mount.forget_root();
            table.insert(mount.id, Arc::new(mount));
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }

    fn mount_of(&self, row: MountRow, former: &HashMap<i64, Arc<Mount>>) -> Result<Mount, Refusal> {
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
            grants: Arc::new(grants),
            extra_roots: certificates(&tune.extra_roots)?.into(),
            derivation_key: Arc::new(self.keyring.derivation_key(&row.mount.uuid)),
            slots,
            shared,
            spec: row.mount,
        })
    }

    async fn view_of(&self, mount: &Mount) -> MountView {
        let spec = &mount.spec;
        let running = self
            .catalog
            .plugin(&spec.plugin, spec.plugin_version.as_deref())
            .await;
        let (running_version, running_sha256, problem) = match running {
            Ok((pin, _)) => (Some(pin.version), Some(pin.sha256), None),
            Err(refusal) => (None, None, Some(refusal.to_string())),
        };
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
}

/// Where a version of a config is sealed for.
pub(crate) fn config_context(mount_id: i64, version: u32) -> String {
    format!("configs/{mount_id}/{version}/document")
}

fn unknown(path: &str) -> Refusal {
    Refusal::NotFound(format!("no mount at {path:?}"))
}

/// The certificates in a PEM text.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let refuse = || Refusal::Invalid("extra_roots must be PEM certificates".into());
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| refuse())?;
    if certificates.is_empty() && !pem.trim().is_empty() {
        return Err(refuse());
    }
    Ok(certificates)
}

/// The provider's endpoints, filled in from a config, that lie on loopback.
fn loopback_endpoints(endpoints: &[String], config: &str) -> Vec<String> {
    let Ok(Value::Object(config)) = serde_json::from_str::<Value>(config) else {
        return Vec::new();
    };
    let fill = |template: &String| {
        let mut filled = template.clone();
        for (name, value) in &config {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            filled = filled.replace(&format!("{{{name}}}"), &text);
        }
        filled
    };
    endpoints
        .iter()
        .map(fill)
        .filter(|endpoint| is_on_loopback(endpoint))
        .collect()
}

fn is_on_loopback(endpoint: &str) -> bool {
    let Some((_, rest)) = endpoint.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Durations in JSON as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(span.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// When a rotation or lease of this mount, begun now, may be taken for dead:
/// a request sent just before the timeout may still land a little later.
pub(crate) fn give_up_at(mount: &Mount, now: Timestamp) -> Timestamp {
    const MARGIN: Duration = Duration::from_secs(5);
    now.plus(mount.spec.tune.timeout).plus(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_endpoints_are_granted_in_dev() {
        let endpoints = [
            "tcp://{host}:{port}".to_owned(),
            "https://api.example.com".to_owned(),
        ];
        for (config, granted) in [
            (
                r#"{"host":"127.0.0.1","port":5432}"#,
                vec!["tcp://127.0.0.1:5432"],
            ),
            (
                r#"{"host":"LOCALHOST","port":5432}"#,
                vec!["tcp://LOCALHOST:5432"],
            ),
            (r#"{"host":"10.0.0.1","port":5432}"#, vec![]),
            (r#"{"host":"127.0.0.1.example.com","port":1}"#, vec![]),
            (r#"{"host":"127.0.0.1@evil","port":1}"#, vec![]),
        ] {
            assert_eq!(loopback_endpoints(&endpoints, config), granted, "{config}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_field() {
        let cases = [
            (
                Tune {
                    max_lease_ttl: Duration::ZERO,
                    ..Tune::default()
                },
                "max_lease_ttl",
            ),
            (
                Tune {
                    max_lease_ttl: Duration::from_secs(1),
                    ..Tune::default()
                },
                "default_lease_ttl",
            ),
            (
                Tune {
                    max_concurrency: 0,
                    ..Tune::default()
                },
                "max_concurrency",
            ),
            (
                Tune {
                    timeout: Duration::ZERO,
                    ..Tune::default()
                },
                "timeout",
            ),
            (
                Tune {
                    extra_roots: "x".into(),
                    ..Tune::default()
                },
                "extra_roots",
            ),
        ];
        for (tune, field) in cases {
            assert!(
                tune.check().unwrap_err().to_string().contains(field),
                "{field}"
            );
        }
        assert!(Tune::default().check().is_ok());
    }
}
