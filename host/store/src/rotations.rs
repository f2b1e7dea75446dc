//! Rotations of root credentials: each step that must survive a crash.

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, OperationId},
    provider::Validation,
};
use rusqlite::{Row, params};

use super::{
    ConfigState, NewConfig, Storage, StorageError, change, configs,
    giving_up::{begin_undoing, give_up_open},
    maybe_moment, moment, one, operation, unreadable,
};

/// The state of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationState {
    /// Upstream is asked for a new root credential, and may have made one.
    Rotating,
    /// The new one is stored and waits for its proof.
    Proving,
    /// The new one could not be proven; the operator decides.
    Failed,
    /// The new one is in use; the former waits for its end upstream.
    Retiring,
    /// Given up; what it may have made waits for its end upstream.
    Undoing,
    /// Over.
    Done,
    /// Given up before anything was promoted.
    Aborted,
}

impl RotationState {
    /// The name in storage and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rotating => "rotating",
            Self::Proving => "proving",
            Self::Failed => "failed",
            Self::Retiring => "retiring",
            Self::Undoing => "undoing",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }

    fn parse(text: &str) -> rusqlite::Result<Self> {
        [
            Self::Rotating,
            Self::Proving,
            Self::Failed,
            Self::Retiring,
            Self::Undoing,
            Self::Done,
            Self::Aborted,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| unreadable("state", std::fmt::Error))
    }
}

/// A rotation as stored.
#[derive(Clone, Debug)]
pub struct RotationRow {
    /// Its operation, the same for every attempt.
    pub operation: OperationId,
    /// The connection.
    pub of: ConnectionId,
    /// The state.
    pub state: RotationState,
    /// Config version that it replaces.
    pub former_version: u32,
    /// Config version that it made.
    pub new_version: Option<u32>,
    /// Attempts at the present step.
    pub attempts: u32,
    /// The time when the scheduler goes on with it.
    pub due_at: Option<Timestamp>,
    /// The reason why the last attempt failed.
    pub last_error: Option<String>,
    /// The time when it was opened.
    pub opened_at: Timestamp,
}

impl RotationRow {
    /// The config version whose root credential it leaves to be ended upstream; none
    /// where nobody knows what it made.
    pub fn ends(&self) -> Option<u32> {
        match self.state {
            RotationState::Undoing => self.new_version,
            _ => Some(self.former_version),
        }
    }
}

/// The rotations that the scheduler finds.
#[derive(Clone, Debug, Default)]
pub struct DueRotations {
    /// The rotations that are due.
    pub due: Vec<RotationRow>,
    /// The rotations that are due and cannot be read: the operation as stored, and the reason.
    pub unreadable: Vec<(Vec<u8>, String)>,
    /// The time when the next one is due.
    pub next: Option<Timestamp>,
}

const COLUMNS: &str = "operation, connection_id, state, former_version, new_version, attempts, due_at, last_error, opened_at";

impl Storage {
    /// Opens a rotation before upstream is asked for anything. False where one
    /// is open, or `former_version` is no longer current.
    pub async fn open_rotation(
        &self,
        id: OperationId,
        of: ConnectionId,
        former_version: u32,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let opened = self
            .write(move |connection| {
                Ok(change(
                    connection,
                    "INSERT INTO rotations
                       (operation, connection_id, state, former_version, attempts, due_at, opened_at)
                     SELECT ?1, ?2, 'rotating', ?3, 0, ?4, ?5
                     WHERE EXISTS (SELECT 1 FROM configs WHERE connection_id = ?2 AND version = ?3 AND state = 'current')",
                    params![id.to_bytes(), of.0, former_version, due_at.0, now.0],
                )? > 0)
            })
            .await;
        match opened {
            Err(error) if error.is_duplicate() => Ok(false),
            other => other,
        }
    }

    /// A connection's open rotation: not promoted, not given up.
    pub async fn unsettled_rotation(
        &self,
        of: ConnectionId,
    ) -> Result<Option<RotationRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM rotations
                 WHERE connection_id = ?1 AND state IN ('rotating', 'proving', 'failed')"
            );
            one(connection, &sql, [of.0], rotation_row)
        })
        .await
    }

    /// Rotations whose next step is due, and the moment of the next one that is
    /// not; of those that cannot be read, the operation and why.
    pub async fn due_rotations(&self, now: Timestamp) -> Result<DueRotations, StorageError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM rotations WHERE due_at <= ?1 ORDER BY due_at");
            let mut found = DueRotations::default();
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([now.0])?;
            while let Some(row) = rows.next()? {
                match rotation_row(row) {
                    Ok(rotation) => found.due.push(rotation),
                    Err(error) => found
                        .unreadable
                        .push((row.get("operation")?, error.to_string())),
                }
            }
            found.next = one(
                connection,
                "SELECT due_at FROM rotations WHERE due_at > ?1 ORDER BY due_at LIMIT 1",
                [now.0],
                |row| row.get(0).map(Timestamp),
            )?;
            Ok(found)
        })
        .await
    }

    /// Leaves a rotation that cannot be read to the operator, so that it stops no other.
    pub async fn set_rotation_aside(
        &self,
        operation: Vec<u8>,
        reason: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE OR IGNORE rotations SET state = 'failed', due_at = NULL, attempts = max(attempts, 0), last_error = ?2
                 WHERE operation = ?1",
            (operation, format!("it could not be read: {reason}")),
        )
        .await
    }

    /// Keeps others from taking a rotation up until `until` that was found due at
    /// `due_at`. False where it is due at another time by now, or over.
    pub async fn claim_rotation(
        &self,
        id: OperationId,
        due_at: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<bool, StorageError> {
        self.execute_any(
            "UPDATE rotations SET due_at = ?3 WHERE operation = ?1 AND due_at = ?2",
            (id.to_bytes(), due_at.map(|due| due.0), until.0),
        )
        .await
    }

    /// Records that an attempt begins; `due_at` is when it may be taken for dead.
    pub async fn begin_rotation_attempt(
        &self,
        id: OperationId,
        due_at: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotations SET attempts = attempts + 1, due_at = ?2 WHERE operation = ?1 AND due_at IS NOT NULL",
            (id.to_bytes(), due_at.0),
        )
        .await
    }

    /// Makes every rotation that was under way due now.
    pub async fn wake_rotations(&self, now: Timestamp) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotations SET due_at = ?1 WHERE state IN ('rotating', 'proving') AND due_at > ?1",
            (now.0,),
        )
        .await
    }

    /// Stores the new root credential as staged, to be proven by `next`, or held for
    /// the operator with a reason. False where the rotation was ended meanwhile (an
    /// operator wrote a config).
    pub async fn stage_rotation(
        &self,
        id: OperationId,
        config: NewConfig,
        next: Result<Timestamp, String>,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let (state, due_at, held) = match next {
                Ok(due_at) => (RotationState::Proving, Some(due_at.0), None),
                Err(reason) => (RotationState::Failed, None, Some(reason)),
            };
            let moved = change(
                connection,
                "UPDATE rotations
                 SET state = ?3, new_version = ?2, attempts = 0, due_at = ?4, last_error = ?5
                 WHERE operation = ?1 AND state = 'rotating'",
                params![id.to_bytes(), config.version, state.as_str(), due_at, held],
            )?;
            if moved == 0 {
                return Ok(false);
            }
            configs::insert(connection, &config, ConfigState::Staged)?;
            Ok(true)
        })
        .await
    }

    /// Puts the proven root credential in use; the next scheduled rotation is at
    /// `next`. Where `retire_at` is given, the former one stays valid until
    /// then; otherwise it is retired and erased. False where the rotation was
    /// ended meanwhile.
    pub async fn promote_rotation(
        &self,
        rotation: RotationRow,
        validation: Validation,
        retire_at: Option<Timestamp>,
        next: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let Some(new_version) = rotation.new_version else { return Ok(false) };
            let (state, ended_at) = match retire_at {
                Some(_) => (RotationState::Retiring, None),
                None => (RotationState::Done, Some(now.0)),
            };
            let moved = change(
                connection,
                "UPDATE rotations SET state = ?2, attempts = 0, due_at = ?3, last_error = NULL, ended_at = ?4
                 WHERE operation = ?1 AND state IN ('proving', 'failed')",
                params![rotation.operation.to_bytes(), state.as_str(), retire_at.map(|at| at.0), ended_at],
            )?;
            if moved == 0 {
                return Ok(false);
            }
            let former = if retire_at.is_some() { ConfigState::Retiring } else { ConfigState::Retired };
            configs::set_state(connection, rotation.of, rotation.former_version, former)?;
            configs::set_state(connection, rotation.of, new_version, ConfigState::Current)?;
            change(
                connection,
                "UPDATE configs SET identity = ?3, warnings = ?4 WHERE connection_id = ?1 AND version = ?2",
                params![rotation.of.0, new_version, validation.identity, super::to_json(&validation.warnings)?],
            )?;
            change(
                connection,
                "UPDATE rotation_schedules
                 SET last_rotation_at = ?2, next_rotation_at = ?3, last_error = NULL WHERE connection_id = ?1",
                params![rotation.of.0, now.0, next.map(|next| next.0)],
            )?;
            Ok(true)
        })
        .await
    }

    /// Records that what a rotation leaves is ended upstream, and erases it: the former
    /// root credential, or what was made and given up. Where the one that replaced a
    /// former one was given up meanwhile, that is next.
    pub async fn finish_ending(
        &self,
        rotation: RotationRow,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            let (from, over) = match rotation.state {
                RotationState::Undoing => (RotationState::Undoing, RotationState::Aborted),
                _ => (RotationState::Retiring, RotationState::Done),
            };
            change(
                connection,
                "UPDATE rotations SET state = ?3, due_at = NULL, ended_at = ?4, last_error = NULL
                 WHERE operation = ?1 AND state = ?2",
                params![
                    rotation.operation.to_bytes(),
                    from.as_str(),
                    over.as_str(),
                    now.0
                ],
            )?;
            if let Some(version) = rotation.ends() {
                let retired = ConfigState::Retired;
                configs::set_state(connection, rotation.of, version, retired)?;
            }
            match over {
                RotationState::Done => begin_undoing(connection, rotation.of, now),
                _ => Ok(()),
            }
        })
        .await
    }

    /// The root credentials that a connection still has to end upstream, the oldest first: former
    /// ones, and those of rotations that were given up.
    pub async fn ending_rotations(
        &self,
        of: ConnectionId,
    ) -> Result<Vec<RotationRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM rotations
                 WHERE connection_id = ?1 AND state IN ('retiring', 'undoing') ORDER BY opened_at"
            );
            super::all(connection, &sql, [of.0], rotation_row)
        })
        .await
    }

    /// Records a failed attempt: tried again at `due_at`, or, without one, left
    /// to the operator.
    pub async fn record_rotation_failure(
        &self,
        id: OperationId,
        due_at: Option<Timestamp>,
        error: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotations
                 SET state = CASE WHEN ?2 IS NULL THEN 'failed' ELSE state END, due_at = ?2, last_error = ?3
                 WHERE operation = ?1 AND due_at IS NOT NULL",
            (id.to_bytes(), due_at.map(|due| due.0), error),
        )
        .await
    }

    /// Takes up a failed rotation again at the step where it failed. It stays known
    /// that upstream was asked before.
    pub async fn reopen_rotation(
        &self,
        id: OperationId,
        due_at: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotations
                 SET state = CASE WHEN new_version IS NULL THEN 'rotating' ELSE 'proving' END, due_at = ?2,
                     attempts = CASE WHEN new_version IS NULL THEN 1 ELSE 0 END
                 WHERE operation = ?1 AND state = 'failed'",
            (id.to_bytes(), due_at.0),
        )
        .await
    }

    /// Forgets what a mount has left to end upstream and failed to end at least once:
    /// root credentials, and former credentials of accounts. How many.
    pub async fn forget_ending_rotations(
        &self,
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<usize, StorageError> {
        self.write(move |connection| {
            let mut forgotten = 0;
            for (state, over, version) in [
                ("retiring", "done", "former_version"),
                ("undoing", "aborted", "new_version"),
            ] {
                let which = "connection_id = ?1 AND attempts > 0 AND last_error IS NOT NULL";
                change(
                    connection,
                    &format!(
                        "UPDATE configs SET state = 'retired', document = NULL
                         WHERE connection_id = ?1 AND state = 'retiring' AND version IN
                           (SELECT {version} FROM rotations WHERE {which} AND state = ?2)"
                    ),
                    params![of.0, state],
                )?;
                forgotten += change(
                    connection,
                    &format!(
                        "UPDATE rotations SET state = ?3, due_at = NULL, ended_at = ?4 WHERE {which} AND state = ?2"
                    ),
                    params![of.0, state, over, now.0],
                )?;
            }
            forgotten += change(
                connection,
                "UPDATE static_roles SET state = 'idle', operation = NULL, retires = NULL, attempts = 0, reached = 0,
                     due_at = next_rotation_at
                 WHERE connection_id = ?1 AND state = 'retiring' AND attempts > 0",
                [of.0],
            )?;
            Ok(forgotten)
        })
        .await
    }

    /// Gives a connection's open rotation up. What it may have made upstream, beside the
    /// root credential in use, waits for its end.
    pub async fn give_up_rotation(
        &self,
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| give_up_open(connection, of, now))
            .await
    }

    /// Forgets a rotation that did nothing upstream.
    pub async fn forget_rotation(
        &self,
        id: OperationId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotations SET state = 'aborted', due_at = NULL, ended_at = ?2
             WHERE operation = ?1 AND state = 'rotating'",
            (id.to_bytes(), now.0),
        )
        .await
    }
}

fn rotation_row(row: &Row<'_>) -> rusqlite::Result<RotationRow> {
    let state: String = row.get("state")?;
    Ok(RotationRow {
        operation: operation(row, "operation")?,
        of: ConnectionId(row.get("connection_id")?),
        state: RotationState::parse(&state)?,
        former_version: row.get("former_version")?,
        new_version: row.get("new_version")?,
        attempts: row.get("attempts")?,
        due_at: maybe_moment(row, "due_at")?,
        last_error: row.get("last_error")?,
        opened_at: moment(row, "opened_at")?,
    })
}
