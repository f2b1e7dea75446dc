//! A loaded component as a [`Provider`]: each call in an instance of its own.
//!
//! What is the same for every call is done when it is loaded: compiling,
//! linking, finding the exports, compiling schemas. A call makes a store and an
//! instance, calls one function, and has the answer judged (`outcome.rs`).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
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
    call::{CallState, Session},
    descriptor::{self, Checks},
    journal::Speaker,
    limits::Limit,
    measured::Measured,
    outcome,
    runnable::Runnable,
    scrub::Secrets,
    tally::Ended,
    world,
};
use crate::{
    clock::Timestamp,
    id::Digest,
    plugin_store::PluginError,
    provider::{
        Abilities, Anatomy, Call, Credential, Descriptor, Document, Failure, FailureClass, Page,
        Provider, Revocation, RevokedCredential, Rotated, Rotation, Validation,
    },
    secret::Secret,
};

/// A component that was compiled, linked and described.
pub(super) struct ComponentProvider {
    digest: Digest,
    descriptor: Descriptor,
    anatomy: Anatomy,
    checks: Checks,
    runnable: Runnable,
}

/// Calls one function of a fresh instance: everything between a call and the
/// guest's own answer, the same for all functions.
macro_rules! ask {
    ($self:ident, $call:ident, $exports:expr, |$guest:ident, $store:ident| $ask:expr) => {{
        let runnable = &$self.runnable;
        let engine = runnable.pre.engine();
        let mut session = Session::new(
            engine,
            (&runnable.outside, &runnable.aside),
            $self.digest,
            $call,
        );
        let answer = timeout($call.timeout, async {
            let owner = Some($call.scope.mount_id);
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
        let runnable = Runnable::new(component, linker, outside)?;
        let (found, publication) = runnable.describe(digest).await?;
        let abilities = Abilities {
            renewal: runnable.exports.renewal.is_some(),
            inventory: runnable.exports.inventory.is_some(),
            publication,
        };
        // The patterns of its schemas may take a while to compile.
        let (descriptor, checks) =
            spawn_blocking(move || descriptor::check(found, abilities)).await??;
        Ok(Self {
            digest,
            descriptor,
            anatomy: world::anatomy(linker.engine(), component, size),
            checks,
            runnable,
        })
    }

    /// Judges an answer, explains a failure, counts it, and writes down what was
    /// said.
    fn conclude<R: Sized + Measured, T>(
        &self,
        function: &'static str,
        call: &Call,
        (session, answer): (Session, Answer<R>),
        documents: &[(&Value, &Secret<String>)],
        judge: impl FnOnce(R, &mut Secrets<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let limits = &self.runnable.outside.limits;
        let mut secrets = Secrets::of(
            documents
                .iter()
                .map(|(schema, document)| (*schema, document.expose().as_str())),
        );
        for derived in &session.store.data().derived {
            secrets.add(derived);
        }
        let said = match &answer {
            Ok(Ok(Ok(found))) => found.bytes(),
            Ok(Ok(Err(found))) => found.bytes(),
            _ => 0,
        };
        let reach = &session.store.data().reach;
        let held = reach.account.hold(Resource::Answers, said);
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
                Err(Limit::Output.failure(limits, call.timeout))
            }
            Ok(Ok(Ok(found))) => match &held {
                Err(limit) if found.may_be_refused() => Err(limit.failure(limits, call.timeout)),
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
            let plugin = self.digest.to_string();
            let operation = call.operation.to_string();
            let speaker = Speaker {
                mount: Some(call.scope.mount.as_str()),
                plugin: &plugin,
                operation: Some(&operation),
            };
            for sentence in &refusals {
                // Not the provider's words: the audit log keeps these.
                tracing::warn!(
                    target: "lessor::grant",
                    mount = speaker.mount,
                    plugin,
                    operation,
                    reason = sentence,
                    "refused a connection that no grant allows"
                );
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
        let tallies = &self.runnable.outside.tallies;
        tallies.count(&self.descriptor, self.digest, &call.scope.mount, &ended);
        result
    }
}

#[async_trait]
impl Provider for ComponentProvider {
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
        role: Option<&Secret<String>>,
    ) -> Result<Validation, Failure> {
        let context = context(call);
        let answer = ask!(
            self,
            call,
            self.runnable.exports.provider,
            |guest, store| {
                guest.call_validate_config(
                    store,
                    &context,
                    config.expose(),
                    role.map(Secret::expose),
                )
            }
        );
        let documents = self.config_and_role(config, role);
        self.conclude(
            "validate-config",
            call,
            answer,
            &documents,
            |found, secrets| Ok(outcome::validation(found, &secrets.scrubber())),
        )
    }

    async fn create(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
        request: &Secret<String>,
        expires_at: Option<Timestamp>,
    ) -> Result<Credential, Failure> {
        let context = context(call);
        let expires_at = expires_at.map(Timestamp::unix_seconds);
        let answer = ask!(
            self,
            call,
            self.runnable.exports.provider,
            |guest, store| {
                guest.call_create(
                    store,
                    &context,
                    config.expose(),
                    role.expose(),
                    request.expose(),
                    expires_at,
                )
            }
        );
        let documents = [
            (&self.descriptor.config_schema, config),
            (&self.descriptor.role_schema, role),
            (&self.descriptor.request_schema, request),
        ];
        self.conclude("create", call, answer, &documents, |found, secrets| {
            let schema = &self.descriptor.credential_schema;
            let named = &call.principal_name;
            outcome::credential(found, named, schema, &self.checks.credential, secrets)
        })
    }

    async fn revoke(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: Option<&Secret<String>>,
        what: &Revocation,
    ) -> Result<(), Failure> {
        let context = context(call);
        let what = match what {
            Revocation::Credential(id) => wit::Revocation::Credential(id.clone()),
            Revocation::UnknownCredential => wit::Revocation::UnknownCredential,
            Revocation::FormerRoot(id) => wit::Revocation::FormerRoot(id.clone()),
        };
        let answer = ask!(
            self,
            call,
            self.runnable.exports.provider,
            |guest, store| {
                guest.call_revoke(
                    store,
                    &context,
                    config.expose(),
                    role.map(Secret::expose),
                    &what,
                )
            }
        );
        let documents = self.config_and_role(config, role);
        self.conclude("revoke", call, answer, &documents, |(), _| Ok(()))
    }

    async fn rotate(
        &self,
        call: &Call,
        config: &Secret<String>,
        what: &Rotation,
    ) -> Result<Rotated, Failure> {
        let context = context(call);
        let mut documents = vec![(&self.descriptor.config_schema, config)];
        let (asked, schema, validator, name) = match what {
            Rotation::Root => (
                wit::Rotation::Root,
                &self.descriptor.config_schema,
                &self.checks.config,
                "config-schema",
            ),
            Rotation::Account(role) => {
                documents.push((&self.descriptor.role_schema, role));
                (
                    wit::Rotation::Account(role.expose().clone()),
                    &self.descriptor.credential_schema,
                    &self.checks.credential,
                    "credential-schema",
                )
            }
        };
        let answer = ask!(
            self,
            call,
            self.runnable.exports.provider,
            |guest, store| { guest.call_rotate(store, &context, config.expose(), &asked) }
        );
        if let wit::Rotation::Account(mut role) = asked {
            zeroize::Zeroize::zeroize(&mut role);
        }
        let room = self.runnable.outside.limits.output;
        self.conclude("rotate", call, answer, &documents, |found, secrets| {
            Ok(outcome::rotated(
                found,
                room,
                (schema, name),
                validator,
                secrets,
            ))
        })
    }

    async fn renew(
        &self,
        call: &Call,
        config: &Secret<String>,
        role: &Secret<String>,
        id: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Failure> {
        let Some(renewal) = &self.runnable.exports.renewal else {
            return Err(self.unsupported("renewal"));
        };
        let context = context(call);
        let expires_at = expires_at.map(Timestamp::unix_seconds);
        let answer = ask!(self, call, renewal, |guest, store| {
            guest.call_renew(
                store,
                &context,
                config.expose(),
                role.expose(),
                id,
                expires_at,
            )
        });
        let documents = self.config_and_role(config, Some(role));
        self.conclude("renew", call, answer, &documents, |(), _| Ok(()))
    }

    async fn list_credentials(
        &self,
        call: &Call,
        config: &Secret<String>,
        cursor: Option<&str>,
    ) -> Result<Page, Failure> {
        let Some(inventory) = &self.runnable.exports.inventory else {
            return Err(self.unsupported("inventory"));
        };
        let context = context(call);
        let answer = ask!(self, call, inventory, |guest, store| {
            guest.call_list_credentials(store, &context, config.expose(), cursor)
        });
        let documents = self.config_and_role(config, None);
        self.conclude("list-credentials", call, answer, &documents, |found, _| {
            outcome::page(found)
        })
    }

    async fn publish(
        &self,
        call: &Call,
        config: &Secret<String>,
        name: &str,
        revoked: &[RevokedCredential],
    ) -> Result<Option<Document>, Failure> {
        let Some(publication) = &self.runnable.exports.publication else {
            return Err(self.unsupported("publication"));
        };
        let context = context(call);
        let revoked: Vec<_> = revoked
            .iter()
            .map(|revoked| exports::publication::RevokedCredential {
                id: revoked.id.clone(),
                revoked_at: revoked.revoked_at.unix_seconds(),
                expires_at: revoked.expires_at.map(Timestamp::unix_seconds),
            })
            .collect();
        let answer = ask!(self, call, publication, |guest, store| {
            guest.call_publish(store, &context, config.expose(), name, &revoked)
        });
        let documents = self.config_and_role(config, None);
        self.conclude("publish", call, answer, &documents, |found, secrets| {
            found
                .map(|found| outcome::document(found, secrets))
                .transpose()
        })
    }
}

impl ComponentProvider {
    fn config_and_role<'d>(
        &'d self,
        config: &'d Secret<String>,
        role: Option<&'d Secret<String>>,
    ) -> Vec<(&'d Value, &'d Secret<String>)> {
        std::iter::once((&self.descriptor.config_schema, config))
            .chain(role.map(|role| (&self.descriptor.role_schema, role)))
            .collect()
    }

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
            .field("name", &self.descriptor.name)
            .field("version", &self.descriptor.version)
            .field("digest", &self.digest)
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
