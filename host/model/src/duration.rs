//! Spans of time as Vault's clients write them: seconds as a number, or Go's
//! duration strings with a day added: `90`, `"90s"`, `"1h30m"`, `"1d"`.
//!
//! Pure. Bodies of requests and roles go through [`of_value`], query strings and
//! anything else that is text through [`of_text`].

use std::time::Duration;

use serde_json::Value;

/// Longest span that is taken: a hundred years. Beyond it a number was most
/// likely meant in another unit.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Units, the longer spelling first where one begins with the other, in nanoseconds.
const UNITS: [(&str, u128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Reads a span from a field of a JSON body. Null and the empty string, which
/// Vault's own client sends for "not set", are none.
///
/// # Errors
/// One sentence that names `field`.
pub fn of_value(field: &str, value: &Value) -> Result<Option<Duration>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => of_text(field, text).map(Some),
        Value::Number(number) => of_text(field, &number.to_string()).map(Some),
        _ => Err(malformed(field)),
    }
}

/// A span as Go writes it, in whole seconds: `1h0m0s`.
pub fn as_go(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Reads a span from text.
///
/// # Errors
/// One sentence that names `field`.
pub fn of_text(field: &str, text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("{field} must not be negative"));
    }
    let nanoseconds = if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        scaled(text, 1_000_000_000)
    } else {
        sum_of_units(text)
    };
    let nanoseconds = nanoseconds.ok_or_else(|| malformed(field))?;
    if nanoseconds > LONGEST.as_nanos() {
        return Err(format!("{field} must be at most 100 years (36500d)"));
    }
    Ok(Duration::from_nanos_u128(nanoseconds))
}

/// `1h30m`, each unit after its number.
fn sum_of_units(mut text: &str) -> Option<u128> {
    let mut total: u128 = 0;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at_checked(end)?;
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let (unit, rest) = rest.split_at_checked(letters)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *factor)?)?;
        text = rest;
    }
    Some(total)
}

/// A decimal number times `factor`, without a detour through floating point.
fn scaled(number: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| -> Option<u128> {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse().ok()
        }
    };
    let fraction = fraction.get(..fraction.len().min(18))?;
    let denominator = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = digits(fraction)?
        .checked_mul(factor)?
        .checked_div(denominator)?;
    digits(whole)?.checked_mul(factor)?.checked_add(part)
}

fn malformed(field: &str) -> String {
    format!(
        "{field} is not a duration: write seconds as a number, or text such as \"90s\", \"1h30m\" or \"1d\""
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_read_as_vault_reads_them() {
        for (value, milliseconds) in [
            (json!(90), 90_000),
            (json!(1.5), 1_500),
            (json!("90"), 90_000),
            (json!("90s"), 90_000),
            (json!(" 1h30m "), 5_400_000),
            (json!("1d"), 86_400_000),
            (json!("1d2h3m4s5ms"), 93_784_005),
            (json!("1.5h"), 5_400_000),
            (json!("0"), 0),
            (json!("0s"), 0),
            (json!("768h"), 2_764_800_000),
        ] {
            let span = of_value("ttl", &value).unwrap().unwrap();
            assert_eq!(span, Duration::from_millis(milliseconds), "{value}");
        }
        assert_eq!(of_value("ttl", &json!("")), Ok(None));
        assert_eq!(of_value("ttl", &Value::Null), Ok(None));
    }

    #[test]
    fn what_is_no_span_is_refused_by_name() {
        for value in [
            json!("soon"),
            json!("1 h"),
            json!("h"),
            json!("1x"),
            json!("1h30"),
            json!("."),
            json!("1e3"),
            json!(true),
            json!([]),
            json!({}),
            json!("1.2.3"),
            json!("1µ"),
        ] {
            let sentence = of_value("config.max_ttl", &value).unwrap_err();
            assert!(
                sentence.starts_with("config.max_ttl is not a duration"),
                "{value}: {sentence}"
            );
        }
        for value in [json!(-1), json!("-1s"), json!("-5m")] {
            assert_eq!(
                of_value("ttl", &value),
                Err("ttl must not be negative".to_owned())
            );
        }
        for value in [
            json!(u64::MAX),
            json!("99999999999999999999999999999999999999999d"),
            json!("36501d"),
        ] {
            assert!(of_value("ttl", &value).is_err(), "{value}");
        }
    }
}
