//! Pins and the providers behind them: which bytes may run, loaded once.
//!
//! A pin names a file of the plugin directory and the digest its bytes must
//! have. A provider is loaded when a mount first needs it and stays in memory
//! until its file is found changed or no pin names it. A file that is missing or
//! was changed disables the mounts that need it, with a sentence, and nothing
//! else; calls under way end on what they began with.

mod pins;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::pins::{Pins, resolve};
use crate::{
    account,
    clock::Clock,
    id::Digest,
    plugin_store::{PluginError, PluginStore, VerifiedPlugin},
    provider::{Anatomy, Descriptor, Provider},
    refusal::Refusal,
    role,
    sandbox::{Sandbox, Tally},
    schema::Checker,
    settings,
    storage::{PinRow, PinSource, Storage, StorageError},
    suggest,
};

/// A loaded provider with its schemas compiled.
#[derive(Debug)]
pub struct Plugin {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Checks a mount's config.
    pub config: Checker,
    /// Checks a role.
    pub role: Checker,
    /// Checks a static role: the same schema, beside other fields of the host's.
    pub static_role: Checker,
    /// Checks a request.
    pub request: Checker,
}

/// The host's field names in a request.
const REQUEST_FIELDS: [&str; 2] = ["ttl", "async"];

impl Plugin {
    /// Compiles the schemas of a provider.
    ///
    /// # Errors
    /// One sentence, where a schema is not valid.
    pub fn new(provider: Arc<dyn Provider>) -> Result<Self, String> {
        let descriptor = provider.descriptor();
        let compile = |name: &str, schema, host: &'static [&'static str]| {
            Checker::new(schema)
                .map(|checker| checker.beside(host))
                .map_err(|error| format!("the provider's {name} schema is not usable: {error}"))
        };
        Ok(Self {
            config: compile("config", &descriptor.config_schema, &settings::HOST_FIELDS)?,
            role: compile("role", &descriptor.role_schema, &role::HOST_FIELDS)?,
            static_role: compile("role", &descriptor.role_schema, &account::HOST_FIELDS)?,
            request: compile("request", &descriptor.request_schema, &REQUEST_FIELDS)?,
            provider,
        })
    }
}

/// A pin to be made.
#[derive(Clone, Debug)]
pub struct PinSpec {
    /// Name that mounts will use.
    pub name: String,
    /// Version; the descriptor's where absent.
    pub version: Option<String>,
    /// File in the plugin directory.
    pub file: String,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Who pins it.
    pub source: PinSource,
}

/// A pin as shown.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// The pin.
    pub pin: PinRow,
    /// `ready`, `missing`, `digest mismatch` or `incompatible`.
    pub state: &'static str,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// What the provider says of itself and is made of, where it could be loaded.
    pub provider: Option<(Descriptor, Anatomy)>,
    /// Paths of the mounts that run it.
    pub mounts: Vec<String>,
}

/// A file of the plugin directory that no pin names.
#[derive(Clone, Debug)]
pub struct Unpinned {
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest, where it could be read.
    pub sha256: Option<Digest>,
    /// Why it could not.
    pub reason: Option<String>,
}

/// Pins and loaded providers.
#[derive(Debug)]
pub struct Catalog {
    storage: Storage,
    pins: Pins,
    clock: Clock,
    source: Source,
    /// By file and digest; may be dropped at any time.
    loaded: Mutex<HashMap<(String, Digest), Arc<Plugin>>>,
}

/// Where providers come from.
#[derive(Debug)]
enum Source {
    Directory {
        store: PluginStore,
        sandbox: Sandbox,
    },
    /// Tests of the engine put fakes here.
    #[cfg(test)]
    Fixed(HashMap<Digest, Arc<dyn Provider>>),
}

impl Catalog {
    /// A catalog over a plugin directory.
    ///
    /// # Errors
    /// Where the pins cannot be read.
    pub async fn open(
        storage: Storage,
        clock: Clock,
        store: PluginStore,
        sandbox: Sandbox,
    ) -> Result<Self, StorageError> {
        Self::over(storage, clock, Source::Directory { store, sandbox }).await
    }

    /// A catalog of fakes.
    #[cfg(test)]
    pub(crate) async fn fixed(
        storage: Storage,
        clock: Clock,
        providers: Vec<Arc<dyn Provider>>,
    ) -> Result<Self, StorageError> {
        let providers = providers
            .into_iter()
            .map(|provider| (provider.digest(), provider))
            .collect();
        Self::over(storage, clock, Source::Fixed(providers)).await
    }

    async fn over(storage: Storage, clock: Clock, source: Source) -> Result<Self, StorageError> {
        Ok(Self {
            pins: Pins::open(storage.clone()).await?,
            storage,
            clock,
            source,
            loaded: Mutex::default(),
        })
    }

    /// Verifies, loads and stores a pin. Only bytes of the digest are accepted.
    ///
    /// # Errors
    /// A sentence where the name or version cannot be used, the file is not
    /// there, has another digest, or is no provider.
    pub async fn pin(&self, spec: PinSpec) -> Result<PinRow, Refusal> {
        check_label("name", &spec.name)?;
        let plugin = self
            .read_and_load(&spec.file, spec.sha256)
            .await
            .map_err(|error| Refusal::Invalid(about_file(&spec.file, &error)))?;
        let version = spec
            .version
            .unwrap_or_else(|| plugin.provider.descriptor().version.clone());
        check_label("version", &version)?;
        let pin = PinRow {
            name: spec.name,
            version,
            file: spec.file,
            sha256: spec.sha256,
            source: spec.source,
            pinned_at: self.clock.now(),
        };
        self.pins.record(pin.clone()).await?;
        tracing::info!(plugin = %pin.name, version = %pin.version, file = %pin.file, sha256 = %pin.sha256, "pinned a plugin");
        Ok(pin)
    }

    /// All pins.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self) -> Result<Vec<CatalogEntry>, Refusal> {
        let pins = self.pins.all();
        let mounts = self.storage.mounts().await?;
        let mut entries = Vec::new();
        for pin in pins.iter() {
            // Draining mounts count: their leases are still to be revoked.
            let users = mounts
                .iter()
                .filter(|row| row.mount.plugin == pin.name)
                .filter(|row| {
                    resolve(&pins, &pin.name, row.mount.plugin_version.as_deref())
                        .is_ok_and(|running| running.version == pin.version)
                });
            let mounts = users.map(|row| row.mount.path.to_string()).collect();
            let (state, reason, provider) = match self.load_file(&pin.file, pin.sha256).await {
                Ok(plugin) => {
                    let provider = &plugin.provider;
                    let shown = (provider.descriptor().clone(), provider.anatomy().clone());
                    ("ready", None, Some(shown))
                }
                Err(error) => (state_of(&error), Some(sentence(&error)), None),
            };
            entries.push(CatalogEntry {
                pin: pin.clone(),
                state,
                reason,
                provider,
                mounts,
            });
        }
        Ok(entries)
    }

    /// One pin; the newest of its name where no version is given.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn show(&self, name: &str, version: Option<&str>) -> Result<CatalogEntry, Refusal> {
        let pins = self.pins.all();
        let wanted = resolve(&pins, name, version)
            .map_err(Refusal::NotFound)?
            .version
            .clone();
        let entries = self.list().await?;
        entries
            .into_iter()
            .find(|entry| entry.pin.name == name && entry.pin.version == wanted)
            .ok_or_else(|| not_found(name, version))
    }

    /// Removes a pin, or all versions of a name where none is given.
    ///
    /// # Errors
    /// `Conflict` while a mount runs it, `NotFound` where there is none.
    pub async fn remove(&self, name: &str, version: Option<&str>) -> Result<(), Refusal> {
        let wanted: Vec<CatalogEntry> = self
            .list()
            .await?
            .into_iter()
            .filter(|entry| {
                entry.pin.name == name && version.is_none_or(|version| entry.pin.version == version)
            })
            .collect();
        if wanted.is_empty() {
            return Err(not_found(name, version));
        }
        if let Some(entry) = wanted.iter().find(|entry| !entry.mounts.is_empty()) {
            return Err(Refusal::Conflict(format!(
                "plugin {name:?} version {} is in use by the mount {}; unmount it or tune it to another version first",
                entry.pin.version,
                entry.mounts.join(", ")
            )));
        }
        for entry in wanted {
            let (name, version) = (entry.pin.name, entry.pin.version);
            self.pins.remove(&name, &version).await?;
            tracing::info!(plugin = %name, %version, "removed a pin");
        }
        Ok(())
    }

    /// Files of the plugin directory that no pin names by file and digest.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub async fn unpinned(&self) -> Result<Vec<Unpinned>, Refusal> {
        let files = self.files().await?;
        let pins = self.pins.all();
        Ok(files
            .into_iter()
            .filter(|file| {
                !pins
                    .iter()
                    .any(|pin| pin.file == file.file && file.sha256 == Some(pin.sha256))
            })
            .collect())
    }

    /// Reads and hashes the files of all loaded providers again. One whose file
    /// is gone or changed runs no more until the pinned bytes are back.
    pub async fn verify_again(&self) {
        let mut loaded: Vec<(String, Digest)> = self.loaded().keys().cloned().collect();
        loaded.sort();
        for (file, sha256) in loaded {
            let pins = self.pins.all();
            let pin = pins
                .iter()
                .find(|pin| pin.file == file && pin.sha256 == sha256);
            let verified = match (&self.source, pin) {
                (Source::Directory { store, .. }, Some(_)) => {
                    verify(store, &file, sha256).await.map(drop)
                }
                #[cfg(test)]
                (Source::Fixed(_), Some(_)) => Ok(()),
                (_, None) => {
                    self.loaded().remove(&(file, sha256));
                    continue;
                }
            };
            if let (Err(error), Some(pin)) = (verified, pin) {
                tracing::warn!(
                    plugin = %pin.name, version = %pin.version, %file, %sha256,
                    reason = sentence(&error), "a plugin can run no more"
                );
                self.loaded().remove(&(file, sha256));
            }
        }
    }

    /// The provider that a mount runs.
    ///
    /// # Errors
    /// `Invalid` where no pin has the name and version; `Unavailable` where its
    /// file is missing, changed or no provider.
    pub async fn plugin(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(PinRow, Arc<Plugin>), Refusal> {
        let pins = self.pins.all();
        let pin = resolve(&pins, name, version)
            .map_err(Refusal::Invalid)?
            .clone();
        let plugin = self
            .load_file(&pin.file, pin.sha256)
            .await
            .map_err(|error| {
                Refusal::Unavailable(format!("plugin {name:?} cannot run: {}", sentence(&error)))
            })?;
        Ok((pin, plugin))
    }

    /// The provider of a digest, as long as a pin of `name` has it and it can run.
    pub async fn pinned(&self, name: &str, sha256: Digest) -> Option<Arc<Plugin>> {
        let pins = self.pins.all();
        let pin = pins
            .iter()
            .find(|pin| pin.name == name && pin.sha256 == sha256)?;
        self.load_file(&pin.file, sha256)
            .await
            .inspect_err(|error| {
                tracing::debug!(plugin = name, %sha256, reason = sentence(error), "a pinned version cannot run");
            })
            .ok()
    }

    /// Drops the parked connections of a mount.
    pub fn drop_parked(&self, mount_id: i64) {
        match &self.source {
            Source::Directory { sandbox, .. } => sandbox.drop_parked(mount_id),
            #[cfg(test)]
            Source::Fixed(_) => {
                let _ = mount_id;
            }
        }
    }

    /// What the calls of providers came to since the start, by plugin and mount.
    pub fn tallies(&self) -> Vec<Tally> {
        match &self.source {
            Source::Directory { sandbox, .. } => sandbox.tallies(),
            #[cfg(test)]
            Source::Fixed(_) => Vec::new(),
        }
    }

    async fn files(&self) -> Result<Vec<Unpinned>, Refusal> {
        let store = match &self.source {
            Source::Directory { store, .. } => store.clone(),
            #[cfg(test)]
            Source::Fixed(_) => return Ok(Vec::new()),
        };
        let files = tokio::task::spawn_blocking(move || store.files())
            .await
            .map_err(Refusal::internal)?
            .map_err(|error| Refusal::Unavailable(sentence(&error)))?;
        Ok(files
            .into_iter()
            .map(|file| {
                let (sha256, reason) = match file.digest {
                    Ok(digest) => (Some(digest), None),
                    Err(error) => (None, Some(sentence(&error))),
                };
                Unpinned {
                    file: file.file,
                    size: file.size,
                    sha256,
                    reason,
                }
            })
            .collect())
    }

    async fn load_file(&self, file: &str, sha256: Digest) -> Result<Arc<Plugin>, PluginError> {
        if let Some(plugin) = self.loaded().get(&(file.to_owned(), sha256)) {
            return Ok(Arc::clone(plugin));
        }
        self.read_and_load(file, sha256).await
    }

    /// Reads the file anew, also where a provider of that digest is loaded.
    async fn read_and_load(&self, file: &str, sha256: Digest) -> Result<Arc<Plugin>, PluginError> {
        let provider = match &self.source {
            Source::Directory { store, sandbox } => {
                let verified = verify(store, file, sha256).await?;
                sandbox.load(verified).await?
            }
            #[cfg(test)]
            Source::Fixed(providers) => {
                providers
                    .get(&sha256)
                    .cloned()
                    .ok_or_else(|| PluginError::Prepare {
                        reason: "no such fake".into(),
                    })?
            }
        };
        // The patterns of its schemas may take a while to compile.
        let plugin = tokio::task::spawn_blocking(move || Plugin::new(provider))
            .await?
            .map_err(|reason| PluginError::Prepare { reason })?;
        let plugin = Arc::new(plugin);
        self.loaded()
            .insert((file.to_owned(), sha256), Arc::clone(&plugin));
        Ok(plugin)
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<(String, Digest), Arc<Plugin>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file and checks its digest, on a thread that may wait for the disk.
async fn verify(
    store: &PluginStore,
    file: &str,
    sha256: Digest,
) -> Result<VerifiedPlugin, PluginError> {
    let (store, file) = (store.clone(), file.to_owned());
    tokio::task::spawn_blocking(move || store.verify(&file, sha256)).await?
}

fn check_label(field: &str, text: &str) -> Result<(), Refusal> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    if fits {
        Ok(())
    } else {
        Err(Refusal::Invalid(format!(
            "{field} {:?} cannot be used: write 1 to 64 letters, digits, `.`, `_`, `+` or `-`",
            suggest::shown(text)
        )))
    }
}

fn not_found(name: &str, version: Option<&str>) -> Refusal {
    Refusal::NotFound(match version {
        Some(version) => format!("plugin {name:?} has no pinned version {version:?}"),
        None => format!("plugin not found in the catalog: {name}"),
    })
}

/// A sentence about a file, which errors about its contents do not name.
fn about_file(file: &str, error: &PluginError) -> String {
    let names_it = !matches!(
        error,
        PluginError::NotAComponent { .. }
            | PluginError::ForeignWorld { .. }
            | PluginError::WrongVersion { .. }
            | PluginError::Describe(_)
            | PluginError::Limit(_)
            | PluginError::Descriptor { .. }
            | PluginError::Prepare { .. }
    );
    if names_it {
        sentence(error)
    } else {
        format!("{:?}: {}", suggest::shown(file), sentence(error))
    }
}

fn state_of(error: &PluginError) -> &'static str {
    match error {
        PluginError::Missing { .. } => "missing",
        PluginError::Mismatch { .. } => "digest mismatch",
        _ => "incompatible",
    }
}

/// An error with its causes, on one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
