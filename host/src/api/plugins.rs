//! `sys/plugins/…`: pins, and the files that none names.

use serde_json::{Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    dispatch::Ask,
    error::ApiError,
};
use crate::{
    catalog::{CatalogEntry, PinSpec},
    engine::Engine,
    id::MountPath,
    storage::PinSource,
    suggest,
};

/// The one kind of plugin that can be pinned.
const SECRET: &str = "secret";

/// Vault's kinds. Its clients ask for all of them; only providers exist here.
const KINDS: [&str; 3] = [SECRET, "auth", "database"];

/// `GET sys/plugins/catalog`: names by kind, and each pin in detail.
pub(super) async fn catalog(engine: &Engine) -> Outcome {
    let entries = engine.catalog.list().await?;
    let detailed: Vec<Value> = entries.iter().map(summary).collect();
    Ok(Answer::data(json!({
        "secret": distinct_names(&entries),
        "auth": [],
        "database": [],
        "detailed": detailed,
    })))
}

/// `LIST sys/plugins/catalog/:type`
pub(super) async fn names(engine: &Engine, kind: &str) -> Outcome {
    check_kind(kind)?;
    let entries = if kind == SECRET {
        engine.catalog.list().await?
    } else {
        Vec::new()
    };
    Answer::list(distinct_names(&entries))
}

/// `GET sys/plugins/catalog/:type/:name[?version=…]`
pub(super) async fn show(engine: &Engine, kind: &str, name: &str, ask: Ask) -> Outcome {
    check_kind(kind)?;
    let mut fields = ask.into_fields();
    let version = fields.text("version")?;
    fields.finish()?;
    if kind != SECRET {
        return Err(ApiError::nothing_here());
    }
    let entry = engine.catalog.show(name, version.as_deref()).await;
    let entry = entry.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    let mut shown = summary(&entry);
    if let (Some(fields), Some((descriptor, anatomy))) = (shown.as_object_mut(), &entry.provider) {
        fields.insert("descriptor".into(), json!(descriptor));
        fields.insert("component".into(), json!(anatomy));
    }
    Ok(Answer::data(shown))
}

/// `PUT sys/plugins/catalog/:type/:name`
pub(super) async fn register(engine: &Engine, kind: &str, name: &str, ask: Ask) -> Outcome {
    check_kind(kind)?;
    if kind != SECRET {
        return Err(ApiError::bad_request(format!(
            "plugins of the type {kind} do not exist here: register a provider as {SECRET}"
        )));
    }
    let mut fields = ask.into_fields();
    let sha256 = fields.text("sha256")?;
    let file = fields.text("command")?;
    let version = fields
        .text("version")?
        .filter(|version| !version.is_empty());
    fields.empty("args", "must be empty: a provider takes no arguments")?;
    fields.empty("env", "must be empty: a provider sees no environment")?;
    fields.ignore(&["type", "name", "builtin", "oci_image", "runtime"]);
    fields.finish()?;
    let file = file.unwrap_or_default();
    if file.is_empty() || file == "." || file == ".." || file.contains(['/', '\\', '\0']) {
        return Err(ApiError::bad_request(format!(
            "command must be the name of a file in the plugin directory, not {:?}",
            suggest::shown(&file)
        )));
    }
    let sha256 = sha256.unwrap_or_default().parse()?;
    let pin = PinSpec {
        name: name.to_owned(),
        version,
        file,
        sha256,
        source: PinSource::Api,
    };
    let pin = engine.catalog.pin(pin).await?;
    engine.pins_changed(&pin.name).await?;
    Ok(Answer::done_with(engine.upgrades.misfits(&pin.name).await?))
}

/// `PUT sys/plugins/upgrade`: every mount that names a version of the plugin
/// names this one.
pub(super) async fn upgrade(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let plugin = fields.required("plugin")?;
    let version = fields
        .text("version")?
        .filter(|version| !version.is_empty());
    let force = fields.truth("force")?.unwrap_or(false);
    fields.finish()?;
    let upgrade = engine
        .upgrades
        .upgrade(&plugin, version.as_deref(), force)
        .await?;
    engine.pins_changed(&plugin).await?;
    let paths = |paths: &[MountPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let data = json!({
        "plugin": plugin,
        "version": upgrade.version,
        "sha256": upgrade.sha256,
        "changed": paths(&upgrade.changed),
        "following": paths(&upgrade.following),
    });
    Ok(Answer::envelope(Envelope {
        data: Data::Json(data),
        warnings: upgrade.misfits,
        ..Envelope::default()
    }))
}

/// `DELETE sys/plugins/catalog/:type/:name[?version=…]`; gone already is done.
pub(super) async fn remove(engine: &Engine, kind: &str, name: &str, ask: Ask) -> Outcome {
    check_kind(kind)?;
    let mut fields = ask.into_fields();
    let version = fields.text("version")?;
    fields.finish()?;
    match engine.catalog.remove(name, version.as_deref()).await {
        Ok(()) | Err(crate::refusal::Refusal::NotFound(_)) => Ok(Answer::done()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// `GET sys/plugins/pins`
pub(super) async fn pins(engine: &Engine) -> Outcome {
    let entries = engine.catalog.list().await?;
    let pins: Vec<Value> = entries.iter().map(summary).collect();
    Ok(Answer::data(json!({ "pins": pins })))
}

/// `GET sys/plugins/unpinned`
pub(super) async fn unpinned(engine: &Engine) -> Outcome {
    let files = engine.catalog.unpinned().await?;
    let files: Vec<Value> = files
        .into_iter()
        .map(|found| {
            json!({
                "file": found.file,
                "size": found.size,
                "sha256": found.sha256,
                "reason": found.reason,
            })
        })
        .collect();
    Ok(Answer::data(json!({ "unpinned": files })))
}

/// `PUT sys/plugins/reload/backend`: every provider is read and verified again,
/// whichever of them or of their mounts was named.
pub(super) async fn reload(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let plugin = fields.text("plugin")?.filter(|name| !name.is_empty());
    let mounts = fields.list("mounts")?.unwrap_or_default();
    fields.text("scope")?;
    fields.finish()?;
    if plugin.is_none() && mounts.is_empty() {
        return Err(ApiError::bad_request(
            "plugin or mounts is required: name what is to be reloaded",
        ));
    }
    if let Some(name) = plugin {
        engine.catalog.show(&name, None).await?;
    }
    for path in mounts {
        engine
            .mounts
            .open(&path.trim_matches('/').parse::<MountPath>()?)?;
    }
    engine.catalog.verify_again().await;
    for plugin in engine.mounts.plugins() {
        engine.pins_changed(&plugin).await?;
    }
    Ok(Answer::done())
}

fn summary(entry: &CatalogEntry) -> Value {
    let pin = &entry.pin;
    json!({
        "name": pin.name,
        "type": SECRET,
        "version": pin.version,
        "command": pin.file,
        "file": pin.file,
        "sha256": pin.sha256,
        "args": [],
        "builtin": false,
        "source": pin.source,
        "pinned_at": pin.pinned_at.rfc3339(),
        "state": entry.state,
        "reason": entry.reason,
        "mounts": entry.mounts,
    })
}

fn distinct_names(entries: &[CatalogEntry]) -> Vec<String> {
    let mut names: Vec<String> = entries.iter().map(|entry| entry.pin.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn check_kind(kind: &str) -> Result<(), ApiError> {
    if KINDS.contains(&kind) {
        return Ok(());
    }
    let path = format!("the plugin type {:?}", suggest::shown(kind));
    Err(ApiError::bad_request(suggest::unknown(&path, kind, KINDS)))
}
