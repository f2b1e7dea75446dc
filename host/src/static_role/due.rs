//! The scheduler's work on static roles: begin those whose time has come, go on with interrupted
//! ones, end former credentials whose grace is over.

use std::sync::Arc;

use lessor_model::{clock::Timestamp, event::Event, refusal::Refusal, schedule::Due};
use lessor_store::{StaticRoleRow, StaticRoleState};

use super::StaticRoles;
use crate::{
    backoff,
    mount::{Connection, give_up_at},
};

impl StaticRoles {
    /// Takes a connection's due static roles, at most `limit`, for one attempt each.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn claim_due(
        &self,
        connection: &Connection,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<StaticRoleRow>, Refusal> {
        let mut claimed = Vec::new();
        for row in self
            .storage
            .due_static_roles(connection.id, now, limit)
            .await?
        {
            let row = match row {
                Ok(row) => row,
                Err(id) => {
                    let until = now.plus(backoff::DAILY);
                    self.storage.put_static_role_off(id, until).await?;
                    let (mount, number) = (connection.path().clone(), id);
                    Event::StaticRolePutOff {
                        mount,
                        number,
                        until,
                    }
                    .record();
                    continue;
                }
            };
            if row.state != StaticRoleState::Idle {
                let until = give_up_at(connection, now);
                if self
                    .storage
                    .claim_static_role(row.id, row.due_at, until)
                    .await?
                {
                    let due_at = Some(until);
                    claimed.push(StaticRoleRow { due_at, ..row });
                }
            } else if let Due::Missed { next } = row.schedule.due(now) {
                self.storage.reschedule_static_role(row.id, next).await?;
                Event::StaticRoleMissed {
                    mount: connection.path().clone(),
                    static_role: row.name,
                    account: row.account,
                    next,
                }
                .record();
            } else {
                let row = self.end_kept(connection, row).await?;
                if row.state == StaticRoleState::Retiring {
                    // The rotation is due again once that is done.
                    claimed.push(row);
                    continue;
                }
                match self.open(connection, row).await {
                    Ok(open) => claimed.push(open),
                    // Somebody asked for it just now.
                    Err(Refusal::Conflict(_)) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(claimed)
    }

    /// The time when the scheduler must look at a connection's next static role.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn next_due(&self, connection: &Connection) -> Result<Option<Timestamp>, Refusal> {
        Ok(self.storage.next_static_role_due(connection.id).await?)
    }

    /// One attempt at a claimed static role, recorded either way.
    pub async fn advance(&self, connection: &Arc<Connection>, claimed: StaticRoleRow) {
        let _turn = self.turns.take(claimed.id).await;
        let outcome = match self.storage.static_role_by_id(claimed.id).await {
            // Whoever had the turn before may have done it, or put it off.
            Ok(Some(row)) if row.operation == claimed.operation && row.due_at == claimed.due_at => {
                self.drive(connection, &row, None).await
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            tracing::debug!(mount = %connection.title(), static_role = %claimed.name, %error, "a rotation did not advance");
        }
    }

    /// Makes every interrupted rotation due: called once at start, when no call
    /// of this process can be under way.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn resume_interrupted(&self) -> Result<(), Refusal> {
        let now = self.clock.now();
        Ok(self.storage.wake_interrupted_static_roles(now).await?)
    }
}
