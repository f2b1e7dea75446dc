//! Cron expressions, as every cron knows them, in UTC.

use std::{fmt, time::Duration};

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};

use crate::{clock::Timestamp, suggest};

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
    pub(super) fn check(&self, window: Option<Duration>, now: Timestamp) -> Result<(), String> {
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

/// The syntax of an expression, for sentences.
pub(super) const SYNTAX: &str =
    "write minute, hour, day of month, month and day of week, in UTC, such as \"0 3 * * SUN\"";

/// Shortest window: Vault's rule. Below an hour a server that is being restarted
/// might miss one after the other.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3600);

/// The span of the calendar that is searched for the shortest time between two firings: after 28
/// years the days of the week fall on the same dates again.
const CALENDAR: Duration = Duration::from_secs(28 * 1461 * 86_400 / 4);

/// Firings looked at for the same at most. Only a schedule that fires rarely has
/// gaps that come round rarely, and then these reach over the whole calendar.
const FIRINGS: usize = 500;

/// The library looks four years ahead, and 29 February may be eight years away.
const FOUR_YEARS: Duration = Duration::from_secs(1461 * 86_400);
