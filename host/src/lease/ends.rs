//! Computes the end of a lease: the least of all limits, wherever it is asked for. Pure.

use lessor_model::{
    clock::Timestamp,
    lifetime::{Length, least},
    role::Bounds,
};

use super::Refusal;

/// All that bounds when a lease ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The time when it was issued.
    pub(super) issued_at: Timestamp,
    /// From when its length counts: its issue, or a renewal.
    pub(super) from: Timestamp,
    /// The time for which it is to live from then.
    pub(super) length: Length,
    /// The time for which role and mount let it live from its issue.
    pub(super) longest: Length,
    /// Beyond which no renewal goes, as it was recorded when it was issued.
    pub(super) recorded: Option<Timestamp>,
    /// The end of the token that the lease ends with.
    pub(super) token: Option<Timestamp>,
    /// The time when upstream ends its credential, where nothing moves that.
    pub(super) upstream: Option<Timestamp>,
}

impl Ends {
    /// Its end; absent: never.
    pub(super) fn end(&self) -> Option<Timestamp> {
        let asked = self.length.after(self.from);
        least([asked, self.latest(), self.upstream])
    }

    /// Beyond which no renewal goes, whatever upstream says; absent: none does.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        let longest = self.longest.after(self.issued_at);
        least([longest, self.recorded, self.token])
    }
}

/// The length of a new lease, asked for in `ttl`.
pub(super) fn requested(requested: Option<Length>, bounds: Bounds) -> Result<Length, Refusal> {
    let length = requested.unwrap_or(bounds.default);
    if length <= bounds.max {
        return Ok(length);
    }
    Err(Refusal::Invalid(match length {
        Length::For(_) => format!(
            "ttl ({length}) is longer than the max_ttl of {}; ask for less or raise max_ttl of the role or mount",
            bounds.max
        ),
        Length::Never => format!(
            "ttl is never, and no lease of this role lives longer than {}; ask for less, or write max_ttl=never into \
             the role and max_lease_ttl=never into the settings of its mount",
            bounds.max
        ),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(seconds: u64) -> Length {
        Length::For(Duration::from_secs(seconds))
    }

    #[test]
    fn the_length_of_a_lease_follows_request_and_bounds() {
        let bounds = |default, max| Bounds { default, max };
        let never = Length::Never;
        for (asked, bounds, expected) in [
            (
                None,
                bounds(seconds(3600), seconds(7200)),
                Some(seconds(3600)),
            ),
            (
                Some(seconds(60)),
                bounds(seconds(3600), seconds(7200)),
                Some(seconds(60)),
            ),
            (
                Some(seconds(7200)),
                bounds(seconds(60), seconds(7200)),
                Some(seconds(7200)),
            ),
            (
                Some(seconds(7201)),
                bounds(seconds(3600), seconds(7200)),
                None,
            ),
            (Some(never), bounds(seconds(3600), seconds(7200)), None),
            (Some(never), bounds(seconds(3600), never), Some(never)),
            (None, bounds(never, never), Some(never)),
            (
                Some(seconds(99_999_999)),
                bounds(seconds(60), never),
                Some(seconds(99_999_999)),
            ),
        ] {
            let length = requested(asked, bounds).ok();
            assert_eq!(length, expected, "{asked:?} {bounds:?}");
        }
    }

    /// Moments are in seconds here: issued at 100, counted from `from`.
    #[test]
    fn the_end_is_the_least_of_all_bounds() {
        let never = Length::Never;
        let none = None::<i64>;
        for (what, from, length, longest, recorded, token, upstream, end, latest) in [
            (
                "the length asked for",
                100,
                seconds(60),
                seconds(1000),
                none,
                none,
                none,
                Some(160),
                Some(1100),
            ),
            (
                "the longest life, from the issue",
                1050,
                seconds(60),
                seconds(1000),
                none,
                none,
                none,
                Some(1100),
                Some(1100),
            ),
            (
                "what was recorded at the issue",
                150,
                seconds(600),
                never,
                Some(500),
                none,
                none,
                Some(500),
                Some(500),
            ),
            (
                "a longest life that was shortened since",
                150,
                seconds(600),
                seconds(200),
                Some(500),
                none,
                none,
                Some(300),
                Some(300),
            ),
            (
                "one that was lengthened since",
                150,
                seconds(600),
                seconds(2000),
                Some(500),
                none,
                none,
                Some(500),
                Some(500),
            ),
            (
                "the token",
                100,
                never,
                never,
                none,
                Some(170),
                none,
                Some(170),
                Some(170),
            ),
            (
                "upstream",
                100,
                seconds(60),
                seconds(1000),
                none,
                none,
                Some(130),
                Some(130),
                Some(1100),
            ),
            ("nothing", 100, never, never, none, none, none, None, None),
            (
                "a length alone",
                100,
                seconds(60),
                never,
                none,
                none,
                none,
                Some(160),
                None,
            ),
        ] {
            let at = |moment: i64| Timestamp(moment * 1000);
            let ends = Ends {
                issued_at: at(100),
                from: at(from),
                length,
                longest,
                recorded: recorded.map(at),
                token: token.map(at),
                upstream: upstream.map(at),
            };
            assert_eq!(
                (ends.end(), ends.latest()),
                (end.map(at), latest.map(at)),
                "{what}"
            );
        }
    }
}
