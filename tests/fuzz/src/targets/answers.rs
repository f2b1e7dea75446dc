//! Everything that a guest can answer, judged.
//!
//! Input: the root credential of the call; an id; the credential; the metadata; a
//! message. Each answer of the contract is made of these.

use std::{sync::LazyLock, time::Duration};

use jsonschema::Validator;
use lessor_model::provider::{Failure, FailureClass};
use lessor_sandbox::internals::{Secrets, answer, outcome};
use serde_json::{Value, json};

use super::{
    betrayal::{assert_keeps, secret},
    scrub::assert_document_keeps,
};
use crate::{
    target::Target,
    text::{Sections, assert_sentence, text},
};

/// Bytes of a failure's message, and the mark that it was cut.
const MESSAGE: usize = 2048 + '…'.len_utf8();

/// Shorter secrets may stand in an id.
const TELLING: usize = 8;

/// The target.
pub(super) const TARGET: Target = Target {
    name: "answers",
    words: &[
        "\n--\n",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u00",
        "null",
        "true",
        "1",
        "-1",
        "1e9",
        "1.5",
        "{}",
        "[]",
        "\"username\":",
        "\"password\":",
        "\"keys\":",
        "\"pem\":",
        "\"a\"",
        "app",
        "hunter22",
        "password",
        "%",
        "%20",
        "aHVudGVyMjI",
        "68756e746572",
        "text/plain",
        "/",
        ";",
        "\r\n",
        "\n",
        "\u{7f}",
        "\u{e4}",
        "12345678",
        " ",
        "x",
    ],
    endings: &["no credential", "credential"],
    cases: 1_200,
    check,
};

#[test]
fn an_answer_is_refused_or_holds_what_it_may_and_no_secret() {
    TARGET.replay();
}

/// The schema of the credential and of the config.
static SCHEMA: LazyLock<(Value, Validator)> = LazyLock::new(|| {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": {"type": "string"},
            "password": {"type": "string", "writeOnly": true},
            "keys": {"type": "array", "maxItems": 4, "items": {"$ref": "#/$defs/key"}}
        },
        "required": ["username", "password"],
        "$defs": {"key": {"properties": {"pem": {"type": "string", "writeOnly": true}}}}
    });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    (schema, validator)
});

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut sections = Sections::of(&input);
    let root = secret(sections.next());
    let id = sections.next();
    let data = sections.next();
    let (metadata, message) = (sections.next(), sections.next());

    failure(id, message, &root);
    validation(id, message, &root);
    page(id, message);
    document(id, message, &root);
    rotated(id, data, metadata, &root);
    credential(id, data, metadata, &root)
}

fn failure(code: &str, message: &str, root: &str) {
    let found = answer::Failure {
        class: FailureClass::Denied,
        code: code.to_owned(),
        message: message.to_owned(),
        retry_after_ms: Some(u64::MAX),
    };
    let failure = outcome::failure(found, &of_call(root).scrubber());
    assert_sentence(&failure.message, MESSAGE);
    assert_sentence(&failure.code, 64);
    assert!(failure.retry_after < Some(Duration::from_secs(86_401)));
    // The host's own sentence may be anybody's secret.
    if failure.message != "the provider gave no reason" {
        assert_keeps(&failure.message, &[root]);
    }
    if failure.code != "unnamed" {
        assert_keeps(&failure.code, &[root]);
    }
}

fn validation(identity: &str, warning: &str, root: &str) {
    let found = answer::Validation {
        identity: Some(identity.to_owned()),
        warnings: vec![warning.to_owned(); 40],
    };
    let judged = outcome::validation(found, &of_call(root).scrubber());
    assert!(judged.warnings.len() <= 32);
    for line in judged.warnings.iter().chain(&judged.identity) {
        assert!(line.len() <= MESSAGE && !line.chars().any(char::is_control));
        assert_keeps(line, &[root]);
    }
}

fn page(id: &str, next: &str) {
    let found = answer::Page {
        ids: vec![id.to_owned()],
        next: Some(next.to_owned()),
    };
    match outcome::page(found, &mut Secrets::default()) {
        Ok(page) => page.ids.iter().for_each(|id| assert_id(id, &[])),
        Err(failure) => assert_defect(&failure, &[]),
    }
}

fn document(content_type: &str, body: &str, root: &str) {
    let found = answer::Document {
        content_type: content_type.to_owned(),
        body: [b"\xff".as_slice(), body.as_bytes()].concat(),
        valid_for_s: 1,
    };
    match outcome::document(found, &mut of_call(root)) {
        Ok(document) => {
            assert!(root.len() < TELLING || !body.contains(root));
            http::HeaderValue::from_str(&document.content_type).unwrap();
        }
        Err(failure) => assert_defect(&failure, &[]),
    }
}

fn rotated(id: &str, data: &str, metadata: &str, root: &str) {
    let (schema, validator) = &*SCHEMA;
    let found = answer::Rotated {
        secret: data.to_owned(),
        retires: Some(id.to_owned()),
        metadata: metadata.to_owned(),
    };
    let mut secrets = of_call(root);
    let own = own_secrets(data);
    let room = data.len();
    let rotated = outcome::rotated(
        found,
        room,
        (schema, "config-schema"),
        validator,
        &mut secrets,
    );
    // Kept as it was answered, whatever is wrong with it.
    assert_eq!(rotated.secret.expose(), data);
    assert_eq!(rotated.retires.as_deref(), Some(id));
    match rotated.defect {
        None => {
            let secrets: Vec<&str> = own.iter().map(String::as_str).chain([root]).collect();
            assert_id(id, &[]);
            assert_document_keeps(&rotated.metadata, &secrets);
        }
        Some(failure) => {
            assert_defect(&failure, &own);
            assert_eq!(rotated.metadata, json!({}));
        }
    }
}

fn credential(id: &str, data: &str, metadata: &str, root: &str) -> &'static str {
    let (schema, validator) = &*SCHEMA;
    let found = answer::Credential {
        id: id.to_owned(),
        data: data.to_owned(),
        metadata: metadata.to_owned(),
        expires_in_s: Some(u64::MAX),
        effective_in_s: Some(u32::MAX),
    };
    let mut secrets = of_call(root);
    let own = own_secrets(data);
    match outcome::credential(found, "app", schema, validator, &mut secrets) {
        Ok(credential) => {
            let document: Value = serde_json::from_str(credential.data.expose()).unwrap();
            assert!(document["username"].is_string() && document["password"].is_string());
            assert!(credential.metadata.is_object());
            let secrets: Vec<&str> = own.iter().map(String::as_str).chain([root]).collect();
            assert_document_keeps(&credential.metadata, &secrets);
            assert_id(&credential.id, &secrets);
            "credential"
        }
        Err(failure) => {
            assert_defect(&failure, &own);
            "no credential"
        }
    }
}

/// The secrets of a call whose config is the root credential alone.
fn of_call(root: &str) -> Secrets<'static> {
    let mut secrets = Secrets::default();
    secrets.add(root.as_bytes());
    secrets
}

/// The secrets that the schema marks, looked up by hand.
fn own_secrets(data: &str) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(data) else {
        return Vec::new();
    };
    let keys = document["keys"].as_array().into_iter().flatten();
    keys.map(|key| &key["pem"])
        .chain([&document["password"]])
        .filter_map(Value::as_str)
        .filter(|own| *own == secret(own))
        .map(str::to_owned)
        .collect()
}

fn assert_id(id: &str, secrets: &[&str]) {
    assert!((1..=512).contains(&id.len()) && !id.chars().any(char::is_control));
    let mut telling = secrets.iter().filter(|secret| secret.len() >= TELLING);
    assert!(!telling.any(|secret| id.contains(*secret)), "{id:?}");
}

/// The host's message about a wrong answer is a sentence without its secrets.
#[track_caller]
fn assert_defect(failure: &Failure, own: &[String]) {
    assert_sentence(&failure.message, 4 * MESSAGE);
    // A digit that no sentence of the host has: its own words are nobody's secret.
    let telling = own.iter().map(String::as_str);
    let telling = telling.filter(|own| own.len() >= 8 && own.contains('7'));
    assert_keeps(&failure.message, &telling.collect::<Vec<_>>());
}
