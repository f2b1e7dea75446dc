//! Mounts.

use rusqlite::{Row, params};

use super::{Storage, StorageError, all, change, giving_up, json, one, to_json};
use crate::{clock::Timestamp, id::MountPath, model::mount::Tune};

/// A mount to be made.
#[derive(Clone, Debug)]
pub struct NewMount {
    /// Where.
    pub path: MountPath,
    /// What its provider knows it as: the path, unless another mount was made
    /// under it. It stays when the mount is moved, for upstream is marked with it.
    pub known_as: String,
    /// Public handle, `<plugin>_<random>`.
    pub accessor: String,
    /// Names the mount for ever; a mount made again at the path has another.
    pub uuid: String,
    /// Name of the pinned plugin.
    pub plugin: String,
    /// Version of the pin; absent: the newest.
    pub plugin_version: Option<String>,
    /// For people.
    pub description: String,
    /// Its settings.
    pub tune: Tune,
    /// When.
    pub created_at: Timestamp,
}

/// A mount as stored.
#[derive(Clone, Debug)]
pub struct MountRow {
    /// Names the mount in other tables.
    pub id: i64,
    /// False once it is unmounted and only waits for its leases to end.
    pub live: bool,
    /// The rest.
    pub mount: NewMount,
}

const COLUMNS: &str = "id, path, known_as, accessor, uuid, plugin, plugin_version, description, tune, state, created_at";

impl Storage {
    /// Stores a mount; the path must be free (`is_duplicate` otherwise).
    pub async fn record_mount(&self, mount: NewMount) -> Result<i64, StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "INSERT INTO mounts (path, accessor, uuid, plugin, plugin_version, description, tune, state, created_at, known_as)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'live', ?8, ?9)",
                params![
                    mount.path.as_str(),
                    mount.accessor,
                    mount.uuid,
                    mount.plugin,
                    mount.plugin_version,
                    mount.description,
                    to_json(&mount.tune)?,
                    mount.created_at.0,
                    mount.known_as
                ],
            )?;
            Ok(connection.last_insert_rowid())
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
            Ok(readable.collect())
        })
        .await
    }

    /// Moves a live mount; `is_duplicate` where the path is taken.
    pub async fn move_mount(&self, id: i64, to: MountPath) -> Result<bool, StorageError> {
        self.execute_any(
            "UPDATE mounts SET path = ?2 WHERE id = ?1 AND state = 'live'",
            (id, to.to_string()),
        )
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
                "DELETE FROM rotation_schedules WHERE mount_id = ?1",
                [id],
            )?;
            super::accounts::forget_all(connection, id, now)?;
            super::revocations::order_revocation(connection, id, None, now)
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
                   OR EXISTS (SELECT 1 FROM rotations WHERE mount_id = ?1 AND state IN ('rotating', 'proving'))
                   OR EXISTS (SELECT 1 FROM static_roles WHERE mount_id = ?1 AND state = 'retiring')",
            )? {
                return Ok(false);
            }
            giving_up::give_up_open(connection, id, now)?;
            if is_any("SELECT 1 FROM rotations WHERE mount_id = ?1 AND state IN ('retiring', 'undoing')")? {
                return Ok(false);
            }
            Ok(change(
                connection,
                "DELETE FROM mounts WHERE id = ?1 AND state = 'draining'",
                [id],
            )? > 0)
        })
        .await
    }
}

fn mount_row(row: &Row<'_>) -> rusqlite::Result<MountRow> {
    let path: String = row.get("path")?;
    let state: String = row.get("state")?;
    Ok(MountRow {
        id: row.get("id")?,
        live: state == "live",
        mount: NewMount {
            path: path
                .parse()
                .map_err(|error| super::unreadable("path", error))?,
            known_as: row.get("known_as")?,
            accessor: row.get("accessor")?,
            uuid: row.get("uuid")?,
            plugin: row.get("plugin")?,
            plugin_version: row.get("plugin_version")?,
            description: row.get("description")?,
            tune: json(row, "tune")?,
            created_at: super::moment(row, "created_at")?,
        },
    })
}
