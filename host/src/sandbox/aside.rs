//! Work that cannot be given up once it has begun: it runs on the blocking threads, so
//! much of it at once.
//!
//! A call that is over does not stop what it began, and the host's own work runs on the
//! same threads. So each kind of work has slots, and a slot goes with the work.

use std::sync::Arc;

use tokio::{
    sync::{AcquireError, Semaphore},
    task::{JoinError, spawn_blocking},
};

/// Why work was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    /// The host is ending.
    #[error("the host takes no more work")]
    Closed(#[from] AcquireError),
    /// It panicked, or the host is ending.
    #[error("the host's work broke off")]
    Broken(#[from] JoinError),
}

/// Does `work` once there is a slot. Given up while it waits, it is not begun.
pub(super) async fn done<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    let slot = Arc::clone(slots).acquire_owned().await?;
    let done = spawn_blocking(move || {
        let result = work();
        drop(slot);
        result
    });
    Ok(done.await?)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_slot_is_taken_until_the_work_has_ended_though_nobody_waits() {
        let slots = Arc::new(Semaphore::new(1));
        let (end, ended) = mpsc::channel::<()>();
        let (begin, mut begun) = tokio::sync::mpsc::channel::<()>(1);
        let waiting = Arc::clone(&slots);
        let caller = tokio::spawn(async move {
            done(&waiting, move || {
                begin.blocking_send(()).unwrap();
                ended.recv()
            })
            .await
        });
        begun.recv().await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(slots.available_permits(), 0);

        drop(end);
        assert_eq!(done(&slots, || 7).await.unwrap(), 7);
    }
}
