//! Connections of mounts: each has a root credential, rotations and a schedule of its own.

use lessor_model::id::{ConnectionId, ConnectionName};
use rusqlite::{Connection, Row, params};

use super::{Storage, StorageError, all, change, one};

/// A connection as stored.
#[derive(Clone, Debug)]
pub struct ConnectionRow {
    /// Names it in other tables.
    pub id: ConnectionId,
    /// The mount.
    pub mount_id: i64,
    /// Its name there.
    pub name: ConnectionName,
}

/// The condition that nothing needs the connection `c`.
const UNUSED: &str = "c.name <> 'default'
   AND NOT EXISTS (SELECT 1 FROM configs WHERE connection_id = c.id AND state <> 'retired')
   AND NOT EXISTS (SELECT 1 FROM rotations WHERE connection_id = c.id AND ended_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM roles WHERE connection_id = c.id)
   AND NOT EXISTS (SELECT 1 FROM static_roles WHERE connection_id = c.id)
   AND NOT EXISTS (SELECT 1 FROM early_revocations WHERE connection_id = c.id)";

impl Storage {
    /// All connections, those of draining mounts included. One that cannot be read is
    /// left out and reported: it stops no other.
    pub async fn connections(&self) -> Result<Vec<ConnectionRow>, StorageError> {
        self.read(|connection| {
            let sql = "SELECT id, mount_id, name FROM connections ORDER BY id";
            let rows = all(connection, sql, [], |row| {
                Ok((row.get::<_, i64>("id")?, connection_row(row)))
            })?;
            let readable = rows.into_iter().filter_map(|(id, row)| {
                row.inspect_err(|error| {
                    tracing::error!(id, %error, "a connection cannot be read, so nothing of it is done");
                })
                .ok()
            });
            Ok(readable.collect())
        })
        .await
    }

    /// Names of a mount's connections that have a config, in order.
    pub async fn configured_connections(&self, mount_id: i64) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT name FROM connections c WHERE mount_id = ?1
                   AND EXISTS (SELECT 1 FROM configs WHERE connection_id = c.id AND state = 'current') ORDER BY name",
                [mount_id],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Paths below a mount of its roles and static roles that have a name as their
    /// `db_name` and are for the default connection.
    pub async fn roles_called(
        &self,
        mount_id: i64,
        db_name: String,
    ) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT 'roles/' || name FROM roles
                 WHERE mount_id = ?1 AND current = 1 AND json_valid(host) AND json_extract(host, '$.db_name') = ?2
                 UNION ALL
                 SELECT 'static-roles/' || name FROM static_roles WHERE mount_id = ?1 AND db_name = ?2
                 ORDER BY 1 LIMIT 100",
                params![mount_id, db_name],
                |row| row.get(0),
            )
        })
        .await
    }

    /// The connection of a mount that has a name, made where there is none. Those of the
    /// mount that nothing needs any more go: whoever writes roles can name any number.
    pub async fn name_connection(
        &self,
        mount_id: i64,
        name: ConnectionName,
    ) -> Result<ConnectionId, StorageError> {
        self.write(move |connection| {
            let known = one(
                connection,
                "SELECT id FROM connections WHERE mount_id = ?1 AND name = ?2",
                params![mount_id, name.as_str()],
                |row| row.get(0).map(ConnectionId),
            )?;
            if let Some(known) = known {
                return Ok(known);
            }
            change(
                connection,
                &format!("DELETE FROM connections AS c WHERE mount_id = ?1 AND {UNUSED}"),
                [mount_id],
            )?;
            insert(connection, mount_id, &name)
        })
        .await
    }
}

/// Stores a connection within a transaction.
pub(super) fn insert(
    connection: &Connection,
    mount_id: i64,
    name: &ConnectionName,
) -> Result<ConnectionId, StorageError> {
    change(
        connection,
        "INSERT INTO connections (mount_id, name) VALUES (?1, ?2)",
        params![mount_id, name.as_str()],
    )?;
    Ok(ConnectionId(connection.last_insert_rowid()))
}

/// The connections of a mount, within a transaction.
pub(super) fn of_mount(
    connection: &Connection,
    mount_id: i64,
) -> Result<Vec<ConnectionId>, StorageError> {
    all(
        connection,
        "SELECT id FROM connections WHERE mount_id = ?1",
        [mount_id],
        |row| row.get(0).map(ConnectionId),
    )
}

fn connection_row(row: &Row<'_>) -> rusqlite::Result<ConnectionRow> {
    let name: String = row.get("name")?;
    Ok(ConnectionRow {
        id: ConnectionId(row.get("id")?),
        mount_id: row.get("mount_id")?,
        name: name
            .parse()
            .map_err(|error| super::unreadable("name", error))?,
    })
}
