//! Secret ids of AppRole roles, by keyed hash.

use lessor_model::{clock::Timestamp, login::SecretIdFacts, name::EntryName};
use rusqlite::{Connection, Row, params};

use super::{Storage, StorageError, all, change, json, maybe_moment, one, to_json};

/// A secret id as stored: its value is nowhere.
#[derive(Clone, Debug)]
pub struct SecretIdRow {
    /// The role that it logs in to.
    pub role: EntryName,
    /// `Keyring::secret_id_hash` of it.
    pub hash: [u8; 32],
    /// Names it without being usable as it.
    pub accessor: String,
    /// Logins that are left; absent: no limit.
    pub uses_left: Option<u64>,
    /// The time when it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// The rest.
    pub facts: SecretIdFacts,
}

const COLUMNS: &str = "role, hash, accessor, uses_left, expires_at, facts";

impl Storage {
    /// Stores a secret id, and sweeps out those of the same login method that
    /// have ended; how many those are. `is_duplicate` where the role has it already.
    pub async fn record_secret_id(
        &self,
        mount_id: i64,
        row: SecretIdRow,
        now: Timestamp,
    ) -> Result<usize, StorageError> {
        self.write(move |connection| {
            let swept = sweep(connection, mount_id, now)?;
            change(
                connection,
                "INSERT INTO secret_ids (mount_id, role, hash, accessor, uses_left, expires_at, facts)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    mount_id,
                    row.role.as_str(),
                    row.hash,
                    row.accessor,
                    row.uses_left,
                    row.expires_at.map(|end| end.0),
                    to_json(&row.facts)?
                ],
            )?;
            Ok(swept)
        })
        .await
    }

    /// The secret id of a hash, where it has not ended.
    pub async fn secret_id(
        &self,
        mount_id: i64,
        role: EntryName,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<SecretIdRow>, StorageError> {
        self.read(move |connection| live(connection, mount_id, &role, hash, now))
            .await
    }

    /// The secret id of an accessor, where it has not ended.
    pub async fn secret_id_by_accessor(
        &self,
        mount_id: i64,
        role: EntryName,
        accessor: String,
        now: Timestamp,
    ) -> Result<Option<SecretIdRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM secret_ids WHERE mount_id = ?1 AND role = ?2 AND accessor = ?3
                   AND (expires_at IS NULL OR expires_at > ?4)"
            );
            let parameters = params![mount_id, role.as_str(), accessor, now.0];
            one(connection, &sql, parameters, secret_id_row)
        })
        .await
    }

    /// Accessors of a role's secret ids that have not ended.
    pub async fn secret_id_accessors(
        &self,
        mount_id: i64,
        role: EntryName,
        now: Timestamp,
    ) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT accessor FROM secret_ids WHERE mount_id = ?1 AND role = ?2
                   AND (expires_at IS NULL OR expires_at > ?3) ORDER BY accessor",
                params![mount_id, role.as_str(), now.0],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Takes one use of a secret id that has only so many; the last one removes
    /// it. False where another login took the last one, or it ended meanwhile:
    /// in one transaction, so that no use is taken twice.
    pub async fn take_secret_id_use(
        &self,
        mount_id: i64,
        role: EntryName,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let Some(mut row) = live(connection, mount_id, &role, hash, now)? else {
                return Ok(false);
            };
            match row.uses_left {
                None => {}
                Some(0 | 1) => drop(remove(connection, mount_id, &role, hash)?),
                Some(left) => {
                    row.facts.updated_at = now;
                    change(
                        connection,
                        "UPDATE secret_ids SET uses_left = ?4, facts = ?5
                         WHERE mount_id = ?1 AND role = ?2 AND hash = ?3",
                        params![
                            mount_id,
                            role.as_str(),
                            hash,
                            left.saturating_sub(1),
                            to_json(&row.facts)?
                        ],
                    )?;
                }
            }
            Ok(true)
        })
        .await
    }

    /// Removes a secret id; whether there was one.
    pub async fn remove_secret_id(
        &self,
        mount_id: i64,
        role: EntryName,
        hash: [u8; 32],
    ) -> Result<bool, StorageError> {
        self.write(move |connection| remove(connection, mount_id, &role, hash))
            .await
    }

    /// Removes the secret ids of a login method that have ended; how many.
    pub async fn sweep_secret_ids(
        &self,
        mount_id: i64,
        now: Timestamp,
    ) -> Result<usize, StorageError> {
        self.write(move |connection| sweep(connection, mount_id, now))
            .await
    }
}

fn live(
    connection: &Connection,
    mount_id: i64,
    role: &EntryName,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<SecretIdRow>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM secret_ids WHERE mount_id = ?1 AND role = ?2 AND hash = ?3
           AND (expires_at IS NULL OR expires_at > ?4)"
    );
    let parameters = params![mount_id, role.as_str(), hash, now.0];
    one(connection, &sql, parameters, secret_id_row)
}

fn remove(
    connection: &Connection,
    mount_id: i64,
    role: &EntryName,
    hash: [u8; 32],
) -> Result<bool, StorageError> {
    let removed = change(
        connection,
        "DELETE FROM secret_ids WHERE mount_id = ?1 AND role = ?2 AND hash = ?3",
        params![mount_id, role.as_str(), hash],
    )?;
    Ok(removed > 0)
}

fn sweep(connection: &Connection, mount_id: i64, now: Timestamp) -> Result<usize, StorageError> {
    change(
        connection,
        "DELETE FROM secret_ids WHERE expires_at <= ?2 AND mount_id = ?1",
        params![mount_id, now.0],
    )
}

fn secret_id_row(row: &Row<'_>) -> rusqlite::Result<SecretIdRow> {
    let role: String = row.get("role")?;
    Ok(SecretIdRow {
        role: role
            .parse()
            .map_err(|error| super::unreadable("role", error))?,
        hash: row.get("hash")?,
        accessor: row.get("accessor")?,
        uses_left: row.get("uses_left")?,
        expires_at: maybe_moment(row, "expires_at")?,
        facts: json(row, "facts")?,
    })
}
