//! Open rotations of root credentials, given up within the transaction of whoever
//! replaces the credential or removes its mount.

use lessor_model::{clock::Timestamp, id::ConnectionId};
use rusqlite::{Connection, params};

use super::{StorageError, change};

/// Gives an open rotation up within a transaction.
///
/// Where upstream holds two root credentials at a time, the staged one would stay
/// there, known to nobody: it is ended before it is erased. So is whatever an attempt
/// made that was not answered, once it can no longer land. Where upstream holds one,
/// the staged one is in the place of the former, and nothing is left to end.
pub(super) fn give_up_open(
    connection: &Connection,
    of: ConnectionId,
    now: Timestamp,
) -> Result<(), StorageError> {
    change(
        connection,
        "UPDATE configs SET state = CASE WHEN retires IS NULL THEN 'retired' ELSE 'retiring' END,
             document = CASE WHEN retires IS NULL THEN NULL ELSE document END
         WHERE connection_id = ?1 AND state = 'staged'",
        [of.0],
    )?;
    change(
        connection,
        "UPDATE rotations SET state = 'undoing', attempts = 0, due_at = max(coalesce(due_at, ?2), ?2)
         WHERE connection_id = ?1 AND state IN ('rotating', 'failed') AND new_version IS NULL AND attempts > 0",
        params![of.0, now.0],
    )?;
    begin_undoing(connection, of, now)?;
    change(
        connection,
        "UPDATE rotations SET state = 'aborted', due_at = NULL, ended_at = ?2
         WHERE connection_id = ?1 AND state IN ('rotating', 'proving', 'failed')",
        params![of.0, now.0],
    )?;
    Ok(())
}

/// Has what rotations made ended where it is retiring, within a transaction. One whose
/// own former credential still waits for its end comes when that is done.
pub(super) fn begin_undoing(
    connection: &Connection,
    of: ConnectionId,
    now: Timestamp,
) -> Result<(), StorageError> {
    change(
        connection,
        "UPDATE rotations SET state = 'undoing', attempts = 0, due_at = ?2, ended_at = NULL, last_error = NULL
         WHERE connection_id = ?1 AND state IN ('proving', 'failed', 'done') AND new_version IN
           (SELECT version FROM configs WHERE connection_id = ?1 AND state = 'retiring')
           AND NOT EXISTS (SELECT 1 FROM rotations AS later
             WHERE later.connection_id = ?1 AND later.state = 'retiring' AND later.former_version = rotations.new_version)",
        params![of.0, now.0],
    )?;
    Ok(())
}
