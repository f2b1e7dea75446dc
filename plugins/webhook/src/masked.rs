//! The webhook's own words in a failure: one line, short, and without the payload, which a
//! webhook that fails may well repeat. The host masks the payload as a whole; here go its
//! parts as well.

use lessor_sdk::http::Response;
use serde_json::Value;

use crate::config::Config;
use crate::role::is_name;

/// What the webhook says of a failure, to go behind a colon; none where it says nothing that
/// can be told. Only answers that tell of a failure are read: others may hold a credential.
pub(crate) fn words(config: &Config, answer: &Response) -> Option<String> {
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.contains("html") {
        return None;
    }
    match serde_json::from_slice::<Value>(answer.body()) {
        Ok(value) => said(config, &value),
        Err(_) => line(config, std::str::from_utf8(answer.body()).ok()?),
    }
}

/// The same of a JSON value that tells of a failure: a text, or an object that has one.
pub(crate) fn said(config: &Config, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => line(config, text),
        Value::Array(items) => items.iter().find_map(|item| said(config, item)),
        Value::Object(members) => ["error", "message", "errors", "detail", "description"]
            .iter()
            .find_map(|name| said(config, members.get(*name)?)),
        _ => None,
    }
}

/// A text as part of a sentence.
pub(crate) fn line(config: &Config, text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for secret in secrets(config.payload.expose()) {
        text = text.replace(&secret, MASK);
    }
    let mut words = Vec::new();
    let mut length = 0;
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        let word = match is_encoded(word) {
            true => MASK,
            false => word,
        };
        if word.is_empty() {
            continue;
        }
        length += word.chars().count() + 1;
        if length > LONGEST {
            words.push("…");
            break;
        }
        words.push(word);
    }
    let line = words.join(" ");
    let line = line.trim_end_matches('.');
    (!line.is_empty()).then(|| line.to_owned())
}

/// The payload, and where it is JSON each text in it that does not merely name something;
/// longest first, so that no part of one hides the rest of another.
fn secrets(payload: &str) -> Vec<String> {
    let mut found = vec![payload.trim().to_owned()];
    if let Ok(value) = serde_json::from_str(payload) {
        collect(&value, &mut found);
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            found.push(text.clone());
            // As it stands in JSON that is repeated.
            let written = value.to_string();
            found.push(written.trim_matches('"').to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !is_name(name))
            .for_each(|(_, value)| collect(value, found)),
        _ => {}
    }
}

/// Whether this looks like a longer text in Base64 or hex: the shell examples of webhooks pass
/// the whole body around in it.
fn is_encoded(word: &str) -> bool {
    let mut run = 0;
    word.bytes().any(|byte| {
        let fits = byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        run = if fits { run + 1 } else { 0 };
        run >= ENCODED
    })
}

const MASK: &str = "****";

/// Characters of the longest sentence that is repeated.
const LONGEST: usize = 300;

/// Shorter texts are too common to be masked.
const SHORTEST: usize = 4;

/// Characters of the shortest text that is taken for an encoded one: longer than words and
/// UUIDs are.
const ENCODED: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(payload: &str) -> Config {
        let config = serde_json::json!({"url": "https://hook.example", "payload": payload});
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn the_payload_and_its_parts_are_masked_and_names_stay() {
        let config = config(
            r#"{"type": "mysql", "host": "db.example", "password": "hun\"ter2", "keys": ["k-1234"]}"#,
        );
        for (text, told) in [
            ("invalid credentials", "invalid credentials"),
            (
                "mysql at db.example refused hun\"ter2.",
                "mysql at db.example refused ****",
            ),
            (
                r#"got {"password":"hun\"ter2"}"#,
                r#"got {"password":"****"}"#,
            ),
            ("key k-1234\nis\tover\u{7}", "key **** is over"),
            (config.payload.expose(), "****"),
            (
                "x: eyJ0eXBlIjogIm15c3FsIiwgImhvc3QiOiAiZGIuZXhhbXBsZSJ9",
                "x: ****",
            ),
        ] {
            assert_eq!(line(&config, text).as_deref(), Some(told));
        }
        assert_eq!(line(&config, " \n."), None);
        let long = line(&config, &"word ".repeat(1000)).unwrap();
        assert!(long.chars().count() <= 301 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn what_is_said_is_found_in_every_usual_place() {
        let config = config("");
        for (value, told) in [
            (serde_json::json!("no"), Some("no")),
            (serde_json::json!({"error": "no"}), Some("no")),
            (
                serde_json::json!({"error": {"code": 1, "message": "no"}}),
                Some("no"),
            ),
            (serde_json::json!({"errors": ["no", "never"]}), Some("no")),
            (serde_json::json!({"message": "no"}), Some("no")),
            (serde_json::json!({"password": "hunter2"}), None),
            (serde_json::json!(7), None),
        ] {
            assert_eq!(said(&config, &value).as_deref(), told, "{value}");
        }
    }
}
