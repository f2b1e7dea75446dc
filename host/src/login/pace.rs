//! The commit that a failed login of nobody waits for.
//!
//! What somebody fails is counted in the database, and the answer waits until that is
//! durable: milliseconds, by which a stranger would tell who exists. So a failure of
//! nobody writes and waits as well. It is always the same row that is written, so that
//! strangers fill nothing; and those that come while one such write is under way share
//! the next one, so that all of them together never have more than one write waiting
//! among those of others. That takes them as long as a write of their own would, which
//! is part of the next commit too, where it comes during one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The writes of failed logins, which those that fail meanwhile share.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The number of writes that were begun.
    begun: AtomicU64,
    /// The number of the write that ended last; held while one is under way.
    ended: Mutex<u64>,
}

impl Pace {
    /// Returns once a write has ended that began after this was called: `write`, or one
    /// of somebody else's.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) async fn keep<E>(
        &self,
        write: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let next = self.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.ended.lock().await;
        if *ended >= next {
            return Ok(());
        }
        let this = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        write.await?;
        *ended = this;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::{Pin, pin},
        sync::atomic::AtomicU32,
        task::Poll,
    };

    use tokio::sync::Semaphore;

    use super::*;

    async fn is_done<T>(waiting: &mut Pin<&mut impl Future<Output = T>>) -> bool {
        poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready())).await
    }

    /// Each waits for a whole write, and many for the same.
    #[tokio::test]
    async fn those_who_come_during_a_write_share_the_next() {
        let (pace, writes, disk) = (Pace::default(), AtomicU32::new(0), Semaphore::new(0));
        let keep = || {
            pace.keep(async {
                writes.fetch_add(1, Ordering::SeqCst);
                disk.acquire().await.map_err(drop)?.forget();
                Ok::<_, ()>(())
            })
        };
        let mut first = pin!(keep());
        assert!(!is_done(&mut first).await);
        let mut others: Vec<_> = (0..100).map(|_| Box::pin(keep())).collect();
        for other in &mut others {
            assert!(!is_done(&mut other.as_mut()).await);
        }
        disk.add_permits(1);
        assert!(is_done(&mut first).await);
        for other in &mut others {
            assert!(!is_done(&mut other.as_mut()).await);
        }
        assert_eq!(writes.load(Ordering::SeqCst), 2);
        disk.add_permits(1);
        for other in &mut others {
            assert!(is_done(&mut other.as_mut()).await);
        }
        assert_eq!(writes.load(Ordering::SeqCst), 2);
        // Nobody takes what ended before they came.
        let mut later = pin!(keep());
        assert!(!is_done(&mut later).await);
        assert_eq!(writes.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_write_that_fails_or_is_given_up_stands_for_nobody_else() {
        let (pace, writes) = (Pace::default(), AtomicU32::new(0));
        let write = |fails: bool| {
            let writes = &writes;
            async move {
                writes.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if fails { Err("full") } else { Ok(()) }
            }
        };
        {
            let mut gone = pin!(pace.keep(write(false)));
            assert!(!is_done(&mut gone).await);
        }
        let (one, other, third) = tokio::join!(
            pace.keep(write(true)),
            pace.keep(write(false)),
            pace.keep(write(false))
        );
        assert_eq!((one, other, third), (Err("full"), Ok(()), Ok(())));
        assert_eq!(writes.load(Ordering::SeqCst), 3);
    }
}
