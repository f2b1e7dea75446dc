//! Logins: how callers without a token get one.
//!
//! A login method is enabled at a path below `auth/`, as a provider is mounted at
//! one. Its [`Kind`] says how callers prove who they are; what every kind has in
//! common is here: finding the method of a path, lock-out of names that fail,
//! and the token in the end. A kind itself stands behind [`Method`].
//!
//! No password, secret id or signed token is stored, logged or answered here
//! beyond the one answer that hands a new secret id out. `api` calls this; tokens
//! themselves are [`token`](crate::token)'s.

mod approle;
mod backend;
mod entries;
mod jwt;
mod method;
mod nobodies;
mod pace;
mod table;
mod userpass;

use std::{net::IpAddr, sync::Arc, time::Duration};

use lessor_model::{
    clock::Clock,
    event::Event,
    id::{MountPath, OperationId},
    lockout::Lockout,
    login::Kind,
    refusal::Refusal,
    suggest,
    token::{RoleTokenKind, TokenParameters},
};
use lessor_seal::keyring::Keyring;
use lessor_store::{LoginOrigin, Storage};
use serde_json::{Map, Value};

pub use self::{
    approle::{AppRole, AppRoles, NewSecretId, SecretIdView},
    jwt::{JwtConfig, JwtRole, Jwts, KeySource, KeyUrl, Leeway},
    method::{Attempt, Claims, Form, Method, Rejection, Standing},
    userpass::{NewPassword, User, Users},
};
use self::{backend::LoginMethods, entries::Entries, nobodies::Nobodies, pace::Pace};
pub use crate::mount::LoginMount;
use crate::{
    context::Context,
    mount::Mounts,
    token::{Granted, Login, Terms, Token, Tokens, entity_of_login},
};

/// The path at which tokens themselves are made and asked about; no login method may be there.
pub const TOKEN_PATH: &str = "token";

/// The kind of mounts that login methods are, by name.
const LOGIN: &str = lessor_model::mount::Kind::Login(Kind::Jwt).as_str();

/// Under which name failures of names that do not exist are written, all of them: no
/// role or user has it.
const NOBODY: &str = "";

/// The login methods of an installation.
#[derive(Debug)]
pub struct Logins {
    storage: Storage,
    keyring: Keyring,
    clock: Clock,
    tokens: Arc<Tokens>,
    approles: AppRoles,
    users: Users,
    jwts: Arc<Jwts>,
    nobodies: Nobodies,
    /// Of what those failed.
    pace: Pace,
    mounts: Arc<Mounts>,
}

impl Logins {
    /// Login methods over the mounts, which can be enabled, tuned and disabled from now on.
    pub fn new(context: Context, tokens: Arc<Tokens>, mounts: Arc<Mounts>) -> Self {
        let entries = Entries::new(context.clone());
        let jwts = Arc::new(Jwts::new(context.clone(), entries.clone()));
        let methods = LoginMethods {
            storage: context.storage.clone(),
            tokens: Arc::clone(&tokens),
            jwts: Arc::clone(&jwts),
        };
        mounts.offer(LOGIN, Arc::new(methods));
        Self {
            approles: AppRoles::new(context.clone(), entries.clone()),
            users: Users::new(entries),
            jwts,
            nobodies: Nobodies::default(),
            pace: Pace::default(),
            storage: context.storage,
            keyring: context.keyring,
            clock: context.clock,
            tokens,
            mounts,
        }
    }

    /// Whether a login method has a role or user of a name.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn has_entry(&self, mount: &LoginMount, name: &str) -> Result<bool, Refusal> {
        let Ok(name) = name.parse() else {
            return Ok(false);
        };
        let found = self.storage.login_entry(mount.id, name).await?;
        Ok(found.is_some())
    }

    /// The kind of the login method that a path behind `auth/` belongs to, and the number of
    /// segments of the method's path.
    pub fn kind_at(&self, path: &str) -> Option<(Kind, usize)> {
        let (mount, _) = self.resolve(path)?;
        Some((mount.kind, mount.path().as_str().split('/').count()))
    }

    /// AppRole's roles and secret ids.
    pub fn approles(&self) -> &AppRoles {
        &self.approles
    }

    /// Userpass's users.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// JWT's config and roles.
    pub fn jwts(&self) -> &Jwts {
        &self.jwts
    }

    /// Writes the config of a JWT login method, proven.
    ///
    /// # Errors
    /// One sentence that names the field; the former config then stays.
    pub async fn configure_jwt(
        &self,
        mount: &LoginMount,
        config: JwtConfig,
        proof_required: bool,
    ) -> Result<Vec<String>, Refusal> {
        let warnings = self.jwts.configure(mount, config, proof_required).await?;
        self.mounts.reread().await?;
        let path = mount.path().clone();
        Event::LoginConfigured { path }.record();
        Ok(warnings)
    }

    /// Logs somebody in: the token that they get.
    ///
    /// # Errors
    /// `Denied` for a name that is locked, and from an address that the role does
    /// not admit; else one sentence that tells a stranger no more than it must.
    pub async fn log_in(
        &self,
        mount: &LoginMount,
        name: Option<&str>,
        fields: Map<String, Value>,
        peer: IpAddr,
    ) -> Result<Granted, Refusal> {
        let outcome = self.admit(mount, name, fields, peer).await;
        told(mount, peer, &outcome).record();
        outcome
    }

    async fn admit(
        &self,
        mount: &LoginMount,
        name: Option<&str>,
        fields: Map<String, Value>,
        peer: IpAddr,
    ) -> Result<Granted, Refusal> {
        let _open = mount.enter().await?;
        let attempt = Attempt {
            mount,
            name,
            form: Form::new(fields),
            peer,
        };
        let method = self.method(mount.kind);
        let counted = method
            .counted_name(&attempt)
            .filter(|_| !mount.spec.tune.lockout.disabled);
        self.refuse_locked(mount, counted.as_deref()).await?;
        let claims = match method.log_in(attempt).await {
            Ok(claims) => claims,
            Err(Rejection::Refused(refusal)) => return Err(refusal),
            Err(Rejection::Wrong(sentence)) => {
                if let Some(name) = counted {
                    self.count_failure(mount, name).await?;
                }
                return Err(Refusal::Invalid(sentence.into()));
            }
            Err(Rejection::Unknown(sentence)) => {
                if let Some(name) = counted {
                    self.count_nobodys(mount, &name).await?;
                }
                return Err(Refusal::Invalid(sentence.into()));
            }
        };
        // Again: of many guesses at a time, those that end after the lock do not
        // count, right or wrong.
        if self.refuse_locked(mount, counted.as_deref()).await?
            && let Some(name) = counted
        {
            self.storage.forget_login_failures(mount.id, name).await?;
        }
        let standing = claims.standing;
        let alias = match claims.display_name.as_str() {
            "" => &standing.name,
            person => person,
        };
        let entity = entity_of_login(&mount.spec.uuid, alias);
        let parameters = parameters_of(mount, standing.parameters);
        let path = mount.path();
        let asked = Login {
            path: match name {
                Some(name) => format!("auth/{path}/login/{name}"),
                None => format!("auth/{path}/login"),
            },
            terms: terms_of(mount, &parameters),
            origin: LoginOrigin {
                mount: mount.spec.uuid.clone(),
                name: standing.name,
                entry: standing.uuid,
                proof: standing.proof,
            },
            entity,
            display_name: display_name(path, &claims.display_name),
            metadata: claims.metadata,
            peer,
        };
        self.tokens.log_in(asked).await
    }

    /// Renews a token. One that a login gave is given again what its role or user
    /// gives now; where that is gone or another one, it is not renewed.
    ///
    /// # Errors
    /// `Invalid` with the reason.
    pub async fn renew(
        &self,
        token: &Token,
        increment: Option<Duration>,
    ) -> Result<(Token, Vec<String>), Refusal> {
        token.check_renewable()?;
        let Some(origin) = &token.row.facts.login else {
            return self.tokens.renew(token, increment, None).await;
        };
        let over = |what: String| Refusal::Invalid(format!("{what}, not renewing: log in again"));
        let table = self.list();
        let mount = table.iter().find(|mount| mount.spec.uuid == origin.mount);
        let mount =
            mount.ok_or_else(|| over("the login method that gave the token is gone".into()))?;
        let (kind, path) = (mount.kind, mount.path());
        let who = || {
            let name = suggest::shown(&origin.name);
            format!("{} {name:?} of auth/{path}", kind.noun())
        };
        let standing = self.method(kind).standing(mount, &origin.name).await?;
        let standing = standing.ok_or_else(|| over(format!("{} does not exist", who())))?;
        if standing.uuid != origin.entry {
            return Err(over(format!("{} was removed and made again", who())));
        }
        // Empty: a token from before this was kept.
        if !origin.proof.is_empty() && standing.proof != origin.proof {
            return Err(over(format!("what {} asks for has changed", who())));
        }
        let parameters = parameters_of(mount, standing.parameters);
        let terms = terms_of(mount, &parameters);
        self.tokens.renew(token, increment, Some(terms)).await
    }

    /// The names that are locked now, by the accessor of their login method.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn locked(&self) -> Result<Vec<(String, Vec<String>)>, Refusal> {
        let rows = self.storage.locked_logins(self.clock.now()).await?;
        let table = self.list();
        let locked = table
            .iter()
            .filter(|mount| !mount.spec.tune.lockout.disabled)
            .map(|mount| {
                let names = rows.iter().filter(|(id, _)| *id == mount.id);
                let names: Vec<String> = names.map(|(_, name)| name.clone()).collect();
                (mount.spec.accessor.clone(), names)
            });
        Ok(locked.filter(|(_, names)| !names.is_empty()).collect())
    }

    /// Unlocks a name; one that is not locked stays so.
    ///
    /// # Errors
    /// `Invalid` where there is no login method of this accessor.
    pub async fn unlock(&self, accessor: &str, name: &str) -> Result<(), Refusal> {
        let table = self.list();
        let mount = table.iter().find(|mount| mount.spec.accessor == accessor);
        let mount = mount.ok_or_else(|| {
            Refusal::Invalid("no login method has this accessor: sys/auth shows them all".into())
        })?;
        let forgotten = self
            .storage
            .forget_login_failures(mount.id, name.to_owned())
            .await?;
        self.nobodies.forget(mount.id, name);
        if forgotten {
            let (path, name) = (mount.path().clone(), suggest::shown(name));
            Event::LoginUnlocked { path, name }.record();
        }
        Ok(())
    }

    /// Handle and name for ever of `auth/token/`, which is no row.
    pub fn token_mount(&self) -> (String, String) {
        let hash = self.keyring.token_hash("auth/token/");
        let mut uuid = [0; 16];
        uuid.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        let handle: String = hex::encode(hash).chars().rev().take(8).collect();
        (
            format!("auth_token_{handle}"),
            OperationId::from_bytes(uuid).to_string(),
        )
    }

    fn method(&self, kind: Kind) -> &dyn Method {
        match kind {
            Kind::AppRole => &self.approles,
            Kind::Userpass => &self.users,
            Kind::Jwt => &*self.jwts,
        }
    }

    /// Refuses a name that is locked; whether it failed at all before.
    async fn refuse_locked(&self, mount: &LoginMount, name: Option<&str>) -> Result<bool, Refusal> {
        let Some(name) = name else { return Ok(false) };
        let failures = self
            .storage
            .login_failures(mount.id, name.to_owned())
            .await?;
        let (lockout, now) = (mount.spec.tune.lockout, self.clock.now());
        let is_locked = lockout.is_locked(failures.as_ref(), now);
        if is_locked || self.nobodies.is_locked(mount.id, name, lockout, now) {
            // Asked of both, so that both take as long.
            let is_known = self.method(mount.kind).is_known(mount, name).await?;
            if is_locked || !is_known {
                return Err(Refusal::Denied);
            }
            // Made since then: as new.
            self.nobodies.forget(mount.id, name);
        }
        Ok(failures.is_some())
    }

    async fn count_failure(&self, mount: &LoginMount, name: String) -> Result<(), Refusal> {
        let now = self.clock.now();
        let lockout = mount.spec.tune.lockout;
        let counted = self
            .storage
            .count_login_failure(mount.id, name.clone(), lockout, now);
        if let Some(until) = counted.await?.locked_until {
            let (path, name) = (mount.path().clone(), suggest::shown(&name));
            Event::LoginLocked { path, name, until }.record();
        }
        Ok(())
    }

    /// Counts a failure of a name that does not exist, in as much time as one of a name
    /// that does.
    async fn count_nobodys(&self, mount: &LoginMount, name: &str) -> Result<(), Refusal> {
        let (lockout, now) = (mount.spec.tune.lockout, self.clock.now());
        self.nobodies.count(mount.id, name, lockout, now);
        let never = Lockout {
            threshold: u32::MAX,
            counter_reset: Duration::ZERO,
            ..lockout
        };
        let write = async {
            let counted = self
                .storage
                .count_login_failure(mount.id, NOBODY.into(), never, now);
            counted.await.map(drop)
        };
        Ok(self.pace.keep(write).await?)
    }
}

/// The event of a login, by its outcome.
fn told(mount: &LoginMount, peer: IpAddr, outcome: &Result<Granted, Refusal>) -> Event {
    let (path, remote_address) = (mount.path().clone(), peer);
    let reason = match outcome {
        Ok(granted) => {
            let row = &granted.known.row;
            let origin = row.facts.login.as_ref();
            return Event::LoginSucceeded {
                path,
                name: origin.map(|origin| origin.name.clone()).unwrap_or_default(),
                accessor: row.accessor.clone(),
                remote_address,
            };
        }
        // The line of the request has the sentence that the stranger was told.
        Err(Refusal::Denied) => "denied",
        Err(Refusal::Invalid(_)) => "invalid",
        Err(_) => "not decided",
    };
    Event::LoginFailed {
        path,
        reason,
        remote_address,
    }
}

/// The terms of a login method for a role or user with these `parameters`.
fn terms_of<'a>(mount: &LoginMount, parameters: &'a TokenParameters) -> Terms<'a> {
    Terms {
        default_ttl: mount.spec.tune.usual(),
        max_ttl: mount.spec.tune.longest(),
        parameters,
    }
}

/// The token parameters of a role, where it leaves the kind of token to the login method.
fn parameters_of(mount: &LoginMount, mut parameters: TokenParameters) -> TokenParameters {
    if parameters.kind == RoleTokenKind::default() {
        parameters.kind = mount.spec.tune.token_type;
    }
    parameters
}

/// `approle`, or `team-ldap-bob`: the path and who, as Vault has it.
fn display_name(path: &MountPath, who: &str) -> String {
    let path = path.as_str().replace('/', "-");
    match who {
        "" => path,
        who => format!("{path}-{who}"),
    }
}
