//! Paths within a mount: config, rotation, roles, credentials; those of existing
//! accounts stand in `accounts`.

use std::sync::Arc;

use lessor_model::{
    clock::Timestamp,
    id::{MountPath, RoleName},
    lifetime::Length,
    refusal::Refusal,
    suggest,
};
use lessor_store::RotationRow;
use serde_json::{Map, Value, json};

use super::{
    Outcome, accounts,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    ending::{self, Doomed},
    endpoint::{
        Document, Endpoint, Field, Target, at, delete, does, field, list, read, read_or_write,
        write,
    },
    error::ApiError,
    leases, tasks, written_back,
};
use crate::{
    engine::Engine,
    lease::{Ending, IssueRequest},
    mount::Mount,
    settings::ConfigView,
    task::{Done, Draining, Work},
};

const PERIOD: Field = field::span(
    "rotation_period",
    "How often its credential is renewed; 0: never.",
);
const SCHEDULE: Field = field::text(
    "rotation_schedule",
    "When it is renewed, as cron has it, in UTC.",
);
const WINDOW: Field = field::span(
    "rotation_window",
    "How long after its time a scheduled renewal may begin.",
);
const GRACE: Field = field::span("rotation_grace", "How long the former one stays valid.");

/// The paths below a mount. Where a body is a document of the provider, its fields are
/// those of the provider's schema, too.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("config", "The config with the root credential.")
        .takes(Document::Config)
        .exists(|engine, target| {
            Box::pin(async move {
                let mount = mount_of(engine, target)?;
                let config = engine.storage.current_config(mount.id).await;
                Ok(config.map_err(Refusal::from)?.is_some())
            })
        })
        .on(&[
            read(
                "Shows it without its secrets.",
                &[],
                does!(call => show_config(call.engine, call.mount()?).await),
            ),
            write(
                "Writes it.",
                &[
                    field::truth("rotate_on_config", "Whether the root credential is replaced at once."),
                    PERIOD,
                    SCHEDULE,
                    WINDOW,
                    GRACE,
                ],
                does!(call => write_config(call.engine, call.mount()?, call.ask).await),
            ),
            delete(
                "Removes it, where no lease needs it.",
                &[
                    field::truth("revoke", "Whether the leases are ended first."),
                    field::truth("force", "Whether it is removed though leases or a rotation need it."),
                ],
                does!(call => remove_config(call.engine, call.mount()?, call.ask).await),
            ),
        ]),
    at("rotate-root", "The root credential.")
        .also(&["config/rotate-root"])
        .on(&[write(
            "Replaces it.",
            &[field::ASYNC],
            does!(call => rotate(call.engine, call.mount()?, call.ask).await),
        ).for_good()]),
    at("rotate-root/retry", "A rotation that failed.")
        .also(&["config/rotate-root/retry"])
        .on(&[write(
            "Takes it up again.",
            &[field::truth("accept", "Whether what the provider gave is taken though it does not fit.")],
            does!(call => retry(call.engine, call.mount()?, call.ask).await),
        ).for_good()]),
    at("rotate-root/abort", "A rotation that failed.")
        .also(&["config/rotate-root/abort"])
        .on(&[write(
            "Gives it up.",
            &[],
            does!(call => abort(call.engine, call.mount()?, call.ask).await),
        ).for_good()]),
    at("roles", "What may be asked for.").on(&[list(
        "Lists the roles.",
        does!(call => Answer::list(call.engine.roles.list(call.mount()?).await?)),
    )]),
    at("roles/:name", "A role.")
        .takes(Document::Role)
        .exists(|engine, target| {
            Box::pin(async move {
                let mount = mount_of(engine, target)?;
                let Ok(name) = target.said("name").unwrap_or_default().parse() else {
                    return Ok(false);
                };
                let role = engine.storage.current_role(mount.id, name).await;
                Ok(role.map_err(Refusal::from)?.is_some())
            })
        })
        .on(&[
            read(
                "Shows it.",
                &[],
                does!(call => show_role(call.engine, call.mount()?, call.at("name")?).await),
            ),
            write(
                "Writes it; what is not named stays.",
                &[
                    field::length("default_ttl", "Length of a lease that asks for none."),
                    field::length("max_ttl", "Longest life of a lease."),
                    field::number("max_leases", "Leases of the role at a time; 0: any number."),
                    field::text("name_template", "How credentials are named upstream."),
                    field::truth("bind_to_token", "Whether leases end with the token of who asked."),
                    field::text("db_name", "Kept, and means nothing."),
                    field::truth("replace", "Whether what is not named has its default again."),
                ],
                does!(call => write_role(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ),
            delete(
                "Removes it. Its leases live on, unless they are to end.",
                &[
                    field::truth("revoke", "Whether its leases end."),
                    field::SYNC,
                    field::ASYNC,
                ],
                does!(call => remove_role(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ),
        ]),
    at("creds/:role", "A credential of a role.")
        .takes(Document::Request)
        .on(&[read_or_write(
            "Issues one; a write may hold the fields of a request.",
            &[
                field::length("ttl", "Length of the lease."),
                field::ASYNC,
                field::truth("wait", "Whether to answer once upstream honours it."),
            ],
            does!(call => issue(call.engine, call.mount()?, call.at("role")?, call.ask).await),
        )]),
    at("static-roles", "Existing accounts whose credential is renewed.").on(&[list(
        "Lists them.",
        does!(call => accounts::list(call.engine, call.mount()?).await),
    )]),
    at("static-roles/:name", "An existing account.")
        .takes(Document::StaticRole)
        .exists(|engine, target| {
            Box::pin(async move {
                let mount = mount_of(engine, target)?;
                let Ok(name) = target.said("name").unwrap_or_default().parse() else {
                    return Ok(false);
                };
                let account = engine.storage.account(mount.id, name).await;
                Ok(account.map_err(Refusal::from)?.is_some())
            })
        })
        .on(&[
            read(
                "Shows it.",
                &[],
                does!(call => accounts::show(call.engine, call.mount()?, call.at("name")?).await),
            ),
            write(
                "Takes it over, or changes it.",
                &[
                    field::text("username", "The account."),
                    PERIOD,
                    SCHEDULE,
                    WINDOW,
                    GRACE,
                    field::number("keep", "How many credentials stay valid: 1, or 2."),
                    field::truth("skip_import_rotation", "Whether its credential stays when it is taken over."),
                ],
                does!(call => accounts::write(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ),
            delete(
                "Leaves it alone from now on.",
                &[field::truth("force", "Whether it is left though a renewal goes on.")],
                does!(call => accounts::remove(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ),
        ]),
    at("static-creds/:name", "The credential of an existing account.").on(&[read(
        "Shows it.",
        &[field::text("version", "current, previous, or a number.")],
        does!(call => accounts::credential(call.engine, call.mount()?, call.at("name")?, call.ask).await),
    )]),
    at("rotate-role/:name", "The credential of an existing account.").on(&[write(
        "Renews it.",
        &[],
        does!(call => accounts::rotate(call.engine, call.mount()?, call.at("name")?, call.ask).await),
    ).for_good()]),
    at("reconcile", "What upstream holds, beside the leases.").on(&[write(
        "Shows what differs, and ends the orphans that are named.",
        &[
            field::truth("dry_run", "Whether nothing is ended; so unless it is false."),
            field::texts("revoke", "The orphans to end."),
            field::ASYNC,
        ],
        does!(call => reconcile(call.engine, call.mount()?, call.ask).await),
    ).for_good()]),
];

async fn abort(engine: &Engine, mount: &MountPath, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    let left = engine.rotations.abort(mount).await?;
    Ok(Answer::done_with(left.into_iter().collect()))
}

async fn retry(engine: &Engine, mount: &MountPath, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let accept = fields.truth("accept")?.unwrap_or(false);
    fields.finish()?;
    let outcome = engine.rotations.retry(mount, accept).await?;
    Ok(rotated(outcome.version, outcome.metadata))
}

/// The mount that a path is below.
fn mount_of(engine: &Engine, target: &Target) -> Result<Arc<Mount>, ApiError> {
    let mount = target.mount().ok_or_else(ApiError::nothing_here)?;
    Ok(engine.mounts.open(mount)?)
}

async fn show_config(engine: &Engine, mount: &MountPath) -> Outcome {
    let view = engine.settings.read(mount).await;
    let view = view.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    Ok(Answer::data(config_of(view)))
}

fn config_of(view: ConfigView) -> Value {
    let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    json!({
        "config": view.config,
        "identity": view.identity,
        "version": view.version,
        "warnings": view.warnings,
        "rotate_on_config": view.schedule.on_config,
        "rotation_period": view.schedule.schedule.period().as_secs(),
        "rotation_schedule": view.schedule.schedule.cron(),
        "rotation_window": view.schedule.schedule.window().map(|window| window.as_secs()),
        "rotation_grace": view.schedule.grace.as_secs(),
        "last_rotation": moment(view.schedule.last),
        "next_rotation": moment(view.schedule.next),
        "last_error": view.schedule.last_error,
        "rotation": view.rotation.map(|rotation| {
            let mut shown = rotation_of(&rotation.row);
            if let Value::Object(fields) = &mut shown {
                fields.insert("staged_config".into(), rotation.staged.unwrap_or_default());
                fields.insert("changes".into(), rotation.changes.into());
            }
            shown
        }),
        "ending": view.ending.iter().map(rotation_of).collect::<Vec<_>>(),
    })
}

fn rotation_of(rotation: &RotationRow) -> Value {
    json!({
        "operation": rotation.operation,
        "state": rotation.state.as_str(),
        "former_version": rotation.former_version,
        "new_version": rotation.new_version,
        "attempts": rotation.attempts,
        "next_attempt": rotation.due_at.map(Timestamp::rfc3339),
        "last_error": rotation.last_error,
    })
}

async fn write_config(engine: &Engine, mount: &MountPath, ask: Ask) -> Outcome {
    let requester = ask.requester();
    let written = engine
        .settings
        .write(mount, Value::Object(ask.fields), requester)
        .await?;
    engine.nudge.now();
    let warnings = [written.view.warnings, written.warnings].concat();
    Ok(Answer::done_with(warnings))
}

/// `DELETE :mount/config`; gone already is done. With `revoke` the mount's leases are
/// ended first; with `force` what is not ended waits until there is a config again.
async fn remove_config(engine: &Engine, mount: &MountPath, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let force = fields.truth("force")?.unwrap_or(false);
    let revoke = fields.truth("revoke")?.unwrap_or(false);
    fields.finish()?;
    let revoked = match revoke {
        true => end_all(engine, mount, force).await?,
        false => 0,
    };
    let outcome = engine.settings.remove(mount, force).await;
    engine.nudge.now();
    let removed = match outcome {
        Ok(removed) => removed,
        Err(Refusal::NotFound(_)) => return Ok(Answer::done()),
        Err(refusal) => return Err(refusal.into()),
    };
    let mut warnings = Vec::new();
    if removed.leases > 0 {
        let leases = removed.leases;
        warnings.push(match removed.is_needed {
            true => format!(
                "{leases} leases of {mount} cannot be ended upstream while it has no config: they work on past their \
                 ends, and are ended once there is a config again"
            ),
            false => format!(
                "{leases} leases of {mount} live on to their ends: their provider leaves nothing upstream to be ended"
            ),
        });
    }
    let accounts = engine.accounts.list(mount).await?.len();
    if accounts > 0 {
        warnings.push(format!(
            "{accounts} static roles of {mount} are not rotated while it has no config"
        ));
    }
    if revoked == 0 && warnings.is_empty() {
        return Ok(Answer::done());
    }
    Ok(Answer::envelope(Envelope {
        data: Data::Json(json!({ "revoked": revoked, "leases": removed.leases })),
        warnings,
        ..Envelope::default()
    }))
}

/// Ends all leases of a mount, before its config goes that it takes; how many. With
/// `force` those that are not ended are no reason to stop.
async fn end_all(engine: &Engine, path: &MountPath, force: bool) -> Result<usize, ApiError> {
    let mount = engine.mounts.open(path)?;
    let config = engine.storage.current_config(mount.id).await;
    if config.map_err(Refusal::from)?.is_none() {
        return Ok(0);
    }
    if mount.held.is_some() {
        let sentence = format!(
            "mount {path} is held since a backup was restored, so its leases are not ended now: release it first with \
             `lessor release {path}`"
        );
        return Err(Refusal::Conflict(sentence).into());
    }
    let (prefix, newest) = (path.as_str(), ending::newest(engine)?);
    let count = engine.leases.revoke_all(&mount).await?;
    // Also those that upstream did not end before: whoever asks may have mended that.
    let woken = engine
        .storage
        .wake_revocations(mount.id, engine.clock.now());
    woken.await.map_err(Refusal::from)?;
    engine.nudge.now();
    let ending = engine
        .leases
        .await_end(prefix, Some(mount.id), newest, ending::PATIENCE);
    let reason = match ending.await? {
        Ending::Ended => return Ok(count),
        _ if force => return Ok(0),
        Ending::UnderWay => "it takes longer than a request may".to_owned(),
        Ending::Failing(reason) => reason.unwrap_or_else(|| "upstream does not answer".to_owned()),
    };
    let sentence = format!(
        "the config of {path} stays, because not all of the mount's {count} leases are ended upstream: {reason}; they \
         are tried again, so remove it later, or with force=true now"
    );
    Err(ApiError::new(http::StatusCode::BAD_GATEWAY, sentence))
}

async fn rotate(engine: &Engine, mount: &MountPath, mut ask: Ask) -> Outcome {
    if ask.take_async()? {
        ask.take_fields().finish()?;
        let work = Work::RotateRoot {
            mount: mount.to_string(),
            before: engine.rotations.version(mount).await?,
        };
        return tasks::begin(engine, &ask, work, json!({})).await;
    }
    let requester = ask.requester();
    ask.expect_no_fields()?;
    let outcome = engine.rotations.rotate_root(mount, Some(requester)).await?;
    Ok(rotated(outcome.version, outcome.metadata))
}

/// The provider's metadata, beside the version that is now in use: what the host says
/// is not the provider's to change.
fn rotated(version: u32, metadata: Value) -> Answer {
    let mut data = match metadata {
        Value::Object(metadata) => metadata,
        _ => Map::new(),
    };
    data.insert("version".to_owned(), Value::from(version));
    Answer::data(data.into())
}

async fn show_role(engine: &Engine, mount: &MountPath, name: &str) -> Outcome {
    let role = engine.roles.read(mount, &name.parse::<RoleName>()?).await;
    role.map(Answer::data)
        .map_err(|refusal| ApiError::from(refusal).without_sentence())
}

/// Changes the fields that the body names; with `replace`, those that it does not name
/// have their defaults again.
async fn write_role(engine: &Engine, mount: &MountPath, name: &str, mut ask: Ask) -> Outcome {
    let name = name.parse::<RoleName>()?;
    let requester = ask.requester();
    let replace = ask.take_truth("replace")?.unwrap_or(false);
    let roles = &engine.roles;
    let role = written_back::role(engine, mount, ask.fields).await?;
    let warnings = match replace {
        true => roles.replace(mount, &name, role, requester).await?,
        false => roles.write(mount, &name, role, requester).await?,
    };
    engine.nudge.now();
    Ok(Answer::done_with(warnings))
}

/// `DELETE :mount/roles/:name`; gone already is done. Its leases live on, unless
/// `revoke` or the mount's settings say otherwise.
async fn remove_role(engine: &Engine, mount: &MountPath, name: &str, mut ask: Ask) -> Outcome {
    let name = name.parse::<RoleName>()?;
    let wait = ask.take_wait()?;
    let mut fields = ask.take_fields();
    let revoke = fields.truth("revoke")?;
    fields.finish()?;
    let newest = ending::newest(engine)?;
    let of = engine.mounts.open(mount)?.id;
    let removed = match engine.roles.remove(mount, &name, revoke).await {
        Ok(removed) => removed,
        Err(Refusal::NotFound(_)) => return Ok(Answer::done()),
        Err(refusal) => return Err(refusal.into()),
    };
    engine.nudge.now();
    if removed.revoking == 0 {
        return Ok(Answer::done());
    }
    let doomed = Doomed {
        kind: Draining::RemoveRole,
        prefix: &format!("{mount}/creds/{name}"),
        of: Some(of),
        count: removed.revoking,
        newest,
        done: format!("role {name} of {mount} is removed"),
        facts: Some(json!({})),
    };
    ending::answer(engine, &ask, wait, doomed).await
}

/// Issues a credential. It stands in `data` once, and nowhere else.
async fn issue(engine: &Engine, mount: &MountPath, role: &str, mut ask: Ask) -> Outcome {
    let role = role.parse::<RoleName>()?;
    let is_async = ask.take_async()?;
    let mut fields = ask.take_fields();
    let ttl = fields.length("ttl")?.flatten();
    let waits = match fields.has("wait") && !has_own_wait(engine, mount).await {
        true => fields.truth("wait")?.unwrap_or(false),
        false => false,
    };
    if is_async {
        let work = Work::Issue {
            mount: mount.to_string(),
            role: role.to_string(),
            body: fields.rest(),
            ttl_ms: match ttl {
                Some(Length::For(ttl)) => Some(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
                Some(Length::Never) | None => None,
            },
            endless: ttl == Some(Length::Never),
            key: ask.key.as_ref().map(ToString::to_string),
            token_end: ask.identity.fixed_end(),
            waits,
        };
        return tasks::begin(engine, &ask, work, json!({})).await;
    }
    let requester = ask.requester();
    let request = IssueRequest {
        body: fields.rest(),
        ttl,
        requester,
        token_end: ask.identity.fixed_end(),
        key: ask.key,
        patience: None,
        waits,
    };
    let issued = engine.leases.issue(mount, &role, request).await?;
    let mut warnings = issued.warnings;
    if engine
        .mounts
        .open(mount)
        .is_ok_and(|mount| mount.held.is_some())
    {
        warnings.push(format!(
            "mount {mount} is held since a backup was restored: this lease is not ended by itself until \
             `lessor release {mount}`"
        ));
    }
    let lease = issued.lease;
    let mut metadata = Map::from_iter([
        ("id".to_owned(), json!(lease.credential_id)),
        (
            "expire_time".to_owned(),
            json!(lease.expire_time.map(Timestamp::rfc3339)),
        ),
    ]);
    if let Some(effective) = issued.effective_after {
        metadata.insert("effective_after".into(), json!(effective.rfc3339()));
    }
    if let Value::Object(facts) = &lease.metadata {
        for (name, fact) in facts {
            metadata.entry(name.clone()).or_insert_with(|| fact.clone());
        }
    }
    Ok(Answer::envelope(Envelope {
        data: Data::Credential(issued.data),
        lease: Some(leases::head(
            &lease,
            leases::seconds_left(&lease, lease.issue_time),
        )),
        metadata: Some(metadata.into()),
        warnings,
        ..Envelope::default()
    }))
}

/// Whether the provider of a mount has a field `wait` of its own in its requests: one that
/// was built before the host had one keeps it.
async fn has_own_wait(engine: &Engine, mount: &MountPath) -> bool {
    let Ok(mount) = engine.mounts.open(mount) else {
        return false;
    };
    let plugin = engine.mounts.plugin(&mount).await;
    plugin.is_ok_and(|plugin| {
        let schema = &plugin.provider.descriptor().request_schema;
        schema.pointer("/properties/wait").is_some()
    })
}

/// Compares upstream with the leases. Only orphans that the caller names are
/// ended: upstream does not tell which installation made them.
/// A task does it, which is cancelled where its caller does not wait for it.
async fn reconcile(engine: &Engine, mount: &MountPath, mut ask: Ask) -> Outcome {
    let is_async = ask.take_async()?;
    let mut fields = ask.take_fields();
    let dry_run = fields.truth("dry_run")?.unwrap_or(true);
    let named = fields.list("revoke")?.unwrap_or_default();
    fields.finish()?;
    match (dry_run, named.is_empty()) {
        (true, false) => {
            return Err(ApiError::bad_request(
                "revoke is only done where dry_run is false: add it, or leave revoke out",
            ));
        }
        (false, true) => {
            return Err(ApiError::bad_request(
                "revoke is required where dry_run is false: name the orphans to end, as a dry run lists them, \
                 because another installation with a mount of this path would make what looks like orphans here",
            ));
        }
        _ => {}
    }
    let work = Work::Reconcile {
        mount: mount.to_string(),
        revoke: named,
    };
    if is_async {
        return tasks::begin(engine, &ask, work, json!({})).await;
    }
    let (requester, left) = (ask.requester(), ask.presence.left());
    let found = match engine.tasks.perform_for(work, requester, left).await? {
        Done::Report(found) => found,
        Done::Nothing | Done::Credential(_) => Value::Null,
    };
    let failed = found.get("failed").and_then(Value::as_array);
    let warnings = match failed.map_or(0, Vec::len) {
        0 => Vec::new(),
        failed => vec![format!(
            "{failed} of the orphans named are not revoked; failed says why, and naming them again tries again"
        )],
    };
    Ok(Answer::envelope(Envelope {
        data: Data::Json(found),
        warnings,
        ..Envelope::default()
    }))
}

/// 404 with a sentence that names the nearest mount: a path is longer than its
/// mount, so as many segments of it are compared as the mount has.
pub(super) fn no_mount(engine: &Engine, path: &str) -> ApiError {
    let mounts: Vec<String> = engine
        .mounts
        .every()
        .iter()
        .filter(|mount| mount.live)
        .map(|mount| mount.path().to_string())
        .collect();
    let near = mounts.iter().find(|mount| {
        let length = mount.split('/').count();
        let head: Vec<&str> = path.split('/').take(length).collect();
        suggest::nearest(&head.join("/"), [mount.as_str()]).is_some()
    });
    let hint = near
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();
    let sentence = format!("nothing is mounted at {:?}{hint}", suggest::shown(path));
    ApiError::new(http::StatusCode::NOT_FOUND, sentence)
}
