//! Work that cannot be given up once it has begun: it runs on threads that block, so much
//! of it at once.
//!
//! A call that is over does not stop what it began. So each kind of work has slots, and a slot goes with the work. Each
//! provider waits for its own share of them first: of those that one provider asks for,
//! no more than its share stand in the way of another's.

use std::{num::NonZero, sync::Arc, thread};

use tokio::{
    sync::{AcquireError, Semaphore},
    task::JoinError,
};

use super::threads::Threads;

/// Names that are looked up at once: where the resolver hangs, each takes a thread for
/// its patience, which is longer than that of a call, of the 512 that there may be.
const LOOK_UPS: usize = 128;

/// Look-ups of one provider at once.
const OWN_LOOK_UPS: usize = 32;

/// The slots of one provider.
pub(super) struct Aside {
    /// Of slow cryptography.
    pub(super) crypto: Slots,
    /// Of names that are looked up.
    pub(super) look_ups: Slots,
}

/// Slots for one kind of work.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    share: usize,
    threads: Arc<Threads>,
}

/// The reason why work was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    /// The host is ending.
    #[error("the host takes no more work")]
    Closed(#[from] AcquireError),
    /// It panicked, or the host is ending.
    #[error("the host's work broke off")]
    Broken(#[from] JoinError),
}

impl Aside {
    /// The slots of the first provider.
    pub(super) fn new(threads: &Arc<Threads>) -> Self {
        let cores = thread::available_parallelism().map_or(2, NonZero::get);
        Self {
            crypto: Slots::new(cores, cores, threads),
            look_ups: Slots::new(LOOK_UPS, OWN_LOOK_UPS, threads),
        }
    }

    /// The slots of another provider.
    pub(super) fn another(&self) -> Self {
        Self {
            crypto: self.crypto.another(),
            look_ups: self.look_ups.another(),
        }
    }
}

impl Slots {
    /// So many in all, and so many for one provider.
    fn new(all: usize, share: usize, threads: &Arc<Threads>) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            own: Arc::new(Semaphore::new(share)),
            share,
            threads: Arc::clone(threads),
        }
    }

    fn another(&self) -> Self {
        Self {
            all: Arc::clone(&self.all),
            own: Arc::new(Semaphore::new(self.share)),
            share: self.share,
            threads: Arc::clone(&self.threads),
        }
    }

    /// Does `work` once there is a slot. Given up while it waits, it is not begun.
    pub(super) async fn done<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let own = Arc::clone(&self.own).acquire_owned().await?;
        let slot = Arc::clone(&self.all).acquire_owned().await?;
        let done = self.threads.block(move || {
            let result = work();
            drop((slot, own));
            result
        });
        Ok(done.await?)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, sync::mpsc, task::Poll};

    use super::*;

    /// Work that says that it has begun, and ends when it is told to.
    fn patient() -> (
        impl FnOnce() + Send + 'static,
        tokio::sync::oneshot::Receiver<()>,
        mpsc::Sender<()>,
    ) {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel();
        let work = move || {
            let _ = begin.send(());
            let _ = ended.recv();
        };
        (work, begun, end)
    }

    #[tokio::test]
    async fn a_slot_is_taken_until_the_work_has_ended_though_nobody_waits() {
        let slots = Arc::new(Slots::new(1, 1, &Arc::default()));
        let (work, begun, end) = patient();
        let caller = Arc::clone(&slots);
        let caller = tokio::spawn(async move { caller.done(work).await });
        begun.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        let free = [&slots.all, &slots.own].map(|slots| slots.available_permits());
        assert_eq!(free, [0, 0]);

        drop(end);
        assert_eq!(slots.done(|| 7).await.unwrap(), 7);
    }

    /// A provider that had a hundred keys derived at once, each for seconds, let all
    /// others wait until the last was done.
    #[tokio::test]
    async fn a_provider_that_asks_for_much_stands_in_nobodys_way_with_all_of_it() {
        let slots = Slots::new(1, 1, &Arc::default());
        let other = slots.another();
        let (work, begun, end) = patient();
        let mut first = pin!(slots.done(work));
        let (endless, _began, _ends) = patient();
        let mut second = pin!(slots.done(endless));
        let mut third = pin!(other.done(|| 7));
        // The first begins, and the others wait in this order.
        let mut begun = pin!(begun);
        poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().poll(context).is_pending());
            assert!(third.as_mut().poll(context).is_pending());
            begun.as_mut().poll(context)
        })
        .await
        .unwrap();

        drop(end);
        first.await.unwrap();
        assert_eq!(third.await.unwrap(), 7);
        let still = poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_pending()));
        assert!(still.await);
    }
}
