//! Lock-out after failed logins in a row: pure.
//!
//! The defaults and the rules are those that Vault documents for user lockout. A
//! name that is locked is refused whatever it presents. A name that does not exist is
//! counted by the same rules, so that its answers tell nobody that; but in memory and
//! so many of them ([`Nobodies`]), so that strangers cannot fill the database.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, refusal::Refusal};

/// When a name is locked, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    /// Failures in a row that lock.
    pub threshold: u32,
    /// For how long.
    pub duration: Duration,
    /// After how long without a failure counting begins anew.
    pub counter_reset: Duration,
    /// Whether nothing is ever locked.
    pub disabled: bool,
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            threshold: 5,
            duration: Duration::from_secs(15 * 60),
            counter_reset: Duration::from_secs(15 * 60),
            disabled: false,
        }
    }
}

/// What a name failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// In a row.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
    /// Until when the name is refused, if it is.
    pub locked_until: Option<Timestamp>,
}

impl Lockout {
    /// Refuses settings that cannot work, naming the field.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.threshold == 0 {
            return Err(Refusal::Invalid(
                "user_lockout_config.lockout_threshold must be 1 or more; lockout_disable turns lock-out off".into(),
            ));
        }
        Ok(())
    }

    /// Whether a name is refused at `now`.
    pub fn is_locked(&self, failures: Option<&Failures>, now: Timestamp) -> bool {
        let end = failures.and_then(|failures| failures.locked_until);
        !self.disabled && end.is_some_and(|end| now < end)
    }

    /// What one more failure at `now` makes of the former ones.
    pub fn after_failure(&self, former: Option<Failures>, now: Timestamp) -> Failures {
        let in_a_row = former.filter(|former| {
            let served = former.locked_until.is_some_and(|end| end <= now);
            !served && now.since(former.last_at) < self.counter_reset
        });
        let count = in_a_row.map_or(1, |former| former.count.saturating_add(1));
        Failures {
            count,
            last_at: now,
            locked_until: (count >= self.threshold).then(|| now.plus(self.duration)),
        }
    }
}

/// Names of one login method that do not exist and are remembered, by a hash. To
/// fail at more of them within the time that a name is locked for takes more hashes
/// of passwords than fit into it.
const NOBODIES: usize = 32_768;

/// What names failed that do not exist. They are forgotten with the process.
#[derive(Debug, Default)]
pub(super) struct Nobodies {
    failures: Mutex<HashMap<i64, HashMap<u64, Failures>>>,
    hasher: RandomState,
}

impl Nobodies {
    /// Whether such a name is refused at `now`.
    pub(super) fn is_locked(
        &self,
        mount_id: i64,
        name: &str,
        lockout: Lockout,
        now: Timestamp,
    ) -> bool {
        let failures = self.failures();
        let failures = failures
            .get(&mount_id)
            .and_then(|names| names.get(&self.hasher.hash_one(name)));
        lockout.is_locked(failures, now)
    }

    /// Counts one more failure.
    pub(super) fn count(&self, mount_id: i64, name: &str, lockout: Lockout, now: Timestamp) {
        let mut failures = self.failures();
        let names = failures.entry(mount_id).or_default();
        if names.len() >= NOBODIES {
            forget_half(names);
        }
        let failures = names.entry(self.hasher.hash_one(name));
        failures
            .and_modify(|former| *former = lockout.after_failure(Some(*former), now))
            .or_insert_with(|| lockout.after_failure(None, now));
    }

    /// Forgets a name: it exists now, or was unlocked.
    pub(super) fn forget(&self, mount_id: i64, name: &str) {
        if let Some(names) = self.failures().get_mut(&mount_id) {
            names.remove(&self.hasher.hash_one(name));
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<i64, HashMap<u64, Failures>>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets those that failed longest ago.
fn forget_half(names: &mut HashMap<u64, Failures>) {
    let mut moments: Vec<Timestamp> = names.values().map(|known| known.last_at).collect();
    let middle = moments.len() / 2;
    let (_, median, _) = moments.select_nth_unstable(middle);
    let median = *median;
    names.retain(|_, known| known.last_at > median);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Failures at some minutes; whether the name is locked just before and
    /// just after a last one at `now`.
    fn run(at: &[u64], now: u64, lockout: Lockout) -> (bool, bool) {
        let moment = |minute: u64| Timestamp(0).plus(Duration::from_secs(minute * 60));
        let failures = at.iter().fold(None, |former, minute| {
            Some(lockout.after_failure(former, moment(*minute)))
        });
        let before = lockout.is_locked(failures.as_ref(), moment(now));
        let after = lockout.after_failure(failures, moment(now));
        (before, lockout.is_locked(Some(&after), moment(now)))
    }

    #[test]
    fn failures_in_a_row_lock_for_a_while() {
        let default = Lockout::default();
        let disabled = Lockout {
            disabled: true,
            ..default
        };
        for (at, now, lockout, expected) in [
            (&[][..], 0, default, (false, false)),
            (&[0, 0, 0], 0, default, (false, false)),
            (&[0, 0, 0, 0], 0, default, (false, true)),
            // Within the reset each failure keeps the count alive.
            (&[0, 10, 20, 30], 40, default, (false, true)),
            // 15 minutes of peace begin anew.
            (&[0, 0, 0, 0], 15, default, (false, false)),
            (&[0, 0, 0, 0], 14, default, (false, true)),
            // Locked for 15 minutes, and then counted from one.
            (&[0, 0, 0, 0, 0], 14, default, (true, true)),
            (&[0, 0, 0, 0, 0], 15, default, (false, false)),
            (&[0, 0, 0, 0, 0], 1, disabled, (false, false)),
        ] {
            assert_eq!(run(at, now, lockout), expected, "{at:?} {now}");
        }
        let strict = Lockout {
            threshold: 1,
            ..default
        };
        assert_eq!(run(&[], 0, strict), (false, true));
        assert!(strict.check().is_ok());
        let never = Lockout {
            threshold: 0,
            ..default
        };
        assert!(never.check().is_err());
    }

    #[test]
    fn a_name_that_does_not_exist_is_locked_as_one_that_does() {
        let nobodies = Nobodies::default();
        let lockout = Lockout::default();
        let at = |minute: u64| Timestamp(0).plus(Duration::from_secs(minute * 60));
        for failures in 0..5 {
            assert!(!nobodies.is_locked(1, "x", lockout, at(0)), "{failures}");
            nobodies.count(1, "x", lockout, at(0));
        }
        assert!(nobodies.is_locked(1, "x", lockout, at(14)));
        assert!(!nobodies.is_locked(1, "y", lockout, at(14)));
        assert!(!nobodies.is_locked(2, "x", lockout, at(14)));
        assert!(!nobodies.is_locked(1, "x", lockout, at(15)));
        nobodies.forget(1, "x");
        assert!(!nobodies.is_locked(1, "x", lockout, at(14)));
    }

    #[test]
    fn so_many_names_are_remembered_and_the_oldest_are_forgotten_first() {
        let nobodies = Nobodies::default();
        let strict = Lockout {
            threshold: 1,
            ..Lockout::default()
        };
        let at = |number: usize| Timestamp(i64::try_from(number).unwrap());
        for number in 0..=NOBODIES {
            nobodies.count(1, &number.to_string(), strict, at(number));
        }
        let now = at(NOBODIES + 1);
        assert!(!nobodies.is_locked(1, "0", strict, now));
        assert!(nobodies.is_locked(1, &NOBODIES.to_string(), strict, now));
        assert!(nobodies.failures().get(&1).unwrap().len() <= NOBODIES / 2 + 1);
    }
}
