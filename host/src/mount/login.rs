//! A login method at a path.

use std::{ops::Deref, sync::Arc};

use lessor_model::{login::Kind, refusal::Refusal};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};

use super::Mount;

/// A mount by which callers log in. What is true of the mount is true of it, too.
#[derive(Debug)]
pub struct LoginMount {
    /// The mount.
    pub mount: Arc<Mount>,
    /// How callers prove who they are.
    pub kind: Kind,
    /// Its config, sealed.
    pub config: Option<Vec<u8>>,
    /// Whether it was disabled. Held for reading by whoever logs in, for writing
    /// by whoever disables it: no login ends after its tokens were revoked.
    gate: Arc<RwLock<bool>>,
}

impl Deref for LoginMount {
    type Target = Mount;

    fn deref(&self) -> &Mount {
        &self.mount
    }
}

impl LoginMount {
    pub(super) fn new(
        mount: &Arc<Mount>,
        kind: Kind,
        config: Option<Vec<u8>>,
        former: Option<&Self>,
    ) -> Self {
        Self {
            mount: Arc::clone(mount),
            kind,
            config,
            gate: former
                .map(|former| Arc::clone(&former.gate))
                .unwrap_or_default(),
        }
    }

    /// Keeps it enabled as long as the guard is held.
    ///
    /// # Errors
    /// `NotFound` where it was disabled.
    pub async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, Refusal> {
        let closed = self.gate.read().await;
        if *closed {
            return Err(Refusal::NotFound(format!(
                "the login method at {} was disabled",
                self.path()
            )));
        }
        Ok(closed)
    }

    /// Waits for whoever logs in, and keeps everybody else from it. What the guard holds
    /// is whether it was disabled; set, nobody enters any more.
    pub async fn close(&self) -> OwnedRwLockWriteGuard<bool> {
        Arc::clone(&self.gate).write_owned().await
    }
}
