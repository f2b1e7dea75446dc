//! Paths within a mount: config, rotation, roles, credentials; those of existing
//! accounts stand in `accounts`.

use std::sync::Arc;

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionName, MountPath, RoleName},
    lifetime::Length,
    refusal::Refusal,
    suggest,
};
use lessor_store::RotationRow;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope},
    ask::Ask,
    ending::{self, Doomed},
    endpoint::{
        CONFLICT, Call, Document, Endpoint, Field, MISSING, SPOKEN, Target, UPSTREAM, Verb, at,
        delete, does, field,
        gives::{self, Gives, accepted, data},
        list, read, read_or_write, write,
    },
    error::ApiError,
    leases,
    static_roles::{self, StaticCredential, StaticRole},
    tasks::{self, BegunTask},
    written_back,
};
use crate::{
    connection_config::ConfigView,
    engine::Engine,
    lease::{Ending, IssueRequest},
    mount::{Connection, Mount},
    task::{Done, Draining, Work},
};

const PERIOD: Field = field::span(
    "rotation_period",
    "The time between two renewals of its credential; 0: it is never renewed.",
);
const SCHEDULE: Field = field::text(
    "rotation_schedule",
    "The schedule of its renewals, as a cron expression in UTC.",
);
const WINDOW: Field = field::span(
    "rotation_window",
    "The time within which a renewal must begin, counted from its scheduled time.",
);
const GRACE: Field = field::span(
    "rotation_grace",
    "The time for which the former credential stays valid.",
);

/// The host's fields of a config.
const CONFIG: &[Field] = &[
    field::truth(
        "rotate_on_config",
        "Whether the root credential is replaced at once.",
    ),
    PERIOD,
    SCHEDULE,
    WINDOW,
    GRACE,
];

/// The fields of a config's removal.
const REMOVAL: &[Field] = &[
    field::truth("revoke", "Whether the leases are ended first."),
    field::truth(
        "force",
        "Whether it is removed though leases or a rotation need it.",
    ),
];

/// The fields of a rotation that is taken up again.
const RETRY: &[Field] = &[field::truth(
    "accept",
    "Whether the new config is taken into use even if it changes fields that the provider did not announce.",
)];

/// The operations on a root credential, with or without the name of its connection.
const REPLACE: Verb = write(
    "Replaces it.",
    &[field::ASYNC],
    does!(call => rotate(call).await),
)
.gives(&[data::<Rotated>(), accepted::<BegunTask>()])
.refuses(&[UPSTREAM])
.for_good();
const TAKE_UP: Verb = write(
    "Takes it up again.",
    RETRY,
    does!(call => retry(call).await),
)
.gives(&[data::<Rotated>()])
.refuses(&[UPSTREAM])
.for_good();
const GIVE_UP: Verb = write("Gives it up.", &[], does!(call => abort(call).await))
    .refuses(&[UPSTREAM])
    .for_good();
const RESET: Verb = write(
    "Drops the open connections to upstream and the root credential in memory, and has failed work tried again at once.",
    &[],
    does!(call => reset(call).await),
)
.refuses(&[MISSING]);

/// The connection that a role is for.
const CONNECTION: Field = field::text(
    "connection",
    "The connection that it is for; the default one where none is named.",
);
const DB_NAME: Field = field::text(
    "db_name",
    "The same, as clients of Vault's database engine name it.",
);

/// The paths below a mount. Where a body is a document of the provider, its fields are
/// those of the provider's schema, too.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("config", "The config of the default connection, with its root credential.")
        .takes(Document::Config)
        .exists(|engine, target| Box::pin(is_configured(engine, target)))
        .on(&[
            read(
                "Shows it without its secrets.",
                &[],
                does!(call => show_config(&call).await),
            ).gives(&[data::<Config>()]).refuses(&[MISSING]),
            list(
                "Lists the connections that have a config.",
                does!(call => list_connections(call.engine, call.mount()?).await),
            ),
            write(
                "Writes it.",
                CONFIG,
                does!(call => write_config(call).await),
            ).refuses(&[UPSTREAM]),
            delete(
                "Removes it, where no lease needs it.",
                REMOVAL,
                does!(call => remove_config(call).await),
            ).gives(&[Gives::Nothing, data::<RemovedConfig>()]).refuses(&[UPSTREAM]),
        ]),
    at("config/:name", "The config of a connection, with its root credential.")
        .takes(Document::Config)
        .exists(|engine, target| Box::pin(is_configured(engine, target)))
        .on(&[
            read(
                "Shows it without its secrets.",
                &[],
                does!(call => show_config(&call).await),
            ).gives(&[data::<Config>()]).refuses(&[MISSING, SPOKEN]),
            write(
                "Writes it, and makes the connection where there is none of that name.",
                CONFIG,
                does!(call => write_config(call).await),
            ).refuses(&[UPSTREAM, SPOKEN]),
            delete(
                "Removes it, where no lease needs it.",
                REMOVAL,
                does!(call => remove_config(call).await),
            ).gives(&[Gives::Nothing, data::<RemovedConfig>()]).refuses(&[UPSTREAM, SPOKEN]),
        ]),
    at("rotate-root", "The root credential of the default connection.")
        .also(&["config/rotate-root"])
        .on(&[REPLACE]),
    at("rotate-root/:name", "The root credential of a connection.")
        .on(&[REPLACE]),
    at("rotate-root/retry", "A rotation that failed, of the default connection.")
        .also(&["config/rotate-root/retry"])
        .on(&[TAKE_UP]),
    at("rotate-root/:name/retry", "A rotation that failed, of a connection.")
        .on(&[TAKE_UP]),
    at("rotate-root/abort", "A rotation that failed, of the default connection.")
        .also(&["config/rotate-root/abort"])
        .on(&[GIVE_UP]),
    at("rotate-root/:name/abort", "A rotation that failed, of a connection.")
        .on(&[GIVE_UP]),
    at("reset", "The state of the default connection that is kept in memory.")
        .on(&[RESET]),
    at("reset/:name", "The state of a connection that is kept in memory.")
        .on(&[RESET]),
    at("roles", "The roles that credentials may be asked for.").on(&[list(
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
            ).gives(&[data::<Role>()]).refuses(&[MISSING]),
            write(
                "Writes it; a field that is not named keeps its value.",
                &[
                    field::length("default_ttl", "Length of a lease that asks for none."),
                    field::length("max_ttl", "Longest life of a lease."),
                    field::number("max_leases", "Leases of the role at a time; 0: any number."),
                    field::text("name_template", "The template of the names that credentials have upstream."),
                    field::truth("bind_to_token", "Whether leases end with the token of who asked."),
                    field::truth("delete_protection", "Whether the role cannot be removed."),
                    field::texts("tags", "Your own words for the role, where the provider has no field of that name."),
                    CONNECTION,
                    DB_NAME,
                    field::truth("replace", "Whether a field that is not named gets its default again."),
                ],
                does!(call => write_role(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ).refuses(&[UPSTREAM]),
            delete(
                "Removes it. Its leases live on, unless they are to end.",
                &[
                    field::truth("revoke", "Whether its leases end."),
                    field::SYNC,
                    field::ASYNC,
                ],
                does!(call => remove_role(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ).gives(ending::TOLD).refuses(&[CONFLICT, UPSTREAM]),
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
        ).gives(&[Gives::Credential, accepted::<BegunTask>()]).refuses(&[UPSTREAM])]),
    at("static-roles", "Existing accounts whose credential is renewed.").on(&[list(
        "Lists them.",
        does!(call => static_roles::list(call.engine, call.mount()?).await),
    )]),
    at("static-roles/:name", "An existing account.")
        .takes(Document::StaticRole)
        .exists(|engine, target| {
            Box::pin(async move {
                let mount = mount_of(engine, target)?;
                let Ok(name) = target.said("name").unwrap_or_default().parse() else {
                    return Ok(false);
                };
                let account = engine.storage.static_role(mount.id, name).await;
                Ok(account.map_err(Refusal::from)?.is_some())
            })
        })
        .on(&[
            read(
                "Shows it.",
                &[],
                does!(call => static_roles::show(call.engine, call.mount()?, call.at("name")?).await),
            ).gives(&[data::<StaticRole>()]).refuses(&[MISSING]),
            write(
                "Takes it over, or changes it.",
                &[
                    field::text("username", "The account."),
                    CONNECTION,
                    DB_NAME,
                    PERIOD,
                    SCHEDULE,
                    WINDOW,
                    GRACE,
                    field::number("keep", "The number of credentials that stay valid: 1, or 2."),
                    field::truth("skip_import_rotation", "Whether its credential stays when it is taken over."),
                ],
                does!(call => static_roles::write(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ).refuses(&[UPSTREAM]),
            delete(
                "Leaves it alone from now on.",
                &[field::truth("force", "Whether it is left though a renewal goes on.")],
                does!(call => static_roles::remove(call.engine, call.mount()?, call.at("name")?, call.ask).await),
            ).refuses(&[UPSTREAM]),
        ]),
    at("static-creds/:name", "The credential of an existing account.").on(&[read(
        "Shows it.",
        &[field::text("version", "current, previous, or a number.")],
        does!(call => static_roles::credential(call.engine, call.mount()?, call.at("name")?, call.ask).await),
    ).gives(&[data::<StaticCredential>()]).refuses(&[MISSING, CONFLICT])]),
    at("rotate-role/:name", "The credential of an existing account.").on(&[write(
        "Renews it.",
        &[],
        does!(call => static_roles::rotate(call.engine, call.mount()?, call.at("name")?, call.ask).await),
    ).refuses(&[UPSTREAM]).for_good()]),
    at("reconcile", "The credentials that upstream holds, compared with the leases.").on(&[write(
        "Shows the differences, and ends the orphans that are named.",
        &[
            field::truth("dry_run", "Whether nothing is ended; so unless it is false."),
            field::texts("revoke", "The orphans to end."),
            field::text("connection", "The connection to ask by; the default one where none is named."),
            field::ASYNC,
        ],
        does!(call => reconcile(call.engine, call.mount()?, call.ask).await),
    ).gives(&[data::<Reconciliation>(), accepted::<BegunTask>()]).refuses(&[UPSTREAM]).for_good()]),
];

/// The config of a mount, with the root credential.
#[derive(Serialize, JsonSchema)]
struct Config {
    /// The provider's own fields, by its schema; secret fields are not shown.
    config: Value,
    /// The principal upstream that the root credential belongs to.
    identity: Option<String>,
    /// Counts up with every new root credential.
    version: u32,
    /// The warnings that the provider gave when the config was proven.
    warnings: Vec<String>,
    /// Whether the root credential is replaced at once when it is written.
    rotate_on_config: bool,
    /// Seconds between rotations; 0: none by period.
    rotation_period: u64,
    /// The schedule of its rotations, as a cron expression in UTC.
    rotation_schedule: Option<String>,
    /// Seconds after its scheduled time within which a rotation must begin.
    rotation_window: Option<u64>,
    /// Seconds for which the former root credential stays valid.
    rotation_grace: u64,
    /// The time when it was last rotated.
    last_rotation: Option<String>,
    /// The time when it is rotated next.
    next_rotation: Option<String>,
    /// The reason why the last rotation by time failed.
    last_error: Option<String>,
    /// A rotation that is open.
    rotation: Option<OpenRotation>,
    /// Rotations whose former root credential waits for its end upstream.
    ending: Vec<Rotation>,
}

/// A rotation of a root credential.
#[derive(Serialize, JsonSchema)]
struct Rotation {
    /// Its operation, the same for every attempt.
    operation: String,
    /// The state of the rotation.
    state: &'static str,
    /// The version that it replaces.
    former_version: u32,
    /// The version that it made.
    new_version: Option<u32>,
    /// Attempts at the present step.
    attempts: u32,
    /// The time of the next attempt.
    next_attempt: Option<String>,
    /// The reason why the last attempt failed.
    last_error: Option<String>,
}

/// A rotation that is open.
#[derive(Serialize, JsonSchema)]
struct OpenRotation {
    #[serde(flatten)]
    rotation: Rotation,
    /// The config that it would put in use; secret fields are not shown.
    staged_config: Value,
    /// The changed fields that are neither secret nor announced by the provider to change.
    changes: Vec<String>,
}

/// A root credential that is replaced.
#[derive(Serialize, JsonSchema)]
struct Rotated {
    /// The provider's facts about the new root credential.
    #[serde(flatten)]
    metadata: Map<String, Value>,
    /// The version that is in use now.
    version: u32,
}

/// A config that is removed.
#[derive(Serialize, JsonSchema)]
struct RemovedConfig {
    /// Leases that were ended before.
    revoked: usize,
    /// Leases that are left.
    leases: usize,
}

/// A role: the provider's own fields, by its schema, and these.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the role puts itself together")]
struct Role {
    #[serde(flatten)]
    document: Map<String, Value>,
    /// The number of seconds that a lease lives if its request names no length, or never; 0: as the mount says.
    default_ttl: gives::Length,
    /// The largest number of seconds that a lease lives, or never; 0: as the mount says.
    max_ttl: gives::Length,
    /// Leases of the role at a time; 0: any number.
    max_leases: u64,
    /// The template of the names that credentials have upstream.
    name_template: String,
    /// Whether leases end with the token of who asked.
    bind_to_token: bool,
    /// Whether the role cannot be removed.
    delete_protection: bool,
    /// The operator's own words for the role, or the provider's field of that name.
    tags: Value,
    /// The connection, where it was given by this name.
    #[schemars(skip_serializing_if = "Option::is_none")]
    db_name: Option<String>,
}

/// The credentials that upstream holds, compared with the leases.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the lease engine makes the report")]
struct Reconciliation {
    /// Whether nothing is ended.
    dry_run: bool,
    /// The number of credentials that upstream has.
    upstream_count: u64,
    /// The number of leases.
    lease_count: u64,
    /// The number of credentials without a lease.
    orphan_count: u64,
    /// The first of those, by their ids upstream.
    orphans: Vec<String>,
    /// The number of credentials that are too new to tell.
    undecided_count: u64,
    /// The number of leases without a credential.
    vanished_count: u64,
    /// The first of those.
    vanished: Vec<Vanished>,
    /// The orphans that were ended.
    revoked: Vec<String>,
    /// The orphans that were named and not ended.
    failed: Vec<NotEnded>,
}

/// A lease whose credential no longer exists upstream.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the lease engine makes the report")]
struct Vanished {
    /// The lease.
    lease_id: String,
    /// The id that its credential had upstream.
    credential_id: String,
}

/// An orphan that was not ended.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the lease engine makes the report")]
struct NotEnded {
    /// The id of the credential upstream.
    credential_id: String,
    /// The reason why it was not ended.
    error: String,
}

async fn abort(call: Call<'_>) -> Outcome {
    let (mount, name) = (call.mount()?, call.connection()?);
    call.ask.expect_no_fields()?;
    let left = call.engine.rotations.abort(mount, &name).await?;
    Ok(Answer::done_with(left.into_iter().collect()))
}

async fn retry(call: Call<'_>) -> Outcome {
    let (mount, name) = (call.mount()?, call.connection()?);
    let mut fields = call.ask.into_fields();
    let accept = fields.truth("accept")?.unwrap_or(false);
    fields.finish()?;
    let outcome = call.engine.rotations.retry(mount, &name, accept).await?;
    Ok(rotated(outcome.version, outcome.metadata))
}

/// `POST :mount/reset`, as Vault's database engine has it.
async fn reset(call: Call<'_>) -> Outcome {
    let (mount, name) = (call.mount()?, call.connection()?);
    call.ask.expect_no_fields()?;
    let connection = call.engine.mounts.connection(mount, &name)?;
    call.engine.mounts.reset(&connection).await?;
    Ok(Answer::done())
}

/// The mount that a path is below.
fn mount_of(engine: &Engine, target: &Target) -> Result<Arc<Mount>, ApiError> {
    let mount = target.mount().ok_or_else(ApiError::nothing_here)?;
    Ok(engine.mounts.open(mount)?)
}

/// Whether the connection that a path names has a config.
async fn is_configured(engine: &Engine, target: &Target) -> Result<bool, ApiError> {
    let mount = mount_of(engine, target)?;
    let name = match target.said("name").map(str::parse) {
        None => ConnectionName::DEFAULT,
        Some(Ok(name)) => name,
        Some(Err(_)) => return Ok(false),
    };
    let Ok(connection) = engine.mounts.connection(mount.path(), &name) else {
        return Ok(false);
    };
    let config = engine.storage.current_config(connection.id).await;
    Ok(config.map_err(Refusal::from)?.is_some())
}

/// The connections of a mount that have a config, by name.
async fn list_connections(engine: &Engine, mount: &MountPath) -> Outcome {
    let mount = engine.mounts.open(mount)?;
    let names = engine.storage.configured_connections(mount.id).await;
    Answer::list(names.map_err(Refusal::from)?)
}

async fn show_config(call: &Call<'_>) -> Outcome {
    let name = call.connection()?;
    let view = call.engine.configs.read(call.mount()?, &name).await;
    let view = view.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    Ok(Answer::data(config_of(view)))
}

fn config_of(view: ConfigView) -> Config {
    let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    let schedule = &view.schedule.schedule;
    Config {
        config: view.config,
        identity: view.identity,
        version: view.version,
        warnings: view.warnings,
        rotate_on_config: view.schedule.on_config,
        rotation_period: schedule.period().as_secs(),
        rotation_schedule: schedule.cron().map(str::to_owned),
        rotation_window: schedule.window().map(|window| window.as_secs()),
        rotation_grace: view.schedule.grace.as_secs(),
        last_rotation: moment(view.schedule.last),
        next_rotation: moment(view.schedule.next),
        last_error: view.schedule.last_error,
        rotation: view.rotation.map(|open| OpenRotation {
            rotation: rotation_of(&open.row),
            staged_config: open.staged.unwrap_or_default(),
            changes: open.changes,
        }),
        ending: view.ending.iter().map(rotation_of).collect(),
    }
}

fn rotation_of(row: &RotationRow) -> Rotation {
    Rotation {
        operation: row.operation.to_string(),
        state: row.state.as_str(),
        former_version: row.former_version,
        new_version: row.new_version,
        attempts: row.attempts,
        next_attempt: row.due_at.map(Timestamp::rfc3339),
        last_error: row.last_error.clone(),
    }
}

async fn write_config(call: Call<'_>) -> Outcome {
    let (mount, name) = (call.mount()?, call.connection()?);
    let requester = call.ask.requester();
    let body = Value::Object(call.ask.fields);
    let configs = &call.engine.configs;
    let written = configs.write(mount, &name, body, requester).await?;
    let warnings = [written.view.warnings, written.warnings].concat();
    Ok(Answer::done_with(warnings))
}

/// `DELETE :mount/config`; gone already is done. With `revoke` the connection's leases are
/// ended first; with `force` leases that are not ended wait until there is a config again.
async fn remove_config(call: Call<'_>) -> Outcome {
    let (engine, path, name) = (call.engine, call.mount()?, call.connection()?);
    let mut fields = call.ask.into_fields();
    let force = fields.truth("force")?.unwrap_or(false);
    let revoke = fields.truth("revoke")?.unwrap_or(false);
    fields.finish()?;
    let Ok(connection) = engine.mounts.connection(path, &name) else {
        return Ok(Answer::done());
    };
    let revoked = match revoke {
        true => end_all(engine, &connection, force).await?,
        false => 0,
    };
    let outcome = engine.configs.remove(path, &name, force).await;
    let removed = match outcome {
        Ok(removed) => removed,
        Err(Refusal::NotFound(_)) => return Ok(Answer::done()),
        Err(refusal) => return Err(refusal.into()),
    };
    let mount = connection.title();
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
    let static_roles = engine
        .storage
        .static_roles_by_connection(connection.id)
        .await;
    let static_roles = static_roles.map_err(Refusal::from)?;
    if static_roles > 0 {
        warnings.push(format!(
            "{static_roles} static roles of {mount} are not rotated while it has no config"
        ));
    }
    if revoked == 0 && warnings.is_empty() {
        return Ok(Answer::done());
    }
    Ok(Answer::envelope(Envelope {
        data: Data::of(RemovedConfig {
            revoked,
            leases: removed.leases,
        }),
        warnings,
        ..Envelope::default()
    }))
}

/// Ends all leases of a connection, before the config is removed that this needs. Returns how
/// many. With `force`, leases that are not ended do not stop the removal.
async fn end_all(
    engine: &Engine,
    connection: &Arc<Connection>,
    force: bool,
) -> Result<usize, ApiError> {
    let path = connection.path();
    let config = engine.storage.current_config(connection.id).await;
    if config.map_err(Refusal::from)?.is_none() {
        return Ok(0);
    }
    if connection.held.is_some() {
        let sentence = format!(
            "mount {path} is held since a backup was restored, so its leases are not ended now: release it first with \
             `lessor release {path}`"
        );
        return Err(Refusal::Conflict(sentence).into());
    }
    let newest = ending::newest(engine)?;
    let count = engine.leases.revoke_all(connection).await?;
    // Also those that upstream did not end before: the operator may have mended the reason.
    let woken = engine
        .storage
        .wake_revocations(connection.id, engine.clock.now());
    woken.await.map_err(Refusal::from)?;
    let ending = engine
        .leases
        .await_end_of(connection, newest, ending::PATIENCE);
    let reason = match ending.await? {
        Ending::Ended => return Ok(count),
        _ if force => return Ok(0),
        Ending::UnderWay => "it takes longer than a request may".to_owned(),
        Ending::Failing(reason) => reason.unwrap_or_else(|| "upstream does not answer".to_owned()),
    };
    let sentence = format!(
        "the config of {} stays, because not all of its {count} leases are ended upstream: {reason}; they are tried \
         again, so remove it later, or with force=true now",
        connection.title()
    );
    Err(ApiError::new(http::StatusCode::BAD_GATEWAY, sentence))
}

async fn rotate(mut call: Call<'_>) -> Outcome {
    let (engine, mount, name) = (call.engine, call.mount()?, call.connection()?);
    if call.ask.take_async()? {
        call.ask.take_fields().finish()?;
        let work = Work::RotateRoot {
            mount: mount.to_string(),
            connection: Some(name.to_string()),
            before: engine.rotations.version(mount, &name).await?,
        };
        return tasks::begin(engine, &call.ask, work).await;
    }
    let requester = call.ask.requester();
    call.ask.expect_no_fields()?;
    let rotations = &engine.rotations;
    let outcome = rotations.rotate_root(mount, &name, Some(requester)).await?;
    Ok(rotated(outcome.version, outcome.metadata))
}

/// The provider's metadata, beside the version that is now in use. A provider cannot change the
/// host's fields.
fn rotated(version: u32, metadata: Value) -> Answer {
    let metadata = match metadata {
        Value::Object(metadata) => metadata,
        _ => Map::new(),
    };
    Answer::data(Rotated { metadata, version })
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
    Ok(Answer::done_with(warnings))
}

/// `DELETE :mount/roles/:name`; gone already is done. The role's leases live on, unless
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
        told: true,
        purged: None,
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
        return tasks::begin(engine, &ask, work).await;
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
        metadata: Some(metadata),
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

/// Compares upstream with the leases. Only orphans that the caller names are ended: upstream
/// does not tell which installation made them. The comparison is a task, which is cancelled
/// where its caller leaves.
async fn reconcile(engine: &Engine, mount: &MountPath, mut ask: Ask) -> Outcome {
    let is_async = ask.take_async()?;
    let mut fields = ask.take_fields();
    let dry_run = fields.truth("dry_run")?.unwrap_or(true);
    let named = fields.list("revoke")?.unwrap_or_default();
    let connection = fields.text("connection")?.filter(|name| !name.is_empty());
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
        connection,
        revoke: named,
    };
    if is_async {
        return tasks::begin(engine, &ask, work).await;
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
