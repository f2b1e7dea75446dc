//! Whether a text gives a secret away: read back from every form that a program
//! may write it in, where `scrub` looks for the forms themselves.

use base64::{
    Engine as _,
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use percent_encoding::percent_decode_str;

/// Shorter secrets are not masked.
pub(super) const SHORTEST: usize = 4;

/// Shorter secrets are not masked in base64, where they look like words.
const SHORTEST_BASE64: usize = 5;

/// The part of a fuzzer's text that may be a secret. The two characters that `scrub` itself writes
/// are left out: it may put together what was not there.
pub(super) fn secret(text: &str) -> String {
    text.replace(['*', '…'], "+")
}

/// Fails where `text` holds one of `secrets` in any form.
#[track_caller]
pub(super) fn assert_keeps(text: &str, secrets: &[&str]) {
    if let Some((secret, form)) = betrayed(text, secrets) {
        panic!("{secret:?} stands in {text:?} as {form}");
    }
}

/// The first secret that `text` gives away, and the form in which it does.
fn betrayed<'s>(text: &str, secrets: &[&'s str]) -> Option<(&'s str, &'static str)> {
    let readings = readings(text);
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        for (form, read) in &readings {
            let is_there = read
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            if is_there && (*form != "base64" || secret.len() >= SHORTEST_BASE64) {
                return Some((secret, form));
            }
        }
        let hexed = hex::encode(secret);
        if text.contains(&hexed) || text.contains(&hexed.to_uppercase()) {
            return Some((secret, "hex"));
        }
    }
    None
}

/// The text as it stands, and with each kind of writing undone.
fn readings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut readings = vec![("text", text.as_bytes().to_vec())];
    if text.contains(['%', '+']) {
        for text in [text, &text.replace('+', " ")] {
            readings.push(("URL", percent_decode_str(text).collect()));
        }
    }
    if text.contains('\\')
        && let Ok(unescaped) = serde_json::from_str::<String>(&format!("\"{text}\""))
    {
        readings.push(("JSON", unescaped.into_bytes()));
    }
    // Where a text has no letters of its own, the second alphabet is the first.
    let alphabets: &[Alphabet] = if text.contains(['-', '_']) {
        &[STANDARD, URL_SAFE]
    } else {
        &[STANDARD]
    };
    for alphabet in alphabets {
        let engine = GeneralPurpose::new(
            alphabet,
            GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true),
        );
        let letters = alphabet.as_str();
        for run in text.split(|c: char| !letters.contains(c)) {
            // It may begin in the middle of a group.
            for begin in 0..run.len().min(4) {
                let run = &run[begin..];
                let whole = run.len() - usize::from(run.len() % 4 == 1);
                readings.push(("base64", engine.decode(&run[..whole]).unwrap()));
            }
        }
    }
    readings
}

#[test]
fn a_secret_is_recognised_in_every_form() {
    for (text, form) in [
        ("x correct horse", Some("text")),
        ("x correct%20horse", Some("URL")),
        ("x correct+horse", Some("URL")),
        ("x c%6Frrect%20hor%73e", Some("URL")),
        ("x correct\\u0020horse", Some("JSON")),
        ("x 636f727265637420686f727365", Some("hex")),
        ("x 636F727265637420686F727365", Some("hex")),
        ("x Y29ycmVjdCBob3JzZQ==", Some("base64")),
        ("x dXNlcjpjb3JyZWN0IGhvcnNlIQ", Some("base64")),
        ("x correct  horse, incorrect horsE %zz \\u12 QUJD", None),
    ] {
        let found = betrayed(text, &["another", "correct horse"]);
        assert_eq!(found.map(|(_, form)| form), form, "{text}");
    }
}
