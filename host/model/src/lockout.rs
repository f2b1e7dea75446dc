//! Lock-out after failed logins in a row: pure.
//!
//! The defaults and the rules are those that Vault documents for user lockout. A
//! name that is locked is refused whatever it presents.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, refusal::Refusal};

/// The rules by which a name is locked, and for how long.
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

/// The failed logins of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// In a row.
    pub count: u32,
    /// The time of the last one.
    pub last_at: Timestamp,
    /// Until when the name is refused, if it is.
    pub locked_until: Option<Timestamp>,
}

impl Lockout {
    /// Refuses settings that cannot work, naming the field.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self) -> Result<(), Refusal> {
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

    /// The state after one more failure at `now`.
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
}
