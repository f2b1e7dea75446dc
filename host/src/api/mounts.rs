//! `sys/mounts/…`: providers at paths, and the hosts that each may reach.

use std::{collections::BTreeMap, sync::Arc};

use lessor_model::{
    id::{MountPath, OperationId},
    lifetime::Length,
    mount::{Kind, Tune, TunePatch},
    refusal::Refusal,
    schema::REDACTED,
    secret::Secret,
    vault_settings::VaultSettings,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Outcome,
    answer::Answer,
    ask::Ask,
    ending::{self, Doomed},
    endpoint::{
        CONFLICT, Endpoint, Field, MISSING, UNENDED, at, delete, does, field,
        gives::{self, data, on_top},
        read, write,
    },
    error::ApiError,
    fields::Fields,
    logins::{self, LoginMethod},
    operation::ALL,
    vault_settings::{
        self, Beside, IGNORED_BESIDE, IGNORED_WITHIN, ListedMount, Place, Within, options,
    },
};
use crate::{
    engine::Engine,
    mount::{MountSpec, MountView},
    task::Draining,
};

/// The settings of a mount that are its own.
const TUNE: &[Field] = &[
    field::span("default_lease_ttl", "Length of a lease that asks for none."),
    field::length("max_lease_ttl", "Longest life of a lease."),
    field::text(
        "description",
        "The purpose of the mount, in words for people.",
    ),
    field::text("plugin_version", "The version of the plugin that it runs."),
    field::texts(
        "allowed_hosts",
        "The hosts that the provider may reach, of those that it asks for.",
    ),
    field::text(
        "extra_roots",
        "Certificates, as PEM, that it trusts beside the public ones.",
    ),
    field::number("max_leases", "Leases at a time; 0: any number."),
    field::number("max_concurrency", "Calls of the provider at a time."),
    field::texts(
        "identity_audiences",
        "Whom calls may show which mount they are, by a token that the server signs.",
    ),
    field::text(
        "http_proxy",
        "The proxy by which the provider's HTTP leaves, as http://host:port; empty: none.",
    ),
    field::secret(
        "http_proxy_credentials",
        "What the proxy is shown, as user:password; empty: nothing.",
    ),
    field::texts(
        "no_proxy",
        "The domains, addresses and ranges that are reached without the proxy.",
    ),
    field::truth("delete_protection", "Whether the mount cannot be removed."),
    field::texts("tags", "Your own words for the mount."),
    field::span("timeout", "The longest time that a call may take."),
    field::span(
        "task_timeout",
        "The longest time that a call of a task may take.",
    ),
    field::truth(
        "revoke_leases_with_role",
        "Whether leases end with their role.",
    ),
    field::text("token_type", "Must be empty: it is for login methods."),
    field::object(
        "user_lockout_config",
        "Must be empty: it is for login methods.",
    ),
];

/// The paths of mounts.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/mounts", "The mounted providers.").on(&[read(
        "Lists them.",
        &[],
        does!(call => list(call.engine).await),
    )
    .gives(&[on_top::<BTreeMap<String, Mount>>()])]),
    at("sys/mounts/*path", "A provider at a path.").on(&[
        read(
            "Shows it.",
            &[],
            does!(call => show(call.engine, call.at("path")?).await),
        )
        .gives(&[on_top::<Mount>()])
        .refuses(&[MISSING]),
        write(
            "Mounts one.",
            &[
                field::text("type", "The name of the plugin.").required(),
                field::text(
                    "plugin_name",
                    "The name of the plugin, where the type is plugin.",
                ),
                field::text(
                    "description",
                    "The purpose of the mount, in words for people.",
                ),
                field::text("plugin_version", "The version of the plugin that it runs."),
                field::object("config", "The settings, as tune has them."),
            ],
            does!(call => create(call.engine, call.at("path")?, call.ask).await),
        )
        .sharing(&[vault_settings::FIELDS_BESIDE])
        .refuses(&[MISSING, CONFLICT]),
        delete(
            "Unmounts it; its leases are revoked.",
            &[field::SYNC, field::ASYNC],
            does!(call => remove(call.engine, call.at("path")?, call.ask).await),
        )
        .gives(ending::TOLD)
        .refuses(&[CONFLICT, UNENDED]),
    ]),
    at("sys/mounts/*path/tune", "The settings of a mount.").on(&[
        read(
            "Shows them.",
            &[],
            does!(call => show_tune(call.engine, call.at("path")?).await),
        )
        .gives(&[on_top::<MountTune>()])
        .refuses(&[MISSING]),
        write(
            "Changes those that are named.",
            TUNE,
            does!(call => tune(call.engine, call.at("path")?, call.ask).await),
        )
        .sharing(&[vault_settings::FIELDS])
        .refuses(&[MISSING, CONFLICT]),
    ]),
    at("sys/remount", "Moves a mount, with its leases and roles.")
        .sudo(ALL)
        .on(&[write(
            "Moves it. What begins with auth/ is a login method.",
            &[
                field::text("from", "The path that it has.").required(),
                field::text("to", "The path that it shall have.").required(),
            ],
            does!(call => remount(call.engine, call.ask).await),
        )
        .gives(&[on_top::<Moved>()])
        .refuses(&[MISSING, CONFLICT])]),
    at("sys/remount/status/:migration_id", "The state of a move.").on(&[read(
        "Shows it.",
        &[],
        does!(call => remount_status(call.engine, call.at("migration_id")?)),
    )
    .gives(&[data::<MoveStatus>()])
    .refuses(&[MISSING])]),
    at(
        "sys/internal/ui/mounts",
        "The mounts and login methods that the caller may know of.",
    )
    .showing_strangers(|engine| Box::pin(list_for_strangers(engine)))
    .on(&[read(
        "Shows them.",
        &[],
        does!(call => list_for_ui(call.engine, &call.ask).await),
    )
    .gives(&[data::<KnownMounts>(), data::<ListedMounts>()])]),
    at(
        "sys/internal/ui/mounts/*path",
        "The mount that answers a path.",
    )
    .on(&[read(
        "Shows it.",
        &[],
        does!(call => show_for_path(call.engine, call.at("path")?, &call.ask).await),
    )
    .gives(&[data::<Mount>(), data::<LoginMethod>()])
    .refuses(&[MISSING])]),
];

/// A mounted provider. vaultrs insists on every field above the version.
#[derive(Serialize, JsonSchema)]
struct Mount {
    /// Names it, and opens nothing.
    accessor: String,
    /// Its settings.
    config: MountConfig,
    /// The purpose of the mount, in words for people.
    description: String,
    #[serde(flatten)]
    beside: Beside,
    /// The name of the plugin.
    r#type: String,
    /// Names it for ever.
    uuid: String,
    /// The version that it was told to run; empty: the newest.
    plugin_version: String,
    /// The version that it runs; empty where it cannot.
    running_plugin_version: String,
    /// The digest of what it runs; empty where it cannot.
    running_sha256: String,
    /// The reason why its plugin cannot run, where it cannot.
    problem: Option<String>,
    /// The path of the mount, where the request did not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// The settings of a mount.
#[derive(Serialize, JsonSchema)]
struct MountConfig {
    /// The number of seconds that a lease lives if its request names no length.
    default_lease_ttl: u64,
    /// The largest number of seconds that a lease lives, or never.
    #[schemars(with = "gives::Length")]
    max_lease_ttl: Length,
    /// Whether leases end with their role.
    revoke_leases_with_role: bool,
    /// The hosts that the provider may connect to.
    allowed_hosts: Vec<String>,
    /// Certificates, as PEM, that it trusts beside the public ones.
    extra_roots: String,
    /// Leases at a time; 0: any number.
    max_leases: u64,
    /// Calls of the provider at a time.
    max_concurrency: u32,
    /// Whom it may show who it is, where upstream trusts the server.
    identity_audiences: Vec<String>,
    /// The proxy by which its HTTP leaves; empty: none.
    http_proxy: String,
    /// Whether the proxy is shown a user and password: `<redacted>`, or empty.
    http_proxy_credentials: &'static str,
    /// The hosts that it reaches without the proxy.
    no_proxy: Vec<String>,
    /// Whether the mount cannot be removed.
    delete_protection: bool,
    /// The operator's own words for the mount.
    tags: Vec<String>,
    /// The largest number of seconds that a call may take.
    timeout: u64,
    /// The largest number of seconds that a call of a task may take.
    task_timeout: u64,
    #[serde(flatten)]
    within: Within,
}

/// The settings of a mount, as tune has them.
#[derive(Serialize, JsonSchema)]
struct MountTune {
    #[serde(flatten)]
    config: MountConfig,
    /// The purpose of the mount, in words for people.
    description: String,
    /// The version that it was told to run; empty: the newest.
    plugin_version: String,
    /// Kept, and means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Value>,
}

/// A mount that was moved.
#[derive(Serialize, JsonSchema)]
struct Moved {
    /// Names the move.
    migration_id: String,
}

/// The state of a move.
#[derive(Serialize, JsonSchema)]
struct MoveStatus {
    /// Names the move.
    migration_id: String,
    /// The paths of the move, and its outcome.
    migration_info: MoveInfo,
}

/// The paths of a move, and its outcome.
#[derive(Serialize, JsonSchema)]
struct MoveInfo {
    /// The former path.
    source_mount: String,
    /// The new path.
    target_mount: String,
    /// success
    status: &'static str,
}

/// The mounts and login methods that the caller may know of, by path.
#[derive(Serialize, JsonSchema)]
struct KnownMounts {
    /// The login methods.
    auth: BTreeMap<String, LoginMethod>,
    /// The mounts.
    secret: BTreeMap<String, Mount>,
}

/// The mounts and login methods that anybody may know of, by path.
#[derive(Serialize, JsonSchema)]
struct ListedMounts {
    /// The login methods.
    auth: BTreeMap<String, ListedMount>,
    /// The mounts.
    secret: BTreeMap<String, ListedMount>,
}

/// `GET sys/mounts`: by path, with the slash that Vault puts behind it.
pub(super) async fn list(engine: &Engine) -> Outcome {
    let views = engine.mounts.list().await;
    let entry = |view: &MountView| (format!("{}/", view.path), Mount::of(view));
    let mounts: BTreeMap<String, Mount> = views.iter().map(entry).collect();
    Ok(Answer::data_on_top(mounts))
}

/// `GET sys/mounts/:path`
pub(super) async fn show(engine: &Engine, path: &str) -> Outcome {
    let view = engine.mounts.view(&path.parse::<MountPath>()?).await?;
    Ok(Answer::data_on_top(Mount::of(&view)))
}

/// `GET sys/mounts/:path/tune`
pub(super) async fn show_tune(engine: &Engine, path: &str) -> Outcome {
    let view = engine.mounts.view(&path.parse::<MountPath>()?).await?;
    Ok(Answer::data_on_top(MountTune {
        config: MountConfig::of(&view.tune),
        options: options(&view.tune.vault),
        description: view.description,
        plugin_version: view.plugin_version.unwrap_or_default(),
    }))
}

/// `GET sys/internal/ui/mounts/:path`: the mount that would answer a path, for a caller that
/// may do anything there. Other callers do not learn whether there is one.
pub(super) async fn show_for_path(engine: &Engine, path: &str, ask: &Ask) -> Outcome {
    if let Some(login) = path.strip_prefix("auth/") {
        return logins::show_for_path(engine, login, ask);
    }
    let (mount, _) = engine.mounts.resolve(path).ok_or_else(ApiError::denied)?;
    if !ask.identity.acl.reaches(mount.as_str()) {
        return Err(ApiError::denied());
    }
    let view = engine.mounts.view(&mount).await?;
    Ok(Answer::data(Mount {
        path: Some(format!("{mount}/")),
        ..Mount::of(&view)
    }))
}

/// `GET sys/internal/ui/mounts`: the mounts and login methods where the caller may do anything,
/// and those that are listed to strangers.
pub(super) async fn list_for_ui(engine: &Engine, ask: &Ask) -> Outcome {
    let views = engine.mounts.list().await;
    let known = views.iter().filter(|view| {
        view.tune.vault.is_listed_to_strangers() || ask.identity.acl.reaches(view.path.as_str())
    });
    Ok(Answer::data(KnownMounts {
        auth: logins::entries_for(engine, &ask.identity.acl),
        secret: known
            .map(|view| (format!("{}/", view.path), Mount::of(view)))
            .collect(),
    }))
}

/// The same for a caller without a token.
pub(super) async fn list_for_strangers(engine: &Engine) -> Outcome {
    let views = engine.mounts.list().await;
    let listed = views
        .iter()
        .filter(|view| view.tune.vault.is_listed_to_strangers());
    let secret = listed.map(|view| {
        let shown = ListedMount {
            r#type: view.plugin.clone(),
            description: view.description.clone(),
            options: options(&view.tune.vault).unwrap_or_else(|| json!({})),
        };
        (format!("{}/", view.path), shown)
    });
    Ok(Answer::data(ListedMounts {
        auth: logins::listed_to_strangers(engine),
        secret: secret.collect(),
    }))
}

/// `POST sys/mounts/:path`
pub(super) async fn create(engine: &Engine, path: &str, ask: Ask) -> Outcome {
    let path = path.parse::<MountPath>()?;
    let mut fields = ask.into_fields();
    let mut plugin = fields.required("type")?;
    // Older clients say type "plugin" and name it beside.
    let named = fields.text("plugin_name")?.filter(|name| !name.is_empty());
    if let (true, Some(named)) = (plugin == "plugin", named) {
        plugin = named;
    }
    let description = fields.text("description")?.unwrap_or_default();
    let beside = fields
        .text("plugin_version")?
        .filter(|version| !version.is_empty());
    let within = fields.object("config")?;
    let mut beside_it = VaultSettings::default();
    vault_settings::take(&mut fields, Place::Beside, &mut beside_it)?;
    fields.ignore(&IGNORED_BESIDE);
    fields.finish()?;
    let mut patch = match within {
        Some(config) => take_patch(config)?,
        None => TunePatch::default(),
    };
    let vault = beside_it.changed(&patch.vault);
    let mut warnings = vault.warnings();
    patch.default_lease_ttl.get_or_insert_default();
    patch.vault = vault;
    let tune = patch.applied_to(Kind::Provider, &Tune::of(Kind::Provider))?;
    let version = beside.or(patch.plugin_version.filter(|version| !version.is_empty()));
    let description = patch.description.unwrap_or(description);
    let spec = MountSpec {
        kind: Kind::Provider,
        path: path.clone(),
        plugin,
        version,
        description,
        tune,
        http_proxy_credentials: patch.http_proxy_credentials,
    };
    engine.mounts.create(spec).await?;
    warnings.extend(engine.mounts.needless_grants(&path).await?);
    Ok(Answer::done_with(warnings))
}

/// `POST sys/remount`: done when it is answered. The id is for clients that ask
/// how it stands. A path that begins with `auth/` is that of a login method.
pub(super) async fn remount(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let (from, to) = (fields.required("from")?, fields.required("to")?);
    fields.finish()?;
    let (from, to) = (from.trim_matches('/'), to.trim_matches('/'));
    let id = match (from.strip_prefix("auth/"), to.strip_prefix("auth/")) {
        (Some(from), Some(to)) => engine.logins.remount(&from.parse()?, &to.parse()?).await?,
        (None, None) => engine.mounts.remount(&from.parse()?, &to.parse()?).await?,
        _ => {
            return Err(ApiError::bad_request(
                "from and to must both be login methods (auth/…), or neither: one kind does not become the other",
            ));
        }
    };
    Ok(Answer::data_on_top(Moved {
        migration_id: id.to_string(),
    }))
}

/// `GET sys/remount/status/:id`: a move that is known is done.
pub(super) fn remount_status(engine: &Engine, id: &str) -> Outcome {
    let id = id.parse::<OperationId>().ok();
    let done = id.and_then(|id| engine.mounts.moved(&id));
    let done = done.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data(MoveStatus {
        migration_id: done.id.to_string(),
        migration_info: MoveInfo {
            source_mount: format!("{}/", done.from),
            target_mount: format!("{}/", done.to),
            status: "success",
        },
    }))
}

/// `POST sys/mounts/:path/tune`
pub(super) async fn tune(engine: &Engine, path: &str, ask: Ask) -> Outcome {
    let patch = take_patch(ask.into_fields())?;
    let mut warnings = patch.vault.warnings();
    let path = path.parse::<MountPath>()?;
    let (version, hosts) = (
        patch.plugin_version.is_some(),
        patch.allowed_hosts.is_some(),
    );
    engine.mounts.tune(&path, patch).await?;
    if version {
        warnings.extend(engine.upgrades.misfits(&path).await?);
    }
    if hosts {
        warnings.extend(engine.mounts.needless_grants(&path).await?);
    }
    Ok(Answer::done_with(warnings))
}

/// `DELETE sys/mounts/:path`; gone already is done. Its leases are revoked in the
/// background; with `sync`, it is answered when they are.
pub(super) async fn remove(engine: &Engine, path: &str, mut ask: Ask) -> Outcome {
    let path = path.parse::<MountPath>()?;
    let wait = ask.take_wait()?;
    ask.take_fields().finish()?;
    let newest = ending::newest(engine)?;
    let of = engine.mounts.open(&path).map(|mount| mount.id).ok();
    let count = match engine.mounts.remove(&path).await {
        Ok(count) => count,
        Err(Refusal::NotFound(_)) => return Ok(Answer::done()),
        Err(refusal) => return Err(refusal.into()),
    };
    if count == 0 {
        return Ok(Answer::done());
    }
    let doomed = Doomed {
        kind: Draining::Unmount,
        prefix: path.as_str(),
        of,
        count,
        newest,
        done: format!("mount {path} is removed"),
        told: true,
        purged: None,
    };
    ending::answer(engine, &ask, wait, doomed).await
}

fn take_patch(mut fields: Fields) -> Result<TunePatch, ApiError> {
    let mut vault = VaultSettings::default();
    vault_settings::take(&mut fields, Place::Anywhere, &mut vault)?;
    for (name, reason) in [
        ("token_type", "can only be set on login methods (sys/auth)"),
        (
            "user_lockout_config",
            "can only be set on login methods (sys/auth)",
        ),
    ] {
        fields.empty(name, reason)?;
    }
    let concurrency = fields.number("max_concurrency")?;
    let patch = TunePatch {
        default_lease_ttl: fields.duration("default_lease_ttl")?,
        max_lease_ttl: fields.length("max_lease_ttl")?,
        revoke_leases_with_role: fields.truth("revoke_leases_with_role")?,
        allowed_hosts: fields.list("allowed_hosts")?,
        extra_roots: fields.text("extra_roots")?,
        max_leases: fields.number("max_leases")?,
        // A number that does not fit is above every limit, and refused as too large.
        max_concurrency: concurrency.map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
        identity_audiences: fields.list("identity_audiences")?,
        http_proxy: fields.text("http_proxy")?.map(|url| url.trim().to_owned()),
        http_proxy_credentials: match fields.text("http_proxy_credentials")? {
            // What a read shows, written back: it stays.
            Some(text) if text == REDACTED => None,
            text => text.map(|text| Arc::new(Secret::new(text.trim().to_owned()))),
        },
        no_proxy: fields.list("no_proxy")?,
        delete_protection: fields.truth("delete_protection")?,
        tags: fields.list("tags")?,
        timeout: fields.duration("timeout")?,
        task_timeout: fields.duration("task_timeout")?,
        description: fields.text("description")?,
        plugin_version: fields.text("plugin_version")?,
        vault,
        ..TunePatch::default()
    };
    fields.ignore(&IGNORED_WITHIN);
    fields.finish()?;
    Ok(patch)
}

impl Mount {
    fn of(view: &MountView) -> Self {
        let digest = view.running_sha256.map(|digest| digest.to_string());
        Self {
            accessor: view.accessor.clone(),
            config: MountConfig::of(&view.tune),
            description: view.description.clone(),
            beside: Beside::of(&view.tune.vault, json!({})),
            r#type: view.plugin.clone(),
            uuid: view.uuid.clone(),
            plugin_version: view.plugin_version.clone().unwrap_or_default(),
            running_plugin_version: view.running_version.clone().unwrap_or_default(),
            running_sha256: digest.unwrap_or_default(),
            problem: view.problem.clone(),
            path: None,
        }
    }
}

impl MountConfig {
    fn of(tune: &Tune) -> Self {
        Self {
            default_lease_ttl: tune.default_lease_ttl.as_secs(),
            max_lease_ttl: tune.max_lease_ttl,
            revoke_leases_with_role: tune.revoke_leases_with_role,
            allowed_hosts: tune.allowed_hosts.clone(),
            extra_roots: tune.extra_roots.clone(),
            max_leases: tune.max_leases,
            max_concurrency: tune.max_concurrency,
            identity_audiences: tune.identity_audiences.clone(),
            http_proxy: tune.http_proxy.clone(),
            http_proxy_credentials: match tune.http_proxy_credentials.as_str() {
                "" => "",
                _ => REDACTED,
            },
            no_proxy: tune.no_proxy.clone(),
            delete_protection: tune.delete_protection,
            tags: tune.tags.clone(),
            timeout: tune.timeout.as_secs(),
            task_timeout: tune.task_timeout.as_secs(),
            within: Within::of(&tune.vault),
        }
    }
}
