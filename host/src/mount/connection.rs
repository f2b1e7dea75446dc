//! Connections: a mount by one of its root credentials. Each has its own config,
//! rotation and schedule, its own call slots, and its own word on whether upstream
//! answers: one system that hangs delays no other.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, ConnectionName, OperationId},
    provider::{Call, Scope, Trigger},
    refusal::Refusal,
};
use tokio::sync::Semaphore;

use super::Mount;
use crate::breaker::{Admission, Breaker};

/// A connection of a mount. What is true of the mount is true of it, too.
#[derive(Debug)]
pub struct Connection {
    /// Names it in storage.
    pub id: ConnectionId,
    /// Its name within the mount.
    pub name: ConnectionName,
    /// The mount.
    pub mount: Arc<Mount>,
    /// One permit per call at a time.
    pub(super) slots: Arc<Semaphore>,
    pub(super) shared: Arc<Shared>,
}

impl Deref for Connection {
    type Target = Mount;

    fn deref(&self) -> &Mount {
        &self.mount
    }
}

/// What outlives a change of the mount's settings.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Held by whoever drives a rotation.
    rotation: Arc<tokio::sync::Mutex<()>>,
    /// The root credential in use; dropped whenever it may have changed.
    root: Mutex<CachedRoot>,
    /// All root credentials that calls may still use.
    lent: Mutex<Vec<Weak<Root>>>,
    /// Whether upstream is worth asking.
    breaker: Mutex<Breaker>,
}

/// The root credential in use, where it was read since it last changed.
#[derive(Debug, Default)]
pub(super) struct CachedRoot {
    /// Counts the changes: who read before one must not store after it.
    pub(super) changes: u64,
    pub(super) root: Option<Arc<Root>>,
}

/// The right to drive a connection's rotation, or to rely on none being driven.
#[derive(Debug)]
pub struct RotationTurn(
    #[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedMutexGuard<()>,
);

/// A version of a root credential, sealed, with what its calls share.
#[derive(Debug)]
pub struct Root {
    /// Config version.
    pub version: u32,
    /// What calls with it are bounded by.
    pub scope: Arc<Scope>,
    pub(super) document: Vec<u8>,
}

impl Connection {
    /// The path below the mount of one of the connection's operations: the connection
    /// that goes without saying is not named.
    pub fn path_of(&self, what: &str) -> String {
        match self.name.is_default() {
            true => format!("{}/{what}", self.path()),
            false => format!("{}/{what}/{}", self.path(), self.name),
        }
    }

    /// What two connections are told apart by, in a sentence.
    pub fn kind_beside(&self, other: &Self) -> &'static str {
        match self.mount.id == other.mount.id {
            true => "connection",
            false => "mount",
        }
    }

    /// The connection in a sentence: the mount, and which of its connections where it
    /// has a name of its own.
    pub fn title(&self) -> String {
        match self.name.is_default() {
            true => self.path().to_string(),
            false => format!("{} (connection {})", self.path(), self.name),
        }
    }

    /// One of the connection's call slots; waits until there is one.
    ///
    /// # Errors
    /// `Limit` where none comes free within the mount's timeout.
    pub async fn slot(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        let slots = Arc::clone(&self.slots);
        match tokio::time::timeout(self.spec.tune.timeout, slots.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::Limit {
                message: format!(
                    "mount {} has {} calls under way (max_concurrency), and none ended in time",
                    self.title(),
                    self.spec.tune.max_concurrency
                ),
                retry_after: Duration::from_secs(1),
            }),
        }
    }

    /// Free call slots now; the scheduler takes no more work than this.
    pub fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// How much of the work that comes by time may be begun.
    pub fn admit(&self, now: Timestamp) -> Admission {
        self.breaker().admit(now)
    }

    /// Whether upstream is taken to be down.
    pub fn is_upstream_down(&self) -> bool {
        self.breaker().is_open()
    }

    /// Upstream answered. Whether it was taken to be down.
    pub fn upstream_answered(&self) -> bool {
        self.breaker().succeeded()
    }

    /// Upstream did not answer. Whether it is taken to be down from now on.
    pub fn upstream_failed(&self, now: Timestamp) -> bool {
        self.breaker().failed(now)
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.shared
            .breaker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else drives a rotation of this connection, and keeps
    /// everybody else from it until the turn is dropped.
    pub async fn rotation_turn(&self) -> RotationTurn {
        RotationTurn(Arc::clone(&self.shared.rotation).lock_owned().await)
    }

    /// Counts a root credential among those that calls may still use.
    pub(super) fn lend(&self, root: &Arc<Root>) {
        let mut lent = self.lent();
        lent.retain(|lent| lent.strong_count() > 0);
        lent.push(Arc::downgrade(root));
    }

    /// Whether a call under way still uses a version of the root credential.
    pub fn uses_root(&self, version: u32) -> bool {
        let mut lent = self.lent();
        lent.retain(|root| root.strong_count() > 0);
        lent.iter()
            .filter_map(Weak::upgrade)
            .any(|root| root.version == version)
    }

    /// The next call reads the root credential from storage again.
    pub fn forget_root(&self) {
        let mut cached = self.cached_root();
        cached.changes += 1;
        cached.root = None;
    }

    fn lent(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Root>>> {
        self.shared
            .lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cached_root(&self) -> std::sync::MutexGuard<'_, CachedRoot> {
        self.shared
            .root
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call by this connection, of those that the host makes by itself at regular times.
    pub fn call(&self, operation: OperationId, attempt: u32, principal: &str, root: &Root) -> Call {
        Call {
            operation,
            attempt,
            trigger: Trigger::Schedule,
            role_name: None,
            principal_name: principal.to_owned(),
            requester: None,
            timeout: self.spec.tune.timeout,
            scope: Arc::clone(&root.scope),
        }
    }
}
