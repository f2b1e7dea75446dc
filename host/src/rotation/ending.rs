//! Root credentials that are to be used no more, ended upstream: the former one after
//! a rotation, and what a rotation made that was given up.
//!
//! Neither is ever forgotten by itself: a root credential that works and that nobody
//! knows is a leak. What fails is tried again, at last daily.

use std::{sync::Arc, time::Duration};

use lessor_model::{
    event::Event,
    id::OperationId,
    provider::{FailureClass, Revocation},
    refusal::Refusal,
};
use lessor_store::{RotationRow, RotationState};

use super::{PRINCIPAL, Rotations, path_of};
use crate::{
    backoff, fault,
    mount::{Connection, RotationTurn, give_up_at},
};

impl Rotations {
    /// The root credentials that a connection still has to end upstream.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn ending(&self, connection: &Connection) -> Result<Vec<RotationRow>, Refusal> {
        Ok(self.storage.ending_rotations(connection.id).await?)
    }

    /// One attempt at ending what a rotation leaves, recorded either way.
    ///
    /// # Errors
    /// Why it is not ended; it is tried again.
    pub(super) async fn end(
        &self,
        connection: &Arc<Connection>,
        rotation: &RotationRow,
    ) -> Result<(), Refusal> {
        connection.refuse_while_held()?;
        let attempt = rotation.attempts.saturating_add(1);
        let now = self.clock.now();
        let ends = rotation.ends();
        if let Some(version) = ends.filter(|version| connection.uses_root(*version)) {
            let message =
                format!("a call under way still uses version {version} of the root credential");
            let retry_after = Duration::from_secs(1);
            self.storage
                .record_rotation_failure(
                    rotation.operation,
                    Some(now.plus(retry_after)),
                    message.clone(),
                )
                .await?;
            return Err(Refusal::Limit {
                message,
                retry_after,
            });
        }
        self.storage
            .begin_rotation_attempt(rotation.operation, give_up_at(connection, now))
            .await?;
        let ended = match rotation.state {
            RotationState::Undoing => self.undo(connection, rotation, attempt).await,
            _ => self.retire(connection, rotation, attempt).await,
        };
        if let Err(refusal) = &ended {
            let delay = if attempt < backoff::SOON {
                backoff::jittered(attempt)
            } else {
                backoff::DAILY
            };
            let due = Some(self.clock.now().plus(delay));
            self.storage
                .record_rotation_failure(rotation.operation, due, refusal.to_string())
                .await?;
            self.told_failure(rotation, attempt, due, refusal.to_string());
        }
        ended
    }

    /// Goes on with the open rotation, if any, where it can be brought to its end now.
    pub async fn catch_up(&self, connection: &Arc<Connection>, turn: &RotationTurn) {
        if let Err(error) = self.drive_open(connection, None, turn).await {
            tracing::debug!(mount = %connection.title(), %error, "an open rotation did not advance");
        }
    }

    /// Brings everything about a connection's root credentials to its end, as far as that
    /// goes: the open rotation, and what is to be ended upstream.
    ///
    /// # Errors
    /// What is left, and why.
    pub async fn settle(
        &self,
        connection: &Arc<Connection>,
        turn: &RotationTurn,
    ) -> Result<(), Refusal> {
        if let Err(stuck) = self.drive_open(connection, None, turn).await {
            connection.refuse_while_held()?;
            // It can be given up where the former root credential still works.
            if self.give_up(connection).await.is_err() {
                return Err(stuck);
            }
        }
        for rotation in self.ending(connection).await? {
            let now = self.clock.now();
            if rotation.state == RotationState::Undoing
                && rotation.new_version.is_none()
                && let Some(lands) = rotation
                    .due_at
                    .filter(|due| *due > now && rotation.attempts == 0)
            {
                return Err(Refusal::Conflict(format!(
                    "a root credential that a rotation asked for may still be made until {lands}"
                )));
            }
            self.end(connection, &rotation).await?;
        }
        // Ending one may have made another due.
        for rotation in self.ending(connection).await? {
            self.end(connection, &rotation).await?;
        }
        Ok(())
    }

    /// Gives the open rotation up, once the root credential in use has shown that it
    /// works.
    ///
    /// # Errors
    /// Where it does not work.
    pub(super) async fn give_up(&self, connection: &Arc<Connection>) -> Result<(), Refusal> {
        let Some(rotation) = self.storage.unsettled_rotation(connection.id).await? else {
            return Ok(());
        };
        let plugin = self.mounts.plugin(connection).await?;
        let root = self.mounts.root(connection, &plugin).await?;
        self.prove(connection, &plugin, &root, rotation.operation)
            .await?;
        self.storage
            .give_up_rotation(connection.id, self.clock.now())
            .await?;
        Event::RotationGivenUp {
            mount: path_of(connection),
            connection: connection.name.clone(),
            operation: rotation.operation,
        }
        .record();
        Ok(())
    }

    /// `retiring`: ends the former root credential upstream.
    async fn retire(
        &self,
        connection: &Arc<Connection>,
        rotation: &RotationRow,
        attempt: u32,
    ) -> Result<(), Refusal> {
        let gone = || Refusal::Conflict("the rotated config is gone".into());
        let version = rotation.new_version.ok_or_else(gone)?;
        let retires = self
            .storage
            .config(connection.id, version)
            .await?
            .and_then(|row| row.retires)
            .ok_or_else(gone)?;
        let what = Revocation::FormerRoot(retires);
        self.revoke(connection, rotation, attempt, PRINCIPAL, &what)
            .await?;
        fault::point("rotate.after_retired");
        self.storage
            .finish_ending(rotation.clone(), self.clock.now())
            .await?;
        Event::RotationFormerEnded {
            mount: path_of(connection),
            connection: connection.name.clone(),
            version: rotation.former_version,
        }
        .record();
        Ok(())
    }

    /// `undoing`: ends what a rotation made that was given up. Its operation names it,
    /// as the contract says of whatever `rotate` makes.
    async fn undo(
        &self,
        connection: &Arc<Connection>,
        rotation: &RotationRow,
        attempt: u32,
    ) -> Result<(), Refusal> {
        let plugin = self.mounts.plugin(connection).await?;
        let limit = plugin.provider.descriptor().name_limit;
        let name = name_of_nothing(rotation.operation, limit);
        let what = Revocation::UnknownCredential;
        let ended = self
            .revoke(connection, rotation, attempt, &name, &what)
            .await;
        match ended {
            // It was not answered, and this provider has nothing that could be found.
            Err(Refusal::Provider(failure))
                if failure.class == FailureClass::Unsupported && rotation.new_version.is_none() => {
            }
            other => other?,
        }
        fault::point("rotate.after_undone");
        self.storage
            .finish_ending(rotation.clone(), self.clock.now())
            .await?;
        Event::RotationUndone {
            mount: path_of(connection),
            connection: connection.name.clone(),
            operation: rotation.operation,
            version: rotation.new_version,
        }
        .record();
        Ok(())
    }

    async fn revoke(
        &self,
        connection: &Arc<Connection>,
        rotation: &RotationRow,
        attempt: u32,
        name: &str,
        what: &Revocation,
    ) -> Result<(), Refusal> {
        let plugin = self.mounts.plugin(connection).await?;
        let root = self.mounts.root(connection, &plugin).await?;
        let config = self.mounts.unseal(&root)?;
        let call = connection.call(rotation.operation, attempt, name, &root);
        match plugin.provider.revoke(&call, &config, None, what).await {
            Ok(()) => Ok(()),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// A principal's name that nothing upstream has: a provider that goes by names instead
/// of by the operation must not take the root account for what is to be ended.
fn name_of_nothing(operation: OperationId, limit: u32) -> String {
    let name = format!("root-{operation}");
    let room = match usize::try_from(limit) {
        Ok(0) | Err(_) => name.len(),
        Ok(room) => room.min(name.len()),
    };
    // The end of an id is what is random in it.
    name.get(name.len() - room..).unwrap_or(&name).to_owned()
}
