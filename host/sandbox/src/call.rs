//! One call: its store, its limits, and the words for how it ended.
//!
//! Every call gets a fresh instance in a fresh store and leaves nothing behind
//! but connections that it parked. A guest that traps, hangs or runs into a
//! limit ends its own call; the failure names what it was.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lessor_model::{
    clock::Clock,
    id::Digest,
    provider::{Call, Failure, FailureClass},
};
use wasmtime::{
    Engine, PoolConcurrencyLimitError, Store, Trap, UpdateDeadline,
    component::{ResourceTable, ResourceTableError},
};
use wasmtime_wasi::{HostWallClock, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{
    Outside,
    account::{OVERHEAD, Resource},
    aside::Aside,
    born::Born,
    http::HttpHooks,
    journal::Journal,
    limits::{Limit, Limits, MemoryMeter},
    reach::{NoScope, Reach},
    shares::Share,
    still::{StillClock, StillRandom},
    threads::Busy,
};

/// Random bytes that a guest may ask for at once.
const RANDOM: u64 = 1 << 20;

/// Handles that wasmtime keeps for a component for each one of the host's that it may
/// hold: those of resources of its own, and one for each time that one is lent.
const HANDLES: usize = 4;

/// The state that the functions work on which a guest calls.
pub(super) struct CallState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: HttpHooks,
    pub(super) table: ResourceTable,
    pub(super) reach: Arc<Reach>,
    pub(super) journal: Journal,
    pub(super) plugin: Digest,
    /// The facts that the guest is told of its call; none where a provider describes itself.
    call: Option<Arc<Call>>,
    /// Tokens that were asked for.
    pub(super) tokens: u32,
    /// Secrets that came to be in the call, to be masked in what it says.
    pub(super) born: Born,
    pub(super) memory: MemoryMeter,
    /// Told when the guest is interrupted in the middle of computing.
    busy: Busy,
}

/// A store while its call runs, and the slots that it holds. In this order: the
/// slots are free once the store is gone.
pub(super) struct Session {
    pub(super) store: Store<CallState>,
    pub(super) slots: Slots,
    pub(super) started: Instant,
}

/// The slots that a call waits for before it runs, in this order.
#[derive(Default)]
pub(super) struct Slots {
    /// Its place among the calls of its provider.
    pub(super) plugin: Option<Share>,
    /// Its places in the pool.
    pub(super) pool: Option<Share>,
    /// The number that it needs of each.
    pub(super) weight: u32,
}

/// The inputs of a store.
pub(super) struct Asking {
    /// The facts that the guest is told of its call; none where a provider describes itself.
    pub(super) call: Option<Arc<Call>>,
    pub(super) busy: Busy,
}

impl Asking {
    /// For a provider that describes itself: the same at every time.
    pub(super) fn describing() -> Self {
        Self {
            call: None,
            busy: Busy::default(),
        }
    }
}

impl Session {
    /// A store for one call of a provider.
    pub(super) fn new(engine: &Engine, state: CallState) -> Self {
        let Limits {
            copies, handles, ..
        } = state.reach.outside.limits;
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(copies);
        store.set_max_component_handles(handles.saturating_mul(HANDLES));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            // A tick may come at any time. A call that it finds at the beginning of its
            // turn goes on: else it would be moved to other threads for nothing, and
            // other calls be begun with care.
            let busy = store.data().busy.clone();
            if !busy.is_long() {
                return Ok(UpdateDeadline::Continue(1));
            }
            // Lets the timeout, and every other call, have its turn.
            let interruption = async move { busy.leave().await };
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(interruption)))
        });
        Self {
            store,
            slots: Slots::default(),
            started: Instant::now(),
        }
    }

    /// The reason why a call did not answer in time.
    pub(super) fn overdue(&self, timeout: Duration) -> Failure {
        let state = self.store.data();
        let limits = &state.reach.outside.limits;
        let limit = if self.slots.plugin.is_none() {
            return Limit::PluginCalls.crowded(limits, self.slots.weight);
        } else if self.slots.pool.is_none() {
            return Limit::Calls.crowded(limits, self.slots.weight);
        } else if state.reach.scope().is_err() {
            Limit::Describe
        } else if state.busy.is_computing() {
            Limit::Cpu
        } else {
            Limit::Timeout
        };
        limit.failure(limits, timeout)
    }

    /// The reason why a call broke off.
    pub(super) fn broken(&self, error: &wasmtime::Error, timeout: Duration) -> Failure {
        let state = self.store.data();
        match limit_of(error, state) {
            Some(limit) => limit.failure(&state.reach.outside.limits, timeout),
            None => crash(error),
        }
    }
}

/// The limit that an error of wasmtime comes from, if any.
fn limit_of(error: &wasmtime::Error, state: &CallState) -> Option<Limit> {
    if let Some(limit) = error.downcast_ref::<Limit>() {
        return Some(*limit);
    }
    if let Some(limit) = state.reach.exceeded.limit() {
        return Some(limit);
    }
    if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
        return Some(Limit::Stack);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Some(Limit::Calls);
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(Limit::Handles);
    }
    // wasmtime keeps the types of these errors to itself. Guests that run into the
    // limits are tests: they tell where its words change.
    let says = error.root_cause().to_string();
    if says.starts_with("too much data is being copied") {
        return Some(Limit::Copies);
    }
    says.ends_with("store handle limit exceeded")
        .then_some(Limit::Handles)
}

/// A guest that crashed or broke the contract. What it said last is in the log,
/// not in the failure: it may hold what no schema marks as secret.
fn crash(error: &wasmtime::Error) -> Failure {
    let message = if let Some(trap) = error.downcast_ref::<Trap>() {
        format!("the provider crashed ({trap}); what it said is in the host's log")
    } else if error.is::<I32Exit>() {
        String::from("the provider ended itself; what it said is in the host's log")
    } else {
        let cause: String = error.root_cause().to_string().chars().take(256).collect();
        format!("the provider broke its contract: {cause}")
    };
    Failure {
        class: FailureClass::Internal,
        code: String::from("trap"),
        message,
        retry_after: None,
        reached_upstream: true,
    }
}

impl CallState {
    /// The facts that the guest is told of its call.
    pub(super) fn told(&self) -> Result<&Arc<Call>, NoScope> {
        self.call.as_ref().ok_or(NoScope)
    }

    /// Remembers a secret that came to be in the call.
    pub(super) fn remember(&mut self, secret: &[u8]) -> Result<(), Limit> {
        let size = self.born.remember(secret);
        self.count_secret(size)
    }

    /// Remembers a private key.
    pub(super) fn remember_key(&mut self, key: &[u8]) -> Result<(), Limit> {
        let size = self.born.remember_key(key);
        self.count_secret(size)
    }

    pub(super) fn count_secret(&self, size: usize) -> Result<(), Limit> {
        let size = size.saturating_add(OVERHEAD);
        self.reach.account.keep(Resource::Secrets, size)
    }

    pub(super) fn new(
        outside: &Arc<Outside>,
        aside: &Arc<Aside>,
        plugin: Digest,
        asking: Asking,
    ) -> Self {
        let Asking { call, busy } = asking;
        let limits = &outside.limits;
        let scope = call.as_ref().map(|call| Arc::clone(&call.scope));
        let reach = Arc::new(Reach::new(scope, Arc::clone(outside), Arc::clone(aside)));
        let journal = Journal::new(limits, &reach.account);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(journal.stdout.clone())
            .stderr(journal.stderr.clone())
            .max_random_size(RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if reach.scope().is_ok() {
            wasi.wall_clock(GuestClock(outside.clock.clone()));
        } else {
            wasi.wall_clock(StillClock)
                .monotonic_clock(StillClock)
                .secure_random(StillRandom::default())
                .insecure_random(StillRandom::default())
                .insecure_random_seed(0);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut born = Born::default();
        let proxy = reach.scope().ok().and_then(|scope| scope.proxy.as_deref());
        if let Some(credentials) = proxy.and_then(|proxy| proxy.credentials.as_ref()) {
            // The guest never has them; what a proxy or upstream repeats, it might say.
            let whole = credentials.expose();
            let (_, password) = whole.split_once(':').unwrap_or_default();
            born.remember(whole.as_bytes());
            born.remember(password.as_bytes());
        }
        Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: HttpHooks {
                reach: Arc::clone(&reach),
            },
            table,
            memory: MemoryMeter::new(limits, reach.exceeded.clone()),
            reach,
            journal,
            plugin,
            call,
            tokens: 0,
            born,
            busy,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// The host's clock for guests.
struct GuestClock(Clock);

impl HostWallClock for GuestClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().0).unwrap_or(0))
    }
}
