//! Loads of providers, under way or done: all requests for the same bytes share one load. A
//! load goes on when everybody who waited for it has left.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use lessor_model::id::Digest;
use lessor_sandbox::plugin_store::PluginError;
use tokio::time::Instant;

use super::Plugin;

/// The time for which a provider that costs too much to compile is refused without another
/// try. A try may have been out of luck with its processor, but each costs minutes
/// of one.
const AGAIN: Duration = Duration::from_secs(300);

/// A file and the digest that it must have.
pub(super) type Key = (String, Digest);

/// A load, under way or done.
pub(super) type Loading = Shared<BoxFuture<'static, Result<Arc<Plugin>, Arc<NotLoaded>>>>;

/// The reason why there is no provider, and since when that is known.
#[derive(Debug)]
pub(super) struct NotLoaded {
    pub(super) error: PluginError,
    at: Instant,
}

/// All loads. Each may be forgotten at any time.
#[derive(Default)]
pub(super) struct Loads {
    known: Mutex<HashMap<Key, Loading>>,
}

impl Loads {
    /// The load of a file; a new one is begun where there is none, or where the failure of the
    /// last one may have passed.
    pub(super) fn get<L>(&self, key: Key, load: impl FnOnce() -> L) -> Loading
    where
        L: Future<Output = Result<Arc<Plugin>, PluginError>> + Send + 'static,
    {
        let mut known = self.known();
        let current = known.get(&key).filter(|loading| still_counts(loading));
        if let Some(loading) = current {
            return loading.clone();
        }
        let loading = begin(load());
        known.insert(key, loading.clone());
        loading
    }

    /// The load of a file that reads it from now on; one that is under way will do.
    pub(super) fn anew<L>(&self, key: Key, load: impl FnOnce() -> L) -> Loading
    where
        L: Future<Output = Result<Arc<Plugin>, PluginError>> + Send + 'static,
    {
        let mut known = self.known();
        let former = match known.get(&key) {
            None => None,
            Some(loading) => match outcome(loading) {
                None => return loading.clone(),
                done => done,
            },
        };
        let load = load();
        let loading = begin(async move {
            let loaded = load.await;
            // Kept until now, so that providers that mounts run need not be compiled anew.
            drop(former);
            loaded
        });
        known.insert(key, loading.clone());
        loading
    }

    /// All that are done, and whether there is a provider.
    pub(super) fn done(&self) -> Vec<(Key, bool)> {
        let known = self.known();
        let done = known.iter().filter_map(|(key, loading)| {
            outcome(loading).map(|outcome| (key.clone(), outcome.is_ok()))
        });
        done.collect()
    }

    pub(super) fn forget(&self, key: &Key) {
        self.known().remove(key);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Loading>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Loads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known().keys()).finish()
    }
}

fn begin(load: impl Future<Output = Result<Arc<Plugin>, PluginError>> + Send + 'static) -> Loading {
    let load = tokio::spawn(load);
    let loaded = async move {
        let loaded = load.await.unwrap_or_else(|broken| Err(broken.into()));
        loaded.map_err(|error| {
            Arc::new(NotLoaded {
                error,
                at: Instant::now(),
            })
        })
    };
    loaded.boxed().shared()
}

fn outcome(loading: &Loading) -> Option<Result<Arc<Plugin>, Arc<NotLoaded>>> {
    loading.clone().now_or_never()
}

/// Any other fault of a file may have been mended since.
fn still_counts(loading: &Loading) -> bool {
    match outcome(loading) {
        None | Some(Ok(_)) => true,
        Some(Err(not)) => {
            matches!(not.error, PluginError::TooMuch { .. }) && not.at.elapsed() < AGAIN
        }
    }
}
