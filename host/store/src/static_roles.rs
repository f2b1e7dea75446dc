//! Static roles: existing accounts upstream whose credential is renewed.

use std::time::Duration;

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, OperationId, RoleName},
    schedule::Schedule,
};
use rusqlite::{Connection, Row, params};

use super::{Storage, StorageError, all, change, configs, maybe_moment, one, unreadable};

/// The state of a static role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticRoleState {
    /// Nothing is under way.
    Idle,
    /// A rotation is open: upstream may already hold its credential.
    Rotating,
    /// A rotation is open, and its soon attempts have failed.
    OutOfSync,
    /// The new credential is stored; the former waits for its end upstream.
    Retiring,
}

impl StaticRoleState {
    const ALL: [Self; 4] = [Self::Idle, Self::Rotating, Self::OutOfSync, Self::Retiring];

    /// The name in storage and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Rotating => "rotating",
            Self::OutOfSync => "out-of-sync",
            Self::Retiring => "retiring",
        }
    }
}

/// A static role as stored.
#[derive(Clone, Debug)]
pub struct StaticRoleRow {
    /// Names it in other tables.
    pub id: i64,
    /// The mount.
    pub mount_id: i64,
    /// The connection to the system that has the account.
    pub connection: ConnectionId,
    /// The role's name.
    pub name: RoleName,
    /// The account's name upstream.
    pub account: String,
    /// The client's name of the default connection.
    pub db_name: Option<String>,
    /// The provider's document, sealed.
    pub document: Vec<u8>,
    /// The schedule by which it is renewed.
    pub schedule: Schedule,
    /// The treatment of the former credential.
    pub former: Former,
    /// The state.
    pub state: StaticRoleState,
    /// The open rotation's operation, the same for every attempt.
    pub operation: Option<OperationId>,
    /// Attempts at the present step that failed.
    pub attempts: u32,
    /// Attempts that may have taken effect upstream: of the operation, or of one
    /// before it that upstream would not repeat.
    pub reached: u32,
    /// Names the former credential upstream, while it waits for its end.
    pub retires: Option<String>,
    /// Version of the current credential; 0 where there is none yet.
    pub version: u32,
    /// The time when the credential was last renewed.
    pub last: Option<Timestamp>,
    /// The time when it is renewed next, by schedule.
    pub next: Option<Timestamp>,
    /// The time when the scheduler must look at it.
    pub due_at: Option<Timestamp>,
    /// The reason why the last attempt failed.
    pub last_error: Option<String>,
}

/// The treatment of an account's former credential where upstream holds two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    /// The time for which it stays valid after a rotation.
    pub grace: Duration,
    /// Whether it stays valid until the next rotation instead.
    pub is_kept: bool,
}

/// A static role to be stored.
#[derive(Clone, Debug)]
pub struct NewStaticRole {
    /// The mount, which must be live.
    pub mount_id: i64,
    /// The connection to the system that has the account.
    pub connection: ConnectionId,
    /// The role's name.
    pub name: RoleName,
    /// The account's name upstream.
    pub account: String,
    /// The part that may change later.
    pub change: StaticRoleChange,
    /// The first rotation, and when it may be taken for dead.
    pub first: Option<(OperationId, Timestamp)>,
    /// The time when it was made.
    pub created_at: Timestamp,
}

/// The part of a static role that may change.
#[derive(Clone, Debug)]
pub struct StaticRoleChange {
    /// The client's name of the default connection.
    pub db_name: Option<String>,
    /// The provider's document, sealed.
    pub document: Vec<u8>,
    /// The schedule by which it is renewed.
    pub schedule: Schedule,
    /// The treatment of the former credential.
    pub former: Former,
    /// The time when it is renewed next, by schedule.
    pub next: Option<Timestamp>,
}

/// The outcome of storing a new static role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is stored under this id.
    As(i64),
    /// The account belongs to this static role.
    AccountTaken(String),
    /// There is one of that name, or the mount is gone.
    Gone,
}

pub(super) const COLUMNS: &str = "id, mount_id, connection_id, name, account, db_name, document, period_ms, cron, window_ms, grace_ms, keep, state, operation, \
     attempts, reached, retires, version, last_rotation_at, next_rotation_at, due_at, last_error";

impl Storage {
    /// One static role.
    pub async fn static_role(
        &self,
        mount_id: i64,
        name: RoleName,
    ) -> Result<Option<StaticRoleRow>, StorageError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM static_roles WHERE mount_id = ?1 AND name = ?2");
            one(
                connection,
                &sql,
                params![mount_id, name.as_str()],
                static_role_row,
            )
        })
        .await
    }

    /// One static role by its id.
    pub async fn static_role_by_id(&self, id: i64) -> Result<Option<StaticRoleRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM static_roles WHERE id = ?1");
            one(connection, &sql, [id], static_role_row)
        })
        .await
    }

    /// The id of a static role.
    pub async fn static_role_id(
        &self,
        mount_id: i64,
        name: RoleName,
    ) -> Result<Option<i64>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT id FROM static_roles WHERE mount_id = ?1 AND name = ?2",
                params![mount_id, name.as_str()],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Names of a mount's static roles, in order.
    pub async fn static_role_names(&self, mount_id: i64) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT name FROM static_roles WHERE mount_id = ?1 ORDER BY name",
                [mount_id],
                |row| row.get(0),
            )
        })
        .await
    }

    /// The number of static roles that a connection has.
    pub async fn static_roles_by_connection(
        &self,
        of: ConnectionId,
    ) -> Result<usize, StorageError> {
        self.read(move |connection| {
            let count = one(
                connection,
                "SELECT count(*) FROM static_roles WHERE connection_id = ?1",
                [of.0],
                |row| row.get(0),
            )?;
            Ok(count.unwrap_or(0))
        })
        .await
    }

    /// The name of the static role that an upstream account belongs to.
    pub async fn static_role_of(
        &self,
        of: ConnectionId,
        account: String,
    ) -> Result<Option<String>, StorageError> {
        self.read(move |connection| owner(connection, of, &account))
            .await
    }

    /// Stores a static role, and the intent of its first rotation.
    pub async fn add_static_role(&self, new: NewStaticRole) -> Result<Added, StorageError> {
        self.write(move |connection| {
            if let Some(other) = owner(connection, new.connection, &new.account)?
                && other != new.name.as_str()
            {
                return Ok(Added::AccountTaken(other));
            }
            let NewStaticRole {
                change: fields,
                first,
                ..
            } = new;
            let (state, operation, due_at) = match first {
                Some((operation, due_at)) => {
                    (StaticRoleState::Rotating, Some(operation.to_bytes()), Some(due_at))
                }
                None => (StaticRoleState::Idle, None, fields.next),
            };
            let added = change(
                connection,
                "INSERT INTO static_roles
                   (mount_id, name, account, db_name, document, period_ms, cron, window_ms, state, operation,
                    attempts, reached, version, next_rotation_at, due_at, created_at, grace_ms, keep, connection_id)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, 0, 0, ?11, ?12, ?13, ?14, ?15, ?16
                 WHERE EXISTS (SELECT 1 FROM mounts WHERE id = ?1 AND state = 'live')
                   AND NOT EXISTS (SELECT 1 FROM static_roles WHERE mount_id = ?1 AND name = ?2)",
                params![
                    new.mount_id,
                    new.name.as_str(),
                    new.account,
                    fields.db_name,
                    fields.document,
                    configs::milliseconds(fields.schedule.period()),
                    fields.schedule.cron(),
                    fields.schedule.window().map(configs::milliseconds),
                    state.as_str(),
                    operation,
                    fields.next.map(|next| next.0),
                    due_at.map(|due| due.0),
                    new.created_at.0,
                    configs::milliseconds(fields.former.grace),
                    kept(fields.former),
                    new.connection.0
                ],
            )?;
            Ok(match added {
                0 => Added::Gone,
                _ => Added::As(connection.last_insert_rowid()),
            })
        })
        .await
    }

    /// Changes a static role; its credentials and an open rotation stay. False
    /// where it is gone.
    pub async fn change_static_role(
        &self,
        id: i64,
        fields: StaticRoleChange,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let changed = change(
                connection,
                "UPDATE static_roles
                 SET db_name = ?2, document = ?3, period_ms = ?4, cron = ?5, window_ms = ?6, next_rotation_at = ?7,
                     grace_ms = ?8, keep = ?9,
                     due_at = CASE state WHEN 'idle' THEN ?7 ELSE due_at END
                 WHERE id = ?1",
                params![
                    id,
                    fields.db_name,
                    fields.document,
                    configs::milliseconds(fields.schedule.period()),
                    fields.schedule.cron(),
                    fields.schedule.window().map(configs::milliseconds),
                    fields.next.map(|next| next.0),
                    configs::milliseconds(fields.former.grace),
                    kept(fields.former)
                ],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// Forgets a static role and its credentials. False where there is none.
    pub async fn remove_static_role(&self, id: i64) -> Result<bool, StorageError> {
        self.execute_any("DELETE FROM static_roles WHERE id = ?1", (id,))
            .await
    }
}

/// Forgets a mount's static roles within a transaction, but those of which upstream
/// still has a former credential: that is ended first, and nothing is renewed any more.
pub(super) fn forget_all(
    connection: &Connection,
    mount_id: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    let roles = all(
        connection,
        "SELECT id FROM static_roles WHERE mount_id = ?1 AND state = 'idle'",
        [mount_id],
        |row| row.get(0),
    )?;
    for role in roles {
        end_kept(connection, role, now, now)?;
    }
    change(
        connection,
        "UPDATE static_roles SET period_ms = 0, cron = NULL, window_ms = NULL, next_rotation_at = NULL
         WHERE mount_id = ?1 AND state = 'retiring'",
        [mount_id],
    )?;
    change(
        connection,
        "DELETE FROM static_roles WHERE mount_id = ?1 AND state <> 'retiring'",
        [mount_id],
    )?;
    Ok(())
}

/// The number of credentials of an account that are kept.
fn kept(former: Former) -> u32 {
    match former.is_kept {
        true => 2,
        false => 1,
    }
}

fn owner(
    connection: &Connection,
    of: ConnectionId,
    account: &str,
) -> Result<Option<String>, StorageError> {
    one(
        connection,
        "SELECT name FROM static_roles WHERE connection_id = ?1 AND account = ?2",
        params![of.0, account],
        |row| row.get(0),
    )
}

pub(super) fn static_role_row(row: &Row<'_>) -> rusqlite::Result<StaticRoleRow> {
    let state: String = row.get("state")?;
    let name: String = row.get("name")?;
    let operation: Option<[u8; 16]> = row.get("operation")?;
    Ok(StaticRoleRow {
        id: row.get("id")?,
        mount_id: row.get("mount_id")?,
        connection: ConnectionId(row.get("connection_id")?),
        name: name.parse().map_err(|error| unreadable("name", error))?,
        account: row.get("account")?,
        db_name: row.get("db_name")?,
        document: row.get("document")?,
        schedule: configs::schedule(row)?,
        former: Former {
            grace: configs::span(row.get("grace_ms")?),
            is_kept: row.get::<_, u32>("keep")? == 2,
        },
        state: StaticRoleState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| unreadable("state", std::fmt::Error))?,
        operation: operation.map(OperationId::from_bytes),
        attempts: row.get("attempts")?,
        reached: row.get("reached")?,
        retires: row.get("retires")?,
        version: row.get("version")?,
        last: maybe_moment(row, "last_rotation_at")?,
        next: maybe_moment(row, "next_rotation_at")?,
        due_at: maybe_moment(row, "due_at")?,
        last_error: row.get("last_error")?,
    })
}

/// [`Storage::end_kept_credential`] within a transaction.
pub(super) fn end_kept(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    due_at: Timestamp,
) -> Result<bool, StorageError> {
    let begun = change(
        connection,
        "UPDATE static_roles SET state = 'retiring', retires = kept.retires, operation = kept.retired_by,
             attempts = 0, reached = 0, due_at = ?2
         FROM account_credentials AS kept
         WHERE static_roles.id = ?1 AND static_roles.state = 'idle'
           AND kept.static_role_id = ?1 AND kept.place = 'previous' AND kept.retires IS NOT NULL",
        params![id, due_at.0],
    )?;
    if begun > 0 {
        change(
            connection,
            "UPDATE account_credentials SET retires = NULL, retired_by = NULL, ends_at = ?2
             WHERE static_role_id = ?1 AND place = 'previous'",
            params![id, now.0],
        )?;
    }
    Ok(begun > 0)
}
