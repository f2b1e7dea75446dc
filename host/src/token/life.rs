//! How long a token lives: pure. The rules are those that Vault documents for
//! token TTLs: a period renews for ever, anything else ends at the earliest of
//! the longest lives that apply, counted from when the token was made.

use std::time::Duration;

use crate::{clock::Timestamp, storage::TokenFacts};

/// Default and longest life of what names none: Vault's 32 days.
pub const SYSTEM_TTL: Duration = Duration::from_secs(768 * 3600);

/// A length under a longest one (0: the system's), and what to say where it was
/// cut.
pub fn capped(asked: Duration, longest: Duration) -> (Duration, Vec<String>) {
    let longest = match longest {
        Duration::ZERO => SYSTEM_TTL,
        longest => longest.min(SYSTEM_TTL),
    };
    if asked <= longest {
        return (asked, Vec::new());
    }
    let warning = format!(
        "the TTL of {} s is longer than the longest of {} s, so it is that",
        asked.as_secs(),
        longest.as_secs()
    );
    (longest, vec![warning])
}

/// The length of a token that is renewed at `now`; none where its longest life
/// is over.
pub(super) fn renewed(
    increment: Option<Duration>,
    facts: &TokenFacts,
    created_at: Timestamp,
    now: Timestamp,
) -> Option<(Duration, Vec<String>)> {
    let seconds = |seconds: u64| Duration::from_secs(seconds);
    let explicit = facts.explicit_max_ttl;
    if facts.period > 0 {
        let period = seconds(facts.period);
        return match explicit {
            0 => Some((period, Vec::new())),
            _ => within(period, created_at.plus(seconds(explicit)), now),
        };
    }
    let asked = match increment {
        Some(increment) if !increment.is_zero() => increment,
        _ if facts.creation_ttl > 0 => seconds(facts.creation_ttl),
        _ => SYSTEM_TTL,
    };
    let longest = [explicit, facts.max_ttl]
        .into_iter()
        .filter(|longest| *longest > 0)
        .map(seconds)
        .fold(SYSTEM_TTL, Duration::min);
    within(asked, created_at.plus(longest), now)
}

/// `asked`, but not beyond `end`; none where that is over.
fn within(asked: Duration, end: Timestamp, now: Timestamp) -> Option<(Duration, Vec<String>)> {
    let left = end.since(now);
    if left.is_zero() {
        return None;
    }
    if asked <= left {
        return Some((asked, Vec::new()));
    }
    let warning = format!(
        "the TTL of {} s would go beyond the longest life, so it is {} s",
        asked.as_secs(),
        left.as_secs()
    );
    Some((left, vec![warning]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_cut_with_a_warning() {
        let hour = Duration::from_secs(3600);
        for (asked, longest, expected) in [
            (hour, Duration::ZERO, hour),
            (hour, hour, hour),
            (hour * 2, hour, hour),
            (SYSTEM_TTL * 2, Duration::ZERO, SYSTEM_TTL),
            (SYSTEM_TTL * 2, SYSTEM_TTL * 3, SYSTEM_TTL),
        ] {
            let (ttl, warnings) = capped(asked, longest);
            assert_eq!(ttl, expected);
            assert_eq!(warnings.is_empty(), asked == expected);
        }
    }

    #[test]
    fn a_renewal_never_goes_beyond_the_longest_life() {
        let system = SYSTEM_TTL.as_secs();
        let none = None;
        for (increment, creation_ttl, explicit, max, period, age, expected) in [
            // As long as it was made for, or as asked.
            (none, 100, 0, 0, 0, 50, Some(100)),
            (Some(0), 100, 0, 0, 0, 50, Some(100)),
            (Some(20), 100, 0, 0, 0, 50, Some(20)),
            (Some(500), 100, 0, 0, 0, 50, Some(500)),
            (none, 0, 0, 0, 0, 50, Some(system - 50)),
            // Cut by the earliest of the longest lives.
            (Some(500), 100, 120, 0, 0, 50, Some(70)),
            (Some(500), 100, 0, 110, 0, 50, Some(60)),
            (Some(500), 100, 120, 110, 0, 50, Some(60)),
            (none, 100, 0, 0, 0, system - 10, Some(10)),
            // A period has no longest life but an explicit one.
            (none, 100, 0, 0, 60, system * 2, Some(60)),
            (Some(10), 100, 0, 0, 60, 0, Some(60)),
            (none, 100, 100, 0, 60, 50, Some(50)),
            // Over.
            (none, 100, 120, 0, 0, 120, none),
            (none, 100, 120, 0, 60, 121, none),
            (none, 100, 0, 0, 0, system, none),
        ] {
            let facts = TokenFacts {
                creation_ttl,
                explicit_max_ttl: explicit,
                max_ttl: max,
                period,
                ..TokenFacts::default()
            };
            let made = Timestamp(1_000_000);
            let now = made.plus(Duration::from_secs(age));
            let got = renewed(increment.map(Duration::from_secs), &facts, made, now);
            assert_eq!(
                got.map(|(ttl, _)| ttl.as_secs()),
                expected,
                "{increment:?} {facts:?} {age}"
            );
        }
    }
}
