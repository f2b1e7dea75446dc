//! JWT: a signed token of somebody whom the operator trusts, an identity
//! provider or a cluster, is exchanged for one of this server.
//!
//! The rules are those that Vault documents for its JWT method. Signatures are
//! checked with public keys alone: `none` and the HMAC algorithms are never
//! taken. Keys are in the config, or fetched from where it says; `claims` says
//! what must stand in a token, `keys` who signed it.

mod claims;
mod config;
mod fetch;
mod key_set;
mod keys;
mod role;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use lessor_model::{clock::Clock, refusal::Refusal, secret::Secret, suggest};
use lessor_seal::keyring::Keyring;
use lessor_store::Storage;

pub use self::{
    config::{JwtConfig, KeySource},
    fetch::KeyUrl,
    role::{JwtRole, Leeway},
};
use self::{
    key_set::KeySet,
    keys::{Unverified, VerifyingKey},
};
use super::{
    Attempt, Claims, LoginMount, Method, Rejection, Standing,
    entries::{Entries, parse_name},
};
use crate::context::Context;

/// Longest token that is looked at, in bytes: some providers list hundreds of
/// groups in theirs.
const LONGEST: usize = 64 << 10;

/// The configs and roles of all JWT login methods.
#[derive(Debug)]
pub struct Jwts {
    entries: Entries,
    storage: Storage,
    keyring: Keyring,
    clock: Clock,
    /// Fetched keys by login method.
    fetched: Mutex<HashMap<i64, Arc<KeySet>>>,
}

impl Jwts {
    pub(super) fn new(context: Context, entries: Entries) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            entries,
            storage,
            keyring,
            clock,
            fetched: Mutex::default(),
        }
    }

    /// A role; none where there is none.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn find(&self, mount: &LoginMount, name: &str) -> Result<Option<JwtRole>, Refusal> {
        let found = self.entries.find(mount, name).await?;
        Ok(found.map(|found| found.entry))
    }

    /// Names of roles.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn names(&self, mount: &LoginMount) -> Result<Vec<String>, Refusal> {
        self.entries.names(mount).await
    }

    /// Writes what `change` makes of the former role.
    ///
    /// # Errors
    /// What `change` says; one sentence that names the field.
    pub async fn write<E: From<Refusal>>(
        &self,
        mount: &LoginMount,
        name: &str,
        change: impl FnOnce(Option<JwtRole>) -> Result<JwtRole, E> + Send,
    ) -> Result<(), E> {
        let checked = |former| {
            let role = change(former)?;
            role.check().map_err(Refusal::Invalid)?;
            Ok(role)
        };
        self.entries.write(mount, name, checked).await
    }

    /// Removes a role; tokens made through it live on.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn remove(&self, mount: &LoginMount, name: &str) -> Result<(), Refusal> {
        self.entries.remove::<JwtRole>(mount, name).await
    }

    /// The config as written; none where none was.
    ///
    /// # Errors
    /// Where the keyring cannot open it.
    pub fn config(&self, mount: &LoginMount) -> Result<Option<JwtConfig>, Refusal> {
        let Some(sealed) = &mount.config else {
            return Ok(None);
        };
        let plain = self.keyring.open(&context(mount.sealed_as), sealed)?;
        serde_json::from_slice(plain.expose())
            .map(Some)
            .map_err(Refusal::internal)
    }

    /// Writes a config, proven: its keys are read, or fetched. With
    /// `proof_required` false a failed fetch is a warning.
    pub(super) async fn configure(
        &self,
        mount: &LoginMount,
        config: JwtConfig,
        proof_required: bool,
    ) -> Result<Vec<String>, Refusal> {
        config.check().map_err(Refusal::Invalid)?;
        let mut warnings = Vec::new();
        let mut proven = None;
        match &config.source {
            KeySource::Keys(_) => {}
            KeySource::Url(url) => match fetch::keys(url.clone()).await {
                Ok(keys) => proven = Some(keys),
                Err(sentence) if proof_required => return Err(Refusal::Invalid(sentence)),
                Err(sentence) => warnings.push(sentence),
            },
        }
        let plain = serde_json::to_vec(&config).map_err(Refusal::internal)?;
        let plain = Secret::new(plain);
        let sealed = self
            .keyring
            .seal(&context(mount.sealed_as), plain.expose())?;
        let _open = mount.enter().await?;
        self.storage.replace_login_config(mount.id, sealed).await?;
        self.forget(mount.id);
        if let KeySource::Url(url) = config.source {
            let set = KeySet::new(url, proven, self.clock.now());
            self.fetched().insert(mount.id, Arc::new(set));
        }
        Ok(warnings)
    }

    /// Drops what was fetched for a login method.
    pub(super) fn forget(&self, mount_id: i64) {
        self.fetched().remove(&mount_id);
    }

    /// The keys of a login method, from the URL that its config says now.
    fn key_set(&self, mount_id: i64, url: &KeyUrl) -> Arc<KeySet> {
        let mut fetched = self.fetched();
        match fetched.get(&mount_id) {
            Some(set) if set.url() == url => Arc::clone(set),
            _ => {
                let set = Arc::new(KeySet::new(url.clone(), None, self.clock.now()));
                fetched.insert(mount_id, Arc::clone(&set));
                set
            }
        }
    }

    fn fetched(&self) -> MutexGuard<'_, HashMap<i64, Arc<KeySet>>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The claims of a token that one of the configured keys signed.
    async fn verified(
        &self,
        mount: &LoginMount,
        config: &JwtConfig,
        token: &str,
    ) -> Result<claims::TokenClaims, Rejection> {
        let algorithms = config.algorithms().map_err(Refusal::Invalid)?;
        let verify = |keys: &[VerifyingKey]| keys::verify(token, keys, &algorithms);
        let outcome = match &config.source {
            KeySource::Keys(pems) => {
                let keys = keys::of_pems(pems).map_err(Refusal::Invalid)?;
                verify(&keys)
            }
            KeySource::Url(url) => {
                let set = self.key_set(mount.id, url);
                let known = set.keys(self.clock.now(), None).await?;
                match verify(&known) {
                    // Its key may be newer than what was fetched.
                    Err(Unverified::UnknownKey) => {
                        let newer = set.keys(self.clock.now(), Some(&known)).await?;
                        verify(&newer)
                    }
                    outcome => outcome,
                }
            }
        };
        outcome.map_err(|reason| Rejection::invalid(format!("error validating token: {reason}")))
    }
}

#[async_trait]
impl Method for Jwts {
    /// A signature cannot be guessed, and the role is a secret of nobody.
    fn counted_name(&self, _: &Attempt<'_>) -> Option<String> {
        None
    }

    async fn log_in(&self, mut attempt: Attempt<'_>) -> Result<Claims, Rejection> {
        let mount = attempt.mount;
        let role = attempt.form.bearer("role")?;
        let token = attempt.form.required_bearer("jwt")?;
        let config = self.config(mount)?.ok_or_else(|| {
            Refusal::Invalid(format!(
                "could not load configuration: write auth/{}/config first",
                mount.path()
            ))
        })?;
        let name = match &role {
            Some(role) => role.expose().clone(),
            None => config.default_role.clone(),
        };
        if name.is_empty() {
            return Err(Rejection::invalid(
                "missing role: the config has no default_role",
            ));
        }
        let unknown = || {
            Refusal::Invalid(format!(
                "role {:?} could not be found",
                suggest::shown(&name)
            ))
        };
        let found = parse_name::<JwtRole>(&name).map_err(|_| unknown())?;
        let found = self.entries.named::<JwtRole>(mount, &found).await?;
        let found = found.ok_or_else(unknown)?;
        let role = &found.entry;
        if !role.token.admits(attempt.peer) {
            return Err(Refusal::Denied.into());
        }
        if token.expose().len() > LONGEST {
            return Err(Rejection::invalid(format!(
                "jwt must be at most {LONGEST} bytes"
            )));
        }
        let verified = self.verified(mount, &config, token.expose()).await?;
        let now = self.clock.now().unix_seconds();
        let judged = claims::judge(&verified, &config.bound_issuer, role, now)
            .map_err(|reason| Rejection::invalid(format!("error validating claims: {reason}")))?;
        let mut metadata = judged.metadata;
        metadata.insert("role".into(), found.name.to_string());
        Ok(Claims {
            standing: found.standing(),
            display_name: judged.user,
            metadata,
        })
    }

    async fn standing(&self, mount: &LoginMount, name: &str) -> Result<Option<Standing>, Refusal> {
        let found = self.entries.find::<JwtRole>(mount, name).await?;
        Ok(found.map(|role| role.standing()))
    }

    async fn is_known(&self, _: &LoginMount, _: &str) -> Result<bool, Refusal> {
        Ok(false)
    }
}

fn context(sealed_as: i64) -> String {
    format!("auth_mounts/{sealed_as}/config")
}
