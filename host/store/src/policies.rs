//! Policies, as they were written.

use lessor_model::{clock::Timestamp, name::PolicyName};
use rusqlite::{Row, params};

use super::{Storage, StorageError, all, change, moment, one};
use crate::kept::Changes;

/// A policy as stored.
#[derive(Clone, Debug)]
pub struct PolicyRow {
    /// Its name.
    pub name: PolicyName,
    /// As it was written: HCL or JSON.
    pub text: String,
    /// The number of times that it was written.
    pub version: i64,
    /// The time when it was written last.
    pub written_at: Timestamp,
}

const COLUMNS: &str = "name, text, version, written_at";

impl Storage {
    /// Counts the writes of policies.
    pub fn policy_changes(&self) -> Changes {
        self.0.feed.policies.clone()
    }

    /// The stored policies among the named ones.
    pub async fn policies(&self, names: Vec<PolicyName>) -> Result<Vec<PolicyRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM policies WHERE name = ?1");
            let mut rows = Vec::new();
            for name in &names {
                rows.extend(one(connection, &sql, [name.as_str()], policy_row)?);
            }
            Ok(rows)
        })
        .await
    }

    /// Names of all stored policies, in order.
    pub async fn policy_names(&self) -> Result<Vec<String>, StorageError> {
        self.read(|connection| {
            all(
                connection,
                "SELECT name FROM policies ORDER BY name",
                [],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Stores a policy in place of a former one. Where a version is expected, it
    /// must be that of the former one: `unwritten` where there is none, or no
    /// policy at all where -1 is expected. False where it is another.
    pub async fn write_policy(
        &self,
        name: PolicyName,
        text: String,
        expected: Option<i64>,
        unwritten: i64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let sql = "SELECT version FROM policies WHERE name = ?1";
            let stored = one(connection, sql, [name.as_str()], |row| row.get(0))?;
            let version: i64 = stored.unwrap_or(unwritten);
            let fits = match expected {
                None => true,
                Some(-1) => version == 0,
                Some(expected) => expected == version,
            };
            if fits {
                change(
                    connection,
                    "INSERT OR REPLACE INTO policies (name, text, version, written_at)
                     VALUES (?1, ?2, ?3, ?4)",
                    params![name.as_str(), text, version.saturating_add(1), now.0],
                )?;
            }
            Ok(fits)
        })
        .await
    }

    /// Removes a policy; whether there was one.
    pub async fn remove_policy(&self, name: PolicyName) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Ok(change(
                connection,
                "DELETE FROM policies WHERE name = ?1",
                [name.as_str()],
            )? > 0)
        })
        .await
    }
}

fn policy_row(row: &Row<'_>) -> rusqlite::Result<PolicyRow> {
    let name: String = row.get("name")?;
    Ok(PolicyRow {
        name: name.as_str().into(),
        text: row.get("text")?,
        version: row.get("version")?,
        written_at: moment(row, "written_at")?,
    })
}
