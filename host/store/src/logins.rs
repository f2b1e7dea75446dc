//! Login methods at paths, and their roles and users.

use lessor_model::{
    clock::Timestamp,
    id::MountPath,
    login::{Kind, LoginTune},
    name::EntryName,
};
use rusqlite::{Row, params};

use super::{Storage, StorageError, all, change, json, moment, one, to_json};

/// A login method to be enabled.
#[derive(Clone, Debug)]
pub struct NewLoginMount {
    /// Where, below `auth/`.
    pub path: MountPath,
    /// What it does.
    pub kind: Kind,
    /// Public handle, `auth_<kind>_<random>`.
    pub accessor: String,
    /// Names it for ever; one that is enabled again at the path has another.
    pub uuid: String,
    /// For people.
    pub description: String,
    /// Its settings.
    pub tune: LoginTune,
    /// When.
    pub created_at: Timestamp,
}

/// A login method as stored.
#[derive(Clone, Debug)]
pub struct LoginMountRow {
    /// Names it in other tables.
    pub id: i64,
    /// How it was enabled, and tuned since.
    pub mount: NewLoginMount,
    /// Its config, sealed; absent: none was written.
    pub config: Option<Vec<u8>>,
}

/// A role or user as stored.
#[derive(Clone, Debug)]
pub struct LoginEntryRow {
    /// Its name.
    pub name: EntryName,
    /// Names it for ever; one that is made again with the name has another.
    pub uuid: String,
    /// All that is known of it, sealed.
    pub document: Vec<u8>,
}

impl Storage {
    /// Stores a login method; the path must be free (`is_duplicate` otherwise).
    pub async fn record_login_mount(&self, mount: NewLoginMount) -> Result<(), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "INSERT INTO auth_mounts (path, kind, accessor, uuid, description, tune, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    mount.path.as_str(),
                    mount.kind.as_str(),
                    mount.accessor,
                    mount.uuid,
                    mount.description,
                    to_json(&mount.tune)?,
                    mount.created_at.0,
                ],
            )
            .map(drop)
        })
        .await
    }

    /// All login methods by path. One that cannot be read is left out and
    /// reported: it stops no other.
    pub async fn login_mounts(&self) -> Result<Vec<LoginMountRow>, StorageError> {
        self.read(|connection| {
            let sql = "SELECT id, path, kind, accessor, uuid, description, tune, config, created_at
                       FROM auth_mounts ORDER BY path";
            let rows = all(connection, sql, [], |row| {
                Ok((row.get::<_, i64>("id")?, mount_row(row)))
            })?;
            let readable = rows.into_iter().filter_map(|(id, row)| {
                row.inspect_err(|error| {
                    tracing::error!(id, %error, "a login method cannot be read, so nobody logs in with it");
                })
                .ok()
            });
            Ok(readable.collect())
        })
        .await
    }

    /// Moves a login method with the tokens that it made, in one transaction;
    /// `is_duplicate` where the path is taken, false where there is no such method.
    pub async fn move_login_mount(
        &self,
        id: i64,
        from: &MountPath,
        to: &MountPath,
    ) -> Result<bool, StorageError> {
        let (path, from, to) = (
            to.to_string(),
            format!("auth/{from}/"),
            format!("auth/{to}/"),
        );
        self.write(move |connection| {
            let moved = change(
                connection,
                "UPDATE auth_mounts SET path = ?2 WHERE id = ?1",
                params![id, path],
            )?;
            if moved > 0 {
                change(
                    connection,
                    "UPDATE tokens SET path = ?2 || substr(path, length(?1) + 1)
                     WHERE path >= ?1 AND substr(path, 1, length(?1)) = ?1",
                    params![from, to],
                )?;
            }
            Ok(moved > 0)
        })
        .await
    }

    /// Replaces what may change of a login method; false where it is gone.
    pub async fn change_login_mount(
        &self,
        id: i64,
        description: String,
        tune: LoginTune,
    ) -> Result<bool, StorageError> {
        let tune = to_json(&tune)?;
        self.execute_any(
            "UPDATE auth_mounts SET description = ?2, tune = ?3 WHERE id = ?1",
            (id, description, tune),
        )
        .await
    }

    /// Replaces the config of a login method; false where it is gone.
    pub async fn replace_login_config(
        &self,
        id: i64,
        config: Vec<u8>,
    ) -> Result<bool, StorageError> {
        self.execute_any(
            "UPDATE auth_mounts SET config = ?2 WHERE id = ?1",
            (id, config),
        )
        .await
    }

    /// Removes a login method with its roles, users and all that belongs to them.
    pub async fn remove_login_mount(&self, id: i64) -> Result<(), StorageError> {
        self.execute("DELETE FROM auth_mounts WHERE id = ?1", [id])
            .await
    }

    /// The role or user of a name.
    pub async fn login_entry(
        &self,
        mount_id: i64,
        name: EntryName,
    ) -> Result<Option<LoginEntryRow>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT name, uuid, document FROM auth_entries WHERE mount_id = ?1 AND name = ?2",
                params![mount_id, name.as_str()],
                entry_row,
            )
        })
        .await
    }

    /// The role that callers name by `alias`.
    pub async fn login_entry_by_alias(
        &self,
        mount_id: i64,
        alias: String,
    ) -> Result<Option<LoginEntryRow>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT name, uuid, document FROM auth_entries WHERE mount_id = ?1 AND alias = ?2",
                params![mount_id, alias],
                entry_row,
            )
        })
        .await
    }

    /// Names of the roles or users of a login method, in order.
    pub async fn login_entry_names(&self, mount_id: i64) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT name FROM auth_entries WHERE mount_id = ?1 ORDER BY name",
                [mount_id],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Writes a role or user; what belongs to a former one of the name stays, its
    /// uuid too.
    /// `is_duplicate` where another has the alias.
    pub async fn replace_login_entry(
        &self,
        mount_id: i64,
        entry: LoginEntryRow,
        alias: Option<String>,
    ) -> Result<(), StorageError> {
        self.execute(
            "INSERT INTO auth_entries (mount_id, name, uuid, alias, document) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (mount_id, name) DO UPDATE SET alias = ?4, document = ?5",
            (
                mount_id,
                entry.name.to_string(),
                entry.uuid,
                alias,
                entry.document,
            ),
        )
        .await
    }

    /// Removes a role or user, its secret ids, and what it failed to log in; whether
    /// there was one.
    pub async fn remove_login_entry(
        &self,
        mount_id: i64,
        name: EntryName,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "DELETE FROM login_failures WHERE mount_id = ?1 AND name IN
                   (SELECT coalesce(alias, name) FROM auth_entries WHERE mount_id = ?1 AND name = ?2)",
                params![mount_id, name.as_str()],
            )?;
            let removed = change(
                connection,
                "DELETE FROM auth_entries WHERE mount_id = ?1 AND name = ?2",
                params![mount_id, name.as_str()],
            )?;
            Ok(removed > 0)
        })
        .await
    }
}

fn mount_row(row: &Row<'_>) -> rusqlite::Result<LoginMountRow> {
    let path: String = row.get("path")?;
    let kind: String = row.get("kind")?;
    Ok(LoginMountRow {
        id: row.get("id")?,
        mount: NewLoginMount {
            path: path
                .parse()
                .map_err(|error| super::unreadable("path", error))?,
            kind: Kind::parse(&kind).ok_or_else(|| super::unreadable("kind", std::fmt::Error))?,
            accessor: row.get("accessor")?,
            uuid: row.get("uuid")?,
            description: row.get("description")?,
            tune: json(row, "tune")?,
            created_at: moment(row, "created_at")?,
        },
        config: row.get("config")?,
    })
}

fn entry_row(row: &Row<'_>) -> rusqlite::Result<LoginEntryRow> {
    let name: String = row.get("name")?;
    Ok(LoginEntryRow {
        name: name
            .parse()
            .map_err(|error| super::unreadable("name", error))?,
        uuid: row.get("uuid")?,
        document: row.get("document")?,
    })
}
