//! Rotations of accounts: each step that must survive a crash, and the
//! credentials that they make.

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, OperationId},
};
use rusqlite::params;

use super::{
    StaticRoleRow, StaticRoleState, Storage, StorageError, all, change, maybe_moment, moment, one,
    static_roles::{COLUMNS, end_kept, static_role_row},
};

/// A renewed credential to be stored.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// One more than the current.
    pub version: u32,
    /// Sealed JSON.
    pub secret: Vec<u8>,
    /// The former credential, where it is still valid.
    pub retires: Option<Retires>,
    /// The time when it is renewed next, by schedule.
    pub next: Option<Timestamp>,
    /// The time when it was made.
    pub created_at: Timestamp,
}

/// A former credential that is still valid.
#[derive(Clone, Debug)]
pub struct Retires {
    /// Names it upstream.
    pub id: String,
    /// The time when it is to be ended; absent: at the next rotation.
    pub at: Option<Timestamp>,
}

/// A failed attempt to be recorded.
#[derive(Clone, Debug)]
pub struct StaticRoleFailure {
    /// The state to be in.
    pub state: StaticRoleState,
    /// Operation of the next attempt.
    pub operation: OperationId,
    /// Failed attempts, this one included.
    pub attempts: u32,
    /// Attempts that may have taken effect.
    pub reached: u32,
    /// The time when it is tried again.
    pub due_at: Timestamp,
    /// The reason why it failed.
    pub error: String,
}

/// The place of a credential among those of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one in force.
    Current,
    /// The one before it.
    Previous,
}

impl Place {
    /// The name in storage and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// A credential as stored.
#[derive(Clone, Debug)]
pub struct CredentialRow {
    /// Its version.
    pub version: u32,
    /// Sealed JSON.
    pub secret: Vec<u8>,
    /// The time when it was made.
    pub created_at: Timestamp,
    /// The time when upstream was, or is to be, told to end it; absent: no time is set.
    pub ends_at: Option<Timestamp>,
    /// Whether it is ended.
    pub ended: bool,
    /// Whether it is kept until the next rotation.
    pub is_kept: bool,
}

impl Storage {
    /// Opens a rotation before upstream is asked for anything; `due_at` is when
    /// it may be taken for dead. False where one is open or the role is gone.
    pub async fn open_static_role_rotation(
        &self,
        id: i64,
        operation: OperationId,
        due_at: Timestamp,
    ) -> Result<bool, StorageError> {
        self.execute_any(
            "UPDATE static_roles SET state = 'rotating', operation = ?2, attempts = 0, reached = 0, due_at = ?3
                 WHERE id = ?1 AND state = 'idle'",
            (id, operation.to_bytes(), due_at.0),
        )
        .await
    }

    /// Takes an open rotation that is due, for one attempt: nobody else does
    /// until `until`. False where somebody has.
    pub async fn claim_static_role(
        &self,
        id: i64,
        due_at: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<bool, StorageError> {
        self.execute_any(
            "UPDATE static_roles SET due_at = ?3 WHERE id = ?1 AND due_at IS ?2 AND state <> 'idle'",
            (id, due_at.map(|due| due.0), until.0),
        )
        .await
    }

    /// Moves the next scheduled rotation of an account that rests.
    pub async fn reschedule_static_role(
        &self,
        id: i64,
        next: Option<Timestamp>,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE static_roles SET next_rotation_at = ?2, due_at = ?2 WHERE id = ?1 AND state = 'idle'",
            (id, next.map(|next| next.0)),
        )
        .await
    }

    /// Records that upstream is about to be asked; `due_at` is when the attempt
    /// may be taken for dead. False where the rotation is gone.
    pub async fn begin_static_role_attempt(
        &self,
        id: i64,
        operation: OperationId,
        due_at: Timestamp,
    ) -> Result<bool, StorageError> {
        self.execute_any(
            "UPDATE static_roles SET reached = reached + 1, due_at = ?3 WHERE id = ?1 AND operation = ?2",
            (id, operation.to_bytes(), due_at.0),
        )
        .await
    }

    /// Puts a renewed credential in the place of the current one, which becomes
    /// the previous; the one before is erased. False where the rotation is gone.
    pub async fn store_static_role_credential(
        &self,
        id: i64,
        operation: OperationId,
        new: NewCredential,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let created_at = new.created_at.0;
            let (id_upstream, ends_at) = match new.retires {
                Some(Retires { id, at }) => (Some(id), at.map(|at| at.0)),
                None => (None, Some(created_at)),
            };
            let ended = id_upstream.is_none();
            // Ended by a time of its own, or kept under its name.
            let (retires, kept) = match ends_at {
                Some(_) => (id_upstream, None),
                None => (None, id_upstream),
            };
            let moved = change(
                connection,
                "UPDATE static_roles
                 SET state = CASE WHEN ?3 IS NULL THEN 'idle' ELSE 'retiring' END,
                     operation = CASE WHEN ?3 IS NULL THEN NULL ELSE operation END,
                     retires = ?3, attempts = 0, reached = 0, version = ?4, last_error = NULL,
                     last_rotation_at = ?5, next_rotation_at = ?6, due_at = CASE WHEN ?3 IS NULL THEN ?6 ELSE ?7 END
                 WHERE id = ?1 AND operation = ?2 AND version = ?4 - 1 AND state IN ('rotating', 'out-of-sync')",
                params![
                    id,
                    operation.to_bytes(),
                    retires,
                    new.version,
                    new.created_at.0,
                    new.next.map(|next| next.0),
                    ends_at
                ],
            )?;
            if moved == 0 {
                return Ok(false);
            }
            change(
                connection,
                "DELETE FROM account_credentials WHERE static_role_id = ?1 AND place = 'previous'",
                [id],
            )?;
            change(
                connection,
                "UPDATE account_credentials
                 SET place = 'previous', ends_at = ?2, ended = ?3, retires = ?4,
                     retired_by = CASE WHEN ?4 IS NULL THEN NULL ELSE ?5 END
                 WHERE static_role_id = ?1",
                params![id, ends_at, ended, kept, operation.to_bytes()],
            )?;
            change(
                connection,
                "INSERT INTO account_credentials (static_role_id, place, version, secret, created_at)
                 VALUES (?1, 'current', ?2, ?3, ?4)",
                params![id, new.version, new.secret, new.created_at.0],
            )?;
            Ok(true)
        })
        .await
    }

    /// Records that the former credential is ended upstream.
    pub async fn finish_static_role_rotation(
        &self,
        id: i64,
        operation: OperationId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            let finished = change(
                connection,
                "UPDATE static_roles
                 SET state = 'idle', operation = NULL, retires = NULL, attempts = 0, reached = 0, last_error = NULL,
                     due_at = next_rotation_at
                 WHERE id = ?1 AND operation = ?2 AND state = 'retiring'",
                params![id, operation.to_bytes()],
            )?;
            if finished > 0 {
                change(
                    connection,
                    "UPDATE account_credentials SET ended = 1, ends_at = ?2
                     WHERE static_role_id = ?1 AND place = 'previous'",
                    params![id, now.0],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Begins to end the credential that is kept beside the current one; `due_at` is
    /// when the attempt may be taken for dead. False where none is kept.
    pub async fn end_kept_credential(
        &self,
        id: i64,
        now: Timestamp,
        due_at: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| end_kept(connection, id, now, due_at))
            .await
    }

    /// Gives up a rotation that has not reached upstream; the next one by
    /// schedule is at `next`.
    pub async fn close_static_role_rotation(
        &self,
        id: i64,
        operation: OperationId,
        next: Option<Timestamp>,
        error: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE static_roles
             SET state = 'idle', operation = NULL, attempts = 0, reached = 0, last_error = ?4,
                 next_rotation_at = ?3, due_at = ?3
             WHERE id = ?1 AND operation = ?2 AND state IN ('rotating', 'out-of-sync')",
            (id, operation.to_bytes(), next.map(|next| next.0), error),
        )
        .await
    }

    /// Records a failed attempt.
    pub async fn record_static_role_failure(
        &self,
        id: i64,
        operation: OperationId,
        failure: StaticRoleFailure,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE static_roles
             SET state = ?3, operation = ?4, attempts = ?5, reached = ?6, due_at = ?7,
                 last_error = ?8
             WHERE id = ?1 AND operation = ?2",
            (
                id,
                operation.to_bytes(),
                failure.state.as_str(),
                failure.operation.to_bytes(),
                failure.attempts,
                failure.reached,
                failure.due_at.0,
                failure.error,
            ),
        )
        .await
    }

    /// A connection's static roles that the scheduler must look at, the longest due
    /// first; of one that cannot be read, its id.
    pub async fn due_static_roles(
        &self,
        of: ConnectionId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Result<StaticRoleRow, i64>>, StorageError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM static_roles WHERE connection_id = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3"
            );
            let parameters = params![of.0, now.0, limit];
            all(connection, &sql, parameters, |row| match static_role_row(row) {
                Ok(account) => Ok(Ok(account)),
                Err(_) => row.get("id").map(Err),
            })
        })
        .await
    }

    /// Puts a static role off that cannot be read: it must not stop the others.
    pub async fn put_static_role_off(&self, id: i64, until: Timestamp) -> Result<(), StorageError> {
        self.execute(
            "UPDATE static_roles
             SET due_at = ?2, next_rotation_at = CASE state WHEN 'idle' THEN ?2 ELSE next_rotation_at END
             WHERE id = ?1",
            (id, until.0),
        )
        .await
    }

    /// The time when the scheduler must look at a connection's next static role.
    pub async fn next_static_role_due(
        &self,
        of: ConnectionId,
    ) -> Result<Option<Timestamp>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT due_at FROM static_roles WHERE connection_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
                [of.0],
                |row| row.get(0).map(Timestamp),
            )
        })
        .await
    }

    /// Makes every rotation that was under way due now.
    pub async fn wake_interrupted_static_roles(&self, now: Timestamp) -> Result<(), StorageError> {
        self.execute(
            "UPDATE static_roles SET due_at = ?1 WHERE state = 'rotating' AND due_at > ?1",
            (now.0,),
        )
        .await
    }

    /// Makes a connection's failing rotations due now: what kept them may have gone.
    pub async fn wake_static_roles(
        &self,
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE static_roles SET due_at = ?2
             WHERE connection_id = ?1 AND state IN ('rotating', 'out-of-sync') AND attempts > 0 AND due_at > ?2",
            (of.0, now.0),
        )
        .await
    }

    /// A credential of a static role.
    pub async fn static_role_credential(
        &self,
        id: i64,
        place: Place,
    ) -> Result<Option<CredentialRow>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT version, secret, created_at, ends_at, ended, retires IS NOT NULL AS is_kept
                 FROM account_credentials WHERE static_role_id = ?1 AND place = ?2",
                params![id, place.as_str()],
                |row| {
                    Ok(CredentialRow {
                        version: row.get("version")?,
                        secret: row.get("secret")?,
                        created_at: moment(row, "created_at")?,
                        ends_at: maybe_moment(row, "ends_at")?,
                        ended: row.get("ended")?,
                        is_kept: row.get("is_kept")?,
                    })
                },
            )
        })
        .await
    }
}
