//! Mounts, of every kind.

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, ConnectionName, MountPath, OperationId},
    mount::{Kind, Tune},
};
use rusqlite::{Connection, Row, params};

use super::{
    Storage, StorageError, all, change, connections, giving_up, json, one, operation, to_json,
};

/// A mount to be made.
#[derive(Clone, Debug)]
pub struct NewMount {
    /// The kind of the mount.
    pub kind: Kind,
    /// Where, without what stands before the paths of its kind.
    pub path: MountPath,
    /// The name by which its provider knows it: the path, unless another mount was made under it.
    /// It stays when the mount is moved, for upstream is marked with it.
    pub known_as: String,
    /// Public handle, with the name of the plugin and a random part.
    pub accessor: String,
    /// Names the mount for ever; a mount made again at the path has another.
    pub uuid: String,
    /// Name of the pinned plugin; of a login method, its kind.
    pub plugin: String,
    /// Version of the pin; absent: the newest.
    pub plugin_version: Option<String>,
    /// For people.
    pub description: String,
    /// Its settings.
    pub tune: Tune,
    /// The time when it was made.
    pub created_at: Timestamp,
}

/// A mount as stored.
#[derive(Clone, Debug)]
pub struct MountRow {
    /// Names the mount in other tables.
    pub id: i64,
    /// The number that stands in what the mount seals: its own, or the one that it had
    /// before login methods were mounts.
    pub sealed_as: i64,
    /// False once it is unmounted and only waits for its leases to end.
    pub live: bool,
    /// The config of a login method, sealed; absent: none was written.
    pub config: Option<Vec<u8>>,
    /// The paths that it had before it was moved.
    pub former: Vec<FormerPath>,
    /// The rest.
    pub mount: NewMount,
}

/// A path that a mount had before it was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerPath {
    /// The path.
    pub path: MountPath,
    /// The last operation whose lease may have an id under it.
    pub newest: OperationId,
}

const COLUMNS: &str = "id, kind, path, known_as, accessor, uuid, plugin, plugin_version, description, tune, config, \
     coalesce(sealed_as, id) AS sealed_as, state, created_at";

impl Storage {
    /// Stores a mount; the path must be free (`is_duplicate` otherwise). One of a provider
    /// gets its default connection with it. Its id, and the connection's.
    pub async fn record_mount(
        &self,
        mount: NewMount,
    ) -> Result<(i64, Option<ConnectionId>), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "INSERT INTO mounts (path, accessor, uuid, plugin, plugin_version, description, tune, state, created_at, known_as,
                   kind)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'live', ?8, ?9, ?10)",
                params![
                    mount.kind.whole_path(&mount.path),
                    mount.accessor,
                    mount.uuid,
                    mount.plugin,
                    mount.plugin_version,
                    mount.description,
                    to_json(&mount.tune)?,
                    mount.created_at.0,
                    mount.known_as,
                    mount.kind.as_str()
                ],
            )?;
            let id = connection.last_insert_rowid();
            let default = match mount.kind {
                Kind::Provider => {
                    let name = ConnectionName::DEFAULT;
                    Some(connections::insert(connection, id, &name)?)
                }
                Kind::Login(_) => None,
            };
            Ok((id, default))
        })
        .await
    }

    /// All mounts, draining ones included, by path. One that cannot be read is
    /// left out and reported: it stops no other.
    pub async fn mounts(&self) -> Result<Vec<MountRow>, StorageError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM mounts ORDER BY path, id");
            let rows = all(connection, &sql, [], |row| {
                Ok((row.get::<_, i64>("id")?, mount_row(row)))
            })?;
            let readable = rows.into_iter().filter_map(|(id, row)| {
                row.inspect_err(|error| {
                    tracing::error!(id, %error, "a mount cannot be read, so nothing of it is done");
                })
                .ok()
            });
            let mut mounts: Vec<MountRow> = readable.collect();
            let sql = "SELECT mount_id, path, newest FROM former_paths ORDER BY mount_id, path";
            let former = all(connection, sql, [], |row| {
                Ok((row.get::<_, i64>("mount_id")?, former_path(row)))
            })?;
            for (id, path) in former {
                match (path, mounts.iter_mut().find(|mount| mount.id == id)) {
                    (Ok(path), Some(mount)) => mount.former.push(path),
                    (Ok(_), None) => {}
                    (Err(error), _) => {
                        tracing::error!(id, %error, "a former path of a mount cannot be read, so ids of leases under it name none");
                    }
                }
            }
            Ok(mounts)
        })
        .await
    }

    /// Moves a live mount; `is_duplicate` where the path is taken. Ids under a provider's
    /// former path name all its leases until [`Self::settle_moves`]; the tokens that a
    /// login method made go along.
    pub async fn move_mount(
        &self,
        id: i64,
        kind: Kind,
        from: MountPath,
        to: MountPath,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let (whole_from, whole_to) = (kind.whole_path(&from), kind.whole_path(&to));
            let moved = change(
                connection,
                "UPDATE mounts SET path = ?2 WHERE id = ?1 AND state = 'live'",
                params![id, whole_to],
            )?;
            if moved == 0 {
                return Ok(false);
            }
            match kind {
                Kind::Provider => {}
                Kind::Login(_) => {
                    move_tokens(connection, &whole_from, &whole_to)?;
                    return Ok(true);
                }
            }
            change(
                connection,
                "DELETE FROM former_paths WHERE mount_id = ?1 AND path = ?2",
                params![id, to.as_str()],
            )?;
            change(
                connection,
                "INSERT OR REPLACE INTO former_paths (mount_id, path, newest) VALUES (?1, ?2, ?3)",
                params![id, from.as_str(), OperationId::GREATEST.to_bytes()],
            )?;
            Ok(true)
        })
        .await
    }

    /// Lets ids under the paths from which mounts were just moved name no operation after
    /// `newest`: nobody hands such ids out any more.
    pub async fn settle_moves(&self, newest: OperationId) -> Result<(), StorageError> {
        self.execute(
            "UPDATE former_paths SET newest = ?1 WHERE newest = ?2",
            (newest.to_bytes(), OperationId::GREATEST.to_bytes()),
        )
        .await
    }

    /// Forgets the former paths under which no lease has an id any more. To be called
    /// while no lease is being made.
    pub async fn forget_former_paths(&self) -> Result<(), StorageError> {
        self.execute(
            "DELETE FROM former_paths WHERE NOT EXISTS
               (SELECT 1 FROM roles r JOIN leases l ON l.role_id = r.id
                WHERE r.mount_id = former_paths.mount_id AND l.operation <= former_paths.newest)",
            [],
        )
        .await
    }

    /// Replaces the config of a login method; false where it is gone.
    pub async fn replace_login_config(
        &self,
        id: i64,
        config: Vec<u8>,
    ) -> Result<bool, StorageError> {
        self.execute_any("UPDATE mounts SET config = ?2 WHERE id = ?1", (id, config))
            .await
    }

    /// Removes a login method with its roles, users and all that belongs to them.
    pub async fn remove_login_mount(&self, id: i64) -> Result<(), StorageError> {
        self.execute("DELETE FROM mounts WHERE id = ?1 AND kind = 'login'", [id])
            .await
    }

    /// Replaces what may change of a mount; false where it is gone.
    pub async fn change_mount(
        &self,
        id: i64,
        plugin_version: Option<String>,
        description: String,
        tune: Tune,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let changed = change(
                connection,
                "UPDATE mounts SET plugin_version = ?2, description = ?3, tune = ?4 WHERE id = ?1 AND state = 'live'",
                params![id, plugin_version, description, to_json(&tune)?],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// Lets live mounts name a version of their plugin, all at once.
    pub async fn name_plugin_version(
        &self,
        ids: Vec<i64>,
        version: String,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            for id in ids {
                change(
                    connection,
                    "UPDATE mounts SET plugin_version = ?2 WHERE id = ?1 AND state = 'live'",
                    params![id, version],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Unmounts: in one transaction the mount leaves its path, its static roles are
    /// forgotten, and the end of all its leases is ordered. An open rotation goes on:
    /// upstream may already take no other root credential than the one it makes, and
    /// the leases are ended with that.
    pub async fn drain_mount(&self, id: i64, now: Timestamp) -> Result<(), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "UPDATE mounts SET state = 'draining' WHERE id = ?1",
                [id],
            )?;
            change(
                connection,
                "DELETE FROM rotation_schedules WHERE connection_id IN (SELECT id FROM connections WHERE mount_id = ?1)",
                [id],
            )?;
            super::static_roles::forget_all(connection, id, now)?;
            super::revocations::order_revocation(connection, id, None, OperationId::GREATEST, now)
        })
        .await
    }

    /// Removes a draining mount that has nothing left to end upstream, with its root
    /// credentials and roles. False while something is left. A rotation that failed
    /// has nobody any more who could take it up, and is given up here.
    pub async fn remove_drained_mount(
        &self,
        id: i64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let is_any = |sql| Ok::<_, StorageError>(one(connection, sql, [id], |_| Ok(()))?.is_some());
            if is_any(
                "SELECT 1 WHERE EXISTS (SELECT 1 FROM leases WHERE mount_id = ?1 AND due_at IS NOT NULL)
                   OR EXISTS (SELECT 1 FROM revocation_orders WHERE mount_id = ?1)
                   OR EXISTS (SELECT 1 FROM rotations JOIN connections ON connections.id = connection_id
                     WHERE mount_id = ?1 AND state IN ('rotating', 'proving'))
                   OR EXISTS (SELECT 1 FROM static_roles WHERE mount_id = ?1 AND state = 'retiring')",
            )? {
                return Ok(false);
            }
            for of in connections::of_mount(connection, id)? {
                giving_up::give_up_open(connection, of, now)?;
            }
            if is_any(
                "SELECT 1 FROM rotations JOIN connections ON connections.id = connection_id
                 WHERE mount_id = ?1 AND state IN ('retiring', 'undoing')",
            )? {
                return Ok(false);
            }
            // Roles name their connections, which go with the mount.
            change(connection, "DELETE FROM roles WHERE mount_id = ?1", [id])?;
            change(connection, "DELETE FROM static_roles WHERE mount_id = ?1", [id])?;
            Ok(change(
                connection,
                "DELETE FROM mounts WHERE id = ?1 AND state = 'draining'",
                [id],
            )? > 0)
        })
        .await
    }
}

/// Gives the tokens that were made below one path those below another, within a
/// transaction.
fn move_tokens(connection: &Connection, from: &str, to: &str) -> Result<(), StorageError> {
    change(
        connection,
        "UPDATE tokens SET path = ?2 || substr(path, length(?1) + 1)
         WHERE path >= ?1 AND substr(path, 1, length(?1)) = ?1",
        params![format!("{from}/"), format!("{to}/")],
    )?;
    Ok(())
}

fn former_path(row: &Row<'_>) -> rusqlite::Result<FormerPath> {
    let path: String = row.get("path")?;
    Ok(FormerPath {
        path: path
            .parse()
            .map_err(|error| super::unreadable("path", error))?,
        newest: operation(row, "newest")?,
    })
}

fn mount_row(row: &Row<'_>) -> rusqlite::Result<MountRow> {
    let (kind, plugin): (String, String) = (row.get("kind")?, row.get("plugin")?);
    let (path, state): (String, String) = (row.get("path")?, row.get("state")?);
    let unreadable = |column| super::unreadable(column, std::fmt::Error);
    let kind = Kind::parse(&kind, &plugin).ok_or_else(|| unreadable("kind"))?;
    let path = kind.own_path(&path).ok_or_else(|| unreadable("path"))?;
    Ok(MountRow {
        id: row.get("id")?,
        sealed_as: row.get("sealed_as")?,
        live: state == "live",
        config: row.get("config")?,
        former: Vec::new(),
        mount: NewMount {
            kind,
            path: path
                .parse()
                .map_err(|error| super::unreadable("path", error))?,
            known_as: row.get("known_as")?,
            accessor: row.get("accessor")?,
            uuid: row.get("uuid")?,
            plugin,
            plugin_version: row.get("plugin_version")?,
            description: row.get("description")?,
            tune: json(row, "tune")?,
            created_at: super::moment(row, "created_at")?,
        },
    })
}
