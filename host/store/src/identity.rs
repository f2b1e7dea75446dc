//! Keys by which the host says who it is.

use lessor_model::clock::Timestamp;
use rusqlite::params;

use super::{Storage, StorageError, all, change, one};

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityKeyRow {
    /// Its name.
    pub kid: String,
    /// As it is published: a JSON Web Key.
    pub public_key: String,
    /// Sealed.
    pub private_key: Vec<u8>,
    /// The time when it was made.
    pub created_at: Timestamp,
}

impl Storage {
    /// All keys, the oldest first.
    pub async fn identity_keys(&self) -> Result<Vec<IdentityKeyRow>, StorageError> {
        self.read(|connection| {
            all(
                connection,
                "SELECT kid, public_key, private_key, created_at FROM identity_keys ORDER BY created_at, kid",
                [],
                |row| {
                    Ok(IdentityKeyRow {
                        kid: row.get("kid")?,
                        public_key: row.get("public_key")?,
                        private_key: row.get("private_key")?,
                        created_at: Timestamp(row.get("created_at")?),
                    })
                },
            )
        })
        .await
    }

    /// Adds a key to so many others. False where there are not as many any more: somebody
    /// else has added one.
    pub async fn record_identity_key(
        &self,
        key: IdentityKeyRow,
        others: usize,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let known: Option<usize> = one(
                connection,
                "SELECT count(*) FROM identity_keys",
                [],
                |row| row.get(0),
            )?;
            if known != Some(others) {
                return Ok(false);
            }
            change(
                connection,
                "INSERT INTO identity_keys (kid, public_key, private_key, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![key.kid, key.public_key, key.private_key, key.created_at.0],
            )?;
            Ok(true)
        })
        .await
    }

    /// Removes a key. False where it is gone already.
    pub async fn remove_identity_key(&self, kid: String) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let removed = change(
                connection,
                "DELETE FROM identity_keys WHERE kid = ?1",
                params![kid],
            )?;
            Ok(removed > 0)
        })
        .await
    }
}
