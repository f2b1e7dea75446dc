//! The scheduler: finds what is due in storage and has it done.
//!
//! It keeps nothing in memory that a restart would miss. It sleeps until the
//! next due moment or a nudge, then takes from each mount at most as much as
//! that mount has free call slots: a mount whose upstream hangs fills its own
//! slots and delays nobody else.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time,
};

use crate::{
    account::Accounts,
    breaker::Admission,
    clock::{Clock, Timestamp},
    lease::Leases,
    mount::{Mount, Mounts},
    nudge::Nudge,
    refusal::Refusal,
    rotation::Rotations,
    token::Tokens,
};

/// Revocations and rotations of accounts under way at a time, over all mounts.
const TOTAL: usize = 256;

/// Leases taken from one mount in one transaction.
const BATCH: usize = 64;

/// Static roles taken from one mount at a time. Each is claimed by a transaction
/// of its own, and other mounts wait meanwhile.
const ACCOUNTS: usize = 16;

/// How long the scheduler sleeps at most. Everything it does is due at a known
/// moment; this bounds the harm of a nudge that was forgotten.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long the scheduler waits for more attempts to end after one has, so that it
/// looks and claims once for all of them.
const LINGER: Duration = Duration::from_millis(2);

/// How long until the scheduler tries again after storage failed for the first
/// time; then twice as long each time, and at most [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);

/// How long a storage that accepts writes again may go unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// A running scheduler.
#[derive(Debug)]
pub struct Scheduler {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Scheduler {
    /// Starts it. `nudge` is the one that the engines were given.
    pub fn start(
        mounts: Arc<Mounts>,
        leases: Arc<Leases>,
        rotations: Arc<Rotations>,
        accounts: Arc<Accounts>,
        tokens: Arc<Tokens>,
        clock: Clock,
        nudge: Arc<Nudge>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let work = Work {
            mounts,
            leases,
            rotations,
            accounts,
            tokens,
            clock,
            nudge,
            total: Arc::new(Semaphore::new(TOTAL)),
        };
        Self {
            stop,
            task: tokio::spawn(work.run(stopped)),
        }
    }

    /// Takes no more work and waits for what is under way. What is left is due
    /// at the next start.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        if self.task.await.is_err() {
            tracing::error!("the scheduler ended badly");
        }
    }
}

struct Work {
    mounts: Arc<Mounts>,
    leases: Arc<Leases>,
    rotations: Arc<Rotations>,
    accounts: Arc<Accounts>,
    tokens: Arc<Tokens>,
    clock: Clock,
    nudge: Arc<Nudge>,
    total: Arc<Semaphore>,
}

impl Work {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        if let Err(error) = self.rotations.resume_interrupted().await {
            tracing::error!(%error, "could not resume interrupted rotations; they go on when they are due");
        }
        if let Err(error) = self.accounts.resume_interrupted().await {
            tracing::error!(%error, "could not resume interrupted rotations; they go on when they are due");
        }
        let mut under_way = JoinSet::new();
        let mut failures = 0_u32;
        loop {
            let nudged = self.nudge.begin_to_look();
            // All times count from here: what becomes due while it runs is not
            // slept over.
            let now = self.clock.now();
            let (mut next, failed) = self.run_once(now, &mut under_way).await;
            // Each request that fails nudges, too: a storage that takes nothing
            // is asked after its pause and not for every one of them.
            let mut takes_nothing = false;
            match failed {
                None => failures = 0,
                Some(error) => {
                    failures = failures.saturating_add(1);
                    takes_nothing = matches!(error, Refusal::Unavailable(_));
                    let pause = pause_after(failures);
                    tracing::error!(%error, failures, pause_s = pause.as_secs(), "the scheduler could not read or claim due work");
                    let again = now.plus(pause);
                    next = Some(next.map_or(again, |next| next.min(again)));
                }
            }
            let latest = now.plus(LONGEST_SLEEP);
            let wake = self
                .nudge
                .sleep_until(next.map_or(latest, |next| next.min(latest)));
            tokio::select! {
                () = self.clock.sleep_until(wake) => {}
                () = nudged, if !takes_nothing => {}
                // An attempt that ended has freed a slot.
                Some(_) = under_way.join_next(), if !under_way.is_empty() => {
                    time::sleep(LINGER).await;
                }
                _ = stopped.changed() => break,
            }
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Begins all due work there is room for; the moment of the next, and the
    /// first failure of storage.
    async fn run_once(
        &self,
        now: Timestamp,
        under_way: &mut JoinSet<()>,
    ) -> (Option<Timestamp>, Option<Refusal>) {
        // What fails for one mount is no reason to leave the others undone.
        let (mut next, mut failed) = (None::<Timestamp>, None);
        let mut note = |outcome: Result<Option<Timestamp>, Refusal>| match outcome {
            Ok(due) => next = [next, due].into_iter().flatten().min(),
            Err(error) => failed = failed.take().or(Some(error)),
        };
        note(self.rotations.run_due(now).await);
        // Before the leases: those that end with a token are due with it.
        note(self.tokens.end_due(now).await);
        note(self.leases.mark_ordered(now).await);
        for mount in self.mounts.every() {
            note(self.look_after_leases(&mount, now, under_way).await);
            note(self.look_after_accounts(&mount, now, under_way).await);
        }
        (next, failed)
    }

    /// Begins the due work on the leases of one mount; the moment of the next.
    async fn look_after_leases(
        &self,
        mount: &Arc<Mount>,
        now: Timestamp,
        under_way: &mut JoinSet<()>,
    ) -> Result<Option<Timestamp>, Refusal> {
        match self.leases.next_due(mount).await? {
            Some(due) if due <= now => self.begin(mount, now, under_way).await,
            None if !mount.live => {
                self.mounts.remove_drained(mount).await?;
                Ok(None)
            }
            next => Ok(next),
        }
    }

    /// The same for its accounts.
    async fn look_after_accounts(
        &self,
        mount: &Arc<Mount>,
        now: Timestamp,
        under_way: &mut JoinSet<()>,
    ) -> Result<Option<Timestamp>, Refusal> {
        match self.accounts.next_due(mount).await? {
            Some(due) if due <= now => {
                self.begin_accounts(mount, now, under_way).await?;
                Ok(None)
            }
            next => Ok(next),
        }
    }

    /// Begins a mount's due work there is room for. Where upstream is taken to be
    /// down, the moment to look again; otherwise an attempt that ends is a nudge.
    async fn begin(
        &self,
        mount: &Arc<Mount>,
        now: Timestamp,
        under_way: &mut JoinSet<()>,
    ) -> Result<Option<Timestamp>, Refusal> {
        let room = BATCH
            .min(mount.free_slots())
            .min(self.total.available_permits());
        if room == 0 {
            return Ok(None);
        }
        let room = match mount.admit(now) {
            Admission::Free => room,
            Admission::Probe => 1,
            Admission::Until(then) => return Ok(Some(then)),
        };
        for row in self.leases.claim_due(mount, now, room).await? {
            let Ok(permit) = Arc::clone(&self.total).try_acquire_owned() else {
                break;
            };
            let (leases, mount) = (Arc::clone(&self.leases), Arc::clone(mount));
            under_way.spawn(async move {
                // Recorded either way; the reason is in the log and the row.
                let _ = leases.end(&mount, row).await;
                drop(permit);
            });
        }
        // More may be due: look again as soon as one of these has ended.
        Ok(None)
    }

    async fn begin_accounts(
        &self,
        mount: &Arc<Mount>,
        now: Timestamp,
        under_way: &mut JoinSet<()>,
    ) -> Result<(), Refusal> {
        let room = ACCOUNTS
            .min(mount.free_slots())
            .min(self.total.available_permits());
        if room == 0 {
            return Ok(());
        }
        let claimed = self.accounts.claim_due(mount, now, room).await?;
        if claimed.is_empty() {
            // Missed windows were put off: there may be others behind them.
            self.nudge.now();
        }
        for row in claimed {
            let Ok(permit) = Arc::clone(&self.total).try_acquire_owned() else {
                break;
            };
            let (accounts, mount) = (Arc::clone(&self.accounts), Arc::clone(mount));
            under_way.spawn(async move {
                accounts.advance(&mount, row).await;
                drop(permit);
            });
        }
        Ok(())
    }
}

/// How long to wait after so many failures in a row: pure.
fn pause_after(failures: u32) -> Duration {
    PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_storage_is_asked_less_and_less_often_but_soon_enough() {
        let pauses: Vec<u64> = [1, 2, 3, 4, 5, 6, u32::MAX]
            .map(|failures| pause_after(failures).as_secs())
            .to_vec();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16, 16]);
    }
}
