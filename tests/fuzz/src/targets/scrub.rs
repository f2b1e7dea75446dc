//! Texts that hold secrets in every form, masked.
//!
//! Input: two secrets; a text in which `<a>` stands for the first one and `<b>`
//! for the second, `<a:hex>` and so on for one of their forms.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use lessor_sandbox::internals::{MASK, Room, Scrubber, Secrets};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::betrayal::{assert_keeps, secret};
use crate::{
    target::Target,
    text::{Sections, text},
};

/// The characters that a browser leaves as they are in a query, near enough.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b'&').add(b'+');

/// The target.
pub(super) const TARGET: Target = Target {
    name: "scrub",
    words: &[
        "\n--\n",
        "<a>",
        "<b>",
        "<a:hex>",
        "<a:HEX>",
        "<a:base64>",
        "<b:base64>",
        "<a:base64url>",
        "<a:url>",
        "<b:url>",
        "<a:query>",
        "<a:form>",
        "<a:json>",
        "<b:json>",
        "<a:ascii>",
        "\n",
        "\r",
        "\t",
        " ",
        "%",
        "%2",
        "%20",
        "+",
        "\\",
        "\\u00",
        "\\\"",
        "\"",
        "=",
        "\u{e4}",
        "\u{1f511}",
        "-----BEGIN X-----\n",
        "p%41ss",
        "AAAA",
        "0000",
        "\u{0}",
        "\u{fffd}",
        "\u{85}",
    ],
    endings: &["nothing to mask", "masked"],
    cases: 120,
    check,
};

#[test]
fn no_form_of_a_secret_is_left_in_a_text() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut sections = Sections::of(&input);
    let (first, second) = (secret(sections.next()), secret(sections.next()));
    let mut text = sections.next().to_owned();
    for (name, secret) in [("a", &first), ("b", &second)] {
        for (form, written) in forms(secret) {
            text = text.replace(&format!("<{name}{form}>"), &written);
        }
    }
    let mut secrets = Secrets::default();
    secrets.add(first.as_bytes());
    secrets.add(second.as_bytes());
    let scrubber = secrets.scrubber();

    let scrubbed = scrubber.scrub(&text);
    let line = scrubber.line(&text, 200);
    assert!(line.len() <= 200 + '…'.len_utf8(), "{}", line.len());
    assert!(!line.chars().any(char::is_control), "{line:?}");
    let both = [first.as_str(), &second];
    assert_keeps(&scrubbed, &both);
    assert_keeps(&line, &both);
    for secret in both {
        // A key is also shown line by line.
        for part in secret.lines().map(str::trim) {
            if secret.contains('\n') && part.len() >= 16 && !part.starts_with("-----") {
                assert!(!scrubbed.contains(part), "{part:?} in {scrubbed:?}");
            }
        }
    }
    let fitted = secrets.scrubber_for(Room::of(&Value::String(text.clone())));
    // A search that was too much may be less where not all has to be looked for.
    if scrubbed != MASK {
        assert_eq!(fitted.scrub(&text), scrubbed, "{text:?}");
    }
    keeps_json(&scrubber, &text, &both);
    if scrubbed == text {
        "nothing to mask"
    } else {
        "masked"
    }
}

/// The ways in which programs write a text.
fn forms(secret: &str) -> [(&'static str, String); 11] {
    let quoted = serde_json::to_string(secret).unwrap();
    let ascii: String = secret
        .encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    [
        ("", secret.to_owned()),
        (":hex", hex::encode(secret)),
        (":HEX", hex::encode_upper(secret)),
        (":base64", STANDARD.encode(secret)),
        (":base64url", URL_SAFE_NO_PAD.encode(secret)),
        (":basic", STANDARD.encode(format!("user:{secret}"))),
        (
            ":url",
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        ),
        (":query", utf8_percent_encode(secret, QUERY).to_string()),
        (
            ":form",
            utf8_percent_encode(secret, NON_ALPHANUMERIC)
                .to_string()
                .replace("%20", "+"),
        ),
        (":json", quoted[1..quoted.len() - 1].to_owned()),
        (":ascii", ascii),
    ]
}

/// Texts and names of a JSON document are masked, and numbers that are secret.
fn keeps_json(scrubber: &Scrubber, text: &str, secrets: &[&str]) {
    let mut document = json!({"list": [text, {}]});
    if let Ok(number) = serde_json::from_str::<serde_json::Number>(text) {
        document["number"] = Value::Number(number);
    }
    document[text] = Value::Bool(true);
    assert_document_keeps(&scrubber.scrub_json(document), secrets);
}

/// Fails where a text, a name or a number of the document gives a secret away.
#[track_caller]
pub(super) fn assert_document_keeps(document: &Value, secrets: &[&str]) {
    match document {
        Value::String(text) => assert_keeps(text, secrets),
        Value::Number(number) => assert_keeps(&number.to_string(), secrets),
        Value::Array(items) => items
            .iter()
            .for_each(|item| assert_document_keeps(item, secrets)),
        Value::Object(members) => {
            for (name, member) in members {
                assert_keeps(name, secrets);
                assert_document_keeps(member, secrets);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
