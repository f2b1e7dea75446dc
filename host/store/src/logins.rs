//! Roles and users of login methods.

use lessor_model::name::EntryName;
use rusqlite::{Row, params};

use super::{Storage, StorageError, all, change, one};

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
    /// The role or user of a name.
    pub async fn login_entry(
        &self,
        mount_id: i64,
        name: EntryName,
    ) -> Result<Option<LoginEntryRow>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT name, uuid, document FROM login_entries WHERE mount_id = ?1 AND name = ?2",
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
                "SELECT name, uuid, document FROM login_entries WHERE mount_id = ?1 AND alias = ?2",
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
                "SELECT name FROM login_entries WHERE mount_id = ?1 ORDER BY name",
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
            "INSERT INTO login_entries (mount_id, name, uuid, alias, document) VALUES (?1, ?2, ?3, ?4, ?5)
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
                   (SELECT coalesce(alias, name) FROM login_entries WHERE mount_id = ?1 AND name = ?2)",
                params![mount_id, name.as_str()],
            )?;
            let removed = change(
                connection,
                "DELETE FROM login_entries WHERE mount_id = ?1 AND name = ?2",
                params![mount_id, name.as_str()],
            )?;
            Ok(removed > 0)
        })
        .await
    }
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
