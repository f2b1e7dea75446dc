//! Reads the JSON that the host hands over, naming the field that does not
//! fit, and never quoting a value: it may be secret.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::failure::{Failure, FailureClass, Result};

/// Reads `text` as `T`. `what` (`config`, `role`, `request`) starts the path
/// of the field that the failure names.
pub(crate) fn read<T: DeserializeOwned>(what: &str, class: FailureClass, text: &str) -> Result<T> {
    let fail = |field: String, error: &serde_json::Error| {
        Failure::new(
            class,
            format!("invalid_{what}"),
            format!("{field}: {}", explain(error)),
        )
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let in_a_field = path != "." && error.inner().classify() == Category::Data;
        fail(
            if in_a_field {
                format!("{what}.{path}")
            } else {
                what.to_owned()
            },
            error.inner(),
        )
    })?;
    reader
        .end()
        .map_err(|error| fail(what.to_owned(), &error))?;
    Ok(value)
}

/// What serde says, without the value that it says it about.
pub(crate) fn explain(error: &serde_json::Error) -> String {
    if error.classify() != Category::Data {
        return "not well-formed JSON".to_owned();
    }
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    if !QUOTES_THE_VALUE.iter().any(|start| text.starts_with(start)) {
        return text.to_owned();
    }
    // What was expected comes last, so a value that holds the same words
    // cannot push itself into the message.
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "not what the provider expects".to_owned(),
    }
}

/// How serde starts its messages that quote the value (`serde::de::Error`).
const QUOTES_THE_VALUE: [&str; 4] = [
    "invalid type: ",
    "invalid value: ",
    "unknown variant ",
    "invalid length ",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by the deserialiser")]
    struct Config {
        port: u16,
        #[serde(default)]
        modes: Vec<Mode>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Slow,
    }

    #[test]
    fn a_field_that_does_not_fit_is_named_and_its_value_is_not() {
        for (text, message) in [
            ("{}", "config: missing field `port`"),
            (
                r#"{"port":1,"prot":2}"#,
                "config.prot: unknown field `prot`, expected `port` or `modes`",
            ),
            (r#"{"port":"hunter2"}"#, "config.port: expected u16"),
            (
                r#"{"port":"x, expected hunter2"}"#,
                "config.port: expected u16",
            ),
            (
                r#"{"port":1,"modes":["hunter2"]}"#,
                "config.modes[0]: expected `fast` or `slow`",
            ),
            (r#"{"port":1} 2"#, "config: not well-formed JSON"),
            (r#"{"port":1"#, "config: not well-formed JSON"),
        ] {
            let failure = read::<Config>("config", FailureClass::InvalidConfig, text).unwrap_err();
            assert_eq!(failure.message(), message);
            assert_eq!(failure.code(), "invalid_config");
        }
    }
}
