//! Pins nobody asks for by API: those of the configuration file, and in
//! `--dev` those of every file that turns up in the plugin directory.
//!
//! The directory is looked at once a second, by its path, so any way of changing it is noticed,
//! a moved link too. After a change the files of all loaded providers are verified again,
//! declared pins whose file was missing get another try, and the log tells of a file that no
//! pin names. A file that cannot be pinned is a warning in the log; it stops nothing, and
//! nothing waits for it: pins are made in tasks of their own.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use lessor_model::{event::Event, id::Digest};
use lessor_store::{PinRow, PinSource};
use tokio::task::JoinSet;

use crate::{
    catalog::{self, Arrival, Expected, PinSpec, Unpinned},
    config::{Config, PluginPin},
    engine::Engine,
    installation::Installation,
    upgrade::Change,
};

/// How often the directory is looked at. A look asks the file system for the signs of
/// each file, which takes microseconds; events would come sooner, but only from the
/// directory that was there when they were asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// A declared pin, or with `--dev` a file of the directory, may replace other bytes of its
/// version: the operator put it there for that.
const CHANGE: Change = Change {
    replace: true,
    force: true,
};

/// Watches the plugin directory, and makes the declared pins and, in `--dev`, one for each
/// file.
#[derive(Debug)]
pub struct Watch {
    installation: Arc<Installation>,
    /// Plugins that are about to be pinned, by name and file, until the making of the pin
    /// begins.
    expected: HashMap<(String, String), Expected>,
    /// Files that were looked at already.
    seen: HashSet<(String, Option<Digest>)>,
    /// Plugins of mounts that could not run when they were last looked at.
    lame: HashSet<String>,
    pinning: JoinSet<()>,
}

impl Watch {
    /// Begins: announces the pins to be made by name, before anybody can ask for one.
    pub async fn begin(installation: Arc<Installation>) -> Self {
        let mut watch = Self {
            installation,
            expected: HashMap::new(),
            seen: HashSet::new(),
            lame: HashSet::new(),
            pinning: JoinSet::new(),
        };
        if let Some(engine) = watch.installation.engine().cloned() {
            watch.expect(&engine).await;
        }
        watch
    }

    /// Goes on until it is dropped.
    pub async fn run(mut self) {
        let engine = self.installation.ready().await;
        drop_undeclared(&engine, self.config()).await;
        // Loads the providers that mounts run, before anybody asks for them; they are compiled
        // anew if another version of the program did that last.
        engine.mounts.list().await;
        let mut former = None;
        let mut settled = false;
        loop {
            let signs = engine.catalog.signs().await;
            let changed = former.as_ref() != Some(&signs);
            // A file that changes twice within one tick of the file system's clock shows one
            // change.
            if changed || !settled {
                self.look(&engine).await;
            }
            settled = !changed;
            former = Some(signs);
            tokio::time::sleep(INTERVAL).await;
            while self.pinning.try_join_next().is_some() {}
        }
    }

    fn config(&self) -> &Config {
        self.installation.config()
    }

    fn is_dev(&self) -> bool {
        self.config().dev.is_some()
    }

    /// Says what will be pinned.
    async fn expect(&mut self, engine: &Engine) {
        let known = engine.storage.pins().await.unwrap_or_default();
        let mut arrivals: Vec<Arrival> = self
            .config()
            .plugins
            .iter()
            .filter(|declared| !is_known(declared, &known))
            .map(|declared| Arrival {
                name: declared.name.clone(),
                version: declared.version.clone(),
                file: declared.file.clone(),
                sha256: declared.digest().ok(),
                source: PinSource::Config,
            })
            .collect();
        if self.is_dev() {
            let files = engine.catalog.file_names().await.unwrap_or_default();
            let new = files
                .into_iter()
                .filter(|file| !known.iter().any(|pin| pin.file == *file));
            arrivals.extend(new.map(|file| Arrival {
                name: name_of(&file).to_owned(),
                version: None,
                file,
                sha256: None,
                source: PinSource::Dev,
            }));
        }
        for arrival in arrivals {
            let key = (arrival.name.clone(), arrival.file.clone());
            self.expected.insert(key, engine.catalog.expect(arrival));
        }
    }

    /// Looks at everything.
    async fn look(&mut self, engine: &Arc<Engine>) {
        tracing::debug!("looking at the plugin directory");
        engine.catalog.verify_again().await;
        self.pin_declared(engine).await;
        self.look_at_unpinned(engine).await;
        self.wake_mended(engine).await;
        // Names that are left here belong to files that cannot be read.
        self.expected.clear();
    }

    /// If a plugin runs again, work that its mounts failed to do is tried at once.
    async fn wake_mended(&mut self, engine: &Engine) {
        for plugin in engine.mounts.plugins() {
            if engine.catalog.plugin(&plugin, None).await.is_err() {
                self.lame.insert(plugin);
            } else if self.lame.remove(&plugin) {
                if let Err(refusal) = engine.pins_changed(&plugin).await {
                    tracing::warn!(plugin, reason = %refusal, "could not have failed revocations tried at once");
                }
                Event::PluginEnabled { plugin }.record();
            }
        }
    }

    /// Pins what the configuration file declares.
    async fn pin_declared(&mut self, engine: &Arc<Engine>) {
        let known = engine.storage.pins().await.unwrap_or_default();
        for declared in self.config().plugins.clone() {
            // The configuration was checked when it was read.
            let Ok(sha256) = declared.digest() else {
                continue;
            };
            if is_known(&declared, &known) {
                continue;
            }
            self.pin(
                engine,
                PinSpec {
                    name: declared.name,
                    version: declared.version,
                    file: declared.file,
                    sha256,
                    source: PinSource::Config,
                },
            );
        }
    }

    /// Looks at every file that no pin names: in `--dev` it is pinned under the file's
    /// name, else the log says how to pin it.
    async fn look_at_unpinned(&mut self, engine: &Arc<Engine>) {
        let unpinned = match engine.catalog.unpinned().await {
            Ok(unpinned) => unpinned,
            Err(refusal) => {
                tracing::warn!(reason = %refusal, "the plugin directory cannot be read");
                return;
            }
        };
        for Unpinned {
            file,
            sha256,
            reason,
            ..
        } in unpinned
        {
            if !self.seen.insert((file.clone(), sha256)) {
                continue;
            }
            match sha256 {
                None => {
                    let reason = reason.unwrap_or_default();
                    tracing::warn!(%file, reason, "a file of the plugin directory cannot be read");
                }
                Some(sha256) if self.is_dev() => self.pin(
                    engine,
                    PinSpec {
                        name: name_of(&file).to_owned(),
                        version: None,
                        file,
                        sha256,
                        source: PinSource::Dev,
                    },
                ),
                Some(sha256) => tracing::info!(
                    %file, %sha256,
                    "a file of the plugin directory is not pinned and does not run: \
                     `lessor plugin pin NAME FILE` pins it"
                ),
            }
        }
    }

    /// Makes a pin in a task of its own, unless one is making it already.
    fn pin(&mut self, engine: &Arc<Engine>, spec: PinSpec) {
        let expected = self
            .expected
            .remove(&(spec.name.clone(), spec.file.clone()));
        if expected.is_none() && engine.catalog.is_expected(&spec.name, &spec.file) {
            return;
        }
        let engine = Arc::clone(engine);
        self.pinning.spawn(async move {
            let (file, sha256, source) = (spec.file.clone(), spec.sha256, spec.source);
            match engine.pin(spec, CHANGE).await {
                Ok(pinned) => {
                    for warning in pinned.warnings {
                        tracing::warn!(plugin = pinned.name, %file, "{warning}");
                    }
                    if source == PinSource::Dev {
                        tracing::warn!(
                            %file, plugin = pinned.name, %sha256,
                            "pinned a file on first sight, because of --dev"
                        );
                    }
                }
                Err(refusal) => {
                    tracing::warn!(%file, %sha256, reason = %refusal, "a plugin cannot be pinned");
                }
            }
            drop(expected);
        });
    }
}

/// The name that a file is pinned under in `--dev`.
fn name_of(file: &str) -> &str {
    file.strip_suffix(".wasm").unwrap_or(file)
}

/// Whether a declared pin was made already.
fn is_known(declared: &PluginPin, known: &[PinRow]) -> bool {
    known.iter().any(|pin| {
        pin.name == declared.name
            && pin.file == declared.file
            && declared.digest().is_ok_and(|sha256| pin.sha256 == sha256)
            && declared
                .version
                .as_ref()
                .is_none_or(|version| catalog::is_same_version(version, &pin.version))
    })
}

/// Removes pins that the configuration file made once and declares no more.
async fn drop_undeclared(engine: &Engine, config: &Config) {
    for pin in engine.storage.pins().await.unwrap_or_default() {
        let declared = config.plugins.iter().any(|declared| {
            declared.name == pin.name && declared.digest().is_ok_and(|digest| digest == pin.sha256)
        });
        if pin.source != PinSource::Config || declared {
            continue;
        }
        let removed = engine.catalog.remove(&pin.name, Some(&pin.version)).await;
        if let Err(refusal) = removed {
            tracing::warn!(
                plugin = pin.name, version = pin.version, reason = %refusal,
                "the configuration declares this plugin no more, and its pin stays"
            );
        }
    }
}
