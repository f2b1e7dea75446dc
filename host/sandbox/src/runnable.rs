//! A linked component: what instances are made from, and its own description.

use std::{sync::Arc, time::Duration};

use lessor_model::id::Digest;
use tokio::time::timeout;
use wasmtime::component::{Component, InstancePre, Linker};

use super::{
    Outside,
    aside::Aside,
    call::{Asking, CallState, Session, Slots},
    contract::{self, Exports, answer},
    engine::{MEMORIES, TABLES, TABLES_PER_CALL},
    journal::Speaker,
    limits::Limit,
    measured::Measured,
    scrub::Secrets,
    shares::{Owner, Shares},
    world,
};
use crate::plugin_store::PluginError;

/// The compiled component that instances are made from.
pub(super) struct Runnable {
    pub(super) pre: InstancePre<CallState>,
    pub(super) exports: Exports,
    pub(super) outside: Arc<Outside>,
    /// Slots that one instance takes, of those in `Outside` and of the provider's.
    weight: u32,
    /// Slots of this provider alone.
    own: Arc<Shares>,
    /// Its slots for slow work.
    pub(super) aside: Arc<Aside>,
}

impl Runnable {
    /// Links a component of the provider world.
    pub(super) fn new(
        component: &Component,
        linker: &Linker<CallState>,
        outside: Arc<Outside>,
    ) -> Result<Self, PluginError> {
        let version = world::check_world(linker.engine(), component)?;
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| contract::malformed(&error))?;
        Ok(Self {
            exports: Exports::find(&pre, version)?,
            weight: weight(component),
            own: Arc::new(Shares::new(outside.limits.plugin_calls)),
            aside: Arc::new(outside.aside.another()),
            pre,
            outside,
        })
    }

    /// Waits until there is room for one more call of this provider, and in the
    /// pool.
    pub(super) async fn wait(&self, owner: Owner, slots: &mut Slots) {
        slots.weight = self.weight;
        slots.plugin = Some(self.own.take(owner, self.weight).await);
        slots.pool = Some(self.outside.slots.take(owner, self.weight).await);
    }

    /// Runs `describe` and `names` without network, keys and entropy.
    pub(super) async fn describe(
        self: Arc<Self>,
        digest: Digest,
    ) -> Result<(answer::Descriptor, Vec<String>), PluginError> {
        let asking = Asking::describing();
        let (busy, threads) = (asking.busy.clone(), Arc::clone(&self.outside.threads));
        let described = async move { self.ask(digest, asking).await };
        threads.run(busy, described).await?
    }

    /// A store for one call.
    pub(super) fn session(&self, digest: Digest, asking: Asking) -> Session {
        let state = CallState::new(&self.outside, &self.aside, digest, asking);
        Session::new(self.pre.engine(), state)
    }

    async fn ask(
        &self,
        digest: Digest,
        asking: Asking,
    ) -> Result<(answer::Descriptor, Vec<String>), PluginError> {
        let mut session = self.session(digest, asking);
        let patience = Duration::from_secs(self.outside.limits.describe);
        let described = timeout(patience, async {
            self.wait(None, &mut session.slots).await;
            let store = &mut session.store;
            let instance = self.pre.instantiate_async(&mut *store).await?;
            let exports = &self.exports;
            if let Err(error) = exports.check((&mut *store, &instance)) {
                return Ok(Err(contract::malformed(&error)));
            }
            Ok(Ok(exports.describe((store, &instance)).await?))
        })
        .await;
        let limits = &self.outside.limits;
        let described = match described {
            Ok(Ok(Ok(described))) if described.bytes() > limits.output => {
                let failure = Limit::Output.failure(limits, patience);
                Err(PluginError::Describe(failure))
            }
            Ok(Ok(described)) => described,
            Ok(Err(error)) => Err(PluginError::Describe(session.broken(&error, patience))),
            Err(_) => Err(PluginError::Describe(session.overdue(patience))),
        };
        let Session { store, slots, .. } = session;
        let CallState { journal, born, .. } = store.into_data();
        drop(slots);
        if !journal.is_empty() {
            let plugin = digest.to_string();
            let speaker = Speaker {
                mount: None,
                plugin: &plugin,
                operation: None,
            };
            // Nobody has told it a secret yet, but it may have made one up.
            let mut secrets = Secrets::default();
            born.tell(&mut secrets);
            journal.write(&secrets.scrubber(), &speaker);
        }
        described
    }
}

/// The number of the pool's slots that an instance takes: its memories, and its tables by the
/// number that belongs to a slot. Each slot has a stack, and room for as many core instances as a
/// component may have, so none of those runs out before the slots do.
fn weight(component: &Component) -> u32 {
    // Unknown only where core modules are imported, which no world of the host's offers.
    component.resources_required().map_or(
        MEMORIES.max(TABLES.div_ceil(TABLES_PER_CALL)),
        |required| {
            required
                .num_memories
                .max(required.num_tables.div_ceil(TABLES_PER_CALL))
                .max(1)
        },
    )
}
