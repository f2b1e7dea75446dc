//! A loaded component as a [`Provider`]: each call in an instance of its own.
//!
//! What is the same for every call is done when it is loaded: compiling,
//! linking, finding the exports, compiling schemas. A call makes a store and an
//! instance, calls one function, and has the answer judged (`outcome.rs`).

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use lessor_model::{
    clock::Timestamp,
    event::Event,
    id::Digest,
    provider::{
        Abilities, Anatomy, Call, Credential, Descriptor, Document, Failure, FailureClass, Page,
        Provider, Revocation, RevokedCredential, Rotated, Rotation, Validation,
    },
    secret::Secret,
};
use serde_json::Value;
use tokio::{
    task::spawn_blocking,
    time::{error::Elapsed, timeout},
};
use wasmtime::component::{Component, Linker};

use super::{
    Outside,
    account::Resource,
    call::{Asking, CallState, Session},
    contract::answer,
    descriptor::{self, Checks},
    journal::Speaker,
    limits::Limit,
    measured::Measured,
    outcome,
    reach::Refused,
    runnable::Runnable,
    scrub::Secrets,
    tally::Ended,
    threads::Busy,
    world,
};
use crate::plugin_store::PluginError;

/// A component that was compiled, linked and described.
pub(super) struct ComponentProvider {
    loaded: Arc<Loaded>,
}

/// The same, for its calls: they may end on other threads than they began on.
struct Loaded {
    digest: Digest,
    descriptor: Descriptor,
    anatomy: Anatomy,
    checks: Checks,
    runnable: Arc<Runnable>,
}

/// A call with all that it needs, its own: it may end on another thread than it began
/// on, and after whoever asked for it has gone.
struct Prepared<const N: usize> {
    loaded: Arc<Loaded>,
    call: Arc<Call>,
    busy: Busy,
    /// The documents that such a call always has, the config first.
    documents: [Secret<String>; N],
    /// The role, where such a call may have none.
    role: Option<Secret<String>>,
}

/// Calls one function of a fresh instance: everything between a call and the
/// guest's own answer, the same for all functions.
macro_rules! ask {
    ($prepared:ident, |$exports:ident, $at:ident, $call:ident| $ask:expr) => {{
        let (runnable, $call) = (&$prepared.loaded.runnable, &$prepared.call);
        let mut session = runnable.session($prepared.loaded.digest, $prepared.asking());
        let answer = timeout($call.timeout, async {
            let owner = Some($call.scope.connection.0);
            runnable.wait(owner, &mut session.slots).await;
            let instance = runnable.pre.instantiate_async(&mut session.store).await?;
            let ($exports, $at) = (&runnable.exports, (&mut session.store, &instance));
            $ask.await
        })
        .await;
        (session, answer)
    }};
}

/// A longer answer, in bytes, takes a millisecond or more to judge.
const LONG: usize = 32 << 10;

/// The end of a function call: in time, without a trap, with an answer.
type Answer<R> = Result<wasmtime::Result<Result<R, answer::Failure>>, Elapsed>;

impl ComponentProvider {
    /// Links a component, lets it describe itself, and checks what it says.
    pub(super) async fn load(
        (digest, size): (Digest, u64),
        component: &Component,
        linker: &Linker<CallState>,
        outside: Arc<Outside>,
    ) -> Result<Self, PluginError> {
        let runnable = Arc::new(Runnable::new(component, linker, outside)?);
        let (found, publication) = Runnable::describe(Arc::clone(&runnable), digest).await?;
        let abilities = Abilities {
            renewal: runnable.exports.renews(),
            inventory: runnable.exports.lists(),
            publication,
        };
        // The patterns of its schemas may take a while to compile.
        let (descriptor, checks) =
            spawn_blocking(move || descriptor::check(found, abilities)).await??;
        Ok(Self {
            loaded: Arc::new(Loaded {
                digest,
                descriptor,
                anatomy: world::anatomy(linker.engine(), component, size),
                checks,
                runnable,
            }),
        })
    }

    /// Prepares a call with copies of its documents, and runs it to its end as `work`
    /// does.
    async fn run<const N: usize, T: Send + 'static, W>(
        &self,
        call: &Call,
        documents: [&Secret<String>; N],
        role: Option<&Secret<String>>,
        work: impl FnOnce(Prepared<N>) -> W + Send,
    ) -> Result<T, Failure>
    where
        W: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let busy = Busy::default();
        let work = work(Prepared {
            loaded: Arc::clone(&self.loaded),
            call: Arc::new(call.clone()),
            busy: busy.clone(),
            documents: documents.map(Secret::duplicate),
            role: role.map(Secret::duplicate),
        });
        let threads = &self.loaded.runnable.outside.threads;
        match threads.run(busy, work).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(%error, "a provider's call broke off");
                Err(Failure {
                    class: FailureClass::Unavailable,
                    code: String::from("trap"),
                    message: String::from("the host broke off the call; its log says why"),
                    retry_after: None,
                    reached_upstream: true,
                })
            }
        }
    }
}

impl<const N: usize> Prepared<N> {
    /// Judges an answer, explains a failure, counts it, and writes down what was
    /// said.
    async fn conclude<R: Sized + Measured, T>(
        &self,
        function: &'static str,
        (session, answer): (Session, Answer<R>),
        judge: impl FnOnce(R, &mut Secrets<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (loaded, call) = (&*self.loaded, &self.call);
        let limits = &loaded.runnable.outside.limits;
        let mut secrets = Secrets::of(self.with_schemas());
        session.store.data().born.tell(&mut secrets);
        let (said, taken) = match &answer {
            Ok(Ok(Ok(found))) => (found.bytes(), found.taken()),
            Ok(Ok(Err(found))) => (found.bytes(), found.taken()),
            _ => (0, 0),
        };
        if said > LONG {
            self.busy.leave().await;
        }
        let reach = &session.store.data().reach;
        let held = reach.account.hold(Resource::Answers, taken);
        let result = match answer {
            Err(_) => Err(session.overdue(call.timeout)),
            Ok(Err(error)) => Err(session.broken(&error, call.timeout)),
            // A limit that the guest met is why it failed, whatever it says itself.
            Ok(Ok(Err(found))) => match reach.exceeded.limit() {
                Some(limit) => Err(limit.failure(limits, call.timeout)),
                None if said > limits.output => Err(Limit::Output.failure(limits, call.timeout)),
                None => Err(outcome::failure(found, &secrets.scrubber())),
            },
            Ok(Ok(Ok(found))) if found.may_be_refused() && said > limits.output => {
                secrets.hide_all();
                Err(Limit::Output.failure(limits, call.timeout))
            }
            Ok(Ok(Ok(found))) => match &held {
                Err(limit) if found.may_be_refused() => {
                    secrets.hide_all();
                    Err(limit.failure(limits, call.timeout))
                }
                _ => judge(found, &mut secrets),
            },
        };
        drop(held);

        let Session {
            store,
            slots,
            started,
        } = session;
        let CallState { journal, reach, .. } = store.into_data();
        drop(slots);
        let refusals = reach.refusals();
        if !(journal.is_empty() && refusals.is_empty()) {
            let plugin = loaded.digest.to_string();
            let operation = call.operation.to_string();
            let speaker = Speaker {
                mount: Some(call.scope.mount.as_str()),
                plugin: &plugin,
                operation: Some(&operation),
            };
            for refused in &refusals {
                // Not the provider's words: the audit log keeps these.
                told_of(refused, &speaker).record();
            }
            journal.write(&secrets.scrubber(), &speaker);
        }
        let result = result.map_err(|failure| {
            let failure = explain(failure, &refusals, reach.touched());
            name_privileges(failure, &loaded.descriptor, function)
        });
        let ended = Ended {
            function,
            took: started.elapsed(),
            failure: result.as_ref().err(),
            denials: refusals.len(),
            exceeded: reach.exceeded.limit(),
        };
        let tallies = &loaded.runnable.outside.tallies;
        let mount = &call.scope.mount;
        tallies.count(&loaded.descriptor, loaded.digest, mount, &ended);
        result
    }

    /// The inputs of the call's store.
    fn asking(&self) -> Asking {
        Asking {
            call: Some(Arc::clone(&self.call)),
            busy: self.busy.clone(),
        }
    }

    /// Its documents, each with its schema: config, role, request.
    fn with_schemas(&self) -> impl Iterator<Item = (&Value, &str)> {
        let descriptor = &self.loaded.descriptor;
        let schemas = [
            &descriptor.config_schema,
            &descriptor.role_schema,
            &descriptor.request_schema,
        ];
        let role = self.role.iter().map(|role| (&descriptor.role_schema, role));
        let documents = schemas.into_iter().zip(&self.documents).chain(role);
        documents.map(|(schema, document)| (schema, document.expose().as_str()))
    }
}

#[async_trait]
impl Provider for ComponentProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.loaded.descriptor
    }

    fn anatomy(&self) -> &Anatomy {
        &self.loaded.anatomy
    }

    fn digest(&self) -> Digest {
        self.loaded.digest
    }

    async fn validate_config(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
    ) -> Result<Validation, Failure> {
        self.run(call, [config], role, |call| async move {
            let answer = ask!(call, |exports, at, told| {
                let ([config], role) = (&call.documents, call.role.as_ref());
                exports.validate_config(at, told, config, role)
            });
            let judge = |found, secrets: &mut Secrets<'_>| {
                Ok(outcome::validation(found, &secrets.scrubber()))
            };
            call.conclude("validate-config", answer, judge).await
        })
        .await
    }

    async fn create(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
        request: &Secret<String>,
        expires_at: Option<Timestamp>,
    ) -> Result<Credential, Failure> {
        let expires_at = expires_at.map(Timestamp::unix_seconds);
        self.run(
            call,
            [config, role, request],
            None,
            move |call| async move {
                let answer = ask!(call, |exports, at, told| {
                    exports.create(at, told, call.documents.each_ref(), expires_at)
                });
                let judge = |found, secrets: &mut Secrets<'_>| {
                    let schema = &call.loaded.descriptor.credential_schema;
                    let named = &call.call.principal_name;
                    let validator = &call.loaded.checks.credential;
                    outcome::credential(found, named, schema, validator, secrets)
                };
                call.conclude("create", answer, judge).await
            },
        )
        .await
    }

    async fn revoke(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
        what: &Revocation,
    ) -> Result<(), Failure> {
        let what = what.clone();
        self.run(call, [config], role, |call| async move {
            let answer = ask!(call, |exports, at, told| {
                let ([config], role) = (&call.documents, call.role.as_ref());
                exports.revoke(at, told, (config, role), &what)
            });
            call.conclude("revoke", answer, |(), _| Ok(())).await
        })
        .await
    }

    async fn rotate(
        &self,
        call: &Call,
        config: &Secret<String>,
        what: &Rotation,
    ) -> Result<Rotated, Failure> {
        let role = match what {
            Rotation::Root => None,
            Rotation::Account(role) => Some(role),
        };
        self.run(call, [config], role, |call| async move {
            let (descriptor, checks) = (&call.loaded.descriptor, &call.loaded.checks);
            let (schema, validator, name) = match call.role {
                None => (&descriptor.config_schema, &checks.config, "config-schema"),
                Some(_) => (
                    &descriptor.credential_schema,
                    &checks.credential,
                    "credential-schema",
                ),
            };
            let answer = ask!(call, |exports, at, told| {
                let ([config], account) = (&call.documents, call.role.as_ref());
                exports.rotate(at, told, config, account)
            });
            let room = call.loaded.runnable.outside.limits.output;
            let judge = |found, secrets: &mut Secrets<'_>| {
                Ok(outcome::rotated(
                    found,
                    room,
                    (schema, name),
                    validator,
                    secrets,
                ))
            };
            call.conclude("rotate", answer, judge).await
        })
        .await
    }

    async fn renew(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
        id: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Failure> {
        if !self.loaded.runnable.exports.renews() {
            return Err(self.loaded.unsupported("renewal"));
        }
        let (id, expires_at) = (id.to_owned(), expires_at.map(Timestamp::unix_seconds));
        self.run(call, [config, role], None, move |call| async move {
            let answer = ask!(call, |exports, at, told| {
                exports.renew(at, told, call.documents.each_ref(), (&id, expires_at))
            });
            call.conclude("renew", answer, |(), _| Ok(())).await
        })
        .await
    }

    async fn list_credentials(
        &self,
        call: &Call,
        config: &Secret<String>,
        cursor: Option<&str>,
    ) -> Result<Page, Failure> {
        if !self.loaded.runnable.exports.lists() {
            return Err(self.loaded.unsupported("inventory"));
        }
        let cursor = cursor.map(str::to_owned);
        self.run(call, [config], None, |call| async move {
            let answer = ask!(call, |exports, at, told| {
                let ([config], cursor) = (&call.documents, cursor.as_deref());
                exports.list_credentials(at, told, config, cursor)
            });
            call.conclude("list-credentials", answer, outcome::page)
                .await
        })
        .await
    }

    async fn publish(
        &self,
        call: &Call,
        config: &Secret<String>,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>, Failure> {
        if !self.loaded.runnable.exports.publishes() {
            return Err(self.loaded.unsupported("publication"));
        }
        let name = name.to_owned();
        let revoked = revoked.to_vec();
        self.run(call, [config], None, |call| async move {
            let answer = ask!(call, |exports, at, told| {
                let [config] = &call.documents;
                exports.publish(at, told, (config, &name), &revoked)
            });
            let judge = |found: Option<_>, secrets: &mut Secrets<'_>| {
                found
                    .map(|found| outcome::document(found, secrets))
                    .transpose()
            };
            call.conclude("publish", answer, judge).await
        })
        .await
    }
}

impl Loaded {
    fn unsupported(&self, interface: &'static str) -> Failure {
        Failure {
            class: FailureClass::Unsupported,
            code: String::from("unsupported"),
            message: format!(
                "the provider {} does not export the interface {interface}",
                self.descriptor.name
            ),
            retry_after: None,
            reached_upstream: false,
        }
    }
}

impl fmt::Debug for ComponentProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentProvider")
            .field("name", &self.loaded.descriptor.name)
            .field("version", &self.loaded.descriptor.version)
            .field("digest", &self.loaded.digest)
            .finish_non_exhaustive()
    }
}

/// The event of a connection that was refused.
fn told_of(refused: &Refused, speaker: &Speaker<'_>) -> Event {
    let (mount, plugin) = (speaker.mount.map(str::to_owned), speaker.plugin.to_owned());
    let (operation, reason) = (
        speaker.operation.map(str::to_owned),
        refused.sentence().to_owned(),
    );
    match refused {
        Refused::Connection(_) => Event::GrantRefused {
            mount,
            plugin,
            operation,
            reason,
        },
        Refused::Identity(_) => Event::IdentityRefused {
            mount,
            plugin,
            operation,
            reason,
        },
    }
}

/// Where upstream denied something, what the root credential needs for it is said, unless
/// the provider has named one of those itself.
fn name_privileges(mut failure: Failure, descriptor: &Descriptor, function: &str) -> Failure {
    let purpose = match function {
        "validate-config" => "validate",
        "create" => "issue",
        "list-credentials" => "inventory",
        other => other,
    };
    if failure.class != FailureClass::Denied {
        return failure;
    }
    // A remark may follow a name: `sts:AssumeRole (assumed_role)`.
    let names = descriptor.privileges.iter().flat_map(|it| &it.names);
    let mut names = names.filter_map(|name| name.split_whitespace().next());
    let is_named = names.any(|name| failure.message.contains(name));
    if !is_named && let Some(needs) = descriptor.needs(purpose) {
        failure = failure.after(&needs);
    }
    failure
}

/// A missing grant is the first thing to mend in a call that failed, whatever
/// the provider made of the refusal.
fn explain(mut failure: Failure, refusals: &[Refused], touched: bool) -> Failure {
    failure.reached_upstream = touched;
    let stopped = failure.code == "timeout" || failure.code.starts_with("limit_");
    let first = refusals.first().filter(|_| !stopped);
    if let Some(sentence) = first.map(Refused::sentence) {
        failure.class = FailureClass::InvalidConfig;
        failure.code = String::from("grant_missing");
        if !failure.message.contains(sentence) {
            failure.message = format!("{sentence} (the provider says: {})", failure.message);
        }
    }
    failure
}
