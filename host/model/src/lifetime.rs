//! The lifetime of a lease: a span, or, by the word `never`, without end.
//!
//! Pure. Vault prints 0, or nothing, for a length that nobody has set, and its clients
//! write back what they read: so neither is a length here, and neither lifts a bound.
//! A lease without end needs a word that Vault's clients never send.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::{clock::Timestamp, duration};

/// The word for a length without end.
pub const NEVER: &str = "never";

/// The time for which something lives. The longer one is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Length {
    /// So long.
    For(Duration),
    /// Without end.
    Never,
}

impl Length {
    /// The moment at which it is over, counted from `from`; absent: never.
    pub fn after(self, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::For(span) => Some(from.plus(span)),
            Self::Never => None,
        }
    }

    /// The same in whole seconds, as it is stored; a length below one second becomes one,
    /// because 0 means that nothing is set.
    #[must_use]
    pub fn in_seconds(self) -> Self {
        match self {
            Self::For(span) if span.subsec_nanos() > 0 && span.as_secs() == 0 => {
                Self::For(Duration::from_secs(1))
            }
            Self::For(span) => Self::For(Duration::from_secs(span.as_secs())),
            Self::Never => Self::Never,
        }
    }
}

/// Reads a length from a field of a JSON body. Null and the empty text, by which
/// clients leave a field out, are nothing at all; 0 is the wish for none of one's own.
///
/// # Errors
/// One sentence that names `field`.
pub fn of_value(field: &str, value: &Value) -> Result<Option<Option<Length>>, String> {
    if let Value::String(text) = value
        && text.trim().eq_ignore_ascii_case(NEVER)
    {
        return Ok(Some(Some(Length::Never)));
    }
    let span = duration::of_value(field, value)?;
    Ok(span.map(|span| (!span.is_zero()).then_some(Length::For(span))))
}

/// The earliest of all ends that bound something; absent: never.
pub fn least(ends: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    ends.into_iter().flatten().min()
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => write!(f, "{} s", span.as_secs()),
            Self::Never => f.write_str(NEVER),
        }
    }
}

/// Whole seconds, or the word.
impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(span) => serializer.serialize_u64(span.as_secs()),
            Self::Never => serializer.serialize_str(NEVER),
        }
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == NEVER => Ok(Self::Never),
            Value::Number(number) => number
                .as_u64()
                .map(|seconds| Self::For(Duration::from_secs(seconds)))
                .ok_or_else(|| de::Error::custom("a length is not in whole seconds")),
            _ => Err(de::Error::custom("a length is neither seconds nor a word")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_vault_prints_for_not_set_is_no_length() {
        let seconds = |seconds| Some(Some(Length::For(Duration::from_secs(seconds))));
        for (value, expected) in [
            (Value::Null, None),
            (json!(""), None),
            (json!(0), Some(None)),
            (json!("0"), Some(None)),
            (json!("0s"), Some(None)),
            (json!("never"), Some(Some(Length::Never))),
            (json!(" Never "), Some(Some(Length::Never))),
            (json!(90), seconds(90)),
            (json!("1h"), seconds(3600)),
        ] {
            assert_eq!(of_value("ttl", &value), Ok(expected), "{value}");
        }
        for value in [json!("forever"), json!(-1), json!(true)] {
            let sentence = of_value("max_ttl", &value).unwrap_err();
            assert!(sentence.starts_with("max_ttl"), "{sentence}");
        }
    }

    #[test]
    fn a_length_is_stored_as_seconds_or_the_word() {
        for (text, length) in [
            ("90", Length::For(Duration::from_secs(90))),
            ("\"never\"", Length::Never),
        ] {
            assert_eq!(serde_json::to_string(&length).unwrap(), text);
            assert_eq!(serde_json::from_str::<Length>(text).unwrap(), length);
        }
        assert!(serde_json::from_str::<Length>("\"x\"").is_err());
        assert!(serde_json::from_str::<Length>("-1").is_err());
        let short = Length::For(Duration::from_millis(1)).in_seconds();
        assert_eq!(short, Length::For(Duration::from_secs(1)));
    }

    #[test]
    fn the_longest_is_without_end_and_the_least_end_counts() {
        let second = Length::For(Duration::from_secs(1));
        assert!(second < Length::Never);
        assert_eq!(second.min(Length::Never), second);
        let at = |ms| Some(Timestamp(ms));
        assert_eq!(second.after(Timestamp(5)), at(1005));
        assert_eq!(Length::Never.after(Timestamp(5)), None);
        assert_eq!(least([None, at(9), at(3), None]), at(3));
        assert_eq!(least([None, None]), None);
    }
}
