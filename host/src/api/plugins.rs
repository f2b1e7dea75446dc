//! `sys/plugins/…`: pins, and the files that no pin names.

use lessor_model::{id::MountPath, provider, suggest};
use lessor_store::PinSource;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    endpoint::{
        CONFLICT, Endpoint, Field, MISSING, at, delete, does, field, gives::data, read,
        read_or_list, write,
    },
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
    )
    .gives(&[data::<PluginCatalog>()])]),
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
            )
            .gives(&[data::<Plugin>()])
            .refuses(&[MISSING]),
            write(
                "Pins it.",
                &[
                    field::text("sha256", "The SHA-256 of the file, in hex."),
                    field::text("sha_256", "The same, by its first name."),
                    field::text("command", "The name of the file in the plugin directory."),
                    VERSION,
                    field::truth("replace", "Whether a pin of the same name and version is replaced."),
                    field::truth("force", "Whether it is pinned even if the config or roles of a mount do not fit it."),
                    field::texts("args", "Must be empty."),
                    field::texts("env", "Must be empty."),
                    field::text("oci_image", "Must be empty."),
                    field::text("runtime", "Must be empty."),
                    field::truth("builtin", "Must be false."),
                ],
                does!(call => register(call.engine, call.at("type")?, call.at("name")?, call.ask).await),
            )
            .refuses(&[MISSING, CONFLICT]),
            delete(
                "Removes the pin.",
                &[VERSION],
                does!(call => remove(call.engine, call.at("type")?, call.at("name")?, call.ask).await),
            )
            .refuses(&[CONFLICT]),
        ]),
    at("sys/plugins/pins", "The pins, and the state of the file of each.").on(&[read(
        "Shows it.",
        &[],
        does!(call => pins(call.engine).await),
    )
    .gives(&[data::<Pins>()])]),
    at("sys/plugins/unpinned", "Files of the plugin directory that no pin names.").on(&[read(
        "Shows them.",
        &[],
        does!(call => unpinned(call.engine).await),
    )
    .gives(&[data::<Unpinned>()])]),
    at(
        "sys/plugins/inspect/:file",
        "The grants that a file of the plugin directory wants, and the parts that it is made of.",
    )
    .sudo(ALL)
    .on(&[read(
        "Has it describe itself, and pins nothing.",
        &[],
        does!(call => inspect(call.engine, call.at("file")?, call.ask).await),
    )
    .gives(&[data::<Portrait>()])
    .refuses(&[MISSING, CONFLICT])]),
    at("sys/plugins/reload/backend", "Reads plugins again.").on(&[write(
        "Reads every one of them again; one of the fields must be there.",
        &[
            field::text("plugin", "The name of a plugin."),
            field::texts("mounts", "Paths of mounts."),
            field::text("scope", "Accepted, and has no effect: there is one server."),
        ],
        does!(call => reload(call.engine, call.ask).await),
    )
    .refuses(&[MISSING])]),
    at("sys/plugins/upgrade", "Has mounts run another version.").on(&[write(
        "Moves them, all or none.",
        &[
            field::text("plugin", "The name of the plugin.").required(),
            VERSION,
            field::truth("force", "Whether mounts are moved even if their config or roles do not fit."),
        ],
        does!(call => upgrade(call.engine, call.ask).await),
    )
    .gives(&[data::<Upgraded>()])
    .refuses(&[MISSING, CONFLICT])]),
];

/// The pinned plugins.
#[derive(Serialize, JsonSchema)]
struct PluginCatalog {
    /// The names of the providers.
    secret: Vec<String>,
    /// Empty: no such plugins exist here.
    auth: [String; 0],
    /// Empty: no such plugins exist here.
    database: [String; 0],
    /// Each pin.
    detailed: Vec<Plugin>,
}

/// A pinned plugin.
#[derive(Serialize, JsonSchema)]
struct Plugin {
    /// Its name.
    name: String,
    /// secret
    r#type: &'static str,
    /// Its version; empty while it is the provider's own to say.
    version: String,
    /// The name of its file.
    command: String,
    /// The same.
    file: String,
    /// The digest that the file must have; empty where that is not known yet.
    sha256: String,
    /// Empty.
    args: [String; 0],
    /// False.
    builtin: bool,
    /// The source of the pin: api, config or dev.
    source: String,
    /// The time when it was pinned.
    pinned_at: Option<String>,
    /// ready, compiling, missing, digest mismatch or incompatible.
    state: &'static str,
    /// The reason why it is not ready.
    reason: Option<String>,
    /// Paths of the mounts that run it.
    mounts: Vec<String>,
    /// The provider's description of itself, where it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Descriptor>")]
    descriptor: Option<Value>,
    /// The parts that it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Component>")]
    component: Option<Value>,
}

/// A provider's description of itself.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type of that name")]
struct Descriptor {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// One line for people.
    summary: String,
    /// JSON Schema of the config.
    config_schema: Value,
    /// JSON Schema of a role, without the host's own fields.
    role_schema: Value,
    /// JSON Schema of a request.
    request_schema: Value,
    /// JSON Schema of a credential.
    credential_schema: Value,
    /// The hosts that it wants to reach, as URI templates over the config.
    endpoints: Vec<String>,
    /// Bytes of the longest name that upstream takes; 0: any length.
    name_limit: u32,
    /// Whether something stays upstream that must be revoked.
    leaves_state: bool,
    /// The effect that revoking has upstream: deletes, expires-only or none.
    revocation: String,
    /// The privileges that the root credential needs upstream, by purpose.
    privileges: Vec<Privilege>,
    /// The number of seconds that may pass before upstream honours a new credential.
    propagation_s: u32,
    /// Paths below a mount in other clients' words.
    dialect: Vec<Alias>,
    /// The optional interfaces that it has.
    abilities: Abilities,
}

/// A path below a mount in other clients' words.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type of that name")]
struct Alias {
    /// The path; `{role}`, `{connection}` or `{account}` stands for a name.
    path: String,
    /// The methods that it takes.
    methods: Vec<String>,
    /// What the host does there: issue, read-config, write-config, …
    stands_for: String,
    /// One line for people.
    summary: String,
    /// Fields of requests that have other names there.
    takes: Vec<Word>,
    /// Fields that answers have there, too.
    gives: Vec<Word>,
    /// Fields of the provider that are set there.
    sets: Map<String, Value>,
    /// Fields that every answer has there.
    tells: Map<String, Value>,
}

/// A field in other clients' words.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type of that name")]
struct Word {
    /// As the client calls it.
    name: String,
    /// As the host or the provider calls it.
    stands_for: String,
    /// How the client writes it: list, duration, or in the same way where it is empty.
    form: String,
}

/// The privileges that the root credential needs upstream for one purpose.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type of that name")]
struct Privilege {
    /// The purpose: issue, revoke, rotate, inventory or validate.
    purpose: String,
    /// The privileges, as upstream names them.
    names: Vec<String>,
}

/// The optional interfaces of a provider.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type of that name")]
struct Abilities {
    /// It pushes a lease's new end to upstream.
    renewal: bool,
    /// It lists what a mount made.
    inventory: bool,
    /// Names of the documents that it publishes.
    publication: Vec<String>,
}

/// The parts that a provider is made of.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type Anatomy")]
struct Component {
    /// Bytes of the component.
    size: u64,
    /// Bytes of the code that it is compiled to.
    code_size: u64,
    /// Interfaces that it imports.
    imports: Vec<String>,
    /// Interfaces that it exports.
    exports: Vec<String>,
    /// The memories and tables that an instance of it begins with.
    begins_with: Beginnings,
}

/// The memories and tables that an instance of a component begins with.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of the model's type of that name")]
struct Beginnings {
    /// Its memories.
    memories: u32,
    /// Bytes of the largest of them.
    memory: u64,
    /// Its tables.
    tables: u32,
    /// Elements of the largest of them.
    table: u64,
}

/// The pins.
#[derive(Serialize, JsonSchema)]
struct Pins {
    /// Each pin.
    pins: Vec<Plugin>,
}

/// Files of the plugin directory that no pin names.
#[derive(Serialize, JsonSchema)]
struct Unpinned {
    /// The files.
    unpinned: Vec<UnpinnedFile>,
}

/// A file that no pin names.
#[derive(Serialize, JsonSchema)]
struct UnpinnedFile {
    /// Its name.
    file: String,
    /// Its size in bytes.
    size: u64,
    /// Its digest, where it could be read.
    sha256: Option<String>,
    /// The reason why it could not.
    reason: Option<String>,
}

/// The grants that a file of the plugin directory wants, and the parts that it is made of.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the model makes it for the command line, too")]
struct Portrait {
    /// Its digest.
    sha256: String,
    /// The version of the contract that it keeps.
    contract: Option<String>,
    /// The provider's description of itself.
    descriptor: Descriptor,
    /// The parts that it is made of.
    component: Component,
    /// Its name.
    file: String,
    /// The pins that name it.
    pins: Vec<PinName>,
}

/// The name and version of a pin.
#[derive(Serialize, JsonSchema)]
struct PinName {
    /// The name of the plugin.
    name: String,
    /// Its version.
    version: String,
}

/// Mounts that run another version now.
#[derive(Serialize, JsonSchema)]
struct Upgraded {
    /// The name of the plugin.
    plugin: String,
    /// The version that they run.
    version: String,
    /// Its digest.
    sha256: String,
    /// Paths of the mounts that named another version before.
    changed: Vec<String>,
    /// Paths of the mounts that name none: they run the newest anyway.
    following: Vec<String>,
}

/// The one kind of plugin that can be pinned.
const SECRET: &str = "secret";

/// Fields by which Vault's plugins are started; a provider has no use for them.
const MEANINGLESS: [(&str, &str); 5] = [
    ("args", "a provider takes no arguments"),
    ("env", "a provider sees no environment"),
    ("oci_image", "a provider is a file in the plugin directory"),
    ("runtime", "a provider runs in the sandbox of this server"),
    ("builtin", "no provider is built in"),
];

/// Fields that a read shows and no write sets.
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
    Ok(Answer::data(PluginCatalog {
        secret: distinct_names(&entries),
        auth: [],
        database: [],
        detailed: entries.iter().map(Plugin::of).collect(),
    }))
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
    let mut shown = Plugin::of(&entry);
    if let Some((descriptor, anatomy)) = &entry.provider {
        shown.descriptor = Some(json!(descriptor));
        shown.component = Some(json!(anatomy));
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
    let upgraded = Upgraded {
        plugin,
        version: upgrade.version,
        sha256: upgrade.sha256.to_string(),
        changed: paths(&upgrade.changed),
        following: paths(&upgrade.following),
    };
    Ok(Answer::envelope(Envelope {
        data: Data::of(upgraded),
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
    let pins = entries.iter().map(Plugin::of).collect();
    Ok(Answer::data(Pins { pins }))
}

/// `GET sys/plugins/unpinned`
pub(super) async fn unpinned(engine: &Engine) -> Outcome {
    let files = engine.catalog.unpinned().await?;
    let files = files.into_iter().map(|found| UnpinnedFile {
        file: found.file,
        size: found.size,
        sha256: found.sha256.map(|digest| digest.to_string()),
        reason: found.reason,
    });
    Ok(Answer::data(Unpinned {
        unpinned: files.collect(),
    }))
}

/// `GET sys/plugins/inspect/:file`: what a file of the plugin directory wants to reach and is
/// made of, whether a pin names it or not. The file is compiled if it was not before, which may
/// take as long as for a pin.
pub(super) async fn inspect(engine: &Engine, file: &str, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    let inspected = engine.catalog.inspect(file).await?;
    let mut shown = provider::portrait(&*inspected.provider);
    if let Some(fields) = shown.as_object_mut() {
        let pins = inspected.pins.into_iter();
        let pins: Vec<_> = pins
            .map(|(name, version)| PinName { name, version })
            .collect();
        fields.insert("file".into(), file.into());
        fields.insert("pins".into(), json!(pins));
    }
    Ok(Answer::data(shown))
}

/// `PUT sys/plugins/reload/backend`: every provider is read and verified again, whichever of
/// them or of their mounts the request names.
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

impl Plugin {
    fn of(entry: &CatalogEntry) -> Self {
        Self {
            name: entry.name.clone(),
            r#type: SECRET,
            version: entry.version.clone().unwrap_or_default(),
            command: entry.file.clone(),
            file: entry.file.clone(),
            sha256: entry
                .sha256
                .map(|digest| digest.to_string())
                .unwrap_or_default(),
            args: [],
            builtin: false,
            source: entry.source.as_str().to_owned(),
            pinned_at: entry.pinned_at.map(|at| at.rfc3339()),
            state: entry.state,
            reason: entry.reason.clone(),
            mounts: entry.mounts.clone(),
            descriptor: None,
            component: None,
        }
    }
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
