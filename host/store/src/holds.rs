//! Mounts that are held since a backup was put back, and what is overdue there.

use lessor_model::{clock::Timestamp, id::OperationId};
use rusqlite::{Connection, Row, params};

use super::{Storage, StorageError, all, change, moment};

/// The largest number of rows of a list that are read, whatever is asked for.
const LIST_LIMIT: usize = 1000;

/// Overdue work in a held mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Its place in the list.
    pub place: OverduePlace,
    /// The mount.
    pub mount_id: i64,
}

/// The place of overdue work in the list: its kind and its subject. Ordered as the list is, so that
/// the last place of a page says where the next begins.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OverduePlace {
    /// The time when it was due.
    pub due_at: i64,
    /// `lease`, `rotation`, `root` (a scheduled rotation), `static-role`.
    pub kind: String,
    /// Its number in storage, for the order.
    pub key: String,
    /// Role of a lease; state of a rotation; connection of a root, where it is not the default one; name of a static role.
    pub name: String,
}

impl OverduePlace {
    /// The operation of a lease or rotation.
    pub fn operation(&self) -> Option<OperationId> {
        let bytes = hex::decode(&self.key).ok()?;
        Some(OperationId::from_bytes(bytes.try_into().ok()?))
    }
}

/// The overdue work of every kind. A rotation that waits for the operator is overdue, too.
const OVERDUE: &str = "
  SELECT due_at, 'lease' AS kind, hex(operation) AS key, mount_id,
    (SELECT name FROM roles WHERE id = role_id) AS name
  FROM leases WHERE mount_id IN (SELECT mount_id FROM holds) AND due_at <= ?1
  UNION ALL
  SELECT coalesce(due_at, opened_at), 'rotation', hex(operation), mount_id, state
  FROM rotations JOIN connections ON connections.id = connection_id
  WHERE mount_id IN (SELECT mount_id FROM holds) AND (due_at <= ?1 OR state = 'failed')
  UNION ALL
  SELECT next_rotation_at, 'root', connection_id, mount_id, CASE connections.name WHEN 'default' THEN '' ELSE connections.name END
  FROM rotation_schedules JOIN connections ON connections.id = connection_id
  WHERE mount_id IN (SELECT mount_id FROM holds) AND next_rotation_at <= ?1
  UNION ALL
  SELECT due_at, 'static-role', id, mount_id, name
  FROM static_roles WHERE mount_id IN (SELECT mount_id FROM holds) AND due_at <= ?1";

impl Storage {
    /// Begins the holds of a copy that is started for the first time. How many
    /// mounts are held now.
    pub async fn begin_holds(&self, now: Timestamp) -> Result<usize, StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "UPDATE holds SET since = ?1 WHERE since IS NULL",
                [now.0],
            )?;
            Ok(all(connection, "SELECT mount_id FROM holds", [], |_| Ok(()))?.len())
        })
        .await
    }

    /// The mounts that are held, and since when.
    pub async fn holds(&self) -> Result<Vec<(i64, Timestamp)>, StorageError> {
        self.read(|connection| {
            let sql = "SELECT mount_id, coalesce(since, 0) AS since FROM holds";
            all(connection, sql, [], |row| {
                Ok((row.get("mount_id")?, moment(row, "since")?))
            })
        })
        .await
    }

    /// Lets mounts go on.
    pub async fn release_holds(&self, mounts: Vec<i64>) -> Result<(), StorageError> {
        self.write(move |connection| {
            for mount in mounts {
                change(connection, "DELETE FROM holds WHERE mount_id = ?1", [mount])?;
            }
            Ok(())
        })
        .await
    }

    /// The amount of overdue work in each held mount, by kind.
    pub async fn count_overdue(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(i64, String, u64)>, StorageError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT mount_id, kind, count(*) FROM ({OVERDUE}) GROUP BY mount_id, kind");
            all(connection, &sql, [now.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
        })
        .await
    }

    /// The overdue work in held mounts, the longest overdue first, at most `limit` and
    /// `LIST_LIMIT`, from behind `after` on.
    pub async fn overdue(
        &self,
        now: Timestamp,
        after: Option<OverduePlace>,
        limit: usize,
    ) -> Result<Vec<Overdue>, StorageError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT due_at, kind, CAST(key AS TEXT) AS key, mount_id, name FROM ({OVERDUE})
                 WHERE ?2 IS NULL OR (due_at, kind, CAST(key AS TEXT)) > (?2, ?3, ?4)
                 ORDER BY 1, 2, 3 LIMIT ?5"
            );
            let due_at = after.as_ref().map(|place| place.due_at);
            let kind = after.as_ref().map(|place| place.kind.as_str());
            let key = after.as_ref().map(|place| place.key.as_str());
            let parameters = params![now.0, due_at, kind, key, limit.min(LIST_LIMIT)];
            all(connection, &sql, parameters, overdue_row)
        })
        .await
    }
}

/// Holds every mount of a copy, whoever puts it where. Tasks that were not over are:
/// whoever asked for them waits at the server that the copy was taken from, and nothing
/// is to be made, rotated or waited for here in their name.
pub(super) fn hold_all(connection: &Connection) -> Result<(), StorageError> {
    change(
        connection,
        r#"UPDATE tasks SET state = 'failed', input = NULL, ended_at = created_at,
             errors = '[{"code": "restored", "description": "a backup was taken before the task was done"}]'
           WHERE state IN ('queued', 'processing')"#,
        [],
    )?;
    change(
        connection,
        "INSERT OR REPLACE INTO holds (mount_id, since) SELECT id, NULL FROM mounts WHERE kind = 'provider'",
        [],
    )?;
    Ok(())
}

fn overdue_row(row: &Row<'_>) -> rusqlite::Result<Overdue> {
    let name: Option<String> = row.get("name")?;
    Ok(Overdue {
        place: OverduePlace {
            due_at: row.get("due_at")?,
            kind: row.get("kind")?,
            key: row.get("key")?,
            name: name.unwrap_or_default(),
        },
        mount_id: row.get("mount_id")?,
    })
}
