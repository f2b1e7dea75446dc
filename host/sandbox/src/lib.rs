//! The sandbox: providers as WebAssembly components that reach only what they
//! are given.
//!
//! | file | idea |
//! |---|---|
//! | `engine` | the wasmtime engine, its pool, and what guests are linked to |
//! | `contract` | its versions: bindings, and their conversion to what all of this knows |
//! | `world`, `descriptor` | what a component is and says, checked at its load |
//! | `runnable`, `component` | a linked component; the same as a `Provider` |
//! | `call`, `limits` | one call's store, and what stops it |
//! | `account`, `held_http` | what the host holds for guests, counted as theirs |
//! | `outcome`, `measured` | what a guest returned, judged |
//! | `shares` | slots that mounts share |
//! | `threads` | where calls that compute end |
//! | `aside` | work that cannot be given up, so much at once |
//! | `reach`, `tls` | the one way to open a connection |
//! | `network`, `connection`, `proxy`, `http`, `answer_head`, `parked` | what guests do with connections |
//! | `memo` | values that guests have kept between calls |
//! | `identity` | tokens that say which mount a call is of |
//! | `host`, `crypto` | log, derivation and native cryptography |
//! | `journal`, `scrub`, `escapes` | what a guest said, without its secrets |
//! | `born`, `private_key` | secrets that came to be in a call, and the forms of keys |
//! | `tally` | what calls came to, for metrics |
//! | `still` | time and entropy for `describe`: none |
//! | `bounds`, `compile`, `refused` | what a component may be made of; compiling, in a process of its own |
//! | `code_cache` | compiled code on disk, authenticated |
//!
//! It knows no lease, no mount table and no SQL; it implements
//! [`Provider`] and is told everything by its calls.

#![cfg_attr(
    not(feature = "test-hooks"),
    allow(
        unreachable_pub,
        reason = "the fuzz targets reach further in, by the modules `internals` of a build for tests"
    )
)]

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use lessor_model::{
    clock::Clock,
    id::{ConnectionId, Digest},
    provider::Provider,
};
use tokio::sync::Semaphore;
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

pub use self::{
    account::Holdings,
    code_cache::CodeCacheSettings,
    limits::Limits,
    scrub::MASK,
    tally::{BUCKETS, Counts, Tally, Times},
};
use self::{
    account::Ledger, aside::Aside, call::CallState, code_cache::CodeCache, compile::Compiler,
    component::ComponentProvider, memo::Memo, parked::Parked, shares::Shares, tally::Tallies,
    threads::Threads, tls::TlsConfigs,
};
use crate::plugin_store::{PluginError, VerifiedPlugin};

mod account;
mod answer_head;
mod aside;
mod born;
mod bounds;
mod call;
mod code_cache;
pub mod compile;
mod component;
mod connection;
mod contract;
mod crypto;
mod descriptor;
mod engine;
mod escapes;
mod held_http;
mod host;
mod http;
mod identity;
mod journal;
mod limits;
mod measured;
mod memo;
mod network;
mod outcome;
mod parked;
pub mod plugin_store;
mod private_key;
mod proxy;
mod reach;
mod refused;
mod runnable;
mod scrub;
mod shares;
mod still;
mod tally;
mod threads;
mod tls;
mod world;

/// The parts of the sandbox that the fuzz targets use (`tests/fuzz`).
#[cfg(feature = "test-hooks")]
pub mod internals {
    pub use super::{
        account::Account,
        contract::answer,
        crypto::{
            Error as CryptoError, SignatureAlgorithm, sign_ecdsa, sign_ed25519, sign_rsa, verify,
        },
        descriptor::check as check_descriptor,
        journal::{Journal, Level, Speaker, TARGET as LOG_TARGET},
        scrub::{MASK, Room, Scrubber, Secrets},
        world::{check_header, check_version},
    };

    /// The judges of a guest's answers.
    pub mod outcome {
        pub use crate::outcome::{credential, document, failure, page, rotated, validation};
    }
}

/// The settings of a sandbox.
#[derive(Debug)]
pub struct SandboxSettings {
    /// The clock that guests see.
    pub clock: Clock,
    /// The settings of the cache of compiled code; absent, every start compiles.
    pub code_cache: Option<CodeCacheSettings>,
    /// Limits of every call.
    pub limits: Limits,
}

/// Loads providers and runs their calls. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linker: Linker<CallState>,
    compiler: Compiler,
    /// Components that are compiled at once.
    compiling: Arc<Semaphore>,
    code_cache: Option<CodeCache>,
    outside: Arc<Outside>,
    /// The loaded providers, as long as somebody has them.
    loaded: Mutex<HashMap<Digest, Arc<Loading>>>,
}

/// The provider of one digest; locked while it is loaded.
type Loading = tokio::sync::Mutex<Weak<ComponentProvider>>;

/// The parts that all calls share: nothing of them belongs to one provider.
struct Outside {
    limits: Limits,
    clock: Clock,
    tls: TlsConfigs,
    parked: Arc<Parked>,
    memo: Arc<Memo>,
    ledger: Arc<Ledger>,
    tallies: Tallies,
    /// Pool slots; a call waits here rather than fail in the pool.
    slots: Arc<Shares>,
    /// Slow work that runs at once.
    aside: Aside,
    /// The threads to which calls that compute are moved.
    threads: Arc<Threads>,
}

/// Components that are compiled at once: one that takes its whole time leaves room for
/// another, and their memory stays bounded.
const COMPILING: usize = 2;

/// The reason why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// wasmtime refused its settings: most often too little address space.
    #[error("the WebAssembly engine could not be set up")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No thread for the engine's clock.
    #[error("the engine's clock could not be started")]
    Ticker(#[source] io::Error),
    /// The directory for compiled code cannot be used.
    #[error("the directory for compiled code cannot be used")]
    CodeCache(#[source] io::Error),
}

impl Sandbox {
    /// Sets up the engine. Reserves address space for all calls, no memory. Compiles
    /// in a process of its own; only for the program that hands
    /// [`compile::SUBCOMMAND`] to [`compile::as_child`].
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn compiling_apart(settings: SandboxSettings) -> Result<Self, SandboxError> {
        Self::with(settings, Compiler::Apart, engine::tells_touched_pages())
    }

    /// The same, compiling in this process: for components that are trusted not to
    /// take more than there is.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn new(settings: SandboxSettings) -> Result<Self, SandboxError> {
        Self::with(settings, Compiler::Here, engine::tells_touched_pages())
    }

    /// The same, as on a kernel that cannot tell which pages were touched.
    ///
    /// # Errors
    /// See [`SandboxError`].
    #[cfg(feature = "test-hooks")]
    pub fn on_an_older_kernel(settings: SandboxSettings) -> Result<Self, SandboxError> {
        Self::with(settings, Compiler::Here, false)
    }

    fn with(
        settings: SandboxSettings,
        compiler: Compiler,
        scans: bool,
    ) -> Result<Self, SandboxError> {
        let SandboxSettings {
            clock,
            code_cache,
            limits,
        } = settings;
        let engine = engine::engine(&limits, scans)?;
        let linker = engine::linker(&engine).map_err(|error| SandboxError::Engine(error.into()))?;
        let code_cache = code_cache
            .map(|settings| CodeCache::new(settings, &engine))
            .transpose()
            .map_err(SandboxError::CodeCache)?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                linker,
                compiler,
                compiling: Arc::new(Semaphore::new(COMPILING)),
                code_cache,
                outside: Arc::new(Outside::new(clock, limits)),
                loaded: Mutex::default(),
            }),
        })
    }

    /// Compiles a component, or takes its code from the cache, and lets it
    /// describe itself. As long as somebody has the provider of a digest, later
    /// and concurrent loads of it get the same one.
    ///
    /// # Errors
    /// See [`PluginError`]: not a component, of another world or version, or a
    /// descriptor that is wrong.
    pub async fn load(&self, plugin: VerifiedPlugin) -> Result<Arc<dyn Provider>, PluginError> {
        let digest = plugin.digest();
        let loading = self.inner.loading(digest);
        let mut loaded = loading.lock().await;
        if let Some(provider) = loaded.upgrade() {
            return Ok(provider);
        }
        let size = u64::try_from(plugin.bytes().len()).unwrap_or(u64::MAX);
        let component = self.component(plugin).await?;
        let inner = &self.inner;
        let outside = Arc::clone(&inner.outside);
        let provider =
            ComponentProvider::load((digest, size), &component, &inner.linker, outside).await?;
        let provider = Arc::new(provider);
        *loaded = Arc::downgrade(&provider);
        Ok(provider)
    }

    /// Drops what calls by a connection of a mount have left for later ones, streams and
    /// values: its config or grants changed, or it is gone.
    pub fn drop_parked(&self, of: ConnectionId) {
        self.inner.outside.parked.drop_all_of(of);
        self.inner.outside.memo.drop_all_of(of);
    }

    /// The tallies of calls since the start, by plugin and mount.
    pub fn tallies(&self) -> Vec<Tally> {
        self.inner.outside.tallies.all()
    }

    /// The memory and slots that the host holds for calls now.
    pub fn holdings(&self) -> Holdings {
        let Outside { ledger, slots, .. } = &*self.inner.outside;
        Holdings {
            slots: slots.standing(),
            ..ledger.holdings()
        }
    }

    /// The component of a file. Its code is taken from the cache, or compiled, on a
    /// thread that may wait; a caller who leaves does not stop it.
    async fn component(&self, plugin: VerifiedPlugin) -> Result<Component, PluginError> {
        let inner = Arc::clone(&self.inner);
        let found = tokio::task::spawn_blocking(move || {
            world::check_header(plugin.bytes())?;
            Ok::<_, PluginError>((inner.cached(plugin.digest()), plugin))
        });
        let plugin = match found.await?? {
            (Some(component), _) => return Ok(component),
            (None, plugin) => plugin,
        };
        let turn = Arc::clone(&self.inner.compiling).acquire_owned().await;
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            let compiled = inner.compile(&plugin);
            drop(turn);
            compiled
        })
        .await?
    }
}

impl Outside {
    fn new(clock: Clock, limits: Limits) -> Self {
        let threads = Arc::new(Threads::default());
        let ledger = Arc::new(Ledger::new(limits.held_by_all));
        // It lasts, and calls need room in the ledger.
        let memo = limits.memo.min(limits.held_by_all / 4);
        Self {
            slots: Arc::new(Shares::new(limits.calls)),
            aside: Aside::new(&threads),
            threads,
            tls: TlsConfigs::default(),
            parked: Arc::new(Parked::default()),
            memo: Arc::new(Memo::new(clock.clone(), Arc::clone(&ledger), memo)),
            ledger,
            tallies: Tallies::default(),
            limits,
            clock,
        }
    }
}

impl Inner {
    /// Where the provider of a digest is, or will be. Forgets those that nobody
    /// has any more.
    fn loading(&self, digest: Digest) -> Arc<Loading> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|_, loading| {
            // One that is being loaded is locked.
            loading
                .try_lock()
                .map_or(true, |provider| provider.strong_count() > 0)
                || Arc::strong_count(loading) > 1
        });
        Arc::clone(loaded.entry(digest).or_default())
    }

    fn cached(&self, digest: Digest) -> Option<Component> {
        let cache = self.code_cache.as_ref()?;
        cache.load(&self.engine, digest)
    }

    fn compile(&self, plugin: &VerifiedPlugin) -> Result<Component, PluginError> {
        let digest = plugin.digest();
        let limits = &self.outside.limits;
        tracing::info!(plugin = %digest, "compiling a plugin");
        let compiled = self
            .compiler
            .compile(plugin.bytes(), limits)
            .map_err(|refused| refused.explained(limits))?;
        // The pool looks at what it is to make room for.
        let component =
            code_cache::load(&self.engine, &compiled).map_err(|error| PluginError::TooMuch {
                reason: error.root_cause().to_string().chars().take(512).collect(),
            })?;
        if let Some(cache) = &self.code_cache {
            cache.store(digest, &compiled);
        }
        Ok(component)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("limits", &self.inner.outside.limits)
            .finish_non_exhaustive()
    }
}
