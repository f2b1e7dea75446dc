//! `sys/plugins/…`: pins, and the files that none names.

use lessor_model::{id::MountPath, provider, suggest};
use lessor_store::PinSource;
use serde_json::{Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    endpoint::{Endpoint, Field, at, delete, does, field, read, read_or_list, write},
    error::ApiError,
    operation::{ALL, Operation},
};
use crate::{
    catalog::{CatalogEntry, PinSpec},
    engine::Engine,
    upgrade::Change,
};

const VERSION: Field = field::text("version", "The version; left out: the one without.");

/// The paths of plugins.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/plugins/catalog", "The pinned plugins.").on(&[read_or_list(
        "Lists them.",
        &[],
        does!(call => catalog(call.engine).await),
    )]),
    at("sys/plugins/catalog/:type", "The pinned plugins of a type.").on(&[read_or_list(
        "Lists them.",
        &[],
        does!(call => names(call.engine, call.at("type")?).await),
    )]),
    at("sys/plugins/catalog/:type/:name", "A pinned plugin.")
        .sudo(&[Operation::Write, Operation::Delete])
        .on(&[
            read(
                "Shows it.",
                &[VERSION],
                does!(call => show(call.engine, call.at("type")?, call.at("name")?, call.ask).await),
            ),
            write(
                "Pins it.",
                &[
                    field::text("sha256", "The SHA-256 of the file, in hex."),
                    field::text("sha_256", "The same, as it was called first."),
                    field::text("command", "The name of the file in the plugin directory."),
                    VERSION,
                    field::truth("replace", "Whether a pin of the same name and version is replaced."),
                    field::truth("force", "Whether it is taken though mounts do not fit it."),
                    field::texts("args", "Must be empty."),
                    field::texts("env", "Must be empty."),
                    field::text("oci_image", "Must be empty."),
                    field::text("runtime", "Must be empty."),
                    field::truth("builtin", "Must be false."),
                ],
                does!(call => register(call.engine, call.at("type")?, call.at("name")?, call.ask).await),
            ),
            delete(
                "Removes the pin.",
                &[VERSION],
                does!(call => remove(call.engine, call.at("type")?, call.at("name")?, call.ask).await),
            ),
        ]),
    at("sys/plugins/pins", "What is pinned, and what of it is there.").on(&[read(
        "Shows it.",
        &[],
        does!(call => pins(call.engine).await),
    )]),
    at("sys/plugins/unpinned", "Files of the plugin directory that no pin names.").on(&[read(
        "Shows them.",
        &[],
        does!(call => unpinned(call.engine).await),
    )]),
    at(
        "sys/plugins/inspect/:file",
        "What a file of the plugin directory wants and is made of.",
    )
    .sudo(ALL)
    .on(&[read(
        "Has it describe itself, and pins nothing.",
        &[],
        does!(call => inspect(call.engine, call.at("file")?, call.ask).await),
    )]),
    at("sys/plugins/reload/backend", "Reads plugins again.").on(&[write(
        "Reads every one of them again; one of the fields must be there.",
        &[
            field::text("plugin", "The name of a plugin."),
            field::texts("mounts", "Paths of mounts."),
            field::text("scope", "Taken, and means nothing: there is one server."),
        ],
        does!(call => reload(call.engine, call.ask).await),
    )]),
    at("sys/plugins/upgrade", "Has mounts run another version.").on(&[write(
        "Moves them, all or none.",
        &[
            field::text("plugin", "The name of the plugin. Required."),
            VERSION,
            field::truth("force", "Whether it is done though mounts do not fit."),
        ],
        does!(call => upgrade(call.engine, call.ask).await),
    )]),
];

/// The one kind of plugin that can be pinned.
const SECRET: &str = "secret";

/// What Vault's plugins are started with, and a provider is not.
const MEANINGLESS: [(&str, &str); 5] = [
    ("args", "a provider takes no arguments"),
    ("env", "a provider sees no environment"),
    ("oci_image", "a provider is a file in the plugin directory"),
    ("runtime", "a provider runs in the sandbox of this server"),
    ("builtin", "no provider is built in"),
];

/// What a read shows beside the fields of a write.
const SHOWN: [&str; 12] = [
    "type",
    "name",
    "file",
    "source",
    "pinned_at",
    "state",
    "reason",
    "mounts",
    "descriptor",
    "component",
    "deprecation_status",
    "declarative",
];

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
    let sha256 = sha256.or(fields.text("sha_256")?);
    let file = fields.text("command")?;
    let version = fields
        .text("version")?
        .filter(|version| !version.is_empty());
    let change = Change {
        replace: fields.truth("replace")?.unwrap_or(false),
        force: fields.truth("force")?.unwrap_or(false),
    };
    let mut warnings = Vec::new();
    for (name, reason) in MEANINGLESS {
        if fields.empty(name, reason).is_err() {
            warnings.push(format!("{name} is not used: {reason}"));
        }
    }
    fields.ignore(&SHOWN);
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
    let pinned = engine.pin(pin, change).await?;
    warnings.extend(pinned.warnings);
    Ok(Answer::done_with(warnings))
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
        Ok(()) | Err(lessor_model::refusal::Refusal::NotFound(_)) => Ok(Answer::done()),
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

/// `GET sys/plugins/inspect/:file`: what a file of the plugin directory wants and is made
/// of, whether a pin names it or not. It is compiled where that was not done before, which
/// may take as long as for a pin.
pub(super) async fn inspect(engine: &Engine, file: &str, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    let inspected = engine.catalog.inspect(file).await?;
    let mut shown = provider::portrait(&*inspected.provider);
    if let Some(fields) = shown.as_object_mut() {
        let pins = inspected.pins.iter();
        let pins = pins.map(|(name, version)| json!({ "name": name, "version": version }));
        fields.insert("file".into(), file.into());
        fields.insert("pins".into(), pins.collect());
    }
    Ok(Answer::data(shown))
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
    json!({
        "name": entry.name,
        "type": SECRET,
        "version": entry.version.as_deref().unwrap_or_default(),
        "command": entry.file,
        "file": entry.file,
        "sha256": entry.sha256.map(|digest| digest.to_string()).unwrap_or_default(),
        "args": [],
        "builtin": false,
        "source": entry.source,
        "pinned_at": entry.pinned_at.map(|at| at.rfc3339()),
        "state": entry.state,
        "reason": entry.reason,
        "mounts": entry.mounts,
    })
}

fn distinct_names(entries: &[CatalogEntry]) -> Vec<String> {
    let mut names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
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
