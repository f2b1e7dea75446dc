//! Wrapped keys.

use lessor_seal::keyring::{Purpose, WrappedKey};
use rusqlite::params;

use super::{Storage, StorageError, TokenRow, all, change, first_token, one, tokens, unreadable};

impl Storage {
    /// The installation's keys; empty where it was not initialised.
    pub async fn wrapped_keys(&self) -> Result<Vec<WrappedKey>, StorageError> {
        self.read(|connection| {
            all(
                connection,
                "SELECT purpose, version, wrapped FROM sealed_keys",
                [],
                |row| {
                    let purpose: String = row.get("purpose")?;
                    Ok(WrappedKey {
                        purpose: Purpose::parse(&purpose)
                            .ok_or_else(|| unreadable("purpose", std::fmt::Error))?,
                        version: row.get("version")?,
                        wrapped: row.get("wrapped")?,
                    })
                },
            )
        })
        .await
    }

    /// Makes an installation: keys and root token in one transaction. False
    /// where it was made before. Where it is `repeatable`, the token can be replaced
    /// until it is used.
    pub async fn initialise(
        &self,
        keys: Vec<WrappedKey>,
        root: TokenRow,
        repeatable: bool,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            if one(connection, "SELECT 1 FROM sealed_keys LIMIT 1", [], |_| {
                Ok(())
            })?
            .is_some()
            {
                return Ok(false);
            }
            for key in &keys {
                change(
                    connection,
                    "INSERT INTO sealed_keys (purpose, version, wrapped) VALUES (?1, ?2, ?3)",
                    params![key.purpose.as_str(), key.version, key.wrapped],
                )?;
            }
            tokens::insert(connection, &root)?;
            if repeatable {
                first_token::record(connection, root.hash)?;
            }
            Ok(true)
        })
        .await
    }
}
