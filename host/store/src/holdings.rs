//! The credentials that leases hold upstream: read whole, to be compared with an inventory.
//!
//! Every column is read in a way that cannot fail, so that a row that is damaged
//! elsewhere still vouches for its credential.

use lessor_model::{clock::Timestamp, id::ConnectionId};

use super::{Storage, StorageError};

/// A lease, as far as it tells of a credential.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The operation, as stored.
    pub operation: Vec<u8>,
    /// The mount.
    pub mount_id: i64,
    /// The connection.
    pub connection: ConnectionId,
    /// Whether its credential is handed out and not yet to be ended.
    pub active: bool,
    /// The name that the provider was given for it.
    pub principal: String,
    /// The credential's id; absent where the answer to `create` is not known.
    pub credential_id: Option<String>,
    /// The time when it was asked for.
    pub issued_at: Timestamp,
    /// The time when it ends.
    pub expires_at: Option<Timestamp>,
}

impl Storage {
    /// Shows every lease of every mount to `see`, as one snapshot. It reads the
    /// whole table: for operators, not for the path of a request.
    pub async fn each_holding<T, F>(&self, mut found: T, see: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Fn(&mut T, Holding) + Send + 'static,
    {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT operation, mount_id, state = 'active', principal, credential_id, issued_at, expires_at,
                   connection_id
                 FROM leases",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let holding = Holding {
                    operation: row.get(0)?,
                    mount_id: row.get(1)?,
                    active: row.get(2)?,
                    principal: row.get(3)?,
                    credential_id: row.get(4)?,
                    issued_at: Timestamp(row.get(5)?),
                    expires_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
                    connection: ConnectionId(row.get(7)?),
                };
                see(&mut found, holding);
            }
            Ok(found)
        })
        .await
    }
}
