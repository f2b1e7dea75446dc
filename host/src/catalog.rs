//! Pins and the providers behind them: which bytes may run, loaded once.
//!
//! A pin names a file of the plugin directory and the digest its bytes must
//! have. A provider is loaded when a mount first needs it and stays in memory
//! until its file is found changed or no pin names it. A file that is missing or
//! was changed disables the mounts that need it, with a sentence, and nothing
//! else; calls under way end on the provider that they began with.
//!
//! Loading may mean compiling, which takes up to minutes. Only a request that pins waits that
//! long: every other one is told after some seconds that the provider is being compiled.

mod arrivals;
mod loads;
mod pins;
mod source;
mod version;

use std::{sync::Arc, time::Duration};

use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    host_fields,
    id::{ConnectionId, Digest},
    provider::{Anatomy, Descriptor, Provider},
    refusal::Refusal,
    schema::{self, Checker},
    suggest,
};
use lessor_sandbox::{
    Holdings, Sandbox, Tally,
    plugin_store::{PluginError, PluginStore, Signs},
};
use lessor_store::{PinRow, PinSource, Storage, StorageError};
use tokio::time::{Instant, timeout_at};

use self::{
    arrivals::Arrivals,
    loads::{Loading, Loads},
    pins::{Pins, resolve},
    source::Directory,
};
pub use self::{
    arrivals::{Arrival, Expected},
    source::Source,
    version::same as is_same_version,
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
    /// Whether a role may hold secrets.
    pub has_secret_roles: bool,
}

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
            config: compile("config", &descriptor.config_schema, &host_fields::CONFIG)?,
            role: compile("role", &descriptor.role_schema, &host_fields::ROLE)?,
            static_role: compile("role", &descriptor.role_schema, &host_fields::STATIC_ROLE)?,
            request: compile("request", &descriptor.request_schema, &host_fields::REQUEST)?,
            has_secret_roles: schema::marks_secrets(&descriptor.role_schema),
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
    /// The source of the pin.
    pub source: PinSource,
}

/// The time for which a call waits for its provider to be compiled, which takes a second for
/// most, and longer than any caller has for some.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time for which a caller that only looks waits: a provider that is already compiled is loaded
/// by then.
const LOOK: Duration = Duration::from_secs(1);

/// The time after which a caller asks again for a provider that is being compiled.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A pin as shown, or one that is about to be made.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// Its name.
    pub name: String,
    /// Its version; absent while it is the provider's own to say.
    pub version: Option<String>,
    /// File in the plugin directory.
    pub file: String,
    /// Digest that its bytes must have, where that is known yet.
    pub sha256: Option<Digest>,
    /// The source of the pin.
    pub source: PinSource,
    /// The time when it was pinned.
    pub pinned_at: Option<Timestamp>,
    /// `ready`, `compiling`, `missing`, `digest mismatch` or `incompatible`.
    pub state: &'static str,
    /// The reason why it is not ready.
    pub reason: Option<String>,
    /// The provider's description and make, where it could be loaded.
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
    /// The reason why it could not.
    pub reason: Option<String>,
}

/// Pins and loaded providers.
#[derive(Debug)]
pub struct Catalog {
    storage: Storage,
    pins: Pins,
    clock: Clock,
    source: Arc<dyn Source>,
    loads: Loads,
    arrivals: Arrivals,
    /// Held by the one look into a file that there is at a time.
    inspecting: tokio::sync::Mutex<()>,
}

/// A file of the plugin directory that was looked into.
#[derive(Debug)]
pub struct Inspected {
    /// The provider that its bytes are.
    pub provider: Arc<dyn Provider>,
    /// The pins of the same bytes, by name and version.
    pub pins: Vec<(String, String)>,
}

/// A pin that is yet to be recorded, and its provider.
#[derive(Debug)]
pub struct Examined {
    /// As it will be stored.
    pub pin: PinRow,
    /// The provider that it pins.
    pub plugin: Arc<Plugin>,
    /// The pin that it replaces.
    pub former: Option<PinRow>,
    _expected: Expected,
}

/// The state of the plugin of a mount, for a caller that only looks.
#[derive(Debug, Default)]
pub struct Standing {
    /// The pin that runs, or will once it is compiled.
    pub pin: Option<PinRow>,
    /// The reason why it does not run.
    pub problem: Option<String>,
}

impl Examined {
    /// Whether mounts that name no version run this one rather than `other`.
    pub fn is_newer_than(&self, other: &PinRow) -> bool {
        pins::by_age(&self.pin, other).is_gt()
    }

    /// The provider's own version, where it is pinned as another one.
    pub fn is_mislabelled(&self) -> Option<&str> {
        let own = &self.plugin.provider.descriptor().version;
        (!version::same(own, &self.pin.version)).then_some(own)
    }
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
        Self::over(storage, clock, Arc::new(Directory { store, sandbox })).await
    }

    /// A catalog over what has files of plugins, and runs them.
    ///
    /// # Errors
    /// Where the pins cannot be read.
    pub async fn over(
        storage: Storage,
        clock: Clock,
        source: Arc<dyn Source>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            pins: Pins::open(storage.clone()).await?,
            storage,
            clock,
            source,
            loads: Loads::default(),
            arrivals: Arrivals::default(),
            inspecting: tokio::sync::Mutex::default(),
        })
    }

    /// Announces that a plugin is about to be pinned; requests for its name wait.
    pub fn expect(&self, arrival: Arrival) -> Expected {
        self.arrivals.expect(arrival)
    }

    /// Whether a plugin of this name and file is about to be pinned.
    pub fn is_expected(&self, name: &str, file: &str) -> bool {
        let all = self.arrivals.all();
        all.iter()
            .any(|arrival| arrival.name == name && arrival.file == file)
    }

    /// Verifies and loads what is to be pinned; waits until it is compiled. Only bytes
    /// of the digest are accepted.
    ///
    /// # Errors
    /// A sentence where the name or version cannot be used, the file is not
    /// there, has another digest, or is no provider; where `replace` is not set,
    /// `Conflict` where other bytes are pinned as that version, and `Invalid` where the
    /// provider says that it is another version than the one that is asked for.
    pub async fn examine(&self, spec: PinSpec, replace: bool) -> Result<Examined, Refusal> {
        check_name(&spec.name)?;
        let asked = spec
            .version
            .as_deref()
            .map(version::canonical)
            .transpose()?;
        let expected = self.expect(Arrival {
            name: spec.name.clone(),
            version: asked.clone(),
            file: spec.file.clone(),
            sha256: Some(spec.sha256),
            source: spec.source,
        });
        // Refuses before minutes of compiling, where the version is known by now.
        if let Some(asked) = &asked {
            self.replaced(&spec, asked, replace)?;
        }
        let key = (spec.file.clone(), spec.sha256);
        let load = || load(Arc::clone(&self.source), spec.file.clone(), spec.sha256);
        let loaded = self.loads.anew(key.clone(), load).await;
        let plugin = loaded.map_err(|not| {
            self.loads.forget(&key);
            Refusal::Invalid(about_file(&spec.file, &not.error))
        })?;
        let version = match asked {
            Some(version) => version,
            None => version::canonical(&plugin.provider.descriptor().version)?,
        };
        let former = self.replaced(&spec, &version, replace)?;
        let stands = former
            .as_ref()
            .is_some_and(|former| former.sha256 == spec.sha256);
        let own = &plugin.provider.descriptor().version;
        if !replace && !stands && !version::same(own, &version) {
            return Err(Refusal::Invalid(format!(
                "version {version} of plugin {:?} is not what the provider says: it is version {own}; leave version \
                 out, or have yours take its place (replace=true, `lessor plugin pin --replace`)",
                spec.name
            )));
        }
        Ok(Examined {
            pin: PinRow {
                name: spec.name,
                // As mounts name it.
                version: former
                    .as_ref()
                    .map_or(version, |former| former.version.clone()),
                file: spec.file,
                sha256: spec.sha256,
                source: spec.source,
                pinned_at: self.clock.now(),
            },
            plugin,
            former,
            _expected: expected,
        })
    }

    /// The pin of the same name and version.
    fn replaced(
        &self,
        spec: &PinSpec,
        version: &str,
        replace: bool,
    ) -> Result<Option<PinRow>, Refusal> {
        let pins = self.pins.all();
        let former = pins
            .iter()
            .find(|pin| pin.name == spec.name && version::same(&pin.version, version));
        match former {
            Some(former) if former.sha256 != spec.sha256 && !replace => {
                Err(Refusal::Conflict(format!(
                    "version {} of plugin {:?} is pinned to other bytes, of the digest {}: pin these as \
                     another version, or replace them (replace=true, `lessor plugin pin --replace`)",
                    former.version, spec.name, former.sha256
                )))
            }
            former => Ok(former.cloned()),
        }
    }

    /// Stores a pin that was examined.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn record(&self, examined: Examined) -> Result<PinRow, Refusal> {
        let Examined { pin, former, .. } = &examined;
        self.pins.record(pin.clone()).await?;
        let replaced = former
            .as_ref()
            .filter(|former| former.sha256 != pin.sha256)
            .map(|former| former.sha256.to_string());
        Event::PluginPinned {
            plugin: pin.name.clone(),
            version: pin.version.clone(),
            file: pin.file.clone(),
            sha256: pin.sha256,
            replaced,
            source: pin.source.as_str(),
        }
        .record();
        Ok(examined.pin)
    }

    /// Pins in one step; nothing may be replaced.
    #[cfg(test)]
    pub(crate) async fn pin(&self, spec: PinSpec) -> Result<PinRow, Refusal> {
        self.record(self.examine(spec, false).await?).await
    }

    /// The pin that a mount of a name and version runs: the newest where it names none.
    pub fn running(&self, name: &str, version: Option<&str>) -> Option<PinRow> {
        resolve(&self.pins.all(), name, version).ok().cloned()
    }

    /// All pins, and those that are about to be made.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self) -> Result<Vec<CatalogEntry>, Refusal> {
        let deadline = Instant::now() + LOOK;
        let pins = self.pins.all();
        let mounts = self.mounts_by_pin(&pins).await?;
        let mut entries = Vec::new();
        for (pin, mounts) in pins.iter().zip(mounts) {
            let loading = self.loading(&pin.file, pin.sha256);
            let (state, reason, provider) = match timeout_at(deadline, loading).await {
                Ok(Ok(plugin)) => {
                    let provider = &plugin.provider;
                    let shown = (provider.descriptor().clone(), provider.anatomy().clone());
                    ("ready", None, Some(shown))
                }
                Ok(Err(not)) => (state_of(&not.error), Some(sentence(&not.error)), None),
                Err(_) => (COMPILING, Some(is_compiled(&pin.name)), None),
            };
            entries.push(CatalogEntry {
                name: pin.name.clone(),
                version: Some(pin.version.clone()),
                file: pin.file.clone(),
                sha256: Some(pin.sha256),
                source: pin.source,
                pinned_at: Some(pin.pinned_at),
                state,
                reason,
                provider,
                mounts,
            });
        }
        for arrival in self.arrivals.all() {
            let known = entries.iter().any(|entry| {
                entry.name == arrival.name
                    && (entry.version == arrival.version || entry.sha256 == arrival.sha256)
            });
            if !known {
                entries.push(CatalogEntry {
                    reason: Some(is_compiled(&arrival.name)),
                    name: arrival.name,
                    version: arrival.version,
                    file: arrival.file,
                    sha256: arrival.sha256,
                    source: arrival.source,
                    pinned_at: None,
                    state: COMPILING,
                    provider: None,
                    mounts: Vec::new(),
                });
            }
        }
        Ok(entries)
    }

    /// The paths of the mounts that run each pin, in the order of the pins.
    async fn mounts_by_pin(&self, pins: &[PinRow]) -> Result<Vec<Vec<String>>, Refusal> {
        let mounts = self.storage.mounts().await?;
        let users = |pin: &PinRow| {
            // Draining mounts count: their leases are still to be revoked.
            let users = mounts
                .iter()
                .filter(|row| row.mount.plugin == pin.name)
                .filter(|row| {
                    resolve(pins, &pin.name, row.mount.plugin_version.as_deref())
                        .is_ok_and(|running| running.version == pin.version)
                });
            users.map(|row| row.mount.path.to_string()).collect()
        };
        Ok(pins.iter().map(users).collect())
    }

    /// One pin; the newest of its name where no version is given.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn show(&self, name: &str, version: Option<&str>) -> Result<CatalogEntry, Refusal> {
        let wanted = match resolve(&self.pins.all(), name, version) {
            Ok(pin) => Some(pin.version.clone()),
            Err(_)
                if self
                    .arrivals
                    .all()
                    .iter()
                    .any(|arrival| arrival.name == name) =>
            {
                None
            }
            Err(sentence) => return Err(Refusal::NotFound(sentence)),
        };
        let mut entries = self.list().await?.into_iter();
        entries
            .find(|entry| entry.name == name && (wanted.is_none() || entry.version == wanted))
            .ok_or_else(|| not_found(name, version))
    }

    /// Removes a pin, or all versions of a name where none is given.
    ///
    /// # Errors
    /// `Conflict` while a mount runs it, `NotFound` where there is none.
    pub async fn remove(&self, name: &str, version: Option<&str>) -> Result<(), Refusal> {
        let pins = self.pins.all();
        let mounts = self.mounts_by_pin(&pins).await?;
        let wanted: Vec<(&PinRow, Vec<String>)> = pins
            .iter()
            .zip(mounts)
            .filter(|(pin, _)| {
                pin.name == name
                    && version.is_none_or(|version| version::same(&pin.version, version))
            })
            .collect();
        if wanted.is_empty() {
            return Err(not_found(name, version));
        }
        if let Some((pin, mounts)) = wanted.iter().find(|(_, mounts)| !mounts.is_empty()) {
            return Err(Refusal::Conflict(format!(
                "plugin {name:?} version {} is in use by the mount {}; unmount it or tune it to another version first",
                pin.version,
                mounts.join(", ")
            )));
        }
        for (pin, _) in wanted {
            self.pins.remove(name, &pin.version).await?;
            let (plugin, version) = (name.to_owned(), pin.version.clone());
            Event::PluginUnpinned { plugin, version }.record();
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

    /// Lets the component in a file of the plugin directory describe itself, as every component
    /// must before it is pinned: in the sandbox, without network, keys, time and entropy,
    /// within its limits. Nothing else of it runs, and nothing is pinned or kept but its
    /// compiled code. One look is taken at a time.
    ///
    /// # Errors
    /// `NotFound` where there is no such file; a sentence where it is no provider that
    /// could be pinned; `Limit` while another look is taken.
    pub async fn inspect(&self, file: &str) -> Result<Inspected, Refusal> {
        let Ok(_turn) = self.inspecting.try_lock() else {
            return Err(Refusal::Limit {
                message: "another file is being looked into, which may have to be compiled: try again in a moment"
                    .into(),
                retry_after: RETRY_AFTER,
            });
        };
        let refused = |error: &PluginError| {
            let sentence = about_file(file, error);
            match error {
                PluginError::Missing { .. } => Refusal::NotFound(sentence),
                _ => Refusal::Invalid(sentence),
            }
        };
        let found = self.source.digest_of(file).await;
        let sha256 = found.map_err(|error| refused(&error))?;
        let loaded = load(Arc::clone(&self.source), file.to_owned(), sha256).await;
        let plugin = loaded.map_err(|error| refused(&error))?;
        let pins = self.pins.all();
        let same = pins.iter().filter(|pin| pin.sha256 == sha256);
        Ok(Inspected {
            provider: Arc::clone(&plugin.provider),
            pins: same
                .map(|pin| (pin.name.clone(), pin.version.clone()))
                .collect(),
        })
    }

    /// Marks of the plugin directory that change with its files, seen without reading them.
    pub async fn signs(&self) -> Signs {
        self.source.signs().await
    }

    /// The names of the files of the plugin directory.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub async fn file_names(&self) -> Result<Vec<String>, Refusal> {
        let names = self.source.names().await;
        names.map_err(|error| Refusal::Unavailable(sentence(&error)))
    }

    /// Reads and hashes the files of all loaded providers again. A provider whose file is gone
    /// or changed does not run until the pinned bytes are back.
    pub async fn verify_again(&self) {
        let mut done = self.loads.done();
        done.sort();
        for (key, is_loaded) in done {
            let (file, sha256) = &key;
            let pins = self.pins.all();
            let pin = pins
                .iter()
                .find(|pin| pin.file == *file && pin.sha256 == *sha256);
            let Some(pin) = pin else {
                self.loads.forget(&key);
                continue;
            };
            if !is_loaded {
                continue;
            }
            if let Err(error) = self.source.verify(file, *sha256).await {
                Event::PluginDisabled {
                    plugin: pin.name.clone(),
                    version: pin.version.clone(),
                    file: file.clone(),
                    sha256: *sha256,
                    reason: sentence(&error),
                }
                .record();
                self.loads.forget(&key);
            }
        }
    }

    /// The provider that a mount runs.
    ///
    /// # Errors
    /// `Invalid` where no pin has the name and version; `Unavailable` where its
    /// file is missing, changed or no provider; `NotYet` while it is compiled.
    pub async fn plugin(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(PinRow, Arc<Plugin>), Refusal> {
        let deadline = Instant::now() + PATIENCE;
        let pin = self.pin_by(deadline, name, version).await?;
        match timeout_at(deadline, self.loading(&pin.file, pin.sha256)).await {
            Ok(Ok(plugin)) => Ok((pin, plugin)),
            Ok(Err(not)) => Err(Refusal::Unavailable(cannot_run(name, &not.error))),
            Err(_) => Err(compiling(name)),
        }
    }

    /// The pin of a name and version; waits for one that is about to be made.
    async fn pin_by(
        &self,
        deadline: Instant,
        name: &str,
        version: Option<&str>,
    ) -> Result<PinRow, Refusal> {
        let resolved = || resolve(&self.pins.all(), name, version).cloned();
        if let Ok(pin) = resolved() {
            return Ok(pin);
        }
        timeout_at(deadline, self.arrivals.settled(name))
            .await
            .map_err(|_| compiling(name))?;
        resolved().map_err(Refusal::Invalid)
    }

    /// The state of the plugins of mounts, each by its name and version.
    pub async fn standing(&self, of: &[(&str, Option<&str>)]) -> Vec<Standing> {
        let deadline = Instant::now() + LOOK;
        let mut all = Vec::new();
        for (name, version) in of {
            let pin = match resolve(&self.pins.all(), name, *version) {
                Ok(pin) => pin.clone(),
                Err(sentence) => {
                    all.push(Standing {
                        pin: None,
                        problem: Some(sentence),
                    });
                    continue;
                }
            };
            let loaded = timeout_at(deadline, self.loading(&pin.file, pin.sha256)).await;
            all.push(match loaded {
                Ok(Ok(_)) => Standing {
                    pin: Some(pin),
                    problem: None,
                },
                Ok(Err(not)) => Standing {
                    pin: None,
                    problem: Some(cannot_run(name, &not.error)),
                },
                Err(_) => Standing {
                    pin: Some(pin),
                    problem: Some(is_compiled(name)),
                },
            });
        }
        all
    }

    /// The provider of a digest, as long as a pin of `name` has it and it can run.
    pub async fn pinned(&self, name: &str, sha256: Digest) -> Option<Arc<Plugin>> {
        let pins = self.pins.all();
        let pin = pins
            .iter()
            .find(|pin| pin.name == name && pin.sha256 == sha256)?;
        self.loading(&pin.file, sha256)
            .await
            .inspect_err(|not| {
                tracing::debug!(plugin = name, %sha256, reason = sentence(&not.error), "a pinned version cannot run");
            })
            .ok()
    }

    /// Drops the streams that calls by a connection of a mount have parked.
    pub fn drop_parked(&self, of: ConnectionId) {
        self.source.drop_parked(of);
    }

    /// The outcomes of providers' calls since the start, by plugin and mount.
    pub fn tallies(&self) -> Vec<Tally> {
        self.source.tallies()
    }

    /// The memory that the host holds for the calls of providers.
    pub fn holdings(&self) -> Holdings {
        self.source.holdings()
    }

    async fn files(&self) -> Result<Vec<Unpinned>, Refusal> {
        let files = self.source.files().await;
        let files = files.map_err(|error| Refusal::Unavailable(sentence(&error)))?;
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

    fn loading(&self, file: &str, sha256: Digest) -> Loading {
        let load = || load(Arc::clone(&self.source), file.to_owned(), sha256);
        self.loads.get((file.to_owned(), sha256), load)
    }
}

/// Reads a file, and has its provider compiled where that was not done before.
async fn load(
    source: Arc<dyn Source>,
    file: String,
    sha256: Digest,
) -> Result<Arc<Plugin>, PluginError> {
    let provider = source.load(&file, sha256).await?;
    // The patterns of its schemas may take a while to compile.
    let plugin = tokio::task::spawn_blocking(move || Plugin::new(provider))
        .await?
        .map_err(|reason| PluginError::Prepare { reason })?;
    Ok(Arc::new(plugin))
}

fn check_name(text: &str) -> Result<(), Refusal> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    if fits {
        Ok(())
    } else {
        Err(Refusal::Invalid(format!(
            "name {:?} cannot be used: write 1 to 64 letters, digits, `.`, `_`, `+` or `-`",
            suggest::shown(text)
        )))
    }
}

/// The state of a provider that is being compiled.
const COMPILING: &str = "compiling";

fn is_compiled(name: &str) -> String {
    format!("plugin {name:?} is being compiled, which takes up to some minutes")
}

fn compiling(name: &str) -> Refusal {
    Refusal::NotYet {
        message: format!("{}: ask again", is_compiled(name)),
        retry_after: RETRY_AFTER,
    }
}

fn cannot_run(name: &str, error: &PluginError) -> String {
    format!("plugin {name:?} cannot run: {}", sentence(error))
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
            | PluginError::TooMuch { .. }
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
        PluginError::Missing { .. } | PluginError::Directory { .. } => "missing",
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
