//! Wrapped answers, each beside the token that opens it.

use lessor_model::clock::Timestamp;
use rusqlite::{Connection, params};

use super::{Storage, StorageError, TokenRow, change, one, tokens};

impl Storage {
    /// Stores a sealed answer and its token.
    pub async fn record_wrapping(
        &self,
        token: TokenRow,
        answer: Vec<u8>,
    ) -> Result<(), StorageError> {
        self.write(move |connection| insert(connection, &token, &answer))
            .await
    }

    /// The sealed answer of a token.
    pub async fn wrapping(&self, token: [u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT answer FROM wrappings WHERE token = ?1",
                [token],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Takes the sealed answer of a token that has not ended; both are gone with
    /// that, so that nobody gets it twice.
    pub async fn take_wrapping(
        &self,
        token: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        self.write(move |connection| take(connection, &token, now))
            .await
    }

    /// Puts an answer under another token, where the former still holds it.
    pub async fn replace_wrapping(
        &self,
        former: [u8; 32],
        token: TokenRow,
        answer: Vec<u8>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            if take(connection, &former, now)?.is_none() {
                return Ok(false);
            }
            insert(connection, &token, &answer)?;
            Ok(true)
        })
        .await
    }
}

fn insert(connection: &Connection, token: &TokenRow, answer: &[u8]) -> Result<(), StorageError> {
    tokens::insert(connection, token)?;
    change(
        connection,
        "INSERT INTO wrappings (token, answer) VALUES (?1, ?2)",
        params![token.hash, answer],
    )?;
    Ok(())
}

fn take(
    connection: &Connection,
    token: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Vec<u8>>, StorageError> {
    let answer = one(
        connection,
        "SELECT w.answer FROM wrappings w JOIN tokens t ON t.hash = w.token
         WHERE w.token = ?1 AND t.expires_at > ?2",
        params![token, now.0],
        |row| row.get(0),
    )?;
    // The answer goes with its token.
    change(connection, "DELETE FROM tokens WHERE hash = ?1", [token])?;
    Ok(answer)
}
