//! Pins that nobody asks for by API: those of the configuration file, and in
//! `--dev` those of every file that turns up in the plugin directory.
//!
//! The directory is watched. After a change the files of all loaded providers are
//! verified again, declared pins whose file was missing get another try, and a
//! file that no pin names is told of. One that cannot be pinned is a warning in
//! the log; it stops nothing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::{
    catalog::{PinSpec, Unpinned},
    config::Config,
    engine::Engine,
    id::Digest,
    installation::Installation,
    storage::PinSource,
};

/// How long the directory must be quiet before it is looked at: a file that is
/// being copied raises many events.
const QUIET: Duration = Duration::from_millis(150);

/// How long it may go on changing until it is looked at all the same: a file that is
/// written to without end hides no other.
const RESTLESS: Duration = Duration::from_secs(1);

/// Pins what is declared and, in `--dev`, what is there; warns where it cannot.
pub async fn pin_all(engine: &Engine, config: &Config) {
    pin_declared(engine, config).await;
    drop_undeclared(engine, config).await;
    if config.dev.is_some() {
        look(engine, true, &mut HashSet::new()).await;
    }
}

/// Watches the plugin directory until the task is dropped.
pub async fn watch(installation: Arc<Installation>) {
    let directory = installation.config().plugin_dir.clone();
    let (sender, mut changed) = mpsc::channel::<()>(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file, as verifying does, is no change of it.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel means that a look is due anyway.
            let _ = sender.try_send(());
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher
            .watch(&directory, RecursiveMode::NonRecursive)
            .map(|()| watcher)
    });
    let _watcher = match watching {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(
                directory = %directory.display(), %error,
                "the plugin directory cannot be watched; a changed file is noticed after \
                 sys/plugins/reload/backend or a restart"
            );
            return;
        }
    };
    let engine = installation.ready().await;
    // A server that was initialised after it started has pinned nothing yet.
    pin_declared(&engine, installation.config()).await;
    let mut seen = HashSet::new();
    let dev = installation.config().dev.is_some();
    look(&engine, dev, &mut seen).await;
    let mut lame = HashSet::new();
    wake_mended(&engine, &mut lame).await;
    while changed.recv().await.is_some() {
        // Either way it is time.
        let _ = tokio::time::timeout(RESTLESS, quiet(&mut changed)).await;
        tracing::debug!("the plugin directory changed");
        engine.catalog.verify_again().await;
        pin_declared(&engine, installation.config()).await;
        look(&engine, dev, &mut seen).await;
        wake_mended(&engine, &mut lame).await;
    }
}

/// Where a plugin runs again, what its mounts failed to do is tried at once. `lame`
/// keeps those that could not run.
async fn wake_mended(engine: &Engine, lame: &mut HashSet<String>) {
    for plugin in engine.mounts.plugins() {
        if engine.catalog.plugin(&plugin, None).await.is_err() {
            lame.insert(plugin);
        } else if lame.remove(&plugin)
            && let Err(refusal) = engine.pins_changed(&plugin).await
        {
            tracing::warn!(plugin, reason = %refusal, "could not have failed revocations tried at once");
        }
    }
}

/// Waits until nothing has changed for a while.
async fn quiet(changed: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(QUIET, changed.recv()).await {}
}

/// Pins what the configuration file declares.
async fn pin_declared(engine: &Engine, config: &Config) {
    let known = engine.storage.pins().await.unwrap_or_default();
    for declared in &config.plugins {
        // The configuration was checked when it was read.
        let Ok(sha256) = declared.digest() else {
            continue;
        };
        let is_known = known.iter().any(|pin| {
            pin.name == declared.name
                && pin.file == declared.file
                && pin.sha256 == sha256
                && declared
                    .version
                    .as_ref()
                    .is_none_or(|version| *version == pin.version)
        });
        if is_known {
            continue;
        }
        let pin = PinSpec {
            name: declared.name.clone(),
            version: declared.version.clone(),
            file: declared.file.clone(),
            sha256,
            source: PinSource::Config,
        };
        if let Err(refusal) = engine.catalog.pin(pin).await {
            tracing::warn!(plugin = declared.name, reason = %refusal, "a declared plugin cannot be pinned");
        }
    }
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

/// Looks at every file that no pin names: in `--dev` it is pinned under the file's
/// name, else the log says how to pin it. `seen` keeps what was looked at already.
async fn look(engine: &Engine, dev: bool, seen: &mut HashSet<(String, Option<Digest>)>) {
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
        if !seen.insert((file.clone(), sha256)) {
            continue;
        }
        match sha256 {
            None => {
                let reason = reason.unwrap_or_default();
                tracing::warn!(%file, reason, "a file of the plugin directory cannot be read");
            }
            Some(sha256) if dev => pin_on_sight(engine, file, sha256).await,
            Some(sha256) => tracing::info!(
                %file, %sha256,
                "a file of the plugin directory is not pinned and does not run: \
                 `lessor plugin pin NAME FILE` pins it"
            ),
        }
    }
}

/// Pins a file under its own name.
async fn pin_on_sight(engine: &Engine, file: String, sha256: Digest) {
    let pin = PinSpec {
        name: file.strip_suffix(".wasm").unwrap_or(&file).to_owned(),
        version: None,
        file: file.clone(),
        sha256,
        source: PinSource::Dev,
    };
    match engine.catalog.pin(pin).await {
        Ok(pin) => tracing::warn!(
            %file, plugin = pin.name, %sha256,
            "pinned a file on first sight, because of --dev"
        ),
        Err(refusal) => {
            tracing::warn!(%file, reason = %refusal, "a file of the plugin directory cannot be pinned");
        }
    }
}
