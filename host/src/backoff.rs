//! Computes when to try again: pure.

use std::time::Duration;

/// Delay before the second attempt.
const FIRST: Duration = Duration::from_secs(5);

/// Longest delay between the attempts that are made soon.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Attempts made soon; after them a lease is out of sync, a rotation failed.
pub const SOON: u32 = 6;

/// Delay between the attempts that are made for ever after.
pub const DAILY: Duration = Duration::from_secs(24 * 3600);

/// Delay after the `attempts`th attempt failed: doubling from 5 s to 15 min,
/// spread by a fifth either way so that leases that failed together are not retried together.
/// `spread` is any number, a random one in service.
pub fn delay(attempts: u32, spread: u64) -> Duration {
    let doubled = FIRST
        .saturating_mul(1 << attempts.saturating_sub(1).min(16))
        .min(LONGEST);
    let base = u64::try_from(doubled.as_millis()).unwrap_or(u64::MAX);
    let fifth = base / 5;
    Duration::from_millis(base - fifth + spread % (2 * fifth + 1))
}

/// [`delay`] with a spread of its own.
pub fn jittered(attempts: u32) -> Duration {
    // Without randomness there is no spread, which is still a delay.
    delay(
        attempts,
        lessor_model::random::bytes::<8>().map_or(0, u64::from_be_bytes),
    )
}

/// The number of attempts that fit in the time since the first, one included, at their own times;
/// at most [`SOON`]. Attempts beyond that were not due by the clock.
pub fn fitting(age: Duration) -> u32 {
    // The shortest possible delays, so that attempts that came at their own times always fit.
    let shortest = FIRST - FIRST / 5;
    (1..SOON)
        .take_while(|doubled| age >= shortest * ((1 << doubled) - 1))
        .last()
        .map_or(1, |fits| fits + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_come_at_their_own_times_fit() {
        for spread in [0, 700, u64::MAX] {
            let mut age = Duration::ZERO;
            for attempt in 1..=SOON {
                assert!(fitting(age) >= attempt, "{attempt} after {age:?}");
                age += delay(attempt, spread);
            }
        }
        for (seconds, attempts) in [
            (0, 1),
            (3, 1),
            (4, 2),
            (11, 2),
            (12, 3),
            (123, 5),
            (124, 6),
            (9999, 6),
        ] {
            assert_eq!(
                fitting(Duration::from_secs(seconds)),
                attempts,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn delays_double_within_their_bounds() {
        for (attempts, low, high) in [
            (1, 4_000, 6_000),
            (2, 8_000, 12_000),
            (6, 128_000, 192_000),
            (20, 720_000, 1_080_000),
            (u32::MAX, 720_000, 1_080_000),
        ] {
            for spread in [0, 1, 12_345, u64::MAX] {
                let ms = delay(attempts, spread).as_millis();
                assert!((low..=high).contains(&ms), "{attempts}: {ms}");
            }
        }
    }
}
