//! The table of login methods: enabled, found, tuned and disabled.
//!
//! It is small and read into memory as a whole when it changes.

use std::sync::{Arc, PoisonError};

use lessor_model::{
    event::Event,
    id::{MountPath, OperationId},
    login::{Kind, LoginTune, LoginTunePatch},
    random,
    refusal::Refusal,
    suggest,
};
use lessor_store::NewLoginMount;

use super::{LoginMount, Logins, TOKEN_PATH};

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
        patch: LoginTunePatch,
    ) -> Result<(), Refusal> {
        let tune = checked(kind, &patch, &LoginTune::default())?;
        if let Some(other) = self.overlapping(&path) {
            return Err(taken(&other));
        }
        let now = self.clock.now();
        let stored = self
            .storage
            .record_login_mount(NewLoginMount {
                path: path.clone(),
                kind,
                accessor: format!(
                    "auth_{}_{}",
                    kind.as_str(),
                    hex::encode(random::bytes::<4>()?)
                ),
                uuid: OperationId::new(now)?.to_string(),
                description: patch.description.unwrap_or(description),
                tune,
                created_at: now,
            })
            .await;
        match stored {
            Err(error) if error.is_duplicate() => return Err(taken(path.as_str())),
            other => other?,
        }
        self.reread().await?;
        let kind = kind.as_str();
        Event::LoginEnabled { path, kind }.record();
        Ok(())
    }

    /// Changes a login method's settings, for tokens made from now on.
    ///
    /// # Errors
    /// `NotFound`, or a sentence where a setting cannot work.
    pub async fn tune(&self, path: &MountPath, patch: LoginTunePatch) -> Result<(), Refusal> {
        let mount = self.open(path)?;
        let tune = checked(mount.spec.kind, &patch, &mount.spec.tune)?;
        let (plain_request_keys, plain_response_keys) = tune.vault.plain_keys();
        let description = patch
            .description
            .unwrap_or_else(|| mount.spec.description.clone());
        if !self
            .storage
            .change_login_mount(mount.id, description, tune)
            .await?
        {
            return Err(unknown(path.as_str(), &[]));
        }
        self.reread().await?;
        Event::LoginTuned {
            path: path.clone(),
            plain_request_keys,
            plain_response_keys,
        }
        .record();
        Ok(())
    }

    /// Moves a login method: its config, roles, users, secret ids and lock-outs go along,
    /// and tokens made through it are those of the new path. Gives the id of the move.
    ///
    /// # Errors
    /// `NotFound`; a sentence where the new path is taken or overlaps.
    pub async fn remount(&self, from: &MountPath, to: &MountPath) -> Result<OperationId, Refusal> {
        let id = OperationId::new(self.clock.now())?;
        let mount = self.open(from)?;
        let is_other = |other: &str| other != format!("auth/{from}") || to == from;
        if let Some(other) = self
            .overlapping(to)
            .map(|other| format!("auth/{other}"))
            .filter(|other| is_other(other))
        {
            return Err(Refusal::Conflict(format!(
                "to: the path is already in use at {other}/"
            )));
        }
        // Whoever logs in right now is waited for: its token is one of the former path.
        let closed = mount.gate.write().await;
        if *closed {
            return Err(unknown(from.as_str(), &[]));
        }
        match self.storage.move_login_mount(mount.id, from, to).await {
            Err(error) if error.is_duplicate() => return Err(taken(to.as_str())),
            Ok(false) => return Err(unknown(from.as_str(), &[])),
            other => other.map(drop)?,
        }
        drop(closed);
        self.reread().await?;
        let (from, to) = (from.clone(), to.clone());
        Event::LoginMoved { from, to }.record();
        Ok(id)
    }

    /// Disables a login method: its roles, users and secret ids are forgotten, the
    /// tokens made through it revoked.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn disable(&self, path: &MountPath) -> Result<(), Refusal> {
        let mount = self.open(path)?;
        // Whoever logs in right now is waited for: its token must not outlive this.
        let mut closed = mount.gate.write().await;
        if !*closed {
            // Tokens first: a crash in between leaves a method to be disabled again,
            // not tokens that nobody looks for.
            self.tokens
                .revoke_made_below(&format!("auth/{path}/"))
                .await?;
            self.storage.remove_login_mount(mount.id).await?;
            *closed = true;
        }
        drop(closed);
        self.jwts.forget(mount.id);
        self.reread().await?;
        Event::LoginDisabled { path: path.clone() }.record();
        Ok(())
    }

    /// All login methods by path.
    pub fn list(&self) -> Arc<Vec<Arc<LoginMount>>> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A login method.
    ///
    /// # Errors
    /// `NotFound`, naming the nearest known path.
    pub fn open(&self, path: &MountPath) -> Result<Arc<LoginMount>, Refusal> {
        let table = self.list();
        let found = table.iter().find(|mount| mount.path() == path);
        found.cloned().ok_or_else(|| unknown(path.as_str(), &table))
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

    fn overlapping(&self, path: &MountPath) -> Option<String> {
        let inside = |outer: &str, inner: &str| {
            inner == outer
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let table = self.list();
        let paths = table.iter().map(|mount| mount.path().as_str());
        paths
            .chain([TOKEN_PATH])
            .find(|other| inside(other, path.as_str()) || inside(path.as_str(), other))
            .map(str::to_owned)
    }

    pub(super) async fn reread(&self) -> Result<(), Refusal> {
        let _turn = self.rereading.lock().await;
        let rows = self.storage.login_mounts().await?;
        let former = self.list();
        let table = rows.into_iter().map(|row| {
            let same = former.iter().find(|mount| mount.id == row.id);
            Arc::new(LoginMount::new(row, same.map(|mount| &**mount)))
        });
        let table = Arc::new(table.collect());
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }
}

fn checked(kind: Kind, patch: &LoginTunePatch, former: &LoginTune) -> Result<LoginTune, Refusal> {
    if patch.concerns_lockout() && !kind.locks_out() {
        return Err(Refusal::Invalid(format!(
            "user_lockout_config is for approle and userpass: logins of {} are not counted",
            kind.as_str()
        )));
    }
    let tune = patch.applied_to(former);
    tune.check()?;
    Ok(tune)
}

fn taken(path: &str) -> Refusal {
    Refusal::Conflict(format!("path is already in use at {path}/"))
}

fn unknown(path: &str, table: &[Arc<LoginMount>]) -> Refusal {
    let hint = suggest::hint(path, table.iter().map(|mount| mount.path().as_str()));
    Refusal::NotFound(format!("no login method at {path:?}{hint}"))
}
