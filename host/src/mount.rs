//! Mounts: a provider at a path, with what the host grants it.
//!
//! What a call needs of a mount is collected here: the root credential in use
//! (still sealed), the grants, a call slot. Leases and rotations of a mount share
//! the [`Mount`] they get from [`Mounts::open`].

mod authorities;
mod loopback;
mod moves;
mod neighbours;
mod table;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use lessor_model::{
    clock::Timestamp,
    grants::Grants,
    id::{MountPath, OperationId},
    provider::{Call, Scope, Trigger},
    refusal::Refusal,
    secret::Secret,
};
use lessor_store::{FormerPath, NewMount};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;

pub(crate) use self::loopback::endpoints;
pub use self::{
    moves::Move,
    neighbours::{Neighbour, account_of},
    table::{MountSpec, MountView, Mounts},
};
use crate::breaker::{Admission, Breaker};

/// A mount in use.
#[derive(Debug)]
pub struct Mount {
    /// Names it in storage.
    pub id: i64,
    /// False once unmounted: then it only revokes.
    pub live: bool,
    /// Since when what comes by time waits for the operator, in a restored copy.
    pub held: Option<Timestamp>,
    /// What was stored of it.
    pub spec: NewMount,
    /// Where it was before it was moved.
    pub former: Vec<FormerPath>,
    grants: Arc<Grants>,
    extra_roots: Arc<[CertificateDer<'static>]>,
    derivation_key: Arc<Secret<[u8; 32]>>,
    /// One permit per call at a time.
    slots: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// What outlives a change of the mount's settings.
#[derive(Debug, Default)]
struct Shared {
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
struct CachedRoot {
    /// Counts the changes: who read before one must not store after it.
    changes: u64,
    root: Option<Arc<Root>>,
}

/// The right to drive a mount's rotation, or to rely on none being driven.
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
    document: Vec<u8>,
    mount_id: i64,
}

impl Mount {
    /// The path.
    pub fn path(&self) -> &MountPath {
        &self.spec.path
    }

    /// Whether an operation's lease may have been handed out with an id under `path`: one
    /// that was made since the mount was moved away from there never was, and whoever is
    /// granted something under that path alone has no part in it.
    pub fn answers_to(&self, path: &MountPath, operation: OperationId) -> bool {
        let was = |former: &FormerPath| former.path == *path && operation <= former.newest;
        self.path() == path || self.former.iter().any(was)
    }

    /// Refuses what would end or renew something upstream that a restored copy may
    /// know wrongly, until the operator has released the mount.
    ///
    /// # Errors
    /// `Conflict` where it is held.
    pub fn refuse_while_held(&self) -> Result<(), Refusal> {
        match self.held {
            None => Ok(()),
            Some(_) => Err(Refusal::Conflict(format!(
                "mount {path} is held since a backup was restored: nothing is rotated until you release it with \
                 `lessor release {path}` (POST /v1/sys/hold/release); GET /v1/sys/hold tells what is overdue",
                path = self.path()
            ))),
        }
    }

    /// One of the mount's call slots; waits until there is one.
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
                    self.path(),
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

    /// Waits until nobody else drives a rotation of this mount, and keeps
    /// everybody else from it until the turn is dropped.
    pub async fn rotation_turn(&self) -> RotationTurn {
        RotationTurn(Arc::clone(&self.shared.rotation).lock_owned().await)
    }

    /// Whether a call under way still uses a version of the root credential.
    pub fn uses_root(&self, version: u32) -> bool {
        let mut lent = self
            .shared
            .lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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

    fn cached_root(&self) -> std::sync::MutexGuard<'_, CachedRoot> {
        self.shared
            .root
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call within this mount, of those that the host makes by itself at regular times.
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

/// Where a version of a config is sealed for.
pub(crate) fn config_context(mount_id: i64, version: u32) -> String {
    format!("configs/{mount_id}/{version}/document")
}

/// When a rotation or lease of this mount, begun now, may be taken for dead:
/// a request sent just before the timeout may still land a little later.
pub(crate) fn give_up_at(mount: &Mount, now: Timestamp) -> Timestamp {
    give_up_after(mount.spec.tune.timeout, now)
}

/// [`give_up_at`] for a call with a limit of its own.
pub(crate) fn give_up_after(timeout: Duration, now: Timestamp) -> Timestamp {
    const MARGIN: Duration = Duration::from_secs(5);
    now.plus(timeout).plus(MARGIN)
}
