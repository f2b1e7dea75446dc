//! What wakes the scheduler, and what need not.
//!
//! Most of what is written makes work due at a known moment, usually long after
//! the one that the scheduler sleeps to anyway. Only who makes something due
//! before that wakes it: else every new lease would cost a look at all that is due.

use std::sync::{Mutex, PoisonError};

use lessor_model::clock::Timestamp;
use tokio::sync::{Notify, futures::Notified};

/// Shared by the engines and the scheduler.
#[derive(Debug, Default)]
pub struct Nudge {
    notify: Notify,
    sleep: Mutex<Sleep>,
}

#[derive(Debug, Default)]
struct Sleep {
    /// Until when the scheduler sleeps; none while it looks.
    until: Option<Timestamp>,
    /// The earliest moment told while it looks. It may have looked there already.
    told: Option<Timestamp>,
}

impl Nudge {
    /// Something is due now.
    pub fn now(&self) {
        self.notify.notify_one();
    }

    /// Something that is committed will be due at `due`; with none, never.
    pub fn at(&self, due: Option<Timestamp>) {
        let Some(due) = due else { return };
        let mut sleep = self.sleep();
        match sleep.until {
            Some(until) if due < until => {
                drop(sleep);
                self.notify.notify_one();
            }
            Some(_) => {}
            None => sleep.told = Some(sleep.told.map_or(due, |told| told.min(due))),
        }
    }

    /// The scheduler begins to look: what was told before is committed, and found.
    /// Ready once something is due now.
    pub fn begin_to_look(&self) -> Notified<'_> {
        *self.sleep() = Sleep::default();
        self.notify.notified()
    }

    /// The scheduler goes to sleep until `until`, or until what it was told of
    /// meanwhile, which it is answered.
    pub fn sleep_until(&self, until: Timestamp) -> Timestamp {
        let mut sleep = self.sleep();
        let until = sleep.told.map_or(until, |told| told.min(until));
        sleep.until = Some(until);
        until
    }

    fn sleep(&self) -> std::sync::MutexGuard<'_, Sleep> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future as _, pin::pin, task};

    use super::*;

    /// Whether the sleeper is woken by what is told of it.
    fn wakes(tell: impl FnOnce(&Nudge)) -> bool {
        let nudge = Nudge::default();
        let nudged = pin!(nudge.begin_to_look());
        assert_eq!(nudge.sleep_until(Timestamp(100)), Timestamp(100));
        tell(&nudge);
        let mut context = task::Context::from_waker(task::Waker::noop());
        nudged.poll(&mut context).is_ready()
    }

    #[test]
    fn only_what_is_due_before_its_time_wakes_a_sleeper() {
        assert!(wakes(Nudge::now));
        assert!(wakes(|nudge| nudge.at(Some(Timestamp(99)))));
        assert!(!wakes(|nudge| nudge.at(Some(Timestamp(100)))));
        assert!(!wakes(|nudge| nudge.at(Some(Timestamp(101)))));
        assert!(!wakes(|nudge| nudge.at(None)));
    }

    #[test]
    fn what_is_told_while_it_looks_is_not_slept_over() {
        let nudge = Nudge::default();
        nudge.at(Some(Timestamp(5)));
        let _nudged = nudge.begin_to_look();
        for due in [70, 50, 60] {
            nudge.at(Some(Timestamp(due)));
        }
        assert_eq!(nudge.sleep_until(Timestamp(100)), Timestamp(50));
        // What was found at the last look is told no more.
        let _nudged = nudge.begin_to_look();
        assert_eq!(nudge.sleep_until(Timestamp(100)), Timestamp(100));
    }
}
