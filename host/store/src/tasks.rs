//! Tasks: work that a caller does not wait for.

use lessor_model::{clock::Timestamp, id::OperationId, provider::Requester};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::{
    Storage, StorageError, all, change, json, maybe_moment, moment, one, operation, to_json,
    unreadable,
};

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Nobody has begun it.
    Queued,
    /// Under way, or left by a process that died.
    Processing,
    /// Over; a credential waits for whoever asked for it.
    Succeeded,
    /// Over, with errors.
    Failed,
    /// Ended by a caller.
    Cancelled,
}

impl TaskState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Processing,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in storage and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Processing)
    }
}

/// The reason why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// The provider's code, or the host's.
    pub code: String,
    /// One sentence.
    pub description: String,
}

/// A task as stored.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Its id.
    pub id: OperationId,
    /// The kind of work.
    pub kind: String,
    /// To what: a path of the API.
    pub target: String,
    /// Path of the mount.
    pub mount: String,
    /// The caller that asked.
    pub requester: Requester,
    /// The state.
    pub state: TaskState,
    /// Its input, sealed.
    pub input: Option<Vec<u8>>,
    /// Its result, sealed; absent once it was handed out.
    pub result: Option<Vec<u8>>,
    /// The reason why it failed.
    pub errors: Vec<TaskError>,
    /// The time when it was asked for.
    pub created_at: Timestamp,
    /// The time when it is given up.
    pub deadline_at: Timestamp,
    /// The time when it was over.
    pub ended_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, kind, target, mount, requester, state, input, result, errors, created_at, deadline_at, ended_at";

impl Storage {
    /// Stores a task, and forgets those that were over before `forget_before`.
    pub async fn record_task(
        &self,
        task: TaskRow,
        forget_before: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "DELETE FROM tasks WHERE ended_at <= ?1",
                [forget_before.0],
            )?;
            change(
                connection,
                "INSERT INTO tasks (id, kind, target, mount, requester, state, input, errors, created_at, deadline_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, '[]', ?7, ?8)",
                params![
                    task.id.to_bytes(),
                    task.kind,
                    task.target,
                    task.mount,
                    to_json(&task.requester)?,
                    task.input,
                    task.created_at.0,
                    task.deadline_at.0
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Puts back what a dead process was doing. Called once, at start.
    pub async fn requeue_tasks(&self) -> Result<(), StorageError> {
        self.execute(
            "UPDATE tasks SET state = 'queued' WHERE state = 'processing'",
            (),
        )
        .await
    }

    /// Takes the oldest queued task whose mount is not among `busy`. Those that
    /// cannot be read are set aside in the same transaction: what they had begun
    /// upstream has rows of its own. Of those, the id as stored and why.
    pub async fn claim_task(
        &self,
        busy: Vec<String>,
    ) -> Result<(Option<TaskRow>, Vec<(String, String)>), StorageError> {
        self.write(move |connection| {
            let mut set_aside = Vec::new();
            let sql = format!(
                "UPDATE tasks SET state = 'processing' WHERE id = (
                   SELECT id FROM tasks WHERE state = 'queued' AND mount NOT IN (SELECT value FROM json_each(?1))
                   ORDER BY id LIMIT 1)
                 RETURNING {COLUMNS}"
            );
            let busy = to_json(&busy)?;
            loop {
                let claimed = one(connection, &sql, [&busy], |row| {
                    Ok((row.get::<_, Vec<u8>>("id")?, task_row(row)))
                })?;
                match claimed {
                    None => return Ok((None, set_aside)),
                    Some((_, Ok(row))) => return Ok((Some(row), set_aside)),
                    Some((id, Err(error))) => {
                        super::quarantine::set_task_aside(connection, &id, &error)?;
                        set_aside.push((hex::encode(&id), error.to_string()));
                    }
                }
            }
        })
        .await
    }

    /// Ends a task that is under way. False where it was cancelled meanwhile.
    pub async fn end_task(
        &self,
        id: OperationId,
        state: TaskState,
        result: Option<Vec<u8>>,
        errors: Vec<TaskError>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let ended = change(
                connection,
                "UPDATE tasks SET state = ?2, input = NULL, result = ?3, errors = ?4, ended_at = ?5
                 WHERE id = ?1 AND state = 'processing'",
                params![
                    id.to_bytes(),
                    state.as_str(),
                    result,
                    to_json(&errors)?,
                    now.0
                ],
            )?;
            Ok(ended > 0)
        })
        .await
    }

    /// Cancels a task that nobody has begun, or one under way where its kind is among
    /// `while_processing`. False where it stays.
    pub async fn cancel_task(
        &self,
        id: OperationId,
        while_processing: &'static [&'static str],
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let cancelled = change(
                connection,
                "UPDATE tasks SET state = 'cancelled', input = NULL, ended_at = ?2
                 WHERE id = ?1 AND (state = 'queued'
                   OR (state = 'processing' AND kind IN (SELECT value FROM json_each(?3))))",
                params![id.to_bytes(), now.0, to_json(&while_processing)?],
            )?;
            Ok(cancelled > 0)
        })
        .await
    }

    /// One task; its result stays.
    pub async fn task(&self, id: OperationId) -> Result<Option<TaskRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
            one(connection, &sql, [id.to_bytes()], task_row)
        })
        .await
    }

    /// One task with its result, which is erased: nobody gets it twice.
    pub async fn take_task(&self, id: OperationId) -> Result<Option<TaskRow>, StorageError> {
        self.write(move |connection| {
            let id = id.to_bytes();
            let sql = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
            let row = one(connection, &sql, [id], task_row)?;
            if row.as_ref().is_some_and(|row| row.result.is_some()) {
                change(
                    connection,
                    "UPDATE tasks SET result = NULL WHERE id = ?1",
                    [id],
                )?;
            }
            Ok(row)
        })
        .await
    }

    /// Tasks, the newest first, at most `limit`; without what they were given and came
    /// to, but whether there is a result.
    pub async fn tasks(&self, limit: usize) -> Result<Vec<TaskRow>, StorageError> {
        self.read(move |connection| {
            let sql = "SELECT id, kind, target, mount, requester, state, NULL AS input,
                 CASE WHEN result IS NULL THEN NULL ELSE x'' END AS result, errors, created_at, deadline_at, ended_at
               FROM tasks ORDER BY id DESC LIMIT ?1";
            all(connection, sql, [limit], task_row)
        })
        .await
    }
}

fn task_row(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    let state: String = row.get("state")?;
    let state = TaskState::ALL
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| unreadable("state", std::fmt::Error))?;
    Ok(TaskRow {
        id: operation(row, "id")?,
        kind: row.get("kind")?,
        target: row.get("target")?,
        mount: row.get("mount")?,
        requester: json(row, "requester")?,
        state,
        input: row.get("input")?,
        result: row.get("result")?,
        errors: json(row, "errors")?,
        created_at: moment(row, "created_at")?,
        deadline_at: moment(row, "deadline_at")?,
        ended_at: maybe_moment(row, "ended_at")?,
    })
}
