//! When a credential is renewed by itself: pure.
//!
//! Every period, by a cron expression in UTC, or only by hand. A cron schedule
//! may have a window: the renewal may begin only that long after a firing, and
//! one that was missed waits for the next firing. Without a window a missed time
//! is made up at once. Whoever uses a [`Schedule`] stores the next time, so that
//! a restart neither skips nor repeats.

use std::{fmt, time::Duration};

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use serde_json::{Map, Value};

use crate::{clock::Timestamp, duration, suggest};

/// The field names of a schedule in a body, Vault's own.
pub const FIELDS: [&str; 3] = ["rotation_period", "rotation_schedule", "rotation_window"];

/// Shortest window: Vault's rule. Below an hour a server that is being restarted
/// might miss one after the other.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3600);

/// How far the calendar is looked through for the shortest time between two
/// firings: after 28 years the days of the week fall on the same dates again.
const CALENDAR: Duration = Duration::from_secs(28 * 1461 * 86_400 / 4);

/// Firings looked at for the same at most. Where they are so frequent that these
/// do not reach over the calendar, the shortest gap comes round within months.
const FIRINGS: usize = 2_000;

/// The library looks four years ahead, and 29 February may be eight years away.
const FOUR_YEARS: Duration = Duration::from_secs(1461 * 86_400);

/// When something is renewed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Never.
    ByHand,
    /// This long after the last time.
    Every(Duration),
    /// At the moments of a cron expression.
    Cron {
        /// The expression.
        cron: Cron,
        /// How long after a firing the renewal may begin; absent: at any time.
        window: Option<Duration>,
    },
}

/// What is to be done about a renewal whose stored time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Begin it.
    Now,
    /// Its window is over: wait for the next firing.
    Missed {
        /// That firing.
        next: Option<Timestamp>,
    },
}

impl Schedule {
    /// Takes a schedule's fields out of a body; without any it is by hand.
    /// `shortest` is the shortest period that is taken.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn take(
        document: &mut Map<String, Value>,
        shortest: Duration,
        now: Timestamp,
    ) -> Result<Self, String> {
        let mut span = |field: &str| {
            let value = document.remove(field).unwrap_or(Value::Null);
            duration::of_value(field, &value).map(|span| span.filter(|span| !span.is_zero()))
        };
        let (period, window) = (span("rotation_period")?, span("rotation_window")?);
        let cron = match document.remove("rotation_schedule") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.trim().is_empty() => None,
            Some(Value::String(text)) => Some(Cron::parse(&text)?),
            Some(_) => return Err(format!("rotation_schedule must be a string: {SYNTAX}")),
        };
        match (period, cron, window) {
            (Some(_), Some(_), _) => Err(
                "rotation_period and rotation_schedule exclude each other: give one of the two"
                    .into(),
            ),
            (_, None, Some(_)) => Err(
                "rotation_window goes with rotation_schedule, whose firings it begins at: \
                 give that too, or leave the window out"
                    .into(),
            ),
            (None, None, None) => Ok(Self::ByHand),
            (Some(period), None, None) if period < shortest => Err(format!(
                "rotation_period must be 0 (only on request) or at least {} s",
                shortest.as_secs()
            )),
            (Some(period), None, None) => Ok(Self::Every(period)),
            (None, Some(cron), window) => {
                cron.check(window, now)?;
                Ok(Self::Cron { cron, window })
            }
        }
    }

    /// The schedule of its stored parts: see [`Self::period`], [`Self::cron`]
    /// and [`Self::window`].
    ///
    /// # Errors
    /// Where the expression is none.
    pub fn of_parts(
        period: Duration,
        cron: Option<&str>,
        window: Option<Duration>,
    ) -> Result<Self, String> {
        match cron {
            Some(text) => Ok(Self::Cron {
                cron: Cron::parse(text)?,
                window,
            }),
            None if period.is_zero() => Ok(Self::ByHand),
            None => Ok(Self::Every(period)),
        }
    }

    /// The period; zero where there is none.
    pub fn period(&self) -> Duration {
        match self {
            Self::Every(period) => *period,
            Self::ByHand | Self::Cron { .. } => Duration::ZERO,
        }
    }

    /// The cron expression, where it goes by one.
    pub fn cron(&self) -> Option<&str> {
        match self {
            Self::Cron { cron, .. } => Some(cron.as_str()),
            Self::ByHand | Self::Every(_) => None,
        }
    }

    /// The window, where there is one.
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::Cron { window, .. } => *window,
            Self::ByHand | Self::Every(_) => None,
        }
    }

    /// The next time, for one that last ran at `last`. It may lie before `now`:
    /// what was missed is made up, except where a window is over. One that never
    /// ran begins to count now.
    pub fn next(&self, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let from = last.unwrap_or(now);
        match self {
            Self::ByHand => None,
            Self::Every(period) => Some(from.plus(*period)),
            Self::Cron { cron, window: None } => cron.next_after(from),
            Self::Cron {
                cron,
                window: Some(window),
            } => cron.next_after(from.max(now.minus(*window))),
        }
    }

    /// What is to be done at `now`, when the stored next time has come.
    pub fn due(&self, now: Timestamp) -> Due {
        let Self::Cron {
            cron,
            window: Some(window),
        } = self
        else {
            return Due::Now;
        };
        // No window is longer than the time between two firings, so only the
        // last firing's can be open.
        match cron.next_after(now.minus(*window)) {
            Some(firing) if firing <= now => Due::Now,
            next => Due::Missed { next },
        }
    }

    /// What is to be done about a try that failed at `now` and may be repeated
    /// at `again`: no try goes beyond the window that it began in.
    pub fn due_again(&self, now: Timestamp, again: Timestamp) -> Due {
        match (self, self.due(again)) {
            (
                Self::Cron {
                    cron,
                    window: Some(_),
                },
                Due::Now,
            ) => match cron.next_after(now) {
                Some(firing) if firing <= again => Due::Missed { next: Some(firing) },
                _ => Due::Now,
            },
            (_, due) => due,
        }
    }
}

/// A cron expression of five fields, in UTC.
#[derive(Clone)]
pub struct Cron {
    text: String,
    parsed: Crontab,
}

impl Cron {
    /// Reads an expression. Only what every cron knows is taken: numbers, names,
    /// `*`, lists, ranges and steps. Where both day fields are restricted, a day
    /// that fits either counts.
    ///
    /// # Errors
    /// One sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let text = fields.join(" ");
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let is_word = |word: &str| {
            word.is_empty()
                || word.bytes().all(|byte| byte.is_ascii_digit())
                || word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        };
        let standard = fields.len() == 5 && text.split([' ', ',', '-', '/', '*']).all(is_word);
        match cronexpr::parse_crontab_with(&text, options) {
            Ok(parsed) if standard => Ok(Self { text, parsed }),
            _ => Err(format!(
                "rotation_schedule {:?} is no cron expression: {SYNTAX}",
                suggest::shown(&text)
            )),
        }
    }

    /// The expression.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first firing after `moment`; none where it never fires.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let find = |from: Timestamp| {
            let from = jiff::Timestamp::from_millisecond(from.0).ok()?;
            // The library adds years to it and may not come to the end of time.
            let end = jiff::Timestamp::MAX.as_second() - 10 * 366 * 86_400;
            if from.as_second() > end {
                return None;
            }
            let found = self.parsed.find_next(MakeTimestamp(from)).ok()?;
            Some(Timestamp(found.timestamp().as_millisecond()))
        };
        find(moment).or_else(|| find(moment.plus(FOUR_YEARS)))
    }

    /// Refuses an expression that never fires, and a window that does not fit.
    fn check(&self, window: Option<Duration>, now: Timestamp) -> Result<(), String> {
        let Some(first) = self.next_after(now) else {
            return Err(format!(
                "rotation_schedule {:?} never fires: no month that it names has such a day",
                self.text
            ));
        };
        let Some(window) = window else { return Ok(()) };
        if window < SHORTEST_WINDOW {
            return Err(format!(
                "rotation_window must be at least {} s (1h)",
                SHORTEST_WINDOW.as_secs()
            ));
        }
        match self.gap_below(window, first) {
            None => Ok(()),
            Some(gap) => Err(format!(
                "rotation_window ({} s) is longer than the time between two firings of rotation_schedule ({} s): \
                 give a shorter window or a rarer schedule",
                window.as_secs(),
                gap.as_secs()
            )),
        }
    }

    /// A time between two firings that is shorter than `window`, if there is one.
    fn gap_below(&self, window: Duration, first: Timestamp) -> Option<Duration> {
        let end = first.plus(CALENDAR);
        let mut last = first;
        for _ in 0..FIRINGS {
            let next = self.next_after(last).filter(|next| *next <= end)?;
            let gap = next.since(last);
            if gap < window {
                return Some(gap);
            }
            last = next;
        }
        None
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({:?})", self.text)
    }
}

/// How to write an expression.
const SYNTAX: &str =
    "write minute, hour, day of month, month and day of week, in UTC, such as \"0 3 * * SUN\"";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn take(body: &Value) -> Result<Schedule, String> {
        let mut body = body.as_object().unwrap().clone();
        let taken = Schedule::take(
            &mut body,
            Duration::from_secs(60),
            at("2026-01-01T00:00:00Z"),
        );
        assert!(taken.is_err() || body.is_empty(), "{body:?}");
        taken
    }

    fn cron(text: &str, window: Option<u64>) -> Schedule {
        Schedule::of_parts(
            Duration::ZERO,
            Some(text),
            window.map(|hours| Duration::from_secs(hours * 3600)),
        )
        .unwrap()
    }

    #[test]
    fn an_expression_fires_as_every_cron_does() {
        for (text, from, next) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"),
            ("0 3 * * *", "2026-01-01T02:59:59Z", "2026-01-01T03:00:00Z"),
            (
                " 0   3 * * * ",
                "2026-01-01T03:00:01Z",
                "2026-01-02T03:00:00Z",
            ),
            (
                "*/15 8-10 * * *",
                "2026-01-01T10:45:00Z",
                "2026-01-02T08:00:00Z",
            ),
            (
                "5,35 0 * * *",
                "2026-01-01T00:05:00Z",
                "2026-01-01T00:35:00Z",
            ),
            (
                "0 0 * * SUN",
                "2026-01-01T00:00:00Z",
                "2026-01-04T00:00:00Z",
            ),
            (
                "0 0 * * sun",
                "2026-01-01T00:00:00Z",
                "2026-01-04T00:00:00Z",
            ),
            ("0 0 * * 0", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            (
                "0 0 * * MON-FRI",
                "2026-01-02T00:00:00Z",
                "2026-01-05T00:00:00Z",
            ),
            (
                "0 0 1 JAN,JUL *",
                "2026-01-01T00:00:00Z",
                "2026-07-01T00:00:00Z",
            ),
            ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"),
            (
                "0 0 31 12 *",
                "2026-01-01T00:00:00Z",
                "2026-12-31T00:00:00Z",
            ),
            (
                "59 23 31 12 *",
                "2026-12-31T23:59:00Z",
                "2027-12-31T23:59:00Z",
            ),
            // Either day counts where both are restricted.
            (
                "0 0 13 * FRI",
                "2026-01-01T00:00:00Z",
                "2026-01-02T00:00:00Z",
            ),
            (
                "0 0 13 * FRI",
                "2026-01-09T00:00:00Z",
                "2026-01-13T00:00:00Z",
            ),
            (
                "0 0 */2 * FRI",
                "2026-01-02T00:00:00Z",
                "2026-01-09T00:00:00Z",
            ),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"),
            // No leap year between.
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
        ] {
            let next_after = Cron::parse(text).unwrap().next_after(at(from));
            assert_eq!(next_after, Some(at(next)), "{text} after {from}");
        }
        let daily = Cron::parse("0 3 * * *").unwrap();
        assert_eq!(daily.next_after(Timestamp(i64::MAX)), None);
        assert_eq!(daily.next_after(at("9999-12-01T00:00:00Z")), None);
    }

    #[test]
    fn bodies_become_schedules() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        for (body, expected) in [
            (json!({}), Schedule::ByHand),
            (
                json!({"rotation_period": null, "rotation_schedule": null, "rotation_window": null}),
                Schedule::ByHand,
            ),
            (
                json!({"rotation_period": 0, "rotation_schedule": "", "rotation_window": "0s"}),
                Schedule::ByHand,
            ),
            (json!({"rotation_period": "1h"}), Schedule::Every(hours(1))),
            (
                json!({"rotation_schedule": "0 3 * * *"}),
                cron("0 3 * * *", None),
            ),
            (
                json!({"rotation_schedule": "0 3 * * *", "rotation_window": "24h"}),
                cron("0 3 * * *", Some(24)),
            ),
            (
                json!({"rotation_schedule": "0 * * * *", "rotation_window": 3600}),
                cron("0 * * * *", Some(1)),
            ),
            (
                json!({"rotation_schedule": "0 0 29 2 *", "rotation_window": "8760h"}),
                cron("0 0 29 2 *", Some(8760)),
            ),
        ] {
            assert_eq!(take(&body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_one_sentence() {
        let windowed = |schedule: &str, window: &str| json!({"rotation_schedule": schedule, "rotation_window": window});
        for (body, says) in [
            (
                json!({"rotation_period": "soon"}),
                "rotation_period is not a duration",
            ),
            (
                json!({"rotation_period": -5}),
                "rotation_period must not be negative",
            ),
            (json!({"rotation_period": "59s"}), "at least 60 s"),
            (
                json!({"rotation_schedule": 5}),
                "rotation_schedule must be a string",
            ),
            (
                json!({"rotation_schedule": "soon"}),
                "\"soon\" is no cron expression",
            ),
            (json!({"rotation_schedule": "@daily"}), "no cron expression"),
            (
                json!({"rotation_schedule": "0 3 * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 0 3 * * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "60 3 * * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 0 * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 * * 8"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 * * FRY"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "5-1 3 * * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "*/0 3 * * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 * * Europe/Berlin"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 * * * Europe/Berlin"}),
                "no cron expression",
            ),
            // Extensions of some crons, which others read otherwise.
            (
                json!({"rotation_schedule": "0 3 L * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 15W * *"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 * * 5#3"}),
                "no cron expression",
            ),
            (
                json!({"rotation_schedule": "0 3 ? * 5"}),
                "no cron expression",
            ),
            (json!({"rotation_schedule": "0 0 30 2 *"}), "never fires"),
            (
                json!({"rotation_schedule": "0 0 31 4,6,9,11 *"}),
                "never fires",
            ),
            (
                json!({"rotation_period": "1h", "rotation_schedule": "0 3 * * *"}),
                "rotation_period and rotation_schedule exclude each other",
            ),
            (
                json!({"rotation_window": "1h"}),
                "rotation_window goes with rotation_schedule",
            ),
            (
                json!({"rotation_period": "1d", "rotation_window": "1h"}),
                "rotation_window goes with rotation_schedule",
            ),
            (
                windowed("0 3 * * *", "soon"),
                "rotation_window is not a duration",
            ),
            (
                windowed("0 3 * * *", "59m"),
                "rotation_window must be at least 3600 s",
            ),
            (
                windowed("0 3 * * *", "25h"),
                "rotation_window (90000 s) is longer",
            ),
            (
                windowed("0 * * * *", "61m"),
                "firings of rotation_schedule (3600 s)",
            ),
            (
                windowed("0 0,23 * * *", "2h"),
                "firings of rotation_schedule (3600 s)",
            ),
            // The 31st is a Sunday or Tuesday only now and then.
            (
                windowed("0 0 31 * MON", "48h"),
                "firings of rotation_schedule (86400 s)",
            ),
            (
                windowed("0 0 29 2 MON", "48h"),
                "firings of rotation_schedule (86400 s)",
            ),
        ] {
            let sentence = take(&body).unwrap_err();
            assert!(sentence.contains(says), "{body}: {sentence}");
        }
    }

    #[test]
    fn the_next_time_counts_from_the_last() {
        let every = Schedule::Every(Duration::from_secs(3600));
        let (nightly, windowed) = (cron("0 3 * * *", None), cron("0 3 * * *", Some(2)));
        let noon = "2026-01-10T12:00:00Z";
        for (schedule, last, now, next) in [
            (&Schedule::ByHand, Some(noon), noon, None),
            (&every, None, noon, Some("2026-01-10T13:00:00Z")),
            (
                &every,
                Some("2026-01-10T11:30:00Z"),
                noon,
                Some("2026-01-10T12:30:00Z"),
            ),
            // Missed long ago: made up at once.
            (
                &every,
                Some("2026-01-01T00:00:00Z"),
                noon,
                Some("2026-01-01T01:00:00Z"),
            ),
            (&nightly, None, noon, Some("2026-01-11T03:00:00Z")),
            (
                &nightly,
                Some("2026-01-10T03:00:01Z"),
                noon,
                Some("2026-01-11T03:00:00Z"),
            ),
            (
                &nightly,
                Some("2026-01-01T00:00:00Z"),
                noon,
                Some("2026-01-01T03:00:00Z"),
            ),
            // A window that is over waits, one that is open does not.
            (
                &windowed,
                Some("2026-01-01T00:00:00Z"),
                noon,
                Some("2026-01-11T03:00:00Z"),
            ),
            (
                &windowed,
                Some("2026-01-01T00:00:00Z"),
                "2026-01-10T04:00:00Z",
                Some("2026-01-10T03:00:00Z"),
            ),
            (
                &windowed,
                Some("2026-01-10T03:10:00Z"),
                "2026-01-10T04:00:00Z",
                Some("2026-01-11T03:00:00Z"),
            ),
        ] {
            assert_eq!(
                schedule.next(last.map(at), at(now)),
                next.map(at),
                "{schedule:?} last {last:?} now {now}"
            );
        }
    }

    #[test]
    fn only_a_window_lets_a_due_time_pass() {
        let (nightly, windowed) = (cron("0 3 * * *", None), cron("0 3 * * *", Some(2)));
        let every = Schedule::Every(Duration::from_secs(60));
        let missed = |next| Due::Missed {
            next: Some(at(next)),
        };
        for (schedule, now, due) in [
            (&every, "2026-01-10T12:00:00Z", Due::Now),
            (&nightly, "2026-01-10T12:00:00Z", Due::Now),
            (&windowed, "2026-01-10T03:00:00Z", Due::Now),
            (&windowed, "2026-01-10T04:59:59Z", Due::Now),
            (
                &windowed,
                "2026-01-10T05:00:00Z",
                missed("2026-01-11T03:00:00Z"),
            ),
            (
                &windowed,
                "2026-01-10T12:00:00Z",
                missed("2026-01-11T03:00:00Z"),
            ),
            (
                &windowed,
                "2026-01-10T02:59:59Z",
                missed("2026-01-10T03:00:00Z"),
            ),
        ] {
            assert_eq!(schedule.due(at(now)), due, "{schedule:?} at {now}");
        }
    }

    #[test]
    fn no_try_goes_beyond_its_window() {
        let (nightly, windowed) = (cron("0 3 * * *", None), cron("0 3 * * *", Some(2)));
        let now = at("2026-01-10T03:10:00Z");
        let tomorrow = Due::Missed {
            next: Some(at("2026-01-11T03:00:00Z")),
        };
        for (schedule, again, due) in [
            (&nightly, "2026-01-11T03:10:00Z", Due::Now),
            (&windowed, "2026-01-10T03:11:00Z", Due::Now),
            (&windowed, "2026-01-10T05:00:00Z", tomorrow),
            // In the next one, which begins earlier.
            (&windowed, "2026-01-11T03:10:00Z", tomorrow),
            (&windowed, "2026-01-11T03:00:00Z", tomorrow),
        ] {
            assert_eq!(
                schedule.due_again(now, at(again)),
                due,
                "{schedule:?} {again}"
            );
        }
    }
}
