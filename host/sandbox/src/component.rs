//! A loaded component as a [`Provider`]: each call in an instance of its own.
//!
//! What is the same for every call is done when it is loaded: compiling,
//! linking, finding the exports, compiling schemas. A call makes a store and an
//! instance, calls one function, and has the answer judged (`outcome.rs`).

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use lessor_model::{
    clock::Timestamp,
    event::Event,
    id::{Digest, OperationId},
    provider::{
        Abilities, Anatomy, Call, Credential, Descriptor, Document, Failure, FailureClass, Page,
        Provider, Revocation, RevokedCredential, Rotated, Rotation, Scope, Validation,
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
    bindings::{exports::lessor::provider as exports, lessor::provider::types as wit},
    call::{Asking, CallState, Session},
    descriptor::{self, Checks},
    journal::Speaker,
    limits::Limit,
    measured::Measured,
    outcome,
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

/// What a call is told and bounded by, for as long as it runs.
struct Told {
    operation: OperationId,
    timeout: Duration,
    scope: Arc<Scope>,
    busy: Busy,
}

/// A call with all that it needs, its own: it may end on another thread than it began
/// on, and after whoever asked for it has gone.
struct Prepared<const N: usize> {
    loaded: Arc<Loaded>,
    told: Told,
    context: wit::Context,
    /// Those that such a call always has, the config first.
    documents: [Secret<String>; N],
    /// The role, where such a call may have none.
    role: Option<Secret<String>>,
}

/// Calls one function of a fresh instance: everything between a call and the
/// guest's own answer, the same for all functions.
macro_rules! ask {
    ($call:ident, $exports:expr, |$guest:ident, $store:ident| $ask:expr) => {{
        let (runnable, told) = (&$call.loaded.runnable, &$call.told);
        let mut session = runnable.session($call.loaded.digest, told.asking());
        let answer = timeout(told.timeout, async {
            let owner = Some(told.scope.connection.0);
            runnable.wait(owner, &mut session.slots).await;
            let instance = runnable.pre.instantiate_async(&mut session.store).await?;
            let $guest = $exports.load(&mut session.store, &instance)?;
            let $store = &mut session.store;
            $ask.await
        })
        .await;
        (session, answer)
    }};
}

/// A longer answer, in bytes, takes a millisecond or more to judge.
const LONG: usize = 32 << 10;

/// How a function call ended: in time, without a trap, with an answer.
type Answer<R> = Result<wasmtime::Result<Result<R, wit::Failure>>, Elapsed>;

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
            renewal: runnable.exports.renewal.is_some(),
            inventory: runnable.exports.inventory.is_some(),
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
        let told = Told::of(call);
        let busy = told.busy.clone();
        let work = work(Prepared {
            loaded: Arc::clone(&self.loaded),
            told,
            context: context(call),
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
        let (loaded, call) = (&*self.loaded, &self.told);
        let limits = &loaded.runnable.outside.limits;
        let mut secrets = Secrets::of(self.with_schemas());
        session.store.data().born.tell(&mut secrets);
        let (said, taken) = match &answer {
            Ok(Ok(Ok(found))) => (found.bytes(), found.taken()),
            Ok(Ok(Err(found))) => (found.bytes(), found.taken()),
            _ => (0, 0),
        };
        if said > LONG {
            call.busy.leave().await;
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
            for sentence in &refusals {
                // Not the provider's words: the audit log keeps these.
                Event::GrantRefused {
                    mount: speaker.mount.map(str::to_owned),
                    plugin: plugin.clone(),
                    operation: Some(operation.clone()),
                    reason: sentence.clone(),
                }
                .record();
            }
            journal.write(&secrets.scrubber(), &speaker);
        }
        let result = result.map_err(|failure| explain(failure, &refusals, reach.touched()));
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
            let provider = &call.loaded.runnable.exports.provider;
            let answer = ask!(call, provider, |guest, store| {
                let ([config], role) = (&call.documents, call.role.as_ref());
                let role = role.map(Secret::expose);
                guest.call_validate_config(store, &call.context, config.expose(), role)
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
                let provider = &call.loaded.runnable.exports.provider;
                let answer = ask!(call, provider, |guest, store| {
                    let [config, role, request] = call.documents.each_ref().map(Secret::expose);
                    guest.call_create(store, &call.context, config, role, request, expires_at)
                });
                let judge = |found, secrets: &mut Secrets<'_>| {
                    let schema = &call.loaded.descriptor.credential_schema;
                    let named = &call.context.principal_name;
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
        let what = match what {
            Revocation::Credential(id) => wit::Revocation::Credential(id.clone()),
            Revocation::UnknownCredential => wit::Revocation::UnknownCredential,
            Revocation::FormerRoot(id) => wit::Revocation::FormerRoot(id.clone()),
        };
        self.run(call, [config], role, |call| async move {
            let provider = &call.loaded.runnable.exports.provider;
            let answer = ask!(call, provider, |guest, store| {
                let ([config], role) = (&call.documents, call.role.as_ref());
                let role = role.map(Secret::expose);
                guest.call_revoke(store, &call.context, config.expose(), role, &what)
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
            let mut asked = call.role.as_ref().map_or(wit::Rotation::Root, |role| {
                wit::Rotation::Account(role.expose().clone())
            });
            let provider = &call.loaded.runnable.exports.provider;
            let answer = ask!(call, provider, |guest, store| {
                let [config] = &call.documents;
                guest.call_rotate(store, &call.context, config.expose(), &asked)
            });
            if let wit::Rotation::Account(role) = &mut asked {
                zeroize::Zeroize::zeroize(role);
            }
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
        let Some(renewal) = self.loaded.runnable.exports.renewal.clone() else {
            return Err(self.loaded.unsupported("renewal"));
        };
        let (id, expires_at) = (id.to_owned(), expires_at.map(Timestamp::unix_seconds));
        self.run(call, [config, role], None, move |call| async move {
            let answer = ask!(call, renewal, |guest, store| {
                let [config, role] = call.documents.each_ref().map(Secret::expose);
                guest.call_renew(store, &call.context, config, role, &id, expires_at)
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
        let Some(inventory) = self.loaded.runnable.exports.inventory.clone() else {
            return Err(self.loaded.unsupported("inventory"));
        };
        let cursor = cursor.map(str::to_owned);
        self.run(call, [config], None, |call| async move {
            let answer = ask!(call, inventory, |guest, store| {
                let ([config], cursor) = (&call.documents, cursor.as_deref());
                guest.call_list_credentials(store, &call.context, config.expose(), cursor)
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
        let Some(publication) = self.loaded.runnable.exports.publication.clone() else {
            return Err(self.loaded.unsupported("publication"));
        };
        let name = name.to_owned();
        let revoked: Vec<_> = revoked
            .iter()
            .map(|revoked| exports::publication::RevokedCredential {
                id: revoked.id.clone(),
                revoked_at: revoked.revoked_at.unix_seconds(),
                expires_at: revoked.expires_at.map(Timestamp::unix_seconds),
            })
            .collect();
        self.run(call, [config], None, |call| async move {
            let answer = ask!(call, publication, |guest, store| {
                let [config] = &call.documents;
                guest.call_publish(store, &call.context, config.expose(), &name, &revoked)
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

impl Told {
    fn of(call: &Call) -> Self {
        Self {
            operation: call.operation,
            timeout: call.timeout,
            scope: Arc::clone(&call.scope),
            busy: Busy::default(),
        }
    }

    /// What the call's store is made with.
    fn asking(&self) -> Asking {
        Asking {
            scope: Some(Arc::clone(&self.scope)),
            operation: self.operation,
            busy: self.busy.clone(),
        }
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

/// A missing grant is the first thing to mend in a call that failed, whatever
/// the provider made of the refusal.
fn explain(mut failure: Failure, refusals: &[String], touched: bool) -> Failure {
    failure.reached_upstream = touched;
    let stopped = failure.code == "timeout" || failure.code.starts_with("limit_");
    if let Some(sentence) = refusals.first().filter(|_| !stopped) {
        failure.class = FailureClass::InvalidConfig;
        failure.code = String::from("grant_missing");
        if !failure.message.contains(sentence.as_str()) {
            failure.message = format!("{sentence} (the provider says: {})", failure.message);
        }
    }
    failure
}

fn context(call: &Call) -> wit::Context {
    wit::Context {
        operation_id: call.operation.to_string(),
        attempt: call.attempt,
        mount: call.scope.known_as.clone(),
        role_name: call.role_name.as_ref().map(ToString::to_string),
        principal_name: call.principal_name.clone(),
        requester: call.requester.as_ref().map(|requester| wit::Requester {
            display_name: requester.display_name.clone(),
            accessor: requester.accessor.clone(),
            metadata: requester.metadata.clone(),
        }),
        timeout_ms: u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX),
    }
}
