//! The versions of this program that ran on a database.

use lessor_model::clock::Timestamp;

use super::{Storage, StorageError, all, change, moment};

impl Storage {
    /// Notes that a version runs here, where it did not before.
    pub async fn record_version(
        &self,
        version: &'static str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "INSERT INTO versions (version, first_run_at) VALUES (?1, ?2)
                 ON CONFLICT (version) DO NOTHING",
                (version, now.0),
            )
            .map(drop)
        })
        .await
    }

    /// The versions that ran here, and since when, in that order.
    pub async fn versions(&self) -> Result<Vec<(String, Timestamp)>, StorageError> {
        self.read(|connection| {
            all(
                connection,
                "SELECT version, first_run_at FROM versions ORDER BY first_run_at, rowid",
                [],
                |row| Ok((row.get("version")?, moment(row, "first_run_at")?)),
            )
        })
        .await
    }
}
