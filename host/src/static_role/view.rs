//! Static roles as shown, and their credentials.

use std::{sync::Arc, time::Duration};

use lessor_model::{
    clock::Timestamp,
    id::{MountPath, RoleName},
    refusal::Refusal,
    schedule::Schedule,
    schema,
    secret::Secret,
};
use lessor_store::{CredentialRow, Former, Place, StaticRoleRow, StaticRoleState};
use serde_json::Value;

use super::{StaticRoles, credential_context};
use crate::mount::{Connection, Mount};

/// A static role as shown.
#[derive(Clone, Debug)]
pub struct StaticRoleView {
    /// The provider's part, secrets redacted; the account is its `username`.
    pub document: Value,
    /// The provider's schema of that.
    pub schema: Value,
    /// The account's name upstream.
    pub account: String,
    /// The connection to the system that has it.
    pub connection: Arc<Connection>,
    /// The client's name of that connection, if it is another one.
    pub db_name: Option<String>,
    /// The schedule by which it is renewed.
    pub schedule: Schedule,
    /// The treatment of the former credential.
    pub former: Former,
    /// The state.
    pub state: StaticRoleState,
    /// Version of the current credential; 0 where there is none yet.
    pub version: u32,
    /// Attempts at the open rotation that failed.
    pub attempts: u32,
    /// The time when the open rotation goes on.
    pub next_attempt: Option<Timestamp>,
    /// The reason why the last attempt failed.
    pub last_error: Option<String>,
    /// The time when the credential was last renewed.
    pub last: Option<Timestamp>,
    /// The time when it is renewed next, by schedule.
    pub next: Option<Timestamp>,
}

/// Whether upstream takes a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Valid,
    /// It does until a time that is set.
    Ending,
    /// It was told to end it.
    Ended,
}

impl Standing {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// An account's credential.
#[derive(Debug)]
pub struct StaticRoleCredential {
    /// As the provider made it: a JSON object.
    pub secret: Secret<String>,
    /// The account's name upstream.
    pub account: String,
    /// Its version.
    pub version: u32,
    /// The time when it was made.
    pub made_at: Timestamp,
    /// The schedule by which the account's credential is renewed.
    pub schedule: Schedule,
    /// Until then, or until it ends; zero where neither is known, or is overdue.
    pub ttl: Duration,
    /// Whether upstream takes it.
    pub standing: Standing,
    /// The time when upstream was, or is to be, told to end it, where that is known.
    pub expires: Option<Timestamp>,
    /// Warnings for the reader.
    pub warnings: Vec<String>,
}

impl StaticRoles {
    /// Names of a mount's static roles.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn list(&self, path: &MountPath) -> Result<Vec<String>, Refusal> {
        Ok(self
            .storage
            .static_role_names(self.mounts.open(path)?.id)
            .await?)
    }

    /// A static role, and how its rotation stands.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn read(&self, path: &MountPath, name: &RoleName) -> Result<StaticRoleView, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let row = self.find(&mount, name).await?;
        let document = self.document(&mount, &row)?;
        let parsed: Value = serde_json::from_str(document.expose()).map_err(Refusal::internal)?;
        Ok(StaticRoleView {
            connection: self.connection(&row)?,
            document: schema::redact(&plugin.provider.descriptor().role_schema, &parsed),
            schema: plugin.provider.descriptor().role_schema.clone(),
            account: row.account,
            db_name: row.db_name,
            next_attempt: row.due_at.filter(|_| row.state != StaticRoleState::Idle),
            schedule: row.schedule,
            former: row.former,
            state: row.state,
            version: row.version,
            attempts: row.attempts,
            last_error: row.last_error,
            last: row.last,
            next: row.next,
        })
    }

    /// An account's credential.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where there is none in that place yet.
    pub async fn credential(
        &self,
        path: &MountPath,
        name: &RoleName,
        place: Place,
    ) -> Result<StaticRoleCredential, Refusal> {
        let mount = self.mounts.open(path)?;
        let row = self.find(&mount, name).await?;
        let found = self.storage.static_role_credential(row.id, place).await?;
        let found = found.ok_or_else(|| missing(&mount, &row, place))?;
        let context = credential_context(row.id, found.version);
        let (standing, expires) = standing(&row, &found);
        let end = expires.or(row.next).filter(|_| standing != Standing::Ended);
        Ok(StaticRoleCredential {
            secret: self.keyring.open_text(&context, &found.secret)?,
            warnings: doubt(&row, place)
                .or_else(|| ended(&row, standing, expires))
                .into_iter()
                .collect(),
            account: row.account,
            version: found.version,
            made_at: found.created_at,
            schedule: row.schedule,
            ttl: end.map_or(Duration::ZERO, |end| end.since(self.clock.now())),
            standing,
            expires,
        })
    }
}

/// Whether upstream takes a credential, and until when.
fn standing(row: &StaticRoleRow, found: &CredentialRow) -> (Standing, Option<Timestamp>) {
    match (found.ended, found.ends_at) {
        (true, at) => (Standing::Ended, at),
        (false, Some(at)) => (Standing::Ending, Some(at)),
        (false, None) if found.is_kept => (Standing::Valid, row.next),
        (false, None) => (Standing::Valid, None),
    }
}

fn ended(row: &StaticRoleRow, standing: Standing, at: Option<Timestamp>) -> Option<String> {
    (standing == Standing::Ended).then(|| {
        let at = at.map_or_else(String::new, |at| format!(" at {at}"));
        format!(
            "this credential of {:?} is not valid any more: it was replaced and ended upstream{at}",
            row.account
        )
    })
}

/// The reason why there is no credential to show.
fn missing(mount: &Mount, row: &StaticRoleRow, place: Place) -> Refusal {
    let (name, path, account) = (&row.name, mount.path(), &row.account);
    Refusal::Conflict(match (place, &row.last_error, row.state) {
        (Place::Previous, _, _) if row.version > 0 => format!(
            "static role {name} of {path} has no previous credential: {account:?} was rotated only once"
        ),
        (_, Some(error), _) => format!(
            "the credential of {account:?} is not known yet: its first rotation has failed so far ({error})"
        ),
        (_, None, StaticRoleState::Idle) => format!(
            "the credential of {account:?} is not known yet: it is first rotated {}, or by POST /v1/{path}/rotate-role/{name}",
            row.next
                .map_or_else(|| "by hand".into(), |next| format!("at {next}"))
        ),
        (_, None, _) => format!(
            "the credential of {account:?} is not known yet: its first rotation is under way"
        ),
    })
}

/// Upstream may already hold another credential than the one that is shown.
fn doubt(row: &StaticRoleRow, place: Place) -> Option<String> {
    let open = matches!(
        row.state,
        StaticRoleState::Rotating | StaticRoleState::OutOfSync
    );
    (place == Place::Current && open && row.reached > 0).then(|| {
        format!(
            "a rotation of {:?} is under way and may already have replaced this credential upstream; read it again",
            row.account
        )
    })
}
