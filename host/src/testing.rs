//! An engine over a fake upstream, for the tests of `lease`, `rotation` and
//! `static_role`.
//!
//! The fake keeps the truth of what exists upstream and of which root password
//! works. It can be told to fail before or after a call took effect. An engine
//! can be dropped and opened again on the same storage, as after a crash.

mod fakes;
mod heard;
#[path = "../model/src/page.rs"]
pub(crate) mod page;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    catalog::{Catalog, PinSpec},
    config::TokenRules,
    context::Context,
    engine::Engine,
    lease::{IssueRequest, Issued},
    mount::{Connection, MountSpec},
};
use async_trait::async_trait;
use lessor_model::{
    clock::{Clock, Timestamp},
    dialect::Dialect,
    id::{ConnectionName, Digest, MountPath, OperationId, RoleName},
    mount::Tune,
    provider::{
        Abilities, Anatomy, Call, Credential, Descriptor, Document, Failure, FailureClass, Page,
        Provider, Requester, Revocation, RevocationShape, RevokedCredential, Rotated, Rotation,
        Trigger, Validation,
    },
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{PinSource, Storage};
use serde_json::{Value, json};
use tokio::sync::Notify;

use self::fakes::Fakes;
pub(crate) use self::heard::Heard;

/// The truth upstream.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    /// Revocations that are never answered.
    pub(crate) hanging: usize,
    pub(crate) principals: BTreeSet<String>,
    pub(crate) password: String,
    /// Passwords of existing accounts.
    pub(crate) accounts: BTreeMap<String, String>,
    /// Whether an account has its former password too, until that is ended.
    pub(crate) two_at_once: bool,
    /// Root passwords that work beside `password`: where there are any, or `two_roots`
    /// says so, a rotation adds one instead of replacing it.
    pub(crate) roots: BTreeSet<String>,
    pub(crate) two_roots: bool,
    /// The new config that rotations answer, with `{password}` in it.
    pub(crate) answers: Option<String>,
    /// Former passwords that were ended.
    pub(crate) ended: Vec<String>,
    /// For each credential, the version that was asked to end it, and whether with its role.
    pub(crate) ended_by: Vec<(Digest, bool)>,
    pub(crate) created: u32,
    /// The time until upstream honours a new credential.
    pub(crate) effective_in: Option<Duration>,
    /// The functions that were called, and the reason of each call.
    pub(crate) occasions: Vec<(&'static str, Trigger)>,
    /// Whether upstream chooses the id of a credential, instead of the name that it is given.
    pub(crate) names_itself: bool,
    /// Whether the inventory names a next page for ever.
    pub(crate) endless: bool,
    /// Whether the inventory is never answered.
    pub(crate) silent: bool,
    /// Whether a revocation is answered with success but ends nothing.
    pub(crate) deaf: bool,
    /// Whether a credential leaves nothing upstream that must be ended.
    pub(crate) keeps_nothing: bool,
    /// Holds up the next creation.
    pub(crate) gate: Option<Arc<Gate>>,
    /// The outcomes of the next calls, in order; calls go well once it is empty.
    pub(crate) script: Vec<Step>,
}

impl Upstream {
    /// Whether a root password works.
    pub(crate) fn takes(&self, password: &str) -> bool {
        self.password == password || self.roots.contains(password)
    }

    /// The id of a principal's credential.
    fn id_of(&self, principal: &str) -> String {
        let own = if self.names_itself { "id-of-" } else { "" };
        format!("{own}{principal}")
    }
}

/// The place where a creation waits until it may go on.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) reached: Notify,
    pub(crate) opened: Notify,
}

/// The outcome of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The call goes well.
    Well,
    /// The call fails without reaching upstream.
    Unreached,
    /// The call fails after reaching upstream, before anything took effect.
    FailBefore,
    /// The call takes effect, then its answer is lost.
    FailAfter,
    /// Upstream refuses the call.
    Refuse,
}

/// A provider of the fake upstream, which holds one root password at a time.
#[derive(Debug)]
pub(crate) struct Fake {
    descriptor: Descriptor,
    anatomy: Anatomy,
    digest: Digest,
    pub(crate) upstream: Arc<Mutex<Upstream>>,
}

impl Fake {
    pub(crate) fn new(upstream: Arc<Mutex<Upstream>>) -> Self {
        let anything = json!({"type": "object"});
        let leaves_state = !upstream.lock().unwrap().keeps_nothing;
        Self {
            anatomy: Anatomy::default(),
            digest: Digest::of(b"fake"),
            descriptor: Descriptor {
                name: "fake".into(),
                version: "1.0.0".into(),
                summary: "A fake".into(),
                config_schema: json!({
                    "type": "object", "required": ["password"], "additionalProperties": false,
                    "properties": {
                        "password": {"type": "string", "writeOnly": true}, "host": {"type": "string"}
                    }
                }),
                role_schema: json!({"type": "object", "x-lessor-credentials": 2}),
                request_schema: anything.clone(),
                credential_schema: anything,
                endpoints: vec!["tcp://{host}".into()],
                name_limit: 40,
                leaves_state,
                revocation: match leaves_state {
                    true => RevocationShape::Deletes,
                    false => RevocationShape::ExpiresOnly,
                },
                privileges: Vec::new(),
                propagation_s: 0,
                dialect: Dialect::default(),
                abilities: Abilities {
                    renewal: true,
                    inventory: true,
                    publication: vec![],
                },
            },
            upstream,
        }
    }

    /// The next version, whose config and roles need a `region`.
    pub(crate) fn successor(upstream: Arc<Mutex<Upstream>>) -> Self {
        let mut fake = Self::new(upstream);
        let needs_region = json!({
            "type": "object", "required": ["region"],
            "properties": {"region": {"type": "string"}}
        });
        fake.digest = Digest::of(b"successor");
        fake.descriptor.version = "2.0.0".into();
        fake.descriptor.config_schema = needs_region.clone();
        fake.descriptor.role_schema = needs_region;
        fake
    }

    /// Logs in, and takes the next step of the script.
    fn begin(
        &self,
        config: &Secret<String>,
    ) -> Result<(Step, std::sync::MutexGuard<'_, Upstream>), Failure> {
        let mut upstream = self.upstream.lock().unwrap();
        let step = if upstream.script.is_empty() {
            Step::Well
        } else {
            upstream.script.remove(0)
        };
        match step {
            Step::Unreached => return Err(failure(FailureClass::Unavailable, false)),
            Step::FailBefore => return Err(failure(FailureClass::Unavailable, true)),
            Step::Refuse => return Err(failure(FailureClass::InvalidConfig, true)),
            Step::Well | Step::FailAfter => {}
        }
        if !upstream.takes(&password(config)) {
            return Err(failure(FailureClass::Denied, true));
        }
        Ok((step, upstream))
    }
}

impl Fake {
    fn told(&self, what: &'static str, call: &Call) {
        let mut upstream = self.upstream.lock().unwrap();
        upstream.occasions.push((what, call.trigger));
    }

    /// Gives an account a password that follows from the operation.
    fn rotate_account(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
    ) -> Result<Rotated, Failure> {
        let (step, mut upstream) = self.begin(config)?;
        let role: Value = serde_json::from_str(role.expose()).unwrap();
        let account = role["username"].as_str().unwrap().to_owned();
        let derived = format!("derived-{}", call.operation);
        let former = upstream.accounts.insert(account.clone(), derived.clone());
        after(
            step,
            Rotated {
                secret: Secret::new(json!({"username": account, "password": derived}).to_string()),
                retires: former.filter(|_| upstream.two_at_once),
                metadata: json!({}),
                defect: None,
            },
        )
    }
}

fn after<T>(step: Step, value: T) -> Result<T, Failure> {
    if step == Step::FailAfter {
        Err(failure(FailureClass::Unavailable, true))
    } else {
        Ok(value)
    }
}

fn failure(class: FailureClass, reached_upstream: bool) -> Failure {
    Failure {
        class,
        code: "fake".into(),
        message: "scripted".into(),
        retry_after: None,
        reached_upstream,
    }
}

fn password(config: &Secret<String>) -> String {
    let parsed: Value = serde_json::from_str(config.expose()).unwrap_or_default();
    let found = parsed.get("password").or_else(|| parsed.get("pasword"));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[async_trait]
impl Provider for Fake {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn anatomy(&self) -> &Anatomy {
        &self.anatomy
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    async fn validate_config(
        &self,
        call: &Call,
        config: &Secret<String>,
        _role: Option<&Secret<String>>,
    ) -> Result<Validation, Failure> {
        self.told("validate", call);
        tokio::task::yield_now().await;
        let step = self.begin(config)?.0;
        after(
            step,
            Validation {
                identity: Some("root@fake".into()),
                warnings: vec![],
            },
        )
    }

    async fn create(
        &self,
        call: &Call,
        config: &Secret<String>,
        _role: &Secret<String>,
        _request: &Secret<String>,
        _expires_at: Option<Timestamp>,
    ) -> Result<Credential, Failure> {
        self.told("create", call);
        tokio::task::yield_now().await;
        let gate = self.upstream.lock().unwrap().gate.take();
        if let Some(gate) = gate {
            gate.reached.notify_one();
            gate.opened.notified().await;
        }
        let (step, mut upstream) = self.begin(config)?;
        upstream.principals.insert(call.principal_name.clone());
        upstream.created += 1;
        let id = upstream.id_of(&call.principal_name);
        after(
            step,
            Credential {
                id,
                data: Secret::new(json!({"username": call.principal_name}).to_string()),
                metadata: json!({"made": upstream.created}),
                expires_in: None,
                effective_in: upstream.effective_in,
            },
        )
    }

    async fn revoke(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
        what: &Revocation,
    ) -> Result<(), Failure> {
        self.told("revoke", call);
        let hangs = {
            let mut upstream = self.upstream.lock().unwrap();
            upstream.ended_by.push((self.digest, role.is_some()));
            let hangs = upstream.hanging > 0;
            upstream.hanging = upstream.hanging.saturating_sub(1);
            hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let (step, mut upstream) = self.begin(config)?;
        let name = match what {
            Revocation::Credential(id) => id,
            Revocation::FormerRoot(id) => {
                upstream.ended.push(id.clone());
                upstream.roots.remove(id);
                if upstream.password == *id {
                    upstream.password.clear();
                }
                return after(step, ());
            }
            Revocation::UnknownCredential
                if upstream
                    .roots
                    .remove(&format!("derived-{}", call.operation)) =>
            {
                return after(step, ());
            }
            _ => &call.principal_name,
        };
        let name = name.strip_prefix("id-of-").unwrap_or(name);
        if !upstream.deaf {
            upstream.principals.remove(name);
        }
        after(step, ())
    }

    async fn rotate(
        &self,
        call: &Call,
        config: &Secret<String>,
        what: &Rotation,
    ) -> Result<Rotated, Failure> {
        self.told("rotate", call);
        tokio::task::yield_now().await;
        if let Rotation::Account(role) = what {
            return self.rotate_account(call, config, role);
        }
        let derived = format!("derived-{}", call.operation);
        let step = {
            let mut upstream = self.upstream.lock().unwrap();
            let step = if upstream.script.is_empty() {
                Step::Well
            } else {
                upstream.script.remove(0)
            };
            match step {
                Step::Unreached => return Err(failure(FailureClass::Unavailable, false)),
                Step::FailBefore => return Err(failure(FailureClass::Unavailable, true)),
                Step::Refuse => return Err(failure(FailureClass::InvalidConfig, true)),
                Step::Well | Step::FailAfter => {}
            }
            if !upstream.takes(&password(config)) && upstream.password != derived {
                return Err(failure(FailureClass::Denied, true));
            }
            if upstream.two_roots {
                upstream.roots.insert(derived.clone());
            } else {
                upstream.password.clone_from(&derived);
            }
            step
        };
        tokio::task::yield_now().await;
        let (answer, two_roots) = {
            let upstream = self.upstream.lock().unwrap();
            let plain = json!({"password": "{password}"}).to_string();
            let answer = upstream.answers.clone().unwrap_or(plain);
            (answer.replace("{password}", &derived), upstream.two_roots)
        };
        after(
            step,
            Rotated {
                secret: Secret::new(answer),
                retires: two_roots.then(|| password(config)),
                metadata: json!({"rotated": true, "version": "theirs"}),
                defect: None,
            },
        )
    }

    async fn renew(
        &self,
        call: &Call,
        config: &Secret<String>,
        _role: &Secret<String>,
        _id: &str,
        _expires_at: Option<Timestamp>,
    ) -> Result<(), Failure> {
        self.told("renew", call);
        let step = self.begin(config)?.0;
        after(step, ())
    }

    async fn list_credentials(
        &self,
        call: &Call,
        config: &Secret<String>,
        cursor: Option<&str>,
    ) -> Result<Page, Failure> {
        self.told("list", call);
        let is_silent = self.upstream.lock().unwrap().silent;
        if is_silent {
            std::future::pending::<()>().await;
        }
        let (step, upstream) = self.begin(config)?;
        let after_cursor = |name: &&String| cursor.is_none_or(|cursor| name.as_str() > cursor);
        let names = upstream.principals.iter().filter(after_cursor);
        let page: Vec<&String> = names.take(2).collect();
        let next = match page.last() {
            Some(last) if page.len() == 2 => Some((*last).clone()),
            last if upstream.endless => Some(last.map_or("z", |last| last).to_owned()),
            _ => None,
        };
        let ids = page.iter().map(|name| upstream.id_of(name)).collect();
        after(step, Page { ids, next })
    }

    async fn publish(
        &self,
        _: &Call,
        _: &Secret<String>,
        _: &str,
        _: &[RevokedCredential],
    ) -> Result<Option<Document>, Failure> {
        Err(failure(FailureClass::Unsupported, false))
    }
}

/// An installation on disk that engines are opened on.
pub(crate) struct House {
    directory: tempfile::TempDir,
    root: lessor_seal::keyring::RootKey,
    pub(crate) clock: Clock,
    pub(crate) upstream: Arc<Mutex<Upstream>>,
}

pub(crate) fn db() -> MountPath {
    "db".parse().unwrap()
}

pub(crate) fn reader() -> RoleName {
    "reader".parse().unwrap()
}

pub(crate) fn requester() -> Requester {
    Requester {
        display_name: "tester".into(),
        accessor: "a".into(),
        metadata: vec![],
        entity: "e".into(),
    }
}

impl House {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root =
            lessor_seal::keyring::RootKey::generate_in(&directory.path().join("root.key")).unwrap();
        let upstream = Arc::new(Mutex::new(Upstream {
            password: "initial".into(),
            accounts: BTreeMap::from([("app".into(), "former".into())]),
            ..Upstream::default()
        }));
        Self {
            directory,
            root,
            clock: Clock::system(),
            upstream,
        }
    }

    /// Opens the engine; with a mount, config and role the first time.
    pub(crate) async fn open(&self, schedule: bool) -> Engine {
        let storage = Storage::open(&self.directory.path().join("lessor.db")).unwrap();
        let wrapped = storage.wrapped_keys().await.unwrap();
        let first = wrapped.is_empty();
        let keyring = if first {
            let (keyring, wrapped) = Keyring::create(&self.root).unwrap();
            let value = lessor_model::secret::Secret::new(String::from("t"));
            let token = lessor_store::TokenRow {
                accessor: "a".into(),
                ..crate::token::root_row(&keyring, &value, self.clock.now()).unwrap()
            };
            assert!(storage.initialise(wrapped, token, false).await.unwrap());
            keyring
        } else {
            Keyring::load(&self.root, &wrapped).unwrap()
        };
        let fakes = Arc::new(Fakes::of(vec![
            Arc::new(Fake::new(Arc::clone(&self.upstream))),
            Arc::new(Fake::successor(Arc::clone(&self.upstream))),
        ]));
        let catalog = Catalog::over(storage.clone(), self.clock.clone(), fakes)
            .await
            .unwrap();
        if first {
            let spec = PinSpec {
                name: "fake".into(),
                version: None,
                file: "fake.wasm".into(),
                sha256: Digest::of(b"fake"),
                source: PinSource::Api,
            };
            catalog.pin(spec).await.unwrap();
        }
        let context = Context {
            storage,
            keyring,
            clock: self.clock.clone(),
        };
        let engine = Engine::over(context, catalog, TokenRules::default(), (None, false))
            .await
            .unwrap();
        if first {
            engine.furnish(&db()).await;
        }
        if schedule {
            engine.start_scheduler().await;
        }
        engine
    }

    pub(crate) fn script(&self, steps: &[Step]) {
        self.upstream.lock().unwrap().script = steps.to_vec();
    }

    /// Holds up the next creation.
    pub(crate) fn hold(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.upstream.lock().unwrap().gate = Some(Arc::clone(&gate));
        gate
    }

    pub(crate) fn script_left(&self) -> usize {
        self.upstream.lock().unwrap().script.len()
    }

    /// Damages the stored rows, as a failing disk or a careless hand would.
    pub(crate) fn damage(&self, sql: &str) {
        let file = self.directory.path().join("lessor.db");
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    pub(crate) fn principals(&self) -> usize {
        self.upstream.lock().unwrap().principals.len()
    }
}

/// A request for a credential that asks for nothing in particular.
pub(crate) fn request() -> IssueRequest {
    IssueRequest {
        body: json!({}),
        ttl: None,
        requester: requester(),
        key: None,
        patience: None,
        token_end: None,
        waits: false,
    }
}

impl Engine {
    /// Mounts the fake at `path`, with its root and the role.
    pub(crate) async fn furnish(&self, path: &MountPath) {
        let spec = MountSpec {
            http_proxy_credentials: None,
            kind: lessor_model::mount::Kind::Provider,
            path: path.clone(),
            plugin: "fake".into(),
            version: None,
            description: String::new(),
            tune: Tune::default(),
        };
        self.mounts.create(spec).await.unwrap();
        let root = json!({"password": "initial"});
        let written = self
            .configs
            .write(path, &ConnectionName::DEFAULT, root, requester())
            .await;
        written.unwrap();
        let role = json!({"default_ttl": "1h", "max_ttl": "2h"});
        let written = self.roles.write(path, &reader(), role, requester()).await;
        written.unwrap();
    }

    /// The connection of the mount `db`.
    pub(crate) fn connected(&self) -> Arc<Connection> {
        let found = self.mounts.connection(&db(), &ConnectionName::DEFAULT);
        found.unwrap()
    }

    pub(crate) async fn issue(&self) -> Result<Issued, Refusal> {
        self.leases.issue(&db(), &reader(), request()).await
    }

    /// Whether all leases under a prefix have ended before `limit` has passed.
    pub(crate) async fn drained(&self, prefix: &str, limit: Duration) -> bool {
        let newest = OperationId::new(self.clock.now()).unwrap();
        let drained = self.leases.drained_before(prefix, None, newest);
        tokio::time::timeout(limit, drained).await.is_ok()
    }

    /// Waits until no lease is left, and moves the clock to the next due work each time.
    pub(crate) async fn drain(&self, clock: &Clock) {
        for _ in 0..200 {
            if self.drained("db", Duration::from_millis(50)).await {
                return;
            }
            clock.advance(Duration::from_secs(60));
        }
        panic!("leases are left");
    }
}
