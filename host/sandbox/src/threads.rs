//! Threads of their own for calls that compute, and for the host's slow work for them.
//!
//! A call begins on the async thread that asked for it: most take microseconds, and to
//! hand them over would take as long. One that is found computing is moved to these
//! threads and ends there. After that, for a while, no more calls begin on the async
//! threads at once than half of them: health, revocation and everybody else find one
//! free, however many guests compute.

use std::{
    future::Future,
    num::NonZero,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::{JoinError, JoinHandle, yield_now},
};
use tracing::instrument::{Instrument as _, WithSubscriber as _};

/// Turns of calls that are begun with care once one was found computing: as many as a
/// busy server has in a tenth of a second.
const WARY: usize = 1_000;

/// The niceness of these threads, against the others of the server.
const NICENESS: i32 = 5;

/// The threads. They are started once something computes.
#[derive(Debug)]
pub(super) struct Threads {
    runtime: OnceLock<Option<Runtime>>,
    /// Calls that have their turn on an async thread now.
    here: AtomicUsize,
    /// The largest number of such calls, while there is reason to be wary.
    most_here: usize,
    /// Turns until there is none any more.
    wary: AtomicUsize,
}

/// The time for which a turn lasts before its call is one that computes: half of the time
/// between two looks at it.
const LONG: Duration = Duration::from_millis(5);

/// Whether a call computes, told to whoever runs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<State>);

#[derive(Debug, Default)]
struct State {
    computing: AtomicBool,
    /// The time when its turn began; none before its first.
    began: Mutex<Option<Instant>>,
}

impl Busy {
    /// Notes that the call has its turn.
    fn begin(&self) {
        *self.0.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether its turn has lasted long. A call that waited for upstream has computed
    /// only since it was told the answer.
    pub(super) fn is_long(&self) -> bool {
        let began = *self.0.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.is_none_or(|began| began.elapsed() >= LONG)
    }

    /// Lets everybody else have a turn, and has what follows done on the threads for what
    /// computes.
    pub(super) async fn leave(&self) {
        self.0.computing.store(true, Ordering::Relaxed);
        yield_now().await;
        self.0.computing.store(false, Ordering::Relaxed);
    }

    /// Whether it was computing when it last gave up its turn.
    pub(super) fn is_computing(&self) -> bool {
        self.0.computing.load(Ordering::Relaxed)
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self {
            runtime: OnceLock::new(),
            here: AtomicUsize::new(0),
            most_here: (cores() / 2).max(1),
            wary: AtomicUsize::new(0),
        }
    }
}

impl Threads {
    /// Runs `work`, which says by `busy` that it computes.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        busy: Busy,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        Running {
            threads: Arc::clone(self),
            busy,
            place: Place::Here(Box::pin(work)),
        }
    }

    /// Does something that blocks its thread.
    pub(super) fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match self.handle() {
            Some(handle) => handle.spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        }
    }

    /// The runtime for calls that compute, unless the system has no threads to give.
    fn handle(&self) -> Option<&Handle> {
        let start = || {
            let started = Builder::new_multi_thread()
                .worker_threads(cores())
                .thread_name("guests")
                .on_thread_start(|| {
                    // A courtesy: without it the others are served as well.
                    let _ = rustix::process::setpriority_process(None, NICENESS);
                })
                .enable_all()
                .build();
            started
                .inspect_err(|error| tracing::warn!(%error, "no threads for providers' calls"))
                .ok()
        };
        let runtime = self.runtime.get_or_init(start);
        runtime.as_ref().map(Runtime::handle)
    }

    /// A turn on this thread, unless there are too many already.
    fn turn(&self) -> Option<Turn<'_>> {
        let before = self.here.fetch_add(1, Ordering::Relaxed);
        let turn = Turn(self);
        let less = |wary: usize| wary.checked_sub(1);
        let is_wary = self.wary.load(Ordering::Relaxed) > 0
            && self
                .wary
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok();
        (!is_wary || before < self.most_here).then_some(turn)
    }
}

impl Drop for Threads {
    /// Dropped on an async thread, where a runtime may not be waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take().flatten() {
            runtime.shutdown_background();
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

/// A call's turn on an async thread.
struct Turn<'t>(&'t Threads);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.here.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work that is run. Dropped, it is given up.
pub(super) struct Running<T> {
    threads: Arc<Threads>,
    busy: Busy,
    place: Place<T>,
}

enum Place<T> {
    Here(Pin<Box<dyn Future<Output = T> + Send>>),
    There(JoinHandle<T>),
    /// On its way from one to the other, which takes no time.
    Between,
}

impl<T: Send + 'static> Future for Running<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            threads,
            busy,
            place,
        } = &mut *self;
        if let Place::Here(work) = place {
            let turn = threads.turn();
            let had_one = turn.is_some();
            if had_one {
                busy.begin();
                if let Poll::Ready(result) = work.as_mut().poll(context) {
                    return Poll::Ready(Ok(result));
                }
                drop(turn);
                if !busy.is_computing() {
                    return Poll::Pending;
                }
                threads.wary.store(WARY, Ordering::Relaxed);
            }
            let Some(handle) = threads.handle() else {
                if !had_one {
                    context.waker().wake_by_ref();
                }
                return Poll::Pending;
            };
            if let Place::Here(work) = std::mem::replace(place, Place::Between) {
                // Its log events belong to the request, and to the listener of that.
                let work = work.in_current_span().with_current_subscriber();
                *place = Place::There(handle.spawn(work));
            }
        }
        match place {
            Place::There(work) => Pin::new(work).poll(context),
            Place::Here(_) | Place::Between => Poll::Pending,
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if let Place::There(work) = &self.place {
            work.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use tokio::sync::oneshot;

    use super::*;

    fn thread() -> ThreadId {
        thread::current().id()
    }

    #[tokio::test]
    async fn what_computes_ends_on_threads_of_its_own() {
        let threads = Arc::new(Threads::default());
        let busy = Busy::default();
        let inside = busy.clone();
        let (begun, ended) = threads
            .run(busy, async move {
                let begun = thread();
                yield_now().await;
                assert_eq!(begun, thread(), "who only waits stays");
                inside.leave().await;
                (begun, thread())
            })
            .await
            .unwrap();
        assert_eq!(begun, thread());
        assert_ne!(ended, begun);
        // From now on, one more than may begin here begins there.
        let turns: Vec<_> = (0..threads.most_here).map(|_| threads.turn()).collect();
        assert!(turns.iter().all(Option::is_some));
        let elsewhere = threads.run(Busy::default(), async { thread() });
        assert_ne!(elsewhere.await.unwrap(), begun);
        drop(turns);
        let here = threads.run(Busy::default(), async { thread() });
        assert_eq!(here.await.unwrap(), begun);
    }

    #[tokio::test]
    async fn a_call_that_waited_has_not_computed() {
        let began = |busy: &Busy| *busy.0.began.lock().unwrap();
        let threads = Arc::new(Threads::default());
        let busy = Busy::default();
        let inside = busy.clone();
        let turns = threads.run(busy.clone(), async move {
            let first = began(&inside);
            yield_now().await;
            (first, began(&inside))
        });
        let (first, second) = turns.await.unwrap();
        assert!(first.is_some() && first < second, "{first:?} {second:?}");
        // Without a turn of its own it is on the threads for what computes already.
        assert!(Busy::default().is_long());
        *busy.0.began.lock().unwrap() = Instant::now().checked_sub(LONG);
        assert!(busy.is_long());
        *busy.0.began.lock().unwrap() = Instant::now().checked_add(LONG);
        assert!(!busy.is_long());
    }

    #[tokio::test]
    async fn what_is_given_up_ends_wherever_it_is() {
        struct Tells(Option<oneshot::Sender<()>>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.take().map(|end| end.send(()));
            }
        }
        let threads = Arc::new(Threads::default());
        for leaves in [false, true] {
            let (end, ended) = oneshot::channel();
            let (begin, begun) = oneshot::channel();
            let busy = Busy::default();
            let inside = busy.clone();
            let tells = Tells(Some(end));
            let running = threads.run(busy, async move {
                let _tells = tells;
                if leaves {
                    inside.leave().await;
                }
                let _ = begin.send(());
                std::future::pending::<()>().await;
            });
            tokio::select! {
                _ = running => unreachable!("it never ends"),
                begun = begun => begun.unwrap(),
            }
            ended.await.unwrap();
        }
    }
}
