//! Failed logins of names that do not exist.
//!
//! They are counted by the rules of those that do, so that the answers tell nobody
//! which they are; but in memory and so many of them, so that strangers cannot fill the
//! database. What one costs in time is the same as well (`pace`).

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lessor_model::{
    clock::Timestamp,
    lockout::{Failures, Lockout},
};

/// Names of one login method that do not exist and are remembered, by a hash. To
/// fail at more of them within the time that a name is locked for takes more hashes
/// of passwords than fit into it.
const NOBODIES: usize = 32_768;

/// Failed logins under names that do not exist. They are forgotten with the process.
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
    use std::time::Duration;

    use super::*;

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
