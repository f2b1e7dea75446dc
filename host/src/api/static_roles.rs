//! Static roles and their credentials, as Vault's database engine has them.

use lessor_model::{clock::Timestamp, id::MountPath, schedule::Schedule, secret::Secret};
use lessor_store::Place;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::{Answer, Data, Envelope, gone},
    ask::Ask,
    error::ApiError,
};
use crate::{engine::Engine, mount::show_choice, static_role::StaticRoleCredential};

/// An existing account whose credential is renewed.
#[derive(Serialize, JsonSchema)]
pub(super) struct StaticRole {
    /// The fields of the provider's roles; `connection` and `db_name`, which say by which of
    /// the mount's connections; and, where the provider has no such, `credential_type` and
    /// `rotation_statements`, which Vault's clients read.
    #[serde(flatten)]
    document: Map<String, Value>,
    /// The account.
    username: String,
    /// Whether its credential is renewed on request alone.
    manual: bool,
    /// Seconds for which the former credential stays valid.
    rotation_grace: u64,
    /// The number of credentials that stay valid.
    keep: u8,
    /// idle, rotating, out-of-sync or retiring.
    state: &'static str,
    /// Counts up with every new credential.
    version: u32,
    /// Attempts at the present renewal.
    attempts: u32,
    /// The time of the next attempt.
    next_attempt: Option<String>,
    /// The reason why the last attempt failed.
    last_error: Option<String>,
    /// The time when its credential was last renewed.
    last_vault_rotation: Option<String>,
    /// The time when its credential is renewed next.
    next_rotation: Option<String>,
    #[serde(flatten)]
    schedule: ShownSchedule,
}

/// The credential of an existing account.
#[derive(Serialize, JsonSchema)]
pub(super) struct StaticCredential {
    /// The credential that the provider made, by its schema.
    #[serde(flatten)]
    credential: Map<String, Value>,
    #[serde(flatten)]
    schedule: ShownSchedule,
    /// The time when it was made.
    last_vault_rotation: String,
    /// Seconds until it is renewed.
    ttl: u64,
    /// The version of the account's credential.
    version: u32,
    /// valid, ending or ended.
    state: &'static str,
    /// The time when it ends; null where nobody can tell.
    expires: Option<String>,
}

/// A schedule as Vault shows it. The period stands there always: some of its clients
/// insist.
#[derive(Serialize, JsonSchema)]
struct ShownSchedule {
    /// Seconds between renewals; 0: it has none.
    rotation_period: u64,
    /// The schedule of its renewals, as a cron expression in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_schedule: Option<String>,
    /// Seconds after its scheduled time within which a renewal must begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_window: Option<u64>,
}

/// Lists a mount's static roles.
pub(super) async fn list(engine: &Engine, mount: &MountPath) -> Outcome {
    Answer::list(engine.static_roles.list(mount).await?)
}

/// Shows a static role and how its rotation stands.
pub(super) async fn show(engine: &Engine, mount: &MountPath, name: &str) -> Outcome {
    let view = engine.static_roles.read(mount, &name.parse()?).await;
    let view = view.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    let mut document = match view.document {
        Value::Object(document) => document,
        _ => Map::new(),
    };
    let moment = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    // As Vault's clients read it, where the provider's roles have no such fields.
    for (name, value) in [
        ("credential_type", json!("password")),
        ("rotation_statements", json!([])),
    ] {
        document.entry(name).or_insert(value);
    }
    let theirs = match view.connection.name.is_default() {
        true => view.db_name.as_deref().or(Some(mount.as_str())),
        false => view.db_name.as_deref(),
    };
    show_choice(&mut document, &view.schema, &view.connection, theirs);
    Ok(Answer::data(StaticRole {
        document,
        username: view.account,
        manual: view.schedule == Schedule::ByHand,
        rotation_grace: view.former.grace.as_secs(),
        keep: if view.former.is_kept { 2 } else { 1 },
        state: view.state.as_str(),
        version: view.version,
        attempts: view.attempts,
        next_attempt: moment(view.next_attempt),
        last_error: view.last_error,
        last_vault_rotation: moment(view.last),
        next_rotation: moment(view.next),
        schedule: ShownSchedule::of(&view.schedule),
    }))
}

/// Writes a static role.
pub(super) async fn write(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let (name, requester) = (name.parse()?, ask.requester());
    let body = Value::Object(ask.fields);
    let warnings = engine
        .static_roles
        .write(mount, &name, body, requester)
        .await?;
    Ok(Answer::done_with(warnings))
}

/// Forgets a static role.
pub(super) async fn remove(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let force = fields.truth("force")?.unwrap_or(false);
    fields.finish()?;
    gone(
        engine
            .static_roles
            .remove(mount, &name.parse()?, force)
            .await,
    )
}

/// Renews an account's credential.
pub(super) async fn rotate(engine: &Engine, mount: &MountPath, name: &str, ask: Ask) -> Outcome {
    let (name, requester) = (name.parse()?, ask.requester());
    ask.expect_no_fields()?;
    engine.static_roles.rotate(mount, &name, requester).await?;
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
    let found = engine.static_roles.credential(mount, &name, place).await;
    let mut found = found.map_err(|refusal| ApiError::from(refusal).without_sentence())?;
    let warnings = std::mem::take(&mut found.warnings);
    Ok(Answer::envelope(Envelope {
        data: Data::Credential(credential_of(&found)?),
        warnings,
        ..Envelope::default()
    }))
}

/// The provider's credential with the fields that Vault's clients read. A provider cannot
/// change the host's fields, except the account's name.
fn credential_of(found: &StaticRoleCredential) -> Result<Secret<String>, ApiError> {
    let parsed: Value = serde_json::from_str(found.secret.expose()).map_err(ApiError::internal)?;
    let Value::Object(mut credential) = parsed else {
        return Err(ApiError::internal("a stored credential is no JSON object"));
    };
    credential.entry("username").or_insert(json!(found.account));
    let shown = StaticCredential {
        credential,
        schedule: ShownSchedule::of(&found.schedule),
        last_vault_rotation: found.made_at.rfc3339(),
        ttl: found.ttl.as_secs(),
        version: found.version,
        state: found.standing.as_str(),
        expires: found.expires.map(Timestamp::rfc3339),
    };
    // Of two fields of one name the later one stays, which is the host's.
    Ok(Secret::new(json!(shown).to_string()))
}

impl ShownSchedule {
    fn of(schedule: &Schedule) -> Self {
        Self {
            rotation_period: schedule.period().as_secs(),
            rotation_schedule: schedule.cron().map(str::to_owned),
            rotation_window: schedule.window().map(|window| window.as_secs()),
        }
    }
}
