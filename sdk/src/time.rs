//! Moments, as the contract with the host counts them: whole seconds since
//! 1970-01-01T00:00:00Z.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A moment in Unix seconds. It prints as RFC 3339 in UTC
/// (`2026-11-21T20:00:00Z`), which is also what SQL accepts as a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The moment this many seconds after 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The moment `later`, in whole seconds, after this one.
    #[must_use]
    pub const fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later.as_secs()))
    }

    /// The moment `earlier`, in whole seconds, before this one.
    #[must_use]
    pub const fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(earlier.as_secs()))
    }

    /// How long after `earlier` this is; zero where it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl FromStr for UnixTime {
    type Err = InvalidTime;

    /// Reads RFC 3339 in UTC (`2026-11-21T20:00:00Z`); a fraction of a second is cut off.
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let whole = text.strip_suffix(['Z', 'z']).ok_or(InvalidTime)?;
        let (whole, fraction) = whole.split_once('.').unwrap_or((whole, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (date, time) = whole.split_once(['T', 't']).ok_or(InvalidTime)?;
        let numbers = |text: &str, between: char, lengths: [usize; 3]| {
            let mut parts = text.split(between);
            let mut next = |length: usize| {
                let part = parts
                    .next()
                    .filter(|part| part.len() == length && digits(part));
                part.and_then(|part| part.parse::<u64>().ok())
                    .ok_or(InvalidTime)
            };
            let [first, second, third] = lengths;
            let found = (next(first)?, next(second)?, next(third)?);
            parts.next().is_none().then_some(found).ok_or(InvalidTime)
        };
        let (year, month, day) = numbers(date, '-', [4, 2, 2])?;
        let (hour, minute, second) = numbers(time, ':', [2, 2, 2])?;
        let fits = year >= 1970
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60
            && digits(fraction);
        if !fits {
            return Err(InvalidTime);
        }
        let days = days_from_civil(year, month, day);
        Ok(Self(days * DAY + hour * 3_600 + minute * 60 + second))
    }
}

/// A text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTime;

impl fmt::Display for InvalidTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a moment as 2026-11-21T20:00:00Z is one")
    }
}

impl std::error::Error for InvalidTime {}

impl fmt::Display for UnixTime {
    /// Moments after the year 9999 print as its last second: neither RFC 3339
    /// nor X.509 can name them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.min(END_OF_9999);
        let (year, month, day) = civil_from_days(seconds / DAY);
        let (hour, minute, second) = (seconds % DAY / 3_600, seconds / 60 % 60, seconds % 60);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
/// Algorithm `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level
/// Date Algorithms", for days that are not negative.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar that is not before.
/// Algorithm `days_from_civil`, of the same text.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z.
const END_OF_9999: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_291_200, "2026-11-21T20:00:00Z"),
            (END_OF_9999, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime::from_seconds(seconds).to_string(), text);
            let read: UnixTime = text.parse().unwrap();
            assert_eq!(read.seconds(), seconds.min(END_OF_9999));
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        let read: UnixTime = "2026-11-21T20:00:00.123456Z".parse().unwrap();
        assert_eq!(read.seconds(), 1_795_291_200);
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T20:00:00",
            "2026-11-21T20:00:00+01:00",
            "2026-13-21T20:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T20:00Z",
            "2026-11-21T20:00:00.Z",
            "1969-12-31T23:59:59Z",
            "+026-11-21T20:00:00Z",
        ] {
            assert_eq!(text.parse::<UnixTime>(), Err(InvalidTime), "{text}");
        }
    }
}
