//! Lengths of time as operators write them: seconds, or a duration such as
//! `90s`, `1h30m`, `365d`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A whole number of seconds. It is written as that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    /// This many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// This many days of 24 hours.
    pub const fn days(days: u64) -> Self {
        Self(days.saturating_mul(86_400))
    }

    /// The same, as the standard library has it.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// Reads `90s`, `1h30m`, `1d`, or a plain number of seconds.
    fn parse(text: &str) -> Option<Self> {
        if let Ok(seconds) = text.parse() {
            return Some(Self(seconds));
        }
        let mut total = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|character: char| !character.is_ascii_digit())?;
            let (number, after) = rest.split_at(digits);
            let mut characters = after.chars();
            let unit = match characters.next()? {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return None,
            };
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
            rest = characters.as_str();
        }
        (!text.is_empty()).then_some(Self(total))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
        Ok(Span(seconds))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Span, E> {
        u64::try_from(seconds)
            .map(Span)
            .map_err(|_| E::custom(format_args!("expected {EXPECTED}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        Span::parse(text).ok_or_else(|| E::custom(format_args!("expected {EXPECTED}")))
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^([0-9]+|([0-9]+[smhd])+)$",
        })
    }
}

const EXPECTED: &str = "seconds, or a duration such as 90s, 1h30m or 365d";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (json, expected) in [
            ("90", 90),
            ("\"90\"", 90),
            ("\"90s\"", 90),
            ("\"1h30m\"", 5_400),
            ("\"365d\"", 31_536_000),
        ] {
            assert_eq!(
                serde_json::from_str::<Span>(json).unwrap(),
                Span::seconds(expected),
                "{json}"
            );
        }
        for json in [
            "-1",
            "\"\"",
            "\"-1s\"",
            "\"1y\"",
            "\"h\"",
            "\"1h30\"",
            "1.5",
            "\"99999999999999999999d\"",
            "null",
        ] {
            let error = serde_json::from_str::<Span>(json).unwrap_err();
            assert!(error.to_string().contains(EXPECTED), "{json}: {error}");
        }
    }
}
