//! The root token of the initialisation, as long as nobody has used it.

use rusqlite::{Connection, params};

use super::{Storage, StorageError, TokenRow, change, one, tokens};

/// Within the transaction that initialises.
pub(super) fn record(connection: &Connection, hash: [u8; 32]) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT INTO first_token (only, hash) VALUES (1, ?1)",
        params![hash],
    )?;
    Ok(())
}

fn unused(connection: &Connection) -> Result<Option<[u8; 32]>, StorageError> {
    one(
        connection,
        "SELECT hash FROM first_token WHERE only = 1",
        [],
        |row| row.get(0),
    )
}

impl Storage {
    /// Whether the first root token has not been used yet.
    pub async fn first_token_is_unused(&self) -> Result<bool, StorageError> {
        self.read(|connection| Ok(unused(connection)?.is_some()))
            .await
    }

    /// Notes that a token is being used, after which the initialisation cannot be
    /// repeated. False where the token is the first one and was replaced meanwhile.
    pub async fn settle_first_token(&self, used: [u8; 32]) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let first = unused(connection)?;
            // Until then there is no other token than that one.
            if first.is_some_and(|first| first != used) {
                return Ok(false);
            }
            change(connection, "DELETE FROM first_token", [])?;
            Ok(true)
        })
        .await
    }

    /// Puts another root token in the place of the first one, which ends. False where
    /// that one has been used.
    pub async fn replace_first_token(&self, root: TokenRow) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let Some(former) = unused(connection)? else {
                return Ok(false);
            };
            change(connection, "DELETE FROM first_token", [])?;
            change(
                connection,
                "DELETE FROM tokens WHERE hash = ?1",
                params![former],
            )?;
            tokens::insert(connection, &root)?;
            record(connection, root.hash)?;
            Ok(true)
        })
        .await
    }
}
