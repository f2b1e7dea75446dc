//! The scheduler: finds what is due in storage and has it done.
//!
//! Mounts that are held since a restore are left alone, and so are the ends of tokens,
//! which end leases of any mount.
//!
//! The scheduler keeps nothing in memory that a restart would lose. It sleeps until the next
//! due moment, or until a write makes work due before that, then takes from each connection
//! at most as much as that one has free call slots: a connection whose upstream hangs fills its
//! own slots and delays no other. All connections are looked after at the same time, and the
//! next leases are taken while the outcome of the last ones is being stored, so that both share
//! one commit.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use lessor_model::{
    clock::{Clock, Timestamp},
    refusal::Refusal,
};
use lessor_store::Storage;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time,
};

use crate::{
    breaker::Admission,
    context::Context,
    lease::Leases,
    mount::{Connection, Mounts},
    rotation::Rotations,
    static_role::StaticRoles,
    token::Tokens,
};

/// Revocations and rotations of static_roles under way at a time, over all connections.
const TOTAL: usize = 256;

/// The pace of the work on leases, which shares the processors and the disk with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Leases taken from one connection at a time.
    batch: usize,
    /// The time for which the scheduler waits for more room after there is some, so that it
    /// looks and claims once for all of it.
    linger: Duration,
}

/// While nobody asks for credentials.
const ALONE: Pace = Pace {
    batch: 64,
    linger: Duration::from_micros(500),
};

/// While somebody does. Measured (`cargo xtask bench storm`, batch and linger in ms):
/// 64 and 2, 64 and 0.5 made the slowest hundredth of eight callers' requests 2.7 and
/// 2.9 times as long, 32 and 0.5 2.2 times, 32 and 2 1.7 times, 16 and 2 1.5 times;
/// and ended 7,600, 9,000, 7,300, 5,800 and 3,500 leases a second.
const BESIDE_CALLERS: Pace = Pace {
    batch: 32,
    linger: Duration::from_millis(2),
};

/// The time after a request for a credential during which others are expected.
const CALLERS_STAY: Duration = Duration::from_secs(1);

/// Static roles taken from one connection at a time. Each role is claimed by a transaction of
/// its own, and other writers wait meanwhile.
const ACCOUNTS: usize = 16;

/// The time for which the scheduler sleeps at most. Everything it does is due at a known
/// moment, which the store tells; this bounds the harm of a moment that the store leaves out.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The time until the scheduler tries again after storage failed for the first time; then twice as
/// long each time, and at most [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);

/// The time for which a storage that accepts writes again may go unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// A running scheduler.
#[derive(Debug)]
pub struct Scheduler {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Scheduler {
    /// Makes due the work that a crash interrupted, then starts the scheduler. Call it before
    /// the first provider call of this process: a call under way would be taken for interrupted
    /// and made a second time.
    pub async fn start(
        context: Context,
        mounts: Arc<Mounts>,
        leases: Arc<Leases>,
        rotations: Arc<Rotations>,
        static_roles: Arc<StaticRoles>,
        tokens: Arc<Tokens>,
    ) -> Self {
        let Context { storage, clock, .. } = context;
        for resumed in [
            rotations.resume_interrupted().await,
            static_roles.resume_interrupted().await,
        ] {
            if let Err(error) = resumed {
                tracing::error!(%error, "could not resume interrupted rotations; they go on when they are due");
            }
        }
        let (stop, stopped) = watch::channel(false);
        let work = Work {
            storage,
            mounts,
            leases,
            rotations,
            static_roles,
            tokens,
            clock,
            total: Arc::new(Semaphore::new(TOTAL)),
            room: Arc::new(Notify::new()),
            under_way: Mutex::new(JoinSet::new()),
        };
        Self {
            stop,
            task: tokio::spawn(work.run(stopped)),
        }
    }

    /// Takes no more work and waits for the work under way. The rest is due at the next start.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        if self.task.await.is_err() {
            tracing::error!("the scheduler ended badly");
        }
    }
}

struct Work {
    storage: Storage,
    mounts: Arc<Mounts>,
    leases: Arc<Leases>,
    rotations: Arc<Rotations>,
    static_roles: Arc<StaticRoles>,
    tokens: Arc<Tokens>,
    clock: Clock,
    total: Arc<Semaphore>,
    /// Notified when an attempt has given back a call slot, or has ended.
    room: Arc<Notify>,
    under_way: Mutex<JoinSet<()>>,
}

impl Work {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut failures = 0_u32;
        loop {
            let due = self.storage.due();
            let sooner = due.begin_to_look();
            let mounts = self.mounts.changed();
            let room = self.room.notified();
            // All times count from here: work that becomes due during this pass is not slept
            // over.
            let now = self.clock.now();
            let (mut next, failed) = self.run_once(now).await;
            // A failing write may wake the scheduler, too: it then waits for the pause all the
            // same, and does not ask a broken storage at each wake.
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
            let wake = due.sleep_until(next.map_or(latest, |next| next.min(latest)));
            tokio::select! {
                () = self.clock.sleep_until(wake) => {}
                () = sooner, if !takes_nothing => {}
                () = mounts, if !takes_nothing => {}
                () = room => time::sleep(self.pace(now).linger).await,
                _ = stopped.changed() => break,
            }
            let mut under_way = self.under_way();
            while under_way.try_join_next().is_some() {}
        }
        let mut under_way = std::mem::take(&mut *self.under_way());
        while under_way.join_next().await.is_some() {}
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an attempt run, which gives back its permit at its end.
    fn attempt(
        &self,
        permit: OwnedSemaphorePermit,
        attempt: impl Future<Output = ()> + Send + 'static,
    ) {
        let room = Arc::clone(&self.room);
        self.under_way().spawn(async move {
            attempt.await;
            drop(permit);
            room.notify_one();
        });
    }

    fn pace(&self, now: Timestamp) -> Pace {
        pace(self.leases.last_asked(), now)
    }

    /// Permits for at most as many attempts as `most`, and as a connection has call
    /// slots. None where there is no room for any.
    fn room(&self, connection: &Connection, most: usize) -> Option<OwnedSemaphorePermit> {
        let most = most
            .min(connection.free_slots())
            .min(self.total.available_permits());
        let permits = u32::try_from(most).ok().filter(|most| *most > 0)?;
        Arc::clone(&self.total).try_acquire_many_owned(permits).ok()
    }

    /// Gives unused permits back: another connection may have found no room meanwhile.
    fn give_back(&self, permits: OwnedSemaphorePermit) {
        if permits.num_permits() > 0 {
            drop(permits);
            self.room.notify_one();
        }
    }

    /// Begins all due work there is room for; the moment of the next, and the
    /// first failure of storage.
    async fn run_once(&self, now: Timestamp) -> (Option<Timestamp>, Option<Refusal>) {
        // A failure of one connection must not leave the others undone.
        let (mut next, mut failed) = (None::<Timestamp>, None);
        let mut note = |outcome: Result<Option<Timestamp>, Refusal>| match outcome {
            Ok(due) => next = [next, due].into_iter().flatten().min(),
            Err(error) => failed = failed.take().or(Some(error)),
        };
        note(self.rotations.run_due(now).await);
        note(self.mounts.look_after_identity(now).await);
        // Before the leases: those that end with a token are due with it.
        if !self.mounts.any_held() {
            note(self.tokens.end_due(now).await);
        }
        let mut connections = self.mounts.every_connection();
        connections.retain(|connection| connection.held.is_none());
        let (leases, static_roles) = tokio::join!(
            join_all(
                connections
                    .iter()
                    .map(|connection| self.look_after_leases(connection, now))
            ),
            join_all(
                connections
                    .iter()
                    .map(|connection| self.look_after_static_roles(connection, now))
            ),
        );
        leases.into_iter().chain(static_roles).for_each(note);
        (next, failed)
    }

    /// Begins the due work on the leases of one connection; the moment of the next.
    async fn look_after_leases(
        &self,
        connection: &Arc<Connection>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        match self.leases.next_due(connection).await? {
            Some(due) if due <= now => self.begin(connection, now).await,
            None if !connection.live => {
                self.mounts.remove_drained(&connection.mount).await?;
                // A failed rotation may just have been given up, and be due.
                let ending = self.rotations.ending(connection).await?;
                Ok(ending.iter().filter_map(|rotation| rotation.due_at).min())
            }
            next => Ok(next),
        }
    }

    /// The same for its static_roles.
    async fn look_after_static_roles(
        &self,
        connection: &Arc<Connection>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        match self.static_roles.next_due(connection).await? {
            Some(due) if due <= now => self.begin_static_roles(connection, now).await,
            next => Ok(next),
        }
    }

    /// Begins a connection's due work there is room for. Where upstream is taken to be
    /// down, the moment to look again; otherwise an attempt that ends makes room.
    async fn begin(
        &self,
        connection: &Arc<Connection>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let Some(mut permits) = self.room(connection, self.pace(now).batch) else {
            return Ok(None);
        };
        let most = match connection.admit(now) {
            Admission::Free => permits.num_permits(),
            Admission::Probe => 1,
            Admission::Until(then) => return Ok(Some(then)),
        };
        let claimed = self.leases.claim_due(connection, now, most).await?;
        // If the rows that were read wait for their own time, there may be due ones behind
        // them; if any was taken, the next look comes as soon as there is room.
        let next = match claimed.is_empty() {
            true => self.leases.next_due(connection).await?,
            false => None,
        };
        for row in claimed {
            // As many at most as there are permits.
            let Some(permit) = permits.split(1) else {
                break;
            };
            let (leases, connection) = (Arc::clone(&self.leases), Arc::clone(connection));
            let room = Arc::clone(&self.room);
            self.attempt(permit, async move {
                let outcome = leases.end_upstream(&connection, &row, None).await;
                room.notify_one();
                // Recorded either way; the reason is in the log and the row.
                let _ = leases.record_end(&connection, row, outcome).await;
            });
        }
        self.give_back(permits);
        Ok(next)
    }

    async fn begin_static_roles(
        &self,
        connection: &Arc<Connection>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let Some(mut permits) = self.room(connection, ACCOUNTS) else {
            return Ok(None);
        };
        let claimed = self
            .static_roles
            .claim_due(connection, now, permits.num_permits())
            .await?;
        // Where missed windows were put off, there may be others behind them.
        let next = match claimed.is_empty() {
            true => self.static_roles.next_due(connection).await?,
            false => None,
        };
        for row in claimed {
            let Some(permit) = permits.split(1) else {
                break;
            };
            let (static_roles, connection) =
                (Arc::clone(&self.static_roles), Arc::clone(connection));
            self.attempt(permit, async move {
                static_roles.advance(&connection, row).await
            });
        }
        self.give_back(permits);
        Ok(next)
    }
}

/// The pace at `now`, where a credential was last asked for at `asked`: pure.
fn pace(asked: Timestamp, now: Timestamp) -> Pace {
    if now <= asked.plus(CALLERS_STAY) {
        BESIDE_CALLERS
    } else {
        ALONE
    }
}

/// The time to wait after so many failures in a row: pure.
fn pause_after(failures: u32) -> Duration {
    PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_can_wait_makes_room_for_callers() {
        let asked = Timestamp(10_000);
        for (now, expected) in [
            (9_000, BESIDE_CALLERS),
            (10_000, BESIDE_CALLERS),
            (11_000, BESIDE_CALLERS),
            (11_001, ALONE),
        ] {
            assert_eq!(pace(asked, Timestamp(now)), expected, "{now}");
        }
        assert_eq!(pace(Timestamp(i64::MIN), Timestamp(0)), ALONE);
    }

    #[test]
    fn a_failing_storage_is_asked_less_and_less_often_but_soon_enough() {
        let pauses: Vec<u64> = [1, 2, 3, 4, 5, 6, u32::MAX]
            .map(|failures| pause_after(failures).as_secs())
            .to_vec();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16, 16]);
    }
}
