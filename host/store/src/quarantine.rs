//! Leases that cannot be read: set aside, so that one damaged row stops no other, and
//! kept until somebody has seen to it. What changes leases sets such a row aside in
//! its own transaction; what only reads them names it, for its caller to set aside.

use lessor_model::{clock::Timestamp, id::OperationId};
use rusqlite::{Connection, Params, Row, params, types::ValueRef};

use super::{LeaseRow, Storage, StorageError, all, change, leases::lease_row, moment, one};

/// Most of them that are shown at a time.
const SHOWN: usize = 1_000;

/// A lease that was set aside.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its number here.
    pub id: i64,
    /// The operation, as it is shown; hexadecimal where it is none.
    pub operation: String,
    /// Path of its mount.
    pub mount: Option<String>,
    /// Name of its role.
    pub role: Option<String>,
    /// The name that upstream was asked to give its credential.
    pub principal: Option<String>,
    /// Its credential's id upstream.
    pub credential_id: Option<String>,
    /// The parts of it that cannot be read.
    pub reason: String,
    /// The time when it was met.
    pub quarantined_at: Timestamp,
}

/// A reading of leases, which changed nothing: those that can be read, and the
/// operations of those that cannot.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The rows that can be read.
    pub rows: Vec<LeaseRow>,
    /// The rows that cannot be read, for [`Storage::set_aside_leases`].
    pub unreadable: Vec<Vec<u8>>,
}

/// Leases that were taken up to be changed: those that can be read, and those that
/// were set aside.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// The rows that can be read.
    pub rows: Vec<LeaseRow>,
    /// The rows that could not be read.
    pub set_aside: Vec<Quarantined>,
}

impl Storage {
    /// Sets leases aside that cannot be read; one that can be by now stays.
    pub async fn set_aside_leases(
        &self,
        operations: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Vec<Quarantined>, StorageError> {
        self.write(move |connection| {
            let sql = format!("{} WHERE l.operation = ?1", super::leases::SELECT);
            let mut set_aside = Vec::new();
            for operation in &operations {
                set_aside.extend(sorted(connection, &sql, [operation], now)?.set_aside);
            }
            Ok(set_aside)
        })
        .await
    }

    /// The leases that were set aside, the oldest first, and their number in all.
    pub async fn quarantined(&self) -> Result<(Vec<Quarantined>, u64), StorageError> {
        self.read(|connection| {
            let sql = format!("{COLUMNS} ORDER BY id LIMIT ?1");
            let shown = all(connection, &sql, [SHOWN], quarantined_row)?;
            Ok((shown, count(connection)?))
        })
        .await
    }

    /// The number of leases that were set aside.
    pub async fn count_quarantined(&self) -> Result<u64, StorageError> {
        self.read(count).await
    }

    /// Drops what was set aside of an operation; what it was, where there was
    /// something.
    pub async fn forget_quarantined(&self, id: i64) -> Result<Option<Quarantined>, StorageError> {
        self.write(move |connection| {
            let sql = format!("{COLUMNS} WHERE id = ?1");
            let found = one(connection, &sql, [id], quarantined_row)?;
            change(connection, "DELETE FROM quarantine WHERE id = ?1", [id])?;
            Ok(found)
        })
        .await
    }
}

/// Runs a query of `leases::SELECT`: what can be read of it, and what cannot.
pub(super) fn found(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
) -> Result<Found, StorageError> {
    let (rows, unreadable) = read(connection, sql, parameters)?;
    let unreadable = unreadable.into_iter().map(|(operation, _)| operation);
    Ok(Found {
        rows,
        unreadable: unreadable.collect(),
    })
}

/// Runs a query of `leases::SELECT` and sets aside what cannot be read of it.
pub(super) fn sorted(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    now: Timestamp,
) -> Result<Sorted, StorageError> {
    let (rows, unreadable) = read(connection, sql, parameters)?;
    let mut sorted = Sorted {
        rows,
        set_aside: Vec::new(),
    };
    for (operation, reason) in unreadable {
        let set_aside = set_aside(connection, &operation, &reason, now)?;
        sorted.set_aside.extend(set_aside);
    }
    Ok(sorted)
}

/// An operation as stored, and why its lease cannot be read.
type Unreadable = (Vec<u8>, String);

fn read(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
) -> Result<(Vec<LeaseRow>, Vec<Unreadable>), StorageError> {
    let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        match lease_row(row) {
            Ok(lease) => readable.push(lease),
            Err(error) => unreadable.push((row.get("operation")?, sentence(&error))),
        }
    }
    Ok((readable, unreadable))
}

/// The reason why a row cannot be read, in words that hold nothing of it.
fn sentence(error: &rusqlite::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        if !text.contains(&source.to_string()) {
            text = format!("{text}: {source}");
        }
        next = source.source();
    }
    text
}

fn set_aside(
    connection: &Connection,
    operation: &[u8],
    reason: &str,
    now: Timestamp,
) -> Result<Option<Quarantined>, StorageError> {
    change(
        connection,
        "INSERT INTO quarantine (operation, mount, role, principal, credential_id, reason, content, quarantined_at)
         SELECT l.operation, (SELECT path FROM mounts WHERE id = l.mount_id), (SELECT name FROM roles WHERE id = l.role_id),
           l.principal, l.credential_id, ?2,
           json_object('operation', hex(l.operation), 'mount_id', l.mount_id,
             'connection_id', l.connection_id, 'role_id', l.role_id, 'state', l.state,
             'principal', l.principal, 'credential_id', l.credential_id, 'metadata', l.metadata, 'requester', l.requester,
             'plugin_sha256', hex(l.plugin_sha256), 'config_version', l.config_version, 'issued_at', l.issued_at,
             'expires_at', l.expires_at, 'max_expires_at', l.max_expires_at,
             'upstream_expires_at', l.upstream_expires_at, 'renewed_at', l.renewed_at, 'attempts', l.attempts,
             'due_at', l.due_at, 'last_error', l.last_error), ?3
         FROM leases l WHERE l.operation = ?1",
        params![operation, reason, now.0],
    )?;
    let id = connection.last_insert_rowid();
    change(
        connection,
        "DELETE FROM leases WHERE operation = ?1",
        [operation],
    )?;
    one(
        connection,
        &format!("{COLUMNS} WHERE id = ?1"),
        [id],
        quarantined_row,
    )
}

/// Sets a task aside that cannot be read.
pub(super) fn set_task_aside(
    connection: &Connection,
    id: &[u8],
    error: &rusqlite::Error,
) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT INTO quarantine (operation, mount, reason, content, quarantined_at)
         SELECT id, mount, ?2, json_object('task', hex(id), 'kind', kind, 'target', target, 'requester', requester,
           'errors', errors, 'created_at', created_at, 'deadline_at', deadline_at), created_at
         FROM tasks WHERE id = ?1",
        params![id, format!("a task, {}", sentence(error))],
    )?;
    change(connection, "DELETE FROM tasks WHERE id = ?1", [id])?;
    Ok(())
}

fn count(connection: &Connection) -> Result<u64, StorageError> {
    let count = one(connection, "SELECT count(*) FROM quarantine", [], |row| {
        row.get(0)
    })?;
    Ok(count.unwrap_or(0))
}

const COLUMNS: &str = "SELECT id, operation, mount, role, principal, credential_id, reason, quarantined_at FROM quarantine";

/// Reads a row of the quarantine; nothing in it makes that fail.
fn quarantined_row(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    let text = |column: &str| match row.get_ref(column)? {
        ValueRef::Text(bytes) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
        _ => Ok::<_, rusqlite::Error>(None),
    };
    let operation: Vec<u8> = row.get("operation")?;
    Ok(Quarantined {
        id: row.get("id")?,
        operation: match <[u8; 16]>::try_from(operation.as_slice()) {
            Ok(bytes) => OperationId::from_bytes(bytes).to_string(),
            Err(_) => hex::encode(&operation),
        },
        mount: text("mount")?,
        role: text("role")?,
        principal: text("principal")?,
        credential_id: text("credential_id")?,
        reason: text("reason")?.unwrap_or_default(),
        quarantined_at: moment(row, "quarantined_at")?,
    })
}
