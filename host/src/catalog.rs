//! Pins and the providers behind them: which bytes may run, loaded once.
//!
//! A pin names a file of the plugin directory and the digest its bytes must
//! have. A provider is loaded when a mount first needs it and stays in memory by
//! digest. A file that is missing or was changed disables the mounts that need
//! it, with a sentence, and nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    account,
    clock::Clock,
    id::Digest,
    plugin_store::{PluginError, PluginStore},
    provider::{Descriptor, Provider},
    refusal::Refusal,
    role,
    sandbox::Sandbox,
    schema::Checker,
    settings,
    storage::{PinRow, PinSource, Storage},
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
    /// What the provider says of itself, where it could be loaded.
    pub descriptor: Option<Descriptor>,
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
    clock: Clock,
    source: Source,
    /// By digest; may be dropped at any time.
    loaded: Mutex<HashMap<Digest, Arc<Plugin>>>,
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
    pub fn new(storage: Storage, clock: Clock, store: PluginStore, sandbox: Sandbox) -> Self {
        Self {
            storage,
            clock,
            source: Source::Directory { store, sandbox },
            loaded: Mutex::default(),
        }
    }

    /// A catalog of fakes.
    #[cfg(test)]
    pub(crate) fn fixed(storage: Storage, clock: Clock, providers: Vec<Arc<dyn Provider>>) -> Self {
        let providers = providers
            .into_iter()
            .map(|provider| (provider.digest(), provider))
            .collect();
        Self {
            storage,
            clock,
            source: Source::Fixed(providers),
            loaded: Mutex::default(),
        }
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
        self.storage.record_pin(pin.clone()).await?;
        tracing::info!(plugin = %pin.name, version = %pin.version, file = %pin.file, sha256 = %pin.sha256, "pinned a plugin");
        Ok(pin)
    }

    /// All pins.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self) -> Result<Vec<CatalogEntry>, Refusal> {
        let pins = self.storage.pins().await?;
        let mounts = self.storage.mounts().await?;
        let mut entries = Vec::new();
        for pin in &pins {
            // Draining mounts count: their leases are still to be revoked.
            let users = mounts
                .iter()
                .filter(|row| row.mount.plugin == pin.name)
                .filter(|row| {
                    resolve(&pins, &pin.name, row.mount.plugin_version.as_deref())
                        .is_ok_and(|running| running.version == pin.version)
                });
            let mounts = users.map(|row| row.mount.path.to_string()).collect();
            let (state, reason, descriptor) = match self.load_file(&pin.file, pin.sha256).await {
                Ok(plugin) => ("ready", None, Some(plugin.provider.descriptor().clone())),
                Err(error) => (state_of(&error), Some(sentence(&error)), None),
            };
            entries.push(CatalogEntry {
                pin: pin.clone(),
                state,
                reason,
                descriptor,
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
        let pins = self.storage.pins().await?;
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
            self.storage
                .remove_pin(name.clone(), version.clone())
                .await?;
            tracing::info!(plugin = %name, %version, "removed a pin");
        }
        Ok(())
    }

    /// Files of the plugin directory that no pin names by file and digest.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub async fn unpinned(&self) -> Result<Vec<Unpinned>, Refusal> {
        let pins = self.storage.pins().await?;
        let files = self.files().await?;
        Ok(files
            .into_iter()
            .filter(|file| {
                !pins
                    .iter()
                    .any(|pin| pin.file == file.file && file.sha256 == Some(pin.sha256))
            })
            .collect())
    }

    /// Forgets what was loaded: every provider is read and verified again at
    /// its next call.
    pub fn reload(&self) {
        self.loaded().clear();
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
        let pins = self.storage.pins().await?;
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
        if let Some(plugin) = self.loaded().get(&sha256) {
            return Ok(Arc::clone(plugin));
        }
        self.read_and_load(file, sha256).await
    }

    /// Reads the file anew, also where a provider of that digest is loaded.
    async fn read_and_load(&self, file: &str, sha256: Digest) -> Result<Arc<Plugin>, PluginError> {
        let provider = match &self.source {
            Source::Directory { store, sandbox } => {
                let (store, file) = (store.clone(), file.to_owned());
                let verified = tokio::task::spawn_blocking(move || store.verify(&file, sha256))
                    .await
                    .map_err(|error| PluginError::Prepare {
                        reason: error.to_string(),
                    })??;
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
        let plugin =
            Arc::new(Plugin::new(provider).map_err(|reason| PluginError::Prepare { reason })?);
        self.loaded().insert(sha256, Arc::clone(&plugin));
        Ok(plugin)
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Plugin>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pin that a mount of `name` and `version` runs: the newest by version
/// number, then by time, where none is given.
fn resolve<'a>(
    pins: &'a [PinRow],
    name: &str,
    version: Option<&str>,
) -> Result<&'a PinRow, String> {
    let mut named = pins.iter().filter(|pin| pin.name == name).peekable();
    if named.peek().is_none() {
        let hint = suggest::hint(name, pins.iter().map(|pin| pin.name.as_str()));
        return Err(format!("plugin not found in the catalog: {name}{hint}"));
    }
    match version {
        Some(version) => named
            .find(|pin| pin.version == version)
            .ok_or_else(|| format!("plugin {name:?} has no pinned version {version:?}")),
        None => named
            .max_by_key(|pin| (release(&pin.version), pin.pinned_at))
            .ok_or_else(|| format!("plugin not found in the catalog: {name}")),
    }
}

/// Orders versions by their leading numbers; `1.10` comes after `1.9`.
fn release(version: &str) -> Vec<u64> {
    version
        .trim_start_matches('v')
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok())
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn pin(name: &str, version: &str, at: i64) -> PinRow {
        PinRow {
            name: name.into(),
            version: version.into(),
            file: "x.wasm".into(),
            sha256: Digest::of(version.as_bytes()),
            source: PinSource::Api,
            pinned_at: Timestamp(at),
        }
    }

    #[test]
    fn a_mount_without_a_version_follows_the_newest() {
        let pins = [
            pin("db", "1.9.0", 3),
            pin("db", "1.10.0", 1),
            pin("db", "1.10.0-rc1", 2),
            pin("ca", "9", 9),
        ];
        let resolved = |version| resolve(&pins, "db", version).map(|pin| pin.version.as_str());
        assert_eq!(
            resolved(None),
            Ok("1.10.0-rc1"),
            "same numbers: the later pin"
        );
        assert_eq!(resolved(Some("1.9.0")), Ok("1.9.0"));
        assert!(resolved(Some("2")).is_err());
        assert!(resolve(&pins, "bd", None).is_err());
    }
}
