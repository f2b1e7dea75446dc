//! Whether a mount's upstream is asked at all, after it did not answer: pure.
//!
//! A system that is down would otherwise cost every due lease its attempts, and
//! each attempt a whole timeout. After [`TRIPS_AT`] failures in a row only one
//! lease at a time is tried, ever more seldom, until one attempt succeeds.

use std::time::Duration;

use lessor_model::clock::Timestamp;

/// Failures in a row after which upstream is taken to be down.
pub const TRIPS_AT: u32 = 5;

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The number of attempts that may begin at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// As much as there is room for.
    Free,
    /// One attempt, to find out whether upstream is back.
    Probe,
    /// No attempt until then.
    Until(Timestamp),
}

/// The state of one upstream. In memory only: after a restart it is asked again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    failures: u32,
    /// The time when the next probe may go; present while upstream is taken to be down.
    probe_at: Option<Timestamp>,
}

impl Breaker {
    /// The number of attempts that may begin at `now`. A probe that is admitted keeps others back.
    pub fn admit(&mut self, now: Timestamp) -> Admission {
        match self.probe_at {
            None => Admission::Free,
            Some(at) if at > now => Admission::Until(at),
            Some(_) => {
                self.probe_at = Some(now.plus(pause(self.failures)));
                Admission::Probe
            }
        }
    }

    /// Upstream answered. Whether it was taken to be down.
    pub fn succeeded(&mut self) -> bool {
        let was_open = self.is_open();
        *self = Self::default();
        was_open
    }

    /// Upstream did not answer. Whether it is taken to be down from now on.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < TRIPS_AT {
            return false;
        }
        let was_open = self.is_open();
        self.probe_at = Some(now.plus(pause(self.failures)));
        !was_open
    }

    /// Whether upstream is taken to be down.
    pub fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }
}

/// 5 s after the failure that trips, doubling to a minute.
fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(TRIPS_AT).min(16);
    FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_trips_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        let now = Timestamp(0);
        for _ in 0..3 {
            for _ in 1..TRIPS_AT {
                assert!(!breaker.failed(now));
            }
            assert_eq!(breaker.admit(now), Admission::Free);
            assert!(!breaker.succeeded());
        }
        for n in 1..=TRIPS_AT {
            assert_eq!(breaker.failed(now), n == TRIPS_AT);
        }
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(now), Admission::Until(now.plus(5 * SECOND)));
    }

    #[test]
    fn probes_go_one_at_a_time_and_ever_more_seldom() {
        let mut breaker = Breaker::default();
        let mut now = Timestamp(0);
        for _ in 0..TRIPS_AT {
            breaker.failed(now);
        }
        for pause in [5, 10, 20, 40, 60, 60] {
            let due = now.plus(SECOND * pause);
            assert_eq!(breaker.admit(now), Admission::Until(due), "{pause}");
            now = due;
            assert_eq!(breaker.admit(now), Admission::Probe);
            assert!(matches!(breaker.admit(now), Admission::Until(_)));
            assert!(!breaker.failed(now));
        }
        assert!(breaker.succeeded());
        assert_eq!(breaker.admit(now), Admission::Free);
    }
}
