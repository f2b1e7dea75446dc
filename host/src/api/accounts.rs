//! Static roles and their credentials, as Vault's database engine has them.

use lessor_model::{clock::Timestamp, id::MountPath, schedule::Schedule, secret::Secret};
use lessor_store::Place;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope, gone},
    ask::Ask,
    error::ApiError,
};
use crate::{account::AccountCredential, engine::Engine, mount::show_choice};

/// Lists a mount's static roles.
pub(super) async fn list(engine: &Engine, mount: &MountPath) -> Outcome {
    Answer::list(engine.accounts.list(mount).await?)
}

/// Shows a static role and how its rotation stands.
pub(super) async fn show(engine: &Engine, mount: &MountPath, name: &str) -> Outcome {
    let view = engine.accounts.read(mount, &name.parse()?).await;
    let view = view.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    let mut data = match view.document {
        Value::Object(document) => document,
        _ => Map::new(),
    };
    let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    // As Vault's clients read it, where the provider's roles have no such fields.
    for (name, value) in [
        ("credential_type", json!("password")),
        ("rotation_statements", json!([])),
    ] {
        data.entry(name).or_insert(value);
    }
    let host = json!({
        "username": view.account,
        "manual": view.schedule == Schedule::ByHand,
        "rotation_grace": view.former.grace.as_secs(),
        "keep": if view.former.is_kept { 2 } else { 1 },
        "state": view.state.as_str(),
        "version": view.version,
        "attempts": view.attempts,
        "next_attempt": moment(view.next_attempt),
        "last_error": view.last_error,
        "last_vault_rotation": moment(view.last),
        "next_rotation": moment(view.next),
    });
    if let Value::Object(host) = host {
        data.extend(host);
    }
    let theirs = match view.connection.name.is_default() {
        true => view.db_name.as_deref().or(Some(mount.as_str())),
        false => view.db_name.as_deref(),
    };
    show_choice(&mut data, &view.schema, &view.connection, theirs);
    data.extend(schedule_of(&view.schedule));
    Ok(Answer::data(data.into()))
}

/// Writes a static role.
pub(super) async fn write(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let (name, requester) = (name.parse()?, ask.requester());
    let body = Value::Object(ask.fields);
    let warnings = engine.accounts.write(mount, &name, body, requester).await?;
    Ok(Answer::done_with(warnings))
}

/// Forgets a static role.
pub(super) async fn remove(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let force = fields.truth("force")?.unwrap_or(false);
    fields.finish()?;
    gone(engine.accounts.remove(mount, &name.parse()?, force).await)
}

/// Renews an account's credential.
pub(super) async fn rotate(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let (name, requester) = (name.parse()?, ask.requester());
    ask.expect_no_fields()?;
    engine.accounts.rotate(mount, &name, requester).await?;
    Ok(Answer::done())
}

/// Shows an account's credential: the one in force, or the one before it.
pub(super) async fn credential(
    engine: &Engine,
    mount: &MountPath,
    name: &str,
    ask: Ask,
) -> Outcome {
    let name = name.parse()?;
    let mut fields = ask.into_fields();
    let version = fields.text("version")?;
    fields.finish()?;
    let place = match version.as_deref() {
        None | Some("" | "current") => Place::Current,
        Some("previous") => Place::Previous,
        Some(_) => {
            return Err(ApiError::bad_request(
                "version must be current or previous; older ones are erased",
            ));
        }
    };
    let found = engine.accounts.credential(mount, &name, place).await;
    let mut found = found.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    let warnings = std::mem::take(&mut found.warnings);
    Ok(Answer::envelope(Envelope {
        data: Data::Credential(credential_of(&found)?),
        warnings,
        ..Envelope::default()
    }))
}

/// The provider's credential with the fields that Vault's clients read. What the host
/// says of it is not the provider's to change, but for the name that it goes by.
fn credential_of(found: &AccountCredential) -> Result<Secret<String>, ApiError> {
    let parsed: Value = serde_json::from_str(found.secret.expose()).map_err(ApiError::internal)?;
    let Value::Object(mut data) = parsed else {
        return Err(ApiError::internal("a stored credential is no JSON object"));
    };
    let mut beside = schedule_of(&found.schedule);
    for (name, value) in [
        ("last_vault_rotation", json!(found.made_at.rfc3339())),
        ("ttl", json!(found.ttl.as_secs())),
        ("version", json!(found.version)),
        ("state", json!(found.standing.as_str())),
        ("expires", json!(found.expires.map(Timestamp::rfc3339))),
    ] {
        beside.insert(name.to_owned(), value);
    }
    data.extend(beside);
    data.entry("username").or_insert(json!(found.account));
    Ok(Secret::new(Value::Object(data).to_string()))
}

/// A schedule as Vault shows it. The period stands there always: some of its
/// clients insist.
fn schedule_of(schedule: &Schedule) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("rotation_period".into(), schedule.period().as_secs().into());
    if let Some(cron) = schedule.cron() {
        fields.insert("rotation_schedule".into(), cron.into());
    }
    if let Some(window) = schedule.window() {
        fields.insert("rotation_window".into(), window.as_secs().into());
    }
    fields
}
