//! A login method at a path, enabled.

use std::sync::Arc;

use lessor_model::{id::MountPath, refusal::Refusal};
use lessor_store::{LoginMountRow, NewLoginMount};
use tokio::sync::{RwLock, RwLockReadGuard};

/// A login method that is enabled.
#[derive(Debug)]
pub struct LoginMount {
    /// Names it in storage.
    pub id: i64,
    /// How it was enabled, and tuned since.
    pub spec: NewLoginMount,
    /// Its config, sealed.
    pub config: Option<Vec<u8>>,
    /// Whether it was disabled. Held for reading by whoever logs in, for writing
    /// by whoever disables it: no login ends after its tokens were revoked.
    pub(super) gate: Arc<RwLock<bool>>,
}

impl LoginMount {
    pub(super) fn new(row: LoginMountRow, former: Option<&Self>) -> Self {
        Self {
            id: row.id,
            spec: row.mount,
            config: row.config,
            gate: former
                .map(|former| Arc::clone(&former.gate))
                .unwrap_or_default(),
        }
    }

    /// Keeps it enabled as long as the guard is held.
    pub(super) async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, Refusal> {
        let closed = self.gate.read().await;
        if *closed {
            return Err(Refusal::NotFound(format!(
                "the login method at {} was disabled",
                self.path()
            )));
        }
        Ok(closed)
    }

    /// Where it is, below `auth/`.
    pub fn path(&self) -> &MountPath {
        &self.spec.path
    }
}
