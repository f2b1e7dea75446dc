//! Compares two answers by their shape: statuses, names and types, not values.

use std::collections::BTreeSet;

use lessor_tests::http::Answer;
use serde_json::Value;

/// Phrases of Vault's refusals that clients look for.
const PHRASES: [&str; 6] = [
    "permission denied",
    "invalid lease",
    "lease not found",
    "wrapping token is not valid or does not exist",
    "plugin not found in the catalog",
    "unsupported operation",
];

/// Each difference in one line: OpenBao's side first.
pub(super) fn differences(theirs: &Answer, ours: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if theirs.status != ours.status {
        found.push(format!("status {} | {}", theirs.status, ours.status));
    }
    if theirs.status / 100 != ours.status / 100 {
        // A success and a refusal have nothing further in common.
        return found;
    }
    if theirs.content_type != ours.content_type
        && !theirs.bytes.is_empty()
        && !ours.bytes.is_empty()
    {
        let (their, our) = (&theirs.content_type, &ours.content_type);
        found.push(format!("content type {their:?} | {our:?}"));
    }
    match (parsed(theirs), parsed(ours)) {
        (None, None) => {}
        (None, Some(_)) => found.push("no body | a body".into()),
        (Some(_), None) => found.push("a body | no body".into()),
        (Some(their), Some(our)) if theirs.status >= 400 => {
            let (their, our) = (refusal(&their), refusal(&our));
            if their != our {
                found.push(format!("{their} | {our}"));
            }
        }
        (Some(their), Some(our)) => compare("", &their, &our, &mut found),
    }
    found
}

fn parsed(answer: &Answer) -> Option<Value> {
    (!answer.bytes.is_empty()).then(|| answer.json())
}

/// The class of a refusal: nothing said, a phrase that clients know, or words.
fn refusal(body: &Value) -> &'static str {
    let Some(errors) = body["errors"].as_array() else {
        return "no errors";
    };
    let text = body["errors"].to_string();
    if errors.is_empty() {
        return "says nothing";
    }
    let phrase = PHRASES.into_iter().find(|phrase| text.contains(phrase));
    phrase.unwrap_or("says something")
}

fn compare(at: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(their), Value::Object(our)) => {
            let names: BTreeSet<&String> = their.keys().chain(our.keys()).collect();
            for name in names {
                let at = format!("{at}/{name}");
                match (their.get(name), our.get(name)) {
                    (Some(their), Some(our)) => compare(&at, their, our, found),
                    (Some(_), None) => found.push(format!("{at}: there | not there")),
                    (None, _) => found.push(format!("{at}: not there | there")),
                }
            }
        }
        (Value::Array(their), Value::Array(our)) => match (their.first(), our.first()) {
            (Some(their), Some(our)) => compare(&format!("{at}/0"), their, our, found),
            (None, None) => {}
            (Some(_), None) => found.push(format!("{at}: items | empty")),
            (None, Some(_)) => found.push(format!("{at}: empty | items")),
        },
        _ if kind(theirs) == kind(ours) => {}
        _ => found.push(format!("{at}: {} | {}", kind(theirs), kind(ours))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "truth",
        Value::Number(number) if number.is_f64() => "fraction",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
