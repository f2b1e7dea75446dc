//! Keys by which the host says who it is: which one signs, which are published, and when
//! there must be another. Pure.
//!
//! ```text
//!  made                     signs                        published until the last
//!  │ published alone (LEAD) │ until the next one signs   │ token of it is over
//!  ├────────────────────────┼────────────────────────────┼──────────────────────▶ removed
//! ```
//!
//! Whoever verifies a token may have fetched the key set up to [`LEAD`] ago, so a key is
//! published for as long before it signs. The first one signs at once: there is no key set
//! that anybody could have fetched before.

use std::time::Duration;

use crate::clock::Timestamp;

/// The time for which a token holds: the longest that the contract allows, because upstream systems
/// exchange it at once for a session of their own.
pub const TOKEN: Duration = Duration::from_secs(600);

/// The time for which a published key set may be kept by whoever fetched it.
pub const LEAD: Duration = Duration::from_secs(3600);

/// The time for which one key is the newest: what is signed with it opens upstream systems, and a
/// month bounds what a stolen one is worth.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The time by which clocks may be apart.
const SKEW: Duration = Duration::from_secs(300);

/// The use of keys at a moment, by their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The one that signs.
    pub signs: Option<usize>,
    /// The number of the oldest keys that have no valid token left.
    pub over: usize,
    /// Whether another one must be made. The first is made when it is needed.
    pub is_due: bool,
    /// The time when this changes next.
    pub next: Option<Timestamp>,
}

/// The use of keys that were made at these moments, the oldest first.
pub fn plan(made: &[Timestamp], now: Timestamp) -> Plan {
    let signs_from = |place: usize, made: Timestamp| match place {
        0 => made,
        _ => made.plus(LEAD),
    };
    let begun = |(place, made): (usize, &Timestamp)| signs_from(place, *made) <= now;
    let signs = made.iter().enumerate().rposition(begun);
    // A clock that was set back leaves one that signs.
    let signs = signs.or_else(|| (!made.is_empty()).then_some(0));
    // A key's last token is made when the next one begins to sign.
    let over_at = |next: Timestamp| next.plus(LEAD).plus(TOKEN).plus(SKEW);
    let successors = made.get(1..).unwrap_or_default();
    let over = successors
        .iter()
        .take_while(|next| over_at(**next) <= now)
        .count();
    let due_at = made.last().map(|newest| newest.plus(LIFE));
    let next_over = successors.get(over).map(|next| over_at(*next));
    Plan {
        signs,
        over,
        is_due: due_at.is_some_and(|due| due <= now),
        next: [due_at, next_over].into_iter().flatten().min(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_until_its_last_token_is_over() {
        let (lead, life) = (LEAD.as_secs(), LIFE.as_secs());
        let gone = life + lead + TOKEN.as_secs() + SKEW.as_secs();
        assert_eq!(plan(&[], at(0)), Plan::default());
        for (made, now, signs, over, is_due, next) in [
            (vec![0], 0, 0, 0, false, life),
            (vec![0], life - 1, 0, 0, false, life),
            (vec![0], life, 0, 0, true, life),
            (vec![0, life], life, 0, 0, false, gone),
            (vec![0, life], life + lead - 1, 0, 0, false, gone),
            (vec![0, life], life + lead, 1, 0, false, gone),
            (vec![0, life], gone - 1, 1, 0, false, gone),
            (vec![0, life], gone, 1, 1, false, 2 * life),
            (vec![life], gone, 0, 0, false, 2 * life),
            // Long asleep: the newest is what is left.
            (vec![0, life, 2 * life], 9 * life, 2, 2, true, 3 * life),
            // The clock was set back.
            (vec![life], 0, 0, 0, false, 2 * life),
        ] {
            let made: Vec<_> = made.into_iter().map(at).collect();
            let expected = Plan {
                signs: Some(signs),
                over,
                is_due,
                next: Some(at(next)),
            };
            assert_eq!(plan(&made, at(now)), expected, "{made:?} at {now}");
        }
    }
}
