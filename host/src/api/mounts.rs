//! `sys/mounts/…`: providers at paths, with what they may reach.

use lessor_model::{
    id::{MountPath, OperationId},
    mount::{Tune, TunePatch},
    refusal::Refusal,
    vault_settings::VaultSettings,
};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::Answer,
    ask::Ask,
    ending::{self, Doomed},
    endpoint::{Endpoint, Field, at, delete, does, field, read, write},
    error::ApiError,
    fields::Fields,
    logins,
    operation::ALL,
    vault_settings::{self, IGNORED_BESIDE, IGNORED_WITHIN, Place},
};
use crate::{
    engine::Engine,
    mount::{MountSpec, MountView, Move},
    task::Draining,
};

/// The settings of a mount that are its own.
const TUNE: &[Field] = &[
    field::span("default_lease_ttl", "Length of a lease that asks for none."),
    field::length("max_lease_ttl", "Longest life of a lease."),
    field::text("description", "What it is for."),
    field::text("plugin_version", "The version of the plugin that it runs."),
    field::texts(
        "allowed_hosts",
        "Which of the hosts that the provider asks for it may reach.",
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
    field::span("timeout", "How long a call may take."),
    field::span("task_timeout", "How long a call of a task may take."),
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
    )]),
    at("sys/mounts/*path", "A provider at a path.").on(&[
        read(
            "Shows it.",
            &[],
            does!(call => show(call.engine, call.at("path")?).await),
        ),
        write(
            "Mounts one.",
            &[
                field::text("type", "The name of the plugin. Required."),
                field::text(
                    "plugin_name",
                    "The name of the plugin, where the type is plugin.",
                ),
                field::text("description", "What it is for."),
                field::text("plugin_version", "The version of the plugin that it runs."),
                field::object("config", "The settings, as tune has them."),
            ],
            does!(call => create(call.engine, call.at("path")?, call.ask).await),
        )
        .sharing(&[vault_settings::FIELDS_BESIDE]),
        delete(
            "Unmounts it; its leases are revoked.",
            &[field::SYNC, field::ASYNC],
            does!(call => remove(call.engine, call.at("path")?, call.ask).await),
        ),
    ]),
    at("sys/mounts/*path/tune", "The settings of a mount.").on(&[
        read(
            "Shows them.",
            &[],
            does!(call => show_tune(call.engine, call.at("path")?).await),
        ),
        write(
            "Changes those that are named.",
            TUNE,
            does!(call => tune(call.engine, call.at("path")?, call.ask).await),
        )
        .sharing(&[vault_settings::FIELDS]),
    ]),
    at("sys/remount", "Moves a mount, with its leases and roles.")
        .sudo(ALL)
        .on(&[write(
            "Moves it. What begins with auth/ is a login method.",
            &[
                field::text("from", "The path that it has. Required."),
                field::text("to", "The path that it shall have. Required."),
            ],
            does!(call => remount(call.engine, call.ask).await),
        )]),
    at("sys/remount/status/:migration_id", "How a move stands.").on(&[read(
        "Shows it.",
        &[],
        does!(call => remount_status(call.engine, call.at("migration_id")?)),
    )]),
    at(
        "sys/internal/ui/mounts",
        "The mounts and login methods that the caller may know of.",
    )
    .showing_strangers(|engine| Box::pin(list_for_strangers(engine)))
    .on(&[read(
        "Shows them.",
        &[],
        does!(call => list_for_ui(call.engine, &call.ask).await),
    )]),
    at(
        "sys/internal/ui/mounts/*path",
        "The mount that answers a path.",
    )
    .on(&[read(
        "Shows it.",
        &[],
        does!(call => show_for_path(call.engine, call.at("path")?, &call.ask).await),
    )]),
];

/// `GET sys/mounts`: by path, with the slash that Vault puts behind it.
pub(super) async fn list(engine: &Engine) -> Outcome {
    let views = engine.mounts.list().await;
    let entry = |view: &MountView| (format!("{}/", view.path), entry(view));
    Ok(Answer::data_on_top(Value::Object(
        views.iter().map(entry).collect(),
    )))
}

/// `GET sys/mounts/:path`
pub(super) async fn show(engine: &Engine, path: &str) -> Outcome {
    let view = engine.mounts.view(&path.parse::<MountPath>()?).await?;
    Ok(Answer::data_on_top(entry(&view)))
}

/// `GET sys/mounts/:path/tune`
pub(super) async fn show_tune(engine: &Engine, path: &str) -> Outcome {
    let view = engine.mounts.view(&path.parse::<MountPath>()?).await?;
    let mut shown = tune_of(&view);
    shown.insert("description".into(), view.description.into());
    shown.insert(
        "plugin_version".into(),
        view.plugin_version.unwrap_or_default().into(),
    );
    if let Some(options) = view.tune.vault.shown(true).remove("options") {
        shown.insert("options".into(), options);
    }
    Ok(Answer::data_on_top(shown.into()))
}

/// `GET sys/internal/ui/mounts/:path`: the mount that would answer a path, for
/// whoever may do anything there. Others do not learn whether there is one.
pub(super) async fn show_for_path(engine: &Engine, path: &str, ask: &Ask) -> Outcome {
    if let Some(login) = path.strip_prefix("auth/") {
        return logins::show_for_path(engine, login, ask);
    }
    let (mount, _) = engine.mounts.resolve(path).ok_or_else(ApiError::denied)?;
    if !ask.identity.acl.reaches(mount.as_str()) {
        return Err(ApiError::denied());
    }
    let view = engine.mounts.view(&mount).await?;
    let mut shown = entry(&view);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("path".into(), format!("{mount}/").into());
    }
    Ok(Answer::data(shown))
}

/// `GET sys/internal/ui/mounts`: the mounts and login methods where whoever asks may
/// do anything, and those that are listed to strangers.
pub(super) async fn list_for_ui(engine: &Engine, ask: &Ask) -> Outcome {
    let views = engine.mounts.list().await;
    let known = views.iter().filter(|view| {
        view.tune.vault.is_listed_to_strangers() || ask.identity.acl.reaches(view.path.as_str())
    });
    let mounts: Map<String, Value> = known
        .map(|view| (format!("{}/", view.path), entry(view)))
        .collect();
    let logins = logins::entries_for(engine, &ask.identity.acl);
    Ok(Answer::data(json!({ "auth": logins, "secret": mounts })))
}

/// The same for whoever has no token.
pub(super) async fn list_for_strangers(engine: &Engine) -> Outcome {
    let views = engine.mounts.list().await;
    let listed = views
        .iter()
        .filter(|view| view.tune.vault.is_listed_to_strangers());
    let mounts: Map<String, Value> = listed
        .map(|view| {
            let options = view.tune.vault.shown(true).remove("options");
            let shown = json!({
                "type": view.plugin,
                "description": view.description,
                "options": options.unwrap_or_else(|| json!({})),
            });
            (format!("{}/", view.path), shown)
        })
        .collect();
    let logins = logins::listed_to_strangers(engine);
    Ok(Answer::data(json!({ "auth": logins, "secret": mounts })))
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
    let defaults = Tune::default();
    let (default_lease_ttl, max_lease_ttl) = patch.lifetimes(&defaults);
    let tune = Tune {
        default_lease_ttl,
        max_lease_ttl,
        revoke_leases_with_role: patch
            .revoke_leases_with_role
            .unwrap_or(defaults.revoke_leases_with_role),
        allowed_hosts: patch.allowed_hosts.unwrap_or(defaults.allowed_hosts),
        extra_roots: patch.extra_roots.unwrap_or(defaults.extra_roots),
        max_leases: patch.max_leases.unwrap_or(defaults.max_leases),
        max_concurrency: patch.max_concurrency.unwrap_or(defaults.max_concurrency),
        identity_audiences: patch.identity_audiences.unwrap_or_default(),
        timeout: patch.timeout.unwrap_or(defaults.timeout),
        task_timeout: patch.task_timeout.unwrap_or(defaults.task_timeout),
        vault,
    };
    let version = beside.or(patch.plugin_version.filter(|version| !version.is_empty()));
    let description = patch.description.unwrap_or(description);
    let spec = MountSpec {
        path: path.clone(),
        plugin,
        version,
        description,
        tune,
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
        (Some(method), Some(new)) => {
            let id = engine
                .logins
                .remount(&method.parse()?, &new.parse()?)
                .await?;
            engine.mounts.remember_move(Move {
                id,
                from: from.to_owned(),
                to: to.to_owned(),
            });
            id
        }
        (None, None) => engine.mounts.remount(&from.parse()?, &to.parse()?).await?,
        _ => {
            return Err(ApiError::bad_request(
                "from and to must both be login methods (auth/…), or neither: one kind does not become the other",
            ));
        }
    };
    Ok(Answer::data_on_top(json!({ "migration_id": id })))
}

/// `GET sys/remount/status/:id`: a move that is known is done.
pub(super) fn remount_status(engine: &Engine, id: &str) -> Outcome {
    let id = id.parse::<OperationId>().ok();
    let done = id.and_then(|id| engine.mounts.moved(&id));
    let done = done.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data(json!({
        "migration_id": done.id,
        "migration_info": {
            "source_mount": format!("{}/", done.from),
            "target_mount": format!("{}/", done.to),
            "status": "success",
        },
    })))
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
    // Leases that could not be revoked are tried again at once.
    engine.nudge.now();
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
    engine.nudge.now();
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
        facts: Some(json!({})),
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
        // What does not fit is above every limit, and refused as such.
        max_concurrency: concurrency.map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
        identity_audiences: fields.list("identity_audiences")?,
        timeout: fields.duration("timeout")?,
        task_timeout: fields.duration("task_timeout")?,
        description: fields.text("description")?,
        plugin_version: fields.text("plugin_version")?,
        vault,
    };
    fields.ignore(&IGNORED_WITHIN);
    fields.finish()?;
    Ok(patch)
}

/// A mount as Vault shows one; vaultrs insists on every field above the last four.
fn entry(view: &MountView) -> Value {
    let mut shown = json!({
        "accessor": view.accessor,
        "config": tune_of(view),
        "description": view.description,
        "external_entropy_access": false,
        "local": false,
        "options": {},
        "seal_wrap": false,
        "type": view.plugin,
        "uuid": view.uuid,
        "plugin_version": view.plugin_version.clone().unwrap_or_default(),
        "running_plugin_version": view.running_version.clone().unwrap_or_default(),
        "running_sha256": view.running_sha256.map(|digest| digest.to_string()).unwrap_or_default(),
        "problem": view.problem,
    });
    if let Some(fields) = shown.as_object_mut() {
        fields.extend(view.tune.vault.shown(true));
    }
    shown
}

fn tune_of(view: &MountView) -> Map<String, Value> {
    let mut shown = match json!(view.tune) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    shown.remove("vault");
    shown.insert("force_no_cache".into(), false.into());
    shown.extend(view.tune.vault.shown(false));
    shown
}
