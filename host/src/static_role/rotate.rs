//! One rotation of an account: intent, provider call, outcome, each committed
//! before the next.

use std::sync::Arc;

use lessor_model::{
    event::Event,
    id::{MountPath, OperationId, RoleName},
    provider::{Call, FailureClass, Requester, Revocation, Rotated, Rotation, Trigger},
    refusal::Refusal,
};
use lessor_store::{NewCredential, Retires, StaticRoleFailure, StaticRoleRow, StaticRoleState};

use super::{
    StaticRoles,
    after::{After, after_failure},
    credential_context, removed,
};
use crate::{
    catalog::Plugin,
    fault,
    mount::{Connection, Root, give_up_at},
};

impl StaticRoles {
    /// Renews an account's credential. An open rotation is brought to its end
    /// instead. One that fails is tried again by itself.
    ///
    /// # Errors
    /// `NotFound`; the provider's failure.
    pub async fn rotate(
        &self,
        path: &MountPath,
        name: &RoleName,
        requester: Requester,
    ) -> Result<(), Refusal> {
        let mount = self.mounts.open(path)?;
        mount.refuse_while_held()?;
        let row = self.find(&mount, name).await?;
        let connection = self.connection(&row)?;
        let _turn = self.turns.take(row.id).await;
        let row = self.again(&connection, &row).await?;
        let mut row = self.end_kept(&connection, row).await?;
        if row.state == StaticRoleState::Retiring {
            self.drive(&connection, &row, None).await?;
            row = self.again(&connection, &row).await?;
        }
        if row.state == StaticRoleState::Idle {
            row = self.open(&connection, row).await?;
        }
        self.drive(&connection, &row, Some(requester)).await
    }

    /// Opens a rotation of an account that rests.
    pub(super) async fn open(
        &self,
        connection: &Connection,
        row: StaticRoleRow,
    ) -> Result<StaticRoleRow, Refusal> {
        let now = self.clock.now();
        let (operation, due_at) = (OperationId::new(now)?, give_up_at(connection, now));
        if !self
            .storage
            .open_static_role_rotation(row.id, operation, due_at)
            .await?
        {
            return Err(Refusal::Conflict(format!(
                "another rotation of static role {} of {} was begun; try again",
                row.name,
                connection.path()
            )));
        }
        fault::point("rotate-account.after_open");
        Event::StaticRoleRotationBegun {
            mount: connection.path().clone(),
            static_role: row.name.clone(),
            account: row.account.clone(),
        }
        .record();
        Ok(StaticRoleRow {
            state: StaticRoleState::Rotating,
            operation: Some(operation),
            attempts: 0,
            reached: 0,
            due_at: Some(due_at),
            ..row
        })
    }

    /// Begins to end the credential that an account has beside its current one, where it
    /// is kept until now: upstream holds no third.
    pub(super) async fn end_kept(
        &self,
        connection: &Connection,
        row: StaticRoleRow,
    ) -> Result<StaticRoleRow, Refusal> {
        let now = self.clock.now();
        let begun = self
            .storage
            .end_kept_credential(row.id, now, give_up_at(connection, now))
            .await?;
        if !begun {
            return Ok(row);
        }
        Event::StaticRoleFormerDue {
            mount: connection.path().clone(),
            static_role: row.name.clone(),
            account: row.account.clone(),
        }
        .record();
        self.again(connection, &row).await
    }

    /// One attempt at the step that an account's open rotation has come to,
    /// recorded either way. To be called by whoever has the turn.
    pub(super) async fn drive(
        &self,
        connection: &Arc<Connection>,
        row: &StaticRoleRow,
        requester: Option<Requester>,
    ) -> Result<(), Refusal> {
        let Some(operation) = row.operation else {
            return Ok(());
        };
        let outcome = if row.state == StaticRoleState::Retiring {
            self.retire(connection, row, operation).await
        } else {
            self.renew(connection, row, operation, requester).await
        };
        if let Err(refusal) = &outcome {
            self.record(connection, row, operation, refusal).await?;
        }
        outcome
    }

    /// `rotating`: has the provider make a new credential, and stores it.
    async fn renew(
        &self,
        connection: &Arc<Connection>,
        row: &StaticRoleRow,
        operation: OperationId,
        requester: Option<Requester>,
    ) -> Result<(), Refusal> {
        let plugin = self.mounts.plugin(connection).await?;
        let rotated = self
            .ask(connection, &plugin, row, operation, requester)
            .await?;
        fault::point("rotate-account.after_provider");

        let version = row.version.saturating_add(1);
        let secret = self.keyring.seal(
            &credential_context(row.id, version),
            rotated.secret.expose().as_bytes(),
        )?;
        let now = self.clock.now();
        // The credential from before lessor has no version to be kept as.
        let keeps = row.former.is_kept && row.version > 0;
        let new = NewCredential {
            version,
            secret,
            retires: rotated.retires.map(|id| Retires {
                id,
                at: (!keeps).then(|| now.plus(row.former.grace)),
            }),
            next: row.schedule.next(Some(now), now),
            created_at: now,
        };
        if !self
            .storage
            .store_static_role_credential(row.id, operation, new)
            .await?
        {
            return Err(removed(connection, &row.name));
        }
        fault::point("rotate-account.after_stored");
        Event::StaticRoleRotated {
            mount: connection.path().clone(),
            static_role: row.name.clone(),
            account: row.account.clone(),
            version,
        }
        .record();
        Ok(())
    }

    async fn ask(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        row: &StaticRoleRow,
        operation: OperationId,
        requester: Option<Requester>,
    ) -> Result<Rotated, Refusal> {
        let what = Rotation::Account(self.document(connection, row)?);
        let first = row.reached.saturating_add(1);
        let (what, requester) = (&what, &requester);
        let asked = self
            .rotations
            .with_root(connection, plugin, first, |root, attempt| {
                Box::pin(async move {
                    self.begin(connection, row, operation).await?;
                    let mut call = call(connection, row, &root.root, operation, attempt);
                    call.trigger = match requester {
                        _ if row.reached > 0 => Trigger::Recovery,
                        // The first one, made when the role is written.
                        Some(_) if row.version == 0 => Trigger::Configuration,
                        Some(_) => Trigger::Operator,
                        None => Trigger::Schedule,
                    };
                    call.requester.clone_from(requester);
                    Ok(plugin.provider.rotate(&call, &root.config, what).await)
                })
            });
        let rotated = asked.await??;
        // Asked again under the same id, the provider computes the same: so nothing is
        // lost by not taking what no reader could use.
        match rotated.defect.clone() {
            Some(defect) => Err(defect.into()),
            None => Ok(rotated),
        }
    }

    /// `retiring`: ends the former credential upstream.
    async fn retire(
        &self,
        connection: &Arc<Connection>,
        row: &StaticRoleRow,
        operation: OperationId,
    ) -> Result<(), Refusal> {
        let plugin = self.mounts.plugin(connection).await?;
        let document = self.document(connection, row)?;
        let gone = || Refusal::Conflict("the former credential's name is gone".into());
        let what = Revocation::FormerRoot(row.retires.clone().ok_or_else(gone)?);
        let first = row.attempts.saturating_add(1);
        let (plugin, document, what) = (&plugin, &document, &what);
        let ended = self
            .rotations
            .with_root(connection, plugin, first, |root, attempt| {
                Box::pin(async move {
                    self.begin(connection, row, operation).await?;
                    let call = call(connection, row, &root.root, operation, attempt);
                    let provider = &plugin.provider;
                    Ok(provider
                        .revoke(&call, &root.config, Some(document), what)
                        .await)
                })
            });
        match ended.await? {
            Ok(()) => {}
            Err(failure) if failure.class == FailureClass::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
        self.storage
            .finish_static_role_rotation(row.id, operation, self.clock.now())
            .await?;
        Event::StaticRoleFormerEnded {
            mount: connection.path().clone(),
            static_role: row.name.clone(),
            account: row.account.clone(),
        }
        .record();
        Ok(())
    }

    /// Records that upstream is about to be asked.
    async fn begin(
        &self,
        connection: &Connection,
        row: &StaticRoleRow,
        operation: OperationId,
    ) -> Result<(), Refusal> {
        let due_at = give_up_at(connection, self.clock.now());
        let begun = self
            .storage
            .begin_static_role_attempt(row.id, operation, due_at)
            .await?;
        if begun {
            Ok(())
        } else {
            Err(removed(connection, &row.name))
        }
    }

    /// Records a failed attempt: when it is tried again, and under which id.
    async fn record(
        &self,
        connection: &Connection,
        row: &StaticRoleRow,
        operation: OperationId,
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        let Some(stored) = self.storage.static_role_by_id(row.id).await? else {
            return Ok(());
        };
        let now = self.clock.now();
        let (state, due) = match after_failure(row, stored.reached, refusal, now) {
            After::Again(again) => {
                let failure = StaticRoleFailure {
                    state: again.state,
                    operation: if again.afresh {
                        OperationId::new(now)?
                    } else {
                        operation
                    },
                    attempts: again.attempts,
                    reached: again.reached,
                    due_at: again.due_at,
                    error: refusal.to_string(),
                };
                self.storage
                    .record_static_role_failure(row.id, operation, failure)
                    .await?;
                (again.state, Some(again.due_at))
            }
            After::WaitFor(next) => {
                self.storage
                    .close_static_role_rotation(row.id, operation, next, refusal.to_string())
                    .await?;
                (StaticRoleState::Idle, next)
            }
        };
        Event::StaticRoleNotRotated {
            mount: connection.path().clone(),
            static_role: row.name.clone(),
            account: row.account.clone(),
            attempts: row.attempts.saturating_add(1),
            state: state.as_str(),
            next: due,
            reason: refusal.to_string(),
        }
        .record();
        Ok(())
    }
}

fn call(
    connection: &Connection,
    row: &StaticRoleRow,
    root: &Root,
    operation: OperationId,
    attempt: u32,
) -> Call {
    Call {
        role_name: Some(row.name.clone()),
        ..connection.call(operation, attempt, &row.account, root)
    }
}
