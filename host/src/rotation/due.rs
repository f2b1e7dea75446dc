//! The scheduler's work on rotations: begin those whose time has come, go on with interrupted ones,
//! end former credentials whose grace is over.

use std::{sync::Arc, time::Duration};

use lessor_model::{clock::Timestamp, event::Event, refusal::Refusal, schedule::Due};
use lessor_store::{DueRotation, RotationRow, RotationState};

use super::{Rotations, path_of};
use crate::{
    backoff,
    mount::{Connection, RotationTurn, give_up_at},
};

/// The time until a scheduled rotation that could not begin is tried again.
const SCHEDULE_RETRY: Duration = Duration::from_secs(60);

impl Rotations {
    /// Goes on with what is due: scheduled rotations, interrupted ones, former
    /// credentials whose grace is over. The moment of the next one.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn run_due(self: &Arc<Self>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let (scheduled, next_scheduled) = self.storage.scheduled_rotations(now).await?;
        let is_held = |id| {
            self.mounts
                .connection_by_id(id)
                .is_some_and(|connection| connection.held.is_some())
        };
        for found in scheduled {
            if is_held(found.of) {
                continue;
            }
            self.begin_scheduled(found, now).await?;
        }
        let found = self.storage.due_rotations(now).await?;
        for (operation, reason) in found.unreadable {
            let (id, why) = (hex::encode(&operation), reason.clone());
            self.storage.set_rotation_aside(operation, reason).await?;
            Event::RotationSetAside {
                operation: id,
                reason: why,
            }
            .record();
        }
        for rotation in found.due {
            let Some(connection) = self.mounts.connection_by_id(rotation.of) else {
                continue;
            };
            if connection.held.is_some() {
                continue;
            }
            let until = give_up_at(&connection, now);
            let claimed = self
                .storage
                .claim_rotation(rotation.operation, rotation.due_at, until);
            if !claimed.await? {
                continue;
            }
            let rotation = RotationRow {
                due_at: Some(until),
                ..rotation
            };
            let rotations = Arc::clone(self);
            tokio::spawn(async move {
                let turn = connection.rotation_turn().await;
                let outcome = rotations.go_on(&connection, &rotation, &turn).await;
                if let Err(error) = outcome
                    && !matches!(error, Refusal::Limit { .. })
                {
                    tracing::warn!(mount = %connection.title(), operation = %rotation.operation, %error, "a rotation did not advance");
                }
            });
        }
        Ok([next_scheduled, found.next].into_iter().flatten().min())
    }

    /// Goes on with a claimed rotation, unless whoever had the turn before has done it, or
    /// has put it off.
    async fn go_on(
        &self,
        connection: &Arc<Connection>,
        claimed: &RotationRow,
        turn: &RotationTurn,
    ) -> Result<(), Refusal> {
        let ends = matches!(
            claimed.state,
            RotationState::Retiring | RotationState::Undoing
        );
        let standing = match ends {
            true => self.ending(connection).await?,
            false => {
                let open = self.storage.unsettled_rotation(connection.id).await?;
                open.into_iter().collect()
            }
        };
        let is_claimed = |row: &RotationRow| {
            (row.operation, row.state, row.due_at)
                == (claimed.operation, claimed.state, claimed.due_at)
        };
        match standing.iter().any(is_claimed) {
            false => Ok(()),
            true if ends => self.end(connection, claimed).await,
            true => self.drive_open(connection, None, turn).await.map(drop),
        }
    }

    /// Begins a scheduled rotation, or moves it on where its window is over.
    async fn begin_scheduled(
        self: &Arc<Self>,
        found: DueRotation,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let connection = self
            .mounts
            .connection_by_id(found.of)
            .filter(|connection| connection.live);
        let Some(schedule) = &found.schedule else {
            let error = "the stored schedule cannot be read; write the config again".to_owned();
            let until = now.plus(backoff::DAILY);
            self.storage
                .postpone_rotation(found.of, Some(until))
                .await?;
            self.storage
                .record_schedule_failure(found.of, error.clone())
                .await?;
            Event::RotationPutOff {
                mount: connection.as_deref().map(path_of),
                connection: connection.map(|connection| connection.name.clone()),
                next: until,
                reason: error,
            }
            .record();
            return Ok(());
        };
        if let Due::Missed { next } = schedule.due(now) {
            self.storage.postpone_rotation(found.of, next).await?;
            if let Some(connection) = connection {
                Event::RotationMissed {
                    mount: path_of(&connection),
                    connection: connection.name.clone(),
                    next,
                }
                .record();
            }
            return Ok(());
        }
        // Moved before it runs: it cannot run twice, nor stop the others.
        self.storage
            .postpone_rotation(found.of, Some(now.plus(SCHEDULE_RETRY)))
            .await?;
        let Some(connection) = connection else {
            return Ok(());
        };
        let rotations = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(failed) = rotations.rotate_scheduled(&connection, &found).await {
                let recorded = rotations
                    .storage
                    .record_schedule_failure(connection.id, failed.to_string());
                if let Err(error) = recorded.await {
                    tracing::error!(mount = %connection.title(), %error, "could not record a failed rotation");
                }
                put_off(&connection, now.plus(SCHEDULE_RETRY), &failed);
            }
        });
        Ok(())
    }

    /// Rotates as scheduled, unless somebody did while this waited for its turn:
    /// a rotation may take longer than the time to the next try.
    async fn rotate_scheduled(
        &self,
        connection: &Arc<Connection>,
        found: &DueRotation,
    ) -> Result<(), Refusal> {
        let turn = connection.rotation_turn().await;
        let schedule = self.storage.schedule(connection.id).await?;
        if schedule.is_some_and(|schedule| schedule.last == found.last) {
            self.rotate_in_turn(connection, None, &turn).await?;
        }
        Ok(())
    }

    /// Has a rotation that could not begin tried again soon, as scheduled ones are.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn retry_soon(
        &self,
        connection: &Connection,
        failed: &Refusal,
    ) -> Result<(), Refusal> {
        let until = self.clock.now().plus(SCHEDULE_RETRY);
        self.storage
            .postpone_rotation(connection.id, Some(until))
            .await?;
        self.storage
            .record_schedule_failure(connection.id, failed.to_string())
            .await?;
        put_off(connection, until, failed);
        Ok(())
    }

    /// Makes every interrupted rotation due: called once at start, when no call
    /// of this process can be under way.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn resume_interrupted(&self) -> Result<(), Refusal> {
        Ok(self.storage.wake_rotations(self.clock.now()).await?)
    }
}

/// Tells of a rotation that could not be begun, or failed, and is tried again.
fn put_off(connection: &Connection, next: Timestamp, failed: &Refusal) {
    Event::RotationPutOff {
        mount: Some(path_of(connection)),
        connection: Some(connection.name.clone()),
        next,
        reason: failed.to_string(),
    }
    .record();
}
