//! Rotation of root credentials, and calls that survive one.
//!
//! The steps, each committed before the next begins:
//!
//! ```text
//! open ─▶ rotate(root) ─▶ stage ─▶ validate-config(staged) ─▶ promote ─▶ grace ─▶ revoke(former) ─▶ done
//! ```
//!
//! A crash anywhere goes on at the first step that is not committed, with the
//! same operation id, from which a provider computes the same new credential
//! again. What `rotate` answers is staged whatever it looks like: one that cannot be
//! used unseen waits for the operator, who takes it (`retry`) or gives it up (`abort`).
//! A root credential that is given up is ended upstream before it is erased.

mod due;
mod ending;
mod root_use;
mod staging;

use std::{sync::Arc, time::Duration};

use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    id::{ConnectionName, MountPath, OperationId},
    provider::{Failure, FailureClass, Requester, Rotation, Trigger, Validation},
    refusal::Refusal,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{NewConfig, RootSchedule, RotationRow, RotationState, Storage};
use serde_json::Value;

use crate::{
    backoff,
    catalog::Plugin,
    context::Context,
    fault,
    mount::{Connection, Mounts, Root, RotationTurn, config_context, give_up_at},
};

pub use root_use::{Attempt, RootUse};

/// The time for which a new root credential is tried again at once where upstream is slow
/// to honour it, beyond what the provider said of itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// First pause between two proofs of a staged credential.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The name under which rotations appear where a principal's is wanted.
const PRINCIPAL: &str = "root";

/// A rotation that came to its end.
#[derive(Clone, Debug)]
pub struct RotationOutcome {
    /// The config version now in use.
    pub version: u32,
    /// Facts that the provider told.
    pub metadata: Value,
}

/// Rotations of all connections.
#[derive(Debug)]
pub struct Rotations {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    clock: Clock,
}

impl Rotations {
    /// Rotations over a storage.
    pub fn new(context: Context, mounts: Arc<Mounts>) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            mounts,
            clock,
        }
    }

    /// Renews a connection's root credential. An open rotation that a crash or a
    /// fault interrupted is brought to its end instead. Dropped half way, it
    /// stays open and goes on when it is due.
    ///
    /// # Errors
    /// The provider's failure; `Conflict` where a failed rotation waits for the
    /// operator. The root credential in use stays until a new one is proven.
    pub async fn rotate_root(
        &self,
        path: &MountPath,
        name: &ConnectionName,
        requester: Option<Requester>,
    ) -> Result<RotationOutcome, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        connection.refuse_while_held()?;
        let turn = connection.rotation_turn().await;
        self.rotate_in_turn(&connection, requester, &turn).await
    }

    /// [`Self::rotate_root`] by whoever has the turn.
    async fn rotate_in_turn(
        &self,
        connection: &Arc<Connection>,
        requester: Option<Requester>,
        turn: &RotationTurn,
    ) -> Result<RotationOutcome, Refusal> {
        if let Some(outcome) = self.drive_open(connection, requester.clone(), turn).await? {
            return Ok(outcome);
        }
        let plugin = self.mounts.plugin(connection).await?;
        let root = self.mounts.root(connection, &plugin).await?;
        if let Some((account, other)) = self.mounts.sharing_root(connection, &plugin).await? {
            return Err(Refusal::Conflict(format!(
                "{account:?} is the root credential of mount {} too, which a rotation here would lock out: \
                 give each {} an account of its own",
                other.connection.title(),
                connection.kind_beside(&other.connection)
            )));
        }
        let now = self.clock.now();
        let operation = OperationId::new(now)?;
        if !self
            .storage
            .open_rotation(
                operation,
                connection.id,
                root.version,
                give_up_at(connection, now),
                now,
            )
            .await?
        {
            return Err(Refusal::Conflict(format!(
                "another rotation of {} was begun; try again",
                connection.title()
            )));
        }
        fault::point("rotate.after_open");
        Event::RotationBegun {
            mount: path_of(connection),
            connection: connection.name.clone(),
            operation,
            version: root.version,
        }
        .record();
        self.drive_open(connection, requester, turn)
            .await?
            .ok_or_else(|| {
                Refusal::Conflict(format!(
                    "the rotation of {} was ended by a new config",
                    connection.title()
                ))
            })
    }

    /// The version of a connection's root credential in use.
    ///
    /// # Errors
    /// `Invalid` where the connection has no config.
    pub async fn version(&self, path: &MountPath, name: &ConnectionName) -> Result<u32, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        let plugin = self.mounts.plugin(&connection).await?;
        Ok(self.mounts.root(&connection, &plugin).await?.version)
    }

    /// A connection's open rotation, and its schedule.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn standing(
        &self,
        connection: &Connection,
    ) -> Result<(Option<RotationRow>, Option<RootSchedule>), Refusal> {
        let rotation = self.storage.unsettled_rotation(connection.id).await?;
        Ok((rotation, self.storage.schedule(connection.id).await?))
    }

    /// Takes up a failed rotation again. With `accept` also one that changes what is
    /// no secret.
    ///
    /// # Errors
    /// `Conflict` where none has failed, or where what it changes must be accepted;
    /// otherwise as [`Self::rotate_root`].
    pub async fn retry(
        &self,
        path: &MountPath,
        name: &ConnectionName,
        accept: bool,
    ) -> Result<RotationOutcome, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        connection.refuse_while_held()?;
        let turn = connection.rotation_turn().await;
        let rotation = self.failed(&connection).await?;
        let changes = self.staged_changes(&connection, &rotation).await?;
        if !accept && !changes.is_empty() {
            return Err(Refusal::Conflict(format!(
                "the rotation of {title} {}: GET /v1/{config} shows it; take it with accept=true, or give it up with \
                 POST /v1/{rotate}/abort",
                staging::changed(&changes),
                title = connection.title(),
                config = connection.path_of("config"),
                rotate = connection.path_of("rotate-root")
            )));
        }
        self.storage
            .reopen_rotation(rotation.operation, self.clock.now())
            .await?;
        Event::RotationRetried {
            mount: path.clone(),
            connection: name.clone(),
            operation: rotation.operation,
        }
        .record();
        self.drive_open(&connection, None, &turn)
            .await?
            .ok_or_else(|| no_failed_rotation(&connection))
    }

    /// Gives a failed rotation up: the root credential in use stays, and the staged one
    /// is ended upstream and erased. Why it is not ended yet, where it is not.
    ///
    /// # Errors
    /// `Conflict` where none has failed, or where upstream may hold nothing but
    /// the new credential: giving that up would lose the root.
    pub async fn abort(
        &self,
        path: &MountPath,
        name: &ConnectionName,
    ) -> Result<Option<String>, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        connection.refuse_while_held()?;
        let _turn = connection.rotation_turn().await;
        self.failed(&connection).await?;
        // Whether the former still works is a question to upstream, not to us.
        self.give_up(&connection).await.map_err(|failure| {
            Refusal::Conflict(format!(
                "the rotation of {} cannot be given up, because the former root credential is not accepted upstream \
                 ({failure}); retry it, or write a config that works",
                connection.title()
            ))
        })?;
        for rotation in self.ending(&connection).await? {
            if let Err(refusal) = self.end(&connection, &rotation).await {
                return Ok(Some(format!(
                    "a root credential of {} is not ended upstream yet ({refusal}), and is tried again by itself",
                    connection.title()
                )));
            }
        }
        Ok(None)
    }

    /// Brings a connection's open rotation as far as it goes; none where none is open.
    async fn drive_open(
        &self,
        connection: &Arc<Connection>,
        requester: Option<Requester>,
        _turn: &RotationTurn,
    ) -> Result<Option<RotationOutcome>, Refusal> {
        let Some(rotation) = self.storage.unsettled_rotation(connection.id).await? else {
            return Ok(None);
        };
        connection.refuse_while_held()?;
        let plugin = self.mounts.plugin(connection).await?;
        // Takes no call slot: calls that hold one may be waiting for this very
        // rotation, and a connection has one rotation at a time anyway.
        let rotation = match rotation.state {
            RotationState::Rotating => {
                match self.make(connection, &plugin, rotation, requester).await? {
                    Some(staged) => staged,
                    None => return Ok(None),
                }
            }
            RotationState::Proving => rotation,
            _ => {
                let reason = rotation.last_error.as_deref();
                return Err(waiting(connection, reason.unwrap_or("no reason recorded")));
            }
        };
        let promoted = self.prove_and_promote(connection, &plugin, rotation);
        promoted.await.map(Some)
    }

    /// `rotating`: asks upstream for a new root credential and stores it.
    async fn make(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        rotation: RotationRow,
        requester: Option<Requester>,
    ) -> Result<Option<RotationRow>, Refusal> {
        let root = self.mounts.root(connection, plugin).await?;
        let config = self.mounts.unseal(&root)?;
        self.storage
            .begin_rotation_attempt(rotation.operation, give_up_at(connection, self.clock.now()))
            .await?;
        let attempt = rotation.attempts.saturating_add(1);
        let mut call = connection.call(rotation.operation, attempt, PRINCIPAL, &root);
        call.trigger = match &requester {
            _ if rotation.attempts > 0 => Trigger::Recovery,
            Some(_) => Trigger::Operator,
            None => Trigger::Schedule,
        };
        call.requester = requester;
        let rotated = match plugin
            .provider
            .rotate(&call, &config, &Rotation::Root)
            .await
        {
            Ok(rotated) => rotated,
            Err(failure) => {
                let untouched =
                    !failure.reached_upstream || failure.class == FailureClass::Unsupported;
                if untouched && rotation.attempts == 0 {
                    // Nothing happened upstream, in this attempt or an earlier one.
                    self.storage
                        .forget_rotation(rotation.operation, self.clock.now())
                        .await?;
                    Event::RotationAbandoned {
                        mount: path_of(connection),
                        connection: connection.name.clone(),
                        operation: rotation.operation,
                        reason: failure.to_string(),
                    }
                    .record();
                } else {
                    self.record_failure(&rotation, attempt, &failure).await?;
                }
                return Err(failure.into());
            }
        };
        fault::point("rotate.after_provider");

        let (document, held) = staging::judge(plugin, &config, rotated.secret, rotated.defect);
        let version = self.storage.next_config_version(connection.id).await?;
        let sealed = self.keyring.seal(
            &config_context(connection.id, version),
            document.expose().as_bytes(),
        )?;
        let now = self.clock.now();
        let config = NewConfig {
            of: connection.id,
            version,
            document: sealed,
            identity: None,
            warnings: Vec::new(),
            metadata: rotated.metadata,
            retires: rotated.retires,
            created_at: now,
        };
        let next = match &held {
            None => Ok(give_up_at(connection, now)),
            Some(reason) => Err(reason.clone()),
        };
        let staged = self
            .storage
            .stage_rotation(rotation.operation, config, next)
            .await?;
        fault::point("rotate.after_staged");
        let (path, name) = (path_of(connection), connection.name.clone());
        let operation = rotation.operation;
        if let Some(reason) = held.filter(|_| staged) {
            Event::RotationWaiting {
                mount: path,
                connection: name,
                operation,
                version,
                reason: reason.clone(),
            }
            .record();
            return Err(waiting(connection, &reason));
        }
        if staged {
            Event::RotationStaged {
                mount: path,
                connection: name,
                operation,
                version,
            }
            .record();
        }
        Ok(staged.then_some(RotationRow {
            state: RotationState::Proving,
            new_version: Some(version),
            attempts: 0,
            ..rotation
        }))
    }

    /// `proving`: shows that the staged credential works, then puts it in use.
    async fn prove_and_promote(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        rotation: RotationRow,
    ) -> Result<RotationOutcome, Refusal> {
        let gone = || {
            Refusal::Conflict(format!(
                "the rotation of {} was ended meanwhile",
                connection.title()
            ))
        };
        let version = rotation.new_version.ok_or_else(gone)?;
        let row = self
            .storage
            .config(connection.id, version)
            .await?
            .ok_or_else(gone)?;
        let staged = self.mounts.root_of(connection, plugin, &row)?;
        let attempt = rotation.attempts.saturating_add(1);
        self.storage
            .begin_rotation_attempt(rotation.operation, give_up_at(connection, self.clock.now()))
            .await?;
        let validation = match self
            .prove_patiently(connection, plugin, &staged, rotation.operation)
            .await
        {
            Ok(validation) => validation,
            Err(failure) => {
                self.record_failure(&rotation, attempt, &failure).await?;
                return Err(failure.into());
            }
        };
        fault::point("rotate.after_proven");

        let now = self.clock.now();
        let schedule = self.storage.schedule(connection.id).await?;
        let (grace, next) = schedule.map_or((Duration::ZERO, None), |found| {
            (found.grace, found.schedule.next(Some(now), now))
        });
        let retire_at = row.retires.is_some().then(|| now.plus(grace));
        let promoted = self
            .storage
            .promote_rotation(rotation, validation, retire_at, next, now)
            .await?;
        connection.forget_root();
        // Sessions of the former root credential are of no more use to anybody.
        self.mounts.drop_parked(connection);
        if !promoted {
            return Err(gone());
        }
        fault::point("rotate.after_promoted");
        Event::RotationCompleted {
            mount: path_of(connection),
            connection: connection.name.clone(),
            version,
        }
        .record();
        Ok(RotationOutcome {
            version,
            metadata: row.metadata,
        })
    }

    async fn prove(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        root: &Root,
        operation: OperationId,
    ) -> Result<Validation, Refusal> {
        let config = self.mounts.unseal(root)?;
        let call = connection.call(operation, 1, PRINCIPAL, root);
        Ok(plugin
            .provider
            .validate_config(&call, &config, None)
            .await?)
    }

    /// Proves a staged credential, again and again over the time that upstream
    /// may need to honour it.
    async fn prove_patiently(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        staged: &Root,
        operation: OperationId,
    ) -> Result<Validation, Failure> {
        let propagation = Duration::from_secs(plugin.provider.descriptor().propagation_s.into());
        let patience = (propagation + PATIENCE).min(connection.spec.tune.timeout);
        let mut waited = Duration::ZERO;
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.prove(connection, plugin, staged, operation).await {
                Ok(validation) => return Ok(validation),
                Err(Refusal::Provider(failure)) => failure,
                Err(other) => {
                    return Err(Failure {
                        class: FailureClass::Internal,
                        code: "host".into(),
                        message: other.to_string(),
                        retry_after: None,
                        reached_upstream: false,
                    });
                }
            };
            if !failure.class.is_transient() || waited >= patience {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn record_failure(
        &self,
        rotation: &RotationRow,
        attempt: u32,
        failure: &Failure,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        // Each caller who meets an open rotation makes an attempt too; under load
        // they would use all of them up while upstream restarts.
        let counted = attempt.min(backoff::fitting(now.since(rotation.opened_at)));
        let again = failure.class.is_transient() && counted < backoff::SOON;
        let due = again.then(|| now.plus(backoff::jittered(counted)));
        self.storage
            .record_rotation_failure(rotation.operation, due, failure.to_string())
            .await?;
        self.told_failure(rotation, attempt, due, failure.to_string());
        Ok(())
    }

    /// Tells of a step of a rotation that failed.
    fn told_failure(
        &self,
        rotation: &RotationRow,
        attempts: u32,
        next: Option<Timestamp>,
        reason: String,
    ) {
        let connection = self.mounts.connection_by_id(rotation.of);
        Event::RotationFailed {
            mount: connection.as_deref().map(path_of),
            connection: connection.map(|connection| connection.name.clone()),
            operation: rotation.operation,
            attempts,
            next,
            reason,
        }
        .record();
    }

    async fn failed(&self, connection: &Connection) -> Result<RotationRow, Refusal> {
        self.storage
            .unsettled_rotation(connection.id)
            .await?
            .filter(|rotation| rotation.state == RotationState::Failed)
            .ok_or_else(|| no_failed_rotation(connection))
    }
}

fn path_of(connection: &Connection) -> MountPath {
    connection.path().clone()
}

/// The refusal for a rotation that waits for the operator.
fn waiting(connection: &Connection, reason: &str) -> Refusal {
    Refusal::Conflict(format!(
        "a rotation of {title} failed ({reason}); its new root credential is kept where there is one: \
         retry it with POST /v1/{rotate}/retry or give it up with POST /v1/{rotate}/abort",
        title = connection.title(),
        rotate = connection.path_of("rotate-root")
    ))
}

fn no_failed_rotation(connection: &Connection) -> Refusal {
    Refusal::Conflict(format!(
        "no rotation of {} has failed; there is nothing to retry or to give up",
        connection.title()
    ))
}

#[cfg(test)]
mod tests;
