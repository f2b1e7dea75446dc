//! Computes how long a token lives: pure, and the one place where an end is computed. A token's
//! creation, a login and a renewal ask the same function, so that each keeps all bounds.
//!
//! The rules are those that Vault documents for token TTLs: a token ends at the
//! earliest of the longest lives that apply, counted from when it was made; a
//! period renews without such an end, but for an explicit one, and no period is
//! longer than any life may be.

use std::time::Duration;

use crate::clock::Timestamp;

/// Default and longest life of a token that nothing else bounds: Vault's 32 days.
pub const SYSTEM_TTL: Duration = Duration::from_secs(768 * 3600);

/// All that bounds the end of a token. A span of zero says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The length that somebody asks for.
    pub asked: Duration,
    /// The length where nobody asks for one; zero: the system's.
    pub usual: Duration,
    /// The length of each renewal, which counts before the two above.
    pub period: Duration,
    /// The longest life by the login method and the role or user.
    pub max: Duration,
    /// The longest life of a token with a period, too.
    pub explicit_max: Duration,
}

/// A length, and warnings for the holder of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// From now on.
    pub ttl: Duration,
    /// Reasons why it is shorter than the length asked for, a sentence each.
    pub warnings: Vec<String>,
}

impl Bounds {
    /// The life that a token of `created_at` has from `now` on; none where its
    /// longest one is over.
    pub fn life(&self, created_at: Timestamp, now: Timestamp) -> Option<Life> {
        let longest = least([self.max, self.explicit_max, SYSTEM_TTL]);
        let wanted = first([self.period, self.asked, self.usual]);
        let end = match (self.period.is_zero(), self.explicit_max.is_zero()) {
            (true, _) => Some(created_at.plus(longest)),
            (false, false) => Some(created_at.plus(self.explicit_max)),
            (false, true) => None,
        };
        let left = match end {
            Some(end) if end.since(now).is_zero() => return None,
            Some(end) => end.since(now),
            None => longest,
        };
        let ttl = least([wanted, longest, left]);
        let mut warnings = Vec::new();
        // The system's length, for which nobody asked, is cut without a warning.
        let named = [self.period, self.asked, self.usual];
        let is_named = named.iter().any(|span| !span.is_zero());
        if is_named && ttl < wanted {
            let what = match self.period.is_zero() {
                true => "TTL",
                false => "period",
            };
            warnings.push(format!(
                "the {what} of {} s is longer than the longest life allows, so it is {} s",
                wanted.as_secs(),
                ttl.as_secs()
            ));
        }
        Some(Life { ttl, warnings })
    }
}

/// The least of the spans that say anything.
pub fn least(spans: impl IntoIterator<Item = Duration>) -> Duration {
    let said = spans.into_iter().filter(|span| !span.is_zero());
    said.min().unwrap_or(Duration::ZERO)
}

/// The first of the spans that says anything; else the system's.
fn first(spans: impl IntoIterator<Item = Duration>) -> Duration {
    let mut said = spans.into_iter().filter(|span| !span.is_zero());
    said.next().unwrap_or(SYSTEM_TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_the_least_of_all_its_bounds() {
        let system = SYSTEM_TTL.as_secs();
        // Asked, usual, period, max, explicit max, age; the length, and whether it
        // is less than somebody named.
        for (asked, usual, period, max, explicit, age, expected) in [
            // The first life: as asked, else as usual, else the system's.
            (10, 0, 0, 0, 0, 0, Some((10, false))),
            (0, 10, 0, 0, 0, 0, Some((10, false))),
            (0, 0, 0, 0, 0, 0, Some((system, false))),
            (20, 10, 0, 0, 0, 0, Some((20, false))),
            // Each bound alone, and the least of several.
            (10, 0, 0, 3, 0, 0, Some((3, true))),
            (10, 0, 0, 0, 3, 0, Some((3, true))),
            (10, 0, 0, 4, 3, 0, Some((3, true))),
            (10, 0, 0, 3, 4, 0, Some((3, true))),
            (0, 10, 0, 3, 0, 0, Some((3, true))),
            (0, 0, 0, 3, 0, 0, Some((3, false))),
            (system + 1, 0, 0, 0, 0, 0, Some((system, true))),
            (system + 2, 0, 0, system + 1, 0, 0, Some((system, true))),
            // A period has no longest life but an explicit one, which its first
            // length keeps as every other.
            (0, 0, 30, 0, 3, 0, Some((3, true))),
            (0, 0, 30, 0, 100, 0, Some((30, false))),
            (0, 0, 30, 0, 100, 80, Some((20, true))),
            (0, 0, 30, 0, 0, system * 2, Some((30, false))),
            (10, 20, 30, 0, 0, 0, Some((30, false))),
            // A period is no longer than the longest life of the method.
            (0, 0, 30, 20, 0, 0, Some((20, true))),
            (0, 0, 30, 20, 0, 1000, Some((20, true))),
            (0, 0, system + 1, 0, 0, system, Some((system, true))),
            // Renewals: what is left of the longest life.
            (20, 100, 0, 0, 0, 50, Some((20, false))),
            (500, 100, 0, 0, 0, 50, Some((500, false))),
            (500, 100, 0, 0, 120, 50, Some((70, true))),
            (500, 100, 0, 110, 0, 50, Some((60, true))),
            (500, 100, 0, 110, 120, 50, Some((60, true))),
            (0, 100, 0, 0, 0, system - 10, Some((10, true))),
            // Over.
            (0, 100, 0, 0, 120, 120, None),
            (0, 0, 60, 0, 120, 121, None),
            (0, 100, 0, 40, 0, 40, None),
            (0, 100, 0, 0, 0, system, None),
        ] {
            let seconds = Duration::from_secs;
            let bounds = Bounds {
                asked: seconds(asked),
                usual: seconds(usual),
                period: seconds(period),
                max: seconds(max),
                explicit_max: seconds(explicit),
            };
            let made = Timestamp(1_000_000);
            let life = bounds.life(made, made.plus(seconds(age)));
            let got = life.map(|life| (life.ttl.as_secs(), !life.warnings.is_empty()));
            assert_eq!(got, expected, "{bounds:?} {age}");
        }
    }
}
