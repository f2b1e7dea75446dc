//! Wrapped keys and tokens.

use rusqlite::{Row, params};

use super::{
    Storage, StorageError, all, change, json, maybe_moment, moment, one, to_json, unreadable,
};
use crate::{
    clock::Timestamp,
    keyring::{Purpose, WrappedKey},
};

/// A token as stored: by keyed hash, never by value.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// `Keyring::token_hash` of the token.
    pub hash: [u8; 32],
    /// Names the token without being usable as it.
    pub accessor: String,
    /// For people and for templates.
    pub display_name: String,
    /// Names of its policies.
    pub policies: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; absent: never.
    pub expires_at: Option<Timestamp>,
}

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
    /// where it was made before.
    pub async fn initialise(
        &self,
        keys: Vec<WrappedKey>,
        root: TokenRow,
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
            insert_token(connection, &root)?;
            Ok(true)
        })
        .await
    }

    /// The token of a hash.
    pub async fn token_by_hash(&self, hash: [u8; 32]) -> Result<Option<TokenRow>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT hash, accessor, display_name, policies, created_at, expires_at FROM tokens WHERE hash = ?1",
                [hash],
                token_row,
            )
        })
        .await
    }
}

fn insert_token(connection: &rusqlite::Connection, token: &TokenRow) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT INTO tokens (hash, accessor, display_name, policies, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            token.hash,
            token.accessor,
            token.display_name,
            to_json(&token.policies)?,
            token.created_at.0,
            token.expires_at.map(|end| end.0),
        ],
    )?;
    Ok(())
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        hash: row.get("hash")?,
        accessor: row.get("accessor")?,
        display_name: row.get("display_name")?,
        policies: json(row, "policies")?,
        created_at: moment(row, "created_at")?,
        expires_at: maybe_moment(row, "expires_at")?,
    })
}
