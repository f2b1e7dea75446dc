//! Spans, cron expressions and what follows from them, against a calendar that
//! is looked through minute by minute.
//!
//! Input, a line each: a span; a cron expression; the moment it is, in
//! milliseconds; a window, or nothing.

use std::time::Duration;

use jiff::{civil::Weekday, tz::TimeZone};
use lessor_model::{
    clock::Timestamp,
    duration,
    schedule::{Cron, Due, Schedule},
};
use serde_json::{Map, Value};

use crate::{
    target::Target,
    text::{assert_sentence, text},
};

/// The target.
pub(super) const TARGET: Target = Target {
    name: "times",
    words: &[
        "\n",
        "*",
        "* * * * *",
        "*/5",
        "0 ",
        "1-5",
        ",",
        "-",
        "/",
        "7",
        "59",
        "23",
        "31",
        "29 2",
        "12",
        "JAN",
        "dec",
        "SUN",
        "mon",
        "L",
        "W",
        "#1",
        "?",
        "H",
        "@daily",
        "UTC",
        "1h",
        "90",
        "1.5",
        "ms",
        "us",
        "ns",
        "\u{b5}s",
        "d",
        "w",
        "m",
        "s",
        ".",
        "36500d",
        "1767225600000",
        "951782400000",
        "-1",
        "9223372036854775807",
        "253402300799999",
        "1h30m",
    ],
    endings: &["no cron", "never", "fires"],
    cases: 300,
    check,
};

#[test]
fn times_are_those_of_the_calendar() {
    TARGET.replay();
}

/// Minutes that are looked through for a firing that was passed over.
const MINUTES: i64 = 200;

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut lines = input.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (span, expression, now, window) = (next(), next(), next(), next());
    check_span(span);
    let now = Timestamp(now.parse().unwrap_or(1_767_225_600_000));

    let cron = match Cron::parse(expression) {
        Ok(cron) => cron,
        Err(sentence) => {
            assert_sentence(&sentence, 800);
            return "no cron";
        }
    };
    assert_eq!(Cron::parse(cron.as_str()).as_ref(), Ok(&cron));
    check_schedule(expression, window, now);
    let Some(firing) = cron.next_after(now) else {
        return "never";
    };
    assert!(firing > now && firing.0 % 60_000 == 0, "{firing:?}");
    let fields = Fields::of(cron.as_str());
    assert!(fields.fit(firing), "{cron:?} does not fire at {firing}");
    let first = now.0.div_euclid(60_000) + 1;
    for minute in first..(firing.0 / 60_000).min(first + MINUTES) {
        let passed_over = Timestamp(minute * 60_000);
        assert!(!fields.fit(passed_over), "{cron:?} at {passed_over}");
    }
    "fires"
}

/// A span is the same when it is printed and read again.
fn check_span(text: &str) {
    let span = match duration::of_text("ttl", text) {
        Ok(span) => span,
        Err(sentence) => return assert_sentence(&sentence, 200),
    };
    assert!(span <= Duration::from_secs(36_500 * 86_400));
    for printed in [
        format!("{}ns", span.as_nanos()),
        format!("{}s{}ns", span.as_secs(), span.subsec_nanos()),
    ] {
        assert_eq!(duration::of_text("ttl", &printed), Ok(span), "{printed}");
    }
    if let Ok(seconds) = text.trim().parse::<u32>() {
        assert_eq!(span, Duration::from_secs(seconds.into()));
    }
}

/// A schedule can be put together again from its parts, and goes forward.
fn check_schedule(expression: &str, window: &str, now: Timestamp) {
    let mut document = Map::new();
    document.insert("rotation_schedule".into(), expression.into());
    if !window.is_empty() {
        document.insert("rotation_window".into(), window.into());
    }
    let schedule = match Schedule::take(&mut document, Duration::from_secs(60), now) {
        Ok(schedule) => schedule,
        Err(sentence) => return assert_sentence(&sentence, 800),
    };
    assert_eq!(
        document.values().collect::<Vec<&Value>>(),
        [] as [&Value; 0]
    );
    let again = Schedule::of_parts(schedule.period(), schedule.cron(), schedule.window());
    assert_eq!(again.as_ref(), Ok(&schedule));
    let Some(next) = schedule.next(None, now) else {
        return;
    };
    assert!(next > now.minus(schedule.window().unwrap_or_default()));
    assert_eq!(schedule.due(next), Due::Now);
    if let Due::Missed { next: Some(later) } = schedule.due(now) {
        assert!(later > now);
    }
}

/// The values of the five fields, and whether a field says something.
struct Fields([(Vec<bool>, bool); 5]);

impl Fields {
    fn of(expression: &str) -> Self {
        let mut fields = expression.split(' ').zip([59, 23, 31, 12, 7]);
        Self(std::array::from_fn(|_| {
            let (field, last) = fields.next().unwrap();
            let values = (0..=last).map(|value| fits(field, value, last)).collect();
            (values, !field.starts_with('*'))
        }))
    }

    /// Whether they fit a moment; days by either field where both say something.
    fn fit(&self, moment: Timestamp) -> bool {
        let moment = jiff::Timestamp::from_millisecond(moment.0).unwrap();
        let time = moment.to_zoned(TimeZone::UTC);
        let weekday = match time.weekday() {
            Weekday::Sunday => 0,
            day => day.to_monday_one_offset(),
        };
        let has = |index: usize, value: i8| self.0[index].0[value as usize];
        let by_date = has(2, time.day());
        let by_weekday = has(4, weekday) || (weekday == 0 && has(4, 7));
        let by_day = match (self.0[2].1, self.0[4].1) {
            (true, true) => by_date || by_weekday,
            _ => by_date && by_weekday,
        };
        has(0, time.minute()) && has(1, time.hour()) && has(3, time.month()) && by_day
    }
}

/// Whether one field has a value: lists of values, ranges and steps.
fn fits(field: &str, value: i8, last: i8) -> bool {
    field.split(',').any(|item| {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse().unwrap()),
            None => (item, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None if range == "*" => (i8::from(last == 31 || last == 12), last),
            None if item.contains('/') => (number(range), last),
            None => (number(range), number(range)),
        };
        (first..=last).contains(&value) && (value - first) % step == 0
    })
}

fn number(text: &str) -> i8 {
    const NAMES: [&str; 19] = [
        "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "JAN", "FEB", "MAR", "APR", "MAY", "JUN",
        "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let name = NAMES
        .iter()
        .position(|name| text.eq_ignore_ascii_case(name));
    match name {
        Some(day @ 0..7) => day as i8,
        Some(month) => month as i8 - 6,
        None => text.parse().unwrap(),
    }
}
