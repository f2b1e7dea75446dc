//! Login methods: enabled, found, tuned and disabled. They are mounts, and stand in the
//! table of those.

use std::sync::Arc;

use lessor_model::{
    id::{MountPath, OperationId},
    login::Kind,
    mount::{self, Tune, TunePatch},
    refusal::Refusal,
    suggest,
};

use super::{LoginMount, Logins};
use crate::mount::MountSpec;

impl Logins {
    /// Enables a login method.
    ///
    /// # Errors
    /// A sentence where the path is taken or overlaps, or a setting cannot work.
    pub async fn enable(
        &self,
        path: MountPath,
        kind: Kind,
        description: String,
        patch: TunePatch,
    ) -> Result<(), Refusal> {
        let plugin = kind.as_str().to_owned();
        let kind = mount::Kind::Login(kind);
        let tune = patch.applied_to(kind, &Tune::of(kind))?;
        let spec = MountSpec {
            http_proxy_credentials: None,
            kind,
            path,
            plugin,
            version: None,
            description: patch.description.unwrap_or(description),
            tune,
        };
        self.mounts.make(spec).await
    }

    /// Changes a login method's settings, for tokens made from now on.
    ///
    /// # Errors
    /// `NotFound`, or a sentence where a setting cannot work.
    pub async fn tune(&self, path: &MountPath, patch: TunePatch) -> Result<(), Refusal> {
        self.mounts.change(&self.open(path)?.mount, patch).await
    }

    /// Moves a login method: its config, roles, users, secret ids and lock-outs go along,
    /// and tokens made through it are those of the new path. Gives the id of the move.
    ///
    /// # Errors
    /// `NotFound`; a sentence where the new path is taken or overlaps.
    pub async fn remount(&self, from: &MountPath, to: &MountPath) -> Result<OperationId, Refusal> {
        self.mounts.move_to(&self.open(from)?.mount, to).await
    }

    /// Disables a login method: its roles, users and secret ids are forgotten, the
    /// tokens made through it revoked.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn disable(&self, path: &MountPath) -> Result<(), Refusal> {
        self.mounts.end(&self.open(path)?.mount).await.map(drop)
    }

    /// All login methods by path.
    pub fn list(&self) -> Arc<Vec<Arc<LoginMount>>> {
        self.mounts.logins()
    }

    /// A login method.
    ///
    /// # Errors
    /// `NotFound`, naming the nearest known path.
    pub fn open(&self, path: &MountPath) -> Result<Arc<LoginMount>, Refusal> {
        let table = self.list();
        let found = table.iter().find(|mount| mount.path() == path);
        found.cloned().ok_or_else(|| {
            let paths = table.iter().map(|mount| mount.path().as_str());
            let hint = suggest::hint(path.as_str(), paths);
            Refusal::NotFound(format!("no login method at {:?}{hint}", path.as_str()))
        })
    }

    /// The login method with the longest path that begins `path`, which stands
    /// behind `auth/`, and the rest behind it without a leading slash.
    pub fn resolve(&self, path: &str) -> Option<(Arc<LoginMount>, String)> {
        let path = path.trim_matches('/');
        let below = |mount: &Arc<LoginMount>| {
            let rest = path.strip_prefix(mount.path().as_str())?;
            let rest = match rest {
                "" => rest,
                rest => rest.strip_prefix('/')?,
            };
            Some((Arc::clone(mount), rest.to_owned()))
        };
        // Paths do not overlap, so that at most one fits.
        self.list().iter().find_map(below)
    }
}
