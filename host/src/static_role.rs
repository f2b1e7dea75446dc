//! Existing accounts upstream whose credential is renewed: static roles.
//!
//! ```text
//!        schedule, by hand          provider answers
//!  idle ──────────────────▶ rotating ───────────────▶ idle
//!   ▲                        │  ▲  │                   ▲
//!   │  window over,          ▼  │  │ a former one      │ ended
//!   └─ nothing reached   out-of-sync │ is to be ended  │
//!                                  └──────▶ retiring ──┘
//! ```
//!
//! A rotation is committed with its operation id before the provider is called,
//! and the provider computes the same credential again from the same id: so a
//! crash anywhere goes on at the first step that is not committed. What upstream
//! refuses is tried again under a fresh id, because the value itself may be what
//! it does not take. The credential in force and the one before it are kept,
//! sealed; nothing of an account lives in memory.

mod after;
mod due;
mod fields;
mod rotate;
mod view;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use lessor_model::{clock::Clock, id::RoleName, refusal::Refusal, secret::Secret};
use lessor_seal::keyring::Keyring;
use lessor_store::{StaticRoleRow, Storage};
use tokio::sync::OwnedMutexGuard;

pub use self::view::{Standing, StaticRoleCredential, StaticRoleView};
use crate::{
    context::Context,
    mount::{Connection, Mount, Mounts},
    rotation::Rotations,
};

/// The static roles of all mounts.
#[derive(Debug)]
pub struct StaticRoles {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    rotations: Arc<Rotations>,
    clock: Clock,
    turns: Turns,
}

impl StaticRoles {
    /// Static roles over a storage.
    pub fn new(context: Context, mounts: Arc<Mounts>, rotations: Arc<Rotations>) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            mounts,
            rotations,
            clock,
            turns: Turns::default(),
        }
    }

    /// A static role as it stands now.
    async fn find(&self, mount: &Mount, name: &RoleName) -> Result<StaticRoleRow, Refusal> {
        match self.storage.static_role(mount.id, name.clone()).await? {
            Some(row) => Ok(row),
            None => Err(self.unknown(mount, name).await),
        }
    }

    async fn unknown(&self, mount: &Mount, name: &RoleName) -> Refusal {
        let known = self
            .storage
            .static_role_names(mount.id)
            .await
            .unwrap_or_default();
        let hint = lessor_model::suggest::hint(name.as_str(), known.iter().map(String::as_str));
        Refusal::NotFound(format!(
            "mount {} has no static role {:?}{hint}",
            mount.path(),
            name.as_str()
        ))
    }

    /// The connection to the system that has the account.
    fn connection(&self, row: &StaticRoleRow) -> Result<Arc<Connection>, Refusal> {
        let gone = || {
            Refusal::NotFound(format!(
                "the connection of static role {} is gone",
                row.name
            ))
        };
        self.mounts
            .connection_by_id(row.connection)
            .ok_or_else(gone)
    }

    /// A static role as it stands after a wait.
    async fn again(&self, mount: &Mount, row: &StaticRoleRow) -> Result<StaticRoleRow, Refusal> {
        let found = self.storage.static_role_by_id(row.id).await?;
        found.ok_or_else(|| removed(mount, &row.name))
    }

    /// Opens a role's document for one call.
    fn document(&self, mount: &Mount, row: &StaticRoleRow) -> Result<Secret<String>, Refusal> {
        Ok(self
            .keyring
            .open_text(&document_context(mount.id, &row.name), &row.document)?)
    }
}

fn removed(mount: &Mount, name: &RoleName) -> Refusal {
    Refusal::NotFound(format!(
        "static role {name} of {} was removed meanwhile",
        mount.path()
    ))
}

/// The context that a static role's document is sealed for.
fn document_context(mount_id: i64, name: &RoleName) -> String {
    format!("static_roles/{mount_id}/{name}/document")
}

/// The context that a version of an account's credential is sealed for.
fn credential_context(id: i64, version: u32) -> String {
    format!("account_credentials/{id}/{version}/secret")
}

/// The turns of those who change a static role or drive its rotation: one at a time for each role.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<i64, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits until nobody else has the turn.
    async fn take(&self, id: i64) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let found = turns.get(&id).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                let new = Arc::default();
                turns.insert(id, Arc::downgrade(&new));
                new
            })
        };
        turn.lock_owned().await
    }
}

/// A static role that rests, for the tests of pure decisions.
#[cfg(test)]
fn resting(account: &str, schedule: lessor_model::schedule::Schedule) -> StaticRoleRow {
    StaticRoleRow {
        id: 1,
        mount_id: 1,
        connection: lessor_model::id::ConnectionId(1),
        name: "app".parse().unwrap(),
        account: account.into(),
        db_name: None,
        document: vec![],
        schedule,
        former: lessor_store::Former {
            grace: std::time::Duration::ZERO,
            is_kept: false,
        },
        state: lessor_store::StaticRoleState::Idle,
        operation: None,
        attempts: 0,
        reached: 0,
        retires: None,
        version: 1,
        last: None,
        next: None,
        due_at: None,
        last_error: None,
    }
}

#[cfg(test)]
mod tests;
