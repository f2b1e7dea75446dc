//! Values as Vault's clients write them: a truth as `1` or `"True"`, a number as
//! text, a text as a number, a list as text with commas.
//!
//! Pure. The accepted values are those of Go's decoder, with which Vault reads its fields
//! (mapstructure's weak input, `strconv.ParseBool`), with one exception: a number that JSON
//! readers do not keep exactly is no text, because it would become another password.

use serde_json::{Map, Value};

/// A text: as it stands, or a whole number or truth as Go writes it.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Bool(truth) => Some(String::from(if *truth { "1" } else { "0" })),
        _ => None,
    }
}

/// A truth: also a number, which is true where it is not 0, and the words of
/// `strconv.ParseBool`; no text at all is false.
pub fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => Some(number.as_f64()? != 0.0),
        Value::String(text) => match text.trim() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number: also as text, in hexadecimal with `0x` before it, and a truth
/// as 1 or 0.
pub fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(truth) => Some(i128::from(*truth)),
        Value::Number(number) => {
            let small = number.as_i64().map(i128::from);
            small
                .or_else(|| number.as_u64().map(i128::from))
                .or_else(|| whole(number.as_f64()?))
        }
        Value::String(text) => {
            let text = text.trim();
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => (-1, digits),
                None => (1, text),
            };
            let magnitude = match digits.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => digits.parse::<u64>(),
            };
            magnitude.ok().map(|magnitude| sign * i128::from(magnitude))
        }
        _ => None,
    }
}

/// `3.0` is a whole number, written otherwise.
fn whole(number: f64) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_whole = number.fract() == 0.0 && number.abs() <= EXACT;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole, and below the first that is not exact"
    )]
    let whole = number as i128;
    is_whole.then_some(whole)
}

/// A list of texts: an array, a JSON array as text, pieces between commas, or one
/// value alone.
pub fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(given) => match array_in(given) {
            Some(items) => items.iter().map(text).collect(),
            None => Some(
                given
                    .split(',')
                    .map(str::trim)
                    .filter(|piece| !piece.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
        },
        value => text(value).map(|single| vec![single]),
    }
}

/// The array that a text is the JSON of.
fn array_in(text: &str) -> Option<Vec<Value>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return None;
    }
    match crate::json::parse(text.as_bytes(), &crate::json::CALLER) {
        Ok(Value::Array(items)) => Some(items),
        _ => None,
    }
}

/// An object: also as JSON text, and an empty array or text as one without fields.
pub fn object(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields.clone()),
        Value::Array(items) if items.is_empty() => Some(Map::new()),
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => match crate::json::parse(text.as_bytes(), &crate::json::CALLER) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a value asks for nothing: one that Vault and its clients write for "not set".
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.trim(), "" | "0" | "0s" | "false"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn truths_are_what_go_parses() {
        for value in [
            json!(true),
            json!(1),
            json!(-1),
            json!("1"),
            json!("t"),
            json!("T"),
            json!("true"),
            json!("TRUE"),
            json!("True"),
            json!(" true\n"),
        ] {
            assert_eq!(truth(&value), Some(true), "{value}");
        }
        for value in [
            json!(false),
            json!(0),
            json!(0.0),
            json!("0"),
            json!("f"),
            json!("F"),
            json!("false"),
            json!("FALSE"),
            json!("False"),
            json!(""),
        ] {
            assert_eq!(truth(&value), Some(false), "{value}");
        }
        for value in [
            json!("yes"),
            json!("on"),
            json!("tRUE"),
            json!("2"),
            json!([]),
            json!({}),
            json!(null),
        ] {
            assert_eq!(truth(&value), None, "{value}");
        }
    }

    #[test]
    fn numbers_and_texts_stand_for_each_other() {
        for (value, number, written) in [
            (json!(7), Some(7), Some("7")),
            (json!("7"), Some(7), Some("7")),
            (json!(" 7 "), Some(7), Some(" 7 ")),
            (json!(-7), Some(-7), Some("-7")),
            (json!("-7"), Some(-7), Some("-7")),
            (json!("0x10"), Some(16), Some("0x10")),
            (json!(3.0), Some(3), None),
            (json!(1.5), None, None),
            (json!(true), Some(1), Some("1")),
            (
                json!(u64::MAX),
                Some(i128::from(u64::MAX)),
                Some("18446744073709551615"),
            ),
            (json!("x"), None, Some("x")),
            (json!(""), None, Some("")),
            (json!("--7"), None, Some("--7")),
            (json!([]), None, None),
        ] {
            assert_eq!(integer(&value), number, "{value}");
            assert_eq!(text(&value).as_deref(), written, "{value}");
        }
        // A reader has rounded it already: a password made of it would be another.
        let long: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
        assert_eq!(text(&long), None);
    }

    #[test]
    fn a_list_is_an_array_or_text() {
        for (value, expected) in [
            (json!(["a", 1, true]), Some(vec!["a", "1", "1"])),
            (json!("a, b,,c "), Some(vec!["a", "b", "c"])),
            (json!("[\"a\", \"b,c\"]"), Some(vec!["a", "b,c"])),
            (json!("[::1]"), Some(vec!["[::1]"])),
            (json!(7), Some(vec!["7"])),
            (json!(""), Some(vec![])),
            (json!([["a"]]), None),
            (json!({}), None),
        ] {
            let expected = expected.map(|items| items.into_iter().map(str::to_owned).collect());
            assert_eq!(list(&value), expected, "{value}");
        }
    }

    #[test]
    fn an_object_may_be_the_json_of_one() {
        for (value, expected) in [
            (json!({"a": 1}), Some(json!({"a": 1}))),
            (json!("{\"a\": 1}"), Some(json!({"a": 1}))),
            (json!([]), Some(json!({}))),
            (json!(""), Some(json!({}))),
            (json!("a=1"), None),
            (json!([1]), None),
            (json!(1), None),
        ] {
            assert_eq!(object(&value).map(Value::Object), expected, "{value}");
        }
    }
}
