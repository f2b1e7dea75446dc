//! Keys under which requests may be repeated.

use lessor_model::{clock::Timestamp, id::OperationId};
use rusqlite::{Connection, params};

use super::{Storage, StorageError, change, moment, one, operation};

/// A key and the operation that it stands for.
#[derive(Clone, Debug)]
pub struct IdempotencyRow {
    /// `Keyring::idempotency_hash` of whose key it is, and for what.
    pub key: [u8; 32],
    /// The same of the request, so that another one is told apart.
    pub request: [u8; 32],
    /// The operation.
    pub operation: OperationId,
    /// The time when the key is forgotten.
    pub expires_at: Timestamp,
}

impl Storage {
    /// The operation that a key stands for at `now`.
    pub async fn idempotency_row(
        &self,
        key: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<IdempotencyRow>, StorageError> {
        self.find(move |connection| {
            one(
                connection,
                "SELECT key, request, operation, expires_at FROM idempotency_keys
                 WHERE key = ?1 AND expires_at > ?2",
                params![key, now.0],
                |row| {
                    Ok(IdempotencyRow {
                        key: row.get("key")?,
                        request: row.get("request")?,
                        operation: operation(row, "operation")?,
                        expires_at: moment(row, "expires_at")?,
                    })
                },
            )
        })
        .await
    }
}

/// Stores a key within a transaction, and forgets those that ended. False where
/// it stands for another operation.
pub(super) fn insert(
    connection: &Connection,
    row: &IdempotencyRow,
    now: Timestamp,
) -> Result<bool, StorageError> {
    change(
        connection,
        "DELETE FROM idempotency_keys WHERE expires_at <= ?1",
        [now.0],
    )?;
    let inserted = change(
        connection,
        "INSERT OR IGNORE INTO idempotency_keys (key, request, operation, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            row.key,
            row.request,
            row.operation.to_bytes(),
            row.expires_at.0
        ],
    )?;
    Ok(inserted > 0)
}
