//! Paths within a mount: config, rotation, roles, credentials; those of existing
//! accounts stand in `accounts`.

use serde_json::{Map, Value, json};

use super::{
    Outcome, accounts,
    answer::{Answer, Data, Envelope},
    dispatch::Ask,
    error::ApiError,
    leases,
    route::{Operation, Within, within_mount},
    tasks,
};
use crate::{
    clock::Timestamp,
    engine::Engine,
    id::{MountPath, RoleName},
    lease::IssueRequest,
    refusal::Refusal,
    settings::ConfigView,
    storage::RotationRow,
    suggest,
    task::Work,
};

/// Answers a path that no route of the host matches.
pub(super) async fn answer(engine: &Engine, path: &str, ask: Ask) -> Outcome {
    use Operation::{Delete, List, Read, Write};

    let Some((mount, rest)) = engine.mounts.resolve(path) else {
        return Err(no_mount(engine, path));
    };
    match (within_mount(&rest), ask.operation) {
        (Within::Config, Read) => show_config(engine, &mount).await,
        (Within::Config, Write) => write_config(engine, &mount, ask).await,
        (Within::Config, Delete) => {
            let mut fields = ask.into_fields();
            let force = fields.truth("force")?.unwrap_or(false);
            fields.finish()?;
            let outcome = engine.settings.remove(&mount, force).await;
            engine.nudge.now();
            gone(outcome)
        }
        (Within::RotateRoot, Write) => rotate(engine, &mount, ask).await,
        (Within::RotateRootAbort, Write) => {
            ask.expect_no_fields()?;
            let left = engine.rotations.abort(&mount).await?;
            Ok(Answer::done_with(left.into_iter().collect()))
        }
        (Within::RotateRootRetry, Write) => {
            let mut fields = ask.into_fields();
            let accept = fields.truth("accept")?.unwrap_or(false);
            fields.finish()?;
            let outcome = engine.rotations.retry(&mount, accept).await?;
            Ok(rotated(outcome.version, outcome.metadata))
        }
        (Within::Roles, List) => Answer::list(engine.roles.list(&mount).await?),
        (Within::Role { name }, Read) => show_role(engine, &mount, name).await,
        (Within::Role { name }, Write) => write_role(engine, &mount, name, ask).await,
        (Within::Role { name }, Delete) => {
            let outcome = engine
                .roles
                .remove(&mount, &name.parse::<RoleName>()?)
                .await;
            engine.nudge.now();
            gone(outcome)
        }
        (Within::Creds { role }, Read | Write) => issue(engine, &mount, role, ask).await,
        (Within::StaticRoles, List) => accounts::list(engine, &mount).await,
        (Within::StaticRole { name }, Read) => accounts::show(engine, &mount, name).await,
        (Within::StaticRole { name }, Write) => accounts::write(engine, &mount, name, ask).await,
        (Within::StaticRole { name }, Delete) => accounts::remove(engine, &mount, name).await,
        (Within::StaticCreds { name }, Read) => {
            accounts::credential(engine, &mount, name, ask).await
        }
        (Within::RotateRole { name }, Write) => accounts::rotate(engine, &mount, name, ask).await,
        (Within::Reconcile, Write) => reconcile(engine, &mount, ask).await,
        (Within::Document { .. }, _) => Err(ApiError::nothing_here()),
        _ => Err(ApiError::wrong_method()),
    }
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
    let view = engine
        .settings
        .write(mount, Value::Object(ask.fields), requester)
        .await?;
    engine.nudge.now();
    Ok(Answer::done_with(view.warnings))
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

async fn write_role(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let name = name.parse::<RoleName>()?;
    let requester = ask.requester();
    let warnings = engine
        .roles
        .write(mount, &name, Value::Object(ask.fields), requester)
        .await?;
    Ok(Answer::done_with(warnings))
}

/// Issues a credential. It stands in `data` once, and nowhere else.
async fn issue(engine: &Engine, mount: &MountPath, role: &str, mut ask: Ask) -> Outcome {
    let role = role.parse::<RoleName>()?;
    let is_async = ask.take_async()?;
    let mut fields = ask.take_fields();
    let ttl = fields.duration("ttl")?;
    if is_async {
        let work = Work::Issue {
            mount: mount.to_string(),
            role: role.to_string(),
            body: fields.rest(),
            ttl_ms: ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            key: ask.key.as_ref().map(ToString::to_string),
            token_end: ask.identity.fixed_end(),
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

/// Compares upstream with the leases. Only orphans that the caller names are
/// ended: upstream does not tell which installation made them.
async fn reconcile(engine: &Engine, mount: &MountPath, ask: Ask) -> Outcome {
    let requester = ask.requester();
    let mut fields = ask.into_fields();
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
    let found = engine.leases.reconcile(mount, &named, requester).await?;
    let mut warnings = Vec::new();
    if !found.failed.is_empty() {
        warnings.push(format!(
            "{} of the orphans named are not revoked; failed says why, and naming them again tries again",
            found.failed.len()
        ));
    }
    let vanished: Vec<Value> = found
        .vanished
        .iter()
        .map(|gone| json!({ "lease_id": gone.lease.to_string(), "credential_id": gone.credential_id }))
        .collect();
    let failed: Vec<Value> = found
        .failed
        .iter()
        .map(|(id, error)| json!({ "credential_id": id, "error": error }))
        .collect();
    Ok(Answer::envelope(Envelope {
        data: Data::Json(json!({
            "dry_run": dry_run,
            "upstream_count": found.upstream,
            "lease_count": found.leases,
            "orphan_count": found.orphan_count,
            "orphans": found.orphans,
            "undecided_count": found.undecided_count,
            "vanished_count": found.vanished_count,
            "vanished": vanished,
            "revoked": found.revoked,
            "failed": failed,
        })),
        warnings,
        ..Envelope::default()
    }))
}

/// What is gone already is as gone as it was asked to be.
pub(super) fn gone(outcome: Result<(), Refusal>) -> Outcome {
    match outcome {
        Ok(()) | Err(Refusal::NotFound(_)) => Ok(Answer::done()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// 404 with a sentence that names the nearest mount: a path is longer than its
/// mount, so as many segments of it are compared as the mount has.
fn no_mount(engine: &Engine, path: &str) -> ApiError {
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
