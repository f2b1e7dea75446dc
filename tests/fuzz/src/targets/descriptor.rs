//! A component's description of itself: refused with a sentence, or fit to be trusted without
//! another look.
//!
//! Input: name; version; summary; endpoints, one a line; names of publications,
//! one a line; a schema, which is every schema; the dialect, a path a line with what
//! it stands for, its method, and words as `name=theirs:form`. The first bytes of the input are
//! also taken for a component's, and its lines for names of imports.

use lessor_model::{
    dialect::{Draft, DraftWord, Method},
    provider::{Abilities, Privilege, RevocationShape},
    schema::Checker,
};
use lessor_sandbox::{
    internals::{answer, check_descriptor, check_header, check_version},
    plugin_store::PluginError,
};
use serde_json::{Value, json};

use crate::{
    target::Target,
    text::{Sections, assert_sentence, text},
};

/// Bytes of a refusal: 200 characters of foreign text, escaped, and the words
/// around.
const SENTENCE: usize = 2_400;

/// The target.
pub(super) const TARGET: Target = Target {
    name: "descriptor",
    words: &[
        "\n--\n",
        "\n",
        "a",
        "1.2.3",
        "-rc.1",
        "+",
        "0",
        ".",
        "tcp://",
        "https://",
        "http://",
        "{host}",
        ":{port}",
        "{",
        "}",
        "*",
        "[",
        "]",
        "config",
        "creds/",
        "crl/",
        "..",
        "/",
        "\"type\":",
        "\"object\"",
        "\"required\":[\"a\"]",
        "\"properties\":{",
        "\"a\":{}",
        "\"$ref\":\"#\"",
        "\"$ref\":\"#/$defs/a\"",
        "\"$defs\":{",
        "\"allOf\":[",
        "\"anyOf\":[",
        "\"not\":",
        "\"pattern\":\"",
        "(a|b)*",
        "{1,999}",
        "\\\\p{L}",
        "\"additionalProperties\":",
        "\"unevaluatedProperties\":false",
        "\"$id\":\"x\"",
        "\"$schema\":\"",
        "\"$anchor\":\"a\"",
        "\"$dynamicRef\":\"#a\"",
        "\"format\":",
        "\"writeOnly\":true",
        "true",
        "false",
        "null",
        "-1",
        "1e400",
        "sts/{role} issue GET ",
        "config/a write-config POST ",
        "roles/{role} read-role ",
        "config/b write-ttls POST ",
        "{connection}",
        "a=a.b:list",
        "=default_lease_ttl:duration",
        "lessor:provider/x@0.2.0",
        "\u{0}asm",
        "\u{e4}",
    ],
    endings: &["refused", "trusted"],
    cases: 2_000,
    check,
};

#[test]
fn a_descriptor_is_refused_by_a_sentence_or_can_be_trusted() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    if let Err(error) = check_header(input) {
        assert_sentence(&error.to_string(), SENTENCE);
    }
    let input = text(input);
    for name in input.lines().take(4) {
        // Other names were refused with the component.
        let is_name = name.bytes().all(|byte| byte.is_ascii_graphic());
        if let (true, Err(error)) = (is_name, check_version(name)) {
            assert_sentence(&error.to_string(), name.len() + SENTENCE);
        }
    }
    let mut sections = Sections::of(&input);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (name, version, summary) = (sections.next(), sections.next(), sections.next());
    let endpoints = lines(sections.next());
    let publication = lines(sections.next());
    let schema = sections.next();
    let found = answer::Descriptor {
        name: name.to_owned(),
        version: version.to_owned(),
        summary: summary.to_owned(),
        config_schema: schema.to_owned(),
        role_schema: schema.to_owned(),
        request_schema: schema.to_owned(),
        credential_schema: schema.to_owned(),
        endpoints: endpoints.clone(),
        name_limit: 63,
        revocation: RevocationShape::Deletes,
        privileges: vec![Privilege {
            purpose: String::from("issue"),
            names: vec![String::from("CREATEROLE")],
        }],
        propagation_s: 0,
        dialect: drafts(sections.next()),
    };
    let abilities = Abilities {
        publication: publication.clone(),
        ..Abilities::default()
    };
    let (descriptor, checks) = match check_descriptor(found, abilities) {
        Ok(trusted) => trusted,
        Err(error) => {
            assert!(matches!(error, PluginError::Descriptor { .. }));
            assert_sentence(&error.to_string(), SENTENCE);
            return "refused";
        }
    };
    // Names become parts of paths, of rows and of lines of the log.
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(!descriptor.name.is_empty() && descriptor.name.len() <= 64 && plain(name));
    assert!(plain(version) && version.split(['.', '-', '+']).count() >= 3);
    assert!(summary.len() <= 256 && !summary.contains('\n'));
    assert!(endpoints.iter().all(|endpoint| plain(endpoint)));
    for path in &publication {
        let path = path.strip_suffix('/').unwrap_or(path);
        assert!(plain(path) && !path.is_empty());
        assert!(path.split('/').all(|part| !["", ".", ".."].contains(&part)));
    }
    for alias in descriptor.dialect.aliases() {
        let path = alias.path.to_string();
        assert!(plain(&path) && path.split('/').all(|part| !["", ".", ".."].contains(&part)));
        assert!(!alias.methods.is_empty());
        let sent = json!({"a": {"b": 1}, "default_lease_ttl": 3600, "b": [1]});
        let Value::Object(sent) = sent else { continue };
        match alias.inward(sent) {
            Ok(mut taken) => alias.outward(&mut taken.fields),
            Err(sentence) => assert_sentence(&sentence, SENTENCE),
        }
        assert_sentence(&alias.in_words("role.a_b must be a string"), SENTENCE);
    }
    // An answer is always checked for something, and no schema that a mount
    // takes is one that only the host's own checker would refuse.
    assert!(!checks.credential.is_valid(&json!({})));
    assert!(descriptor.credential_schema["required"].is_array());
    Checker::new(&descriptor.credential_schema).unwrap();
    let _ = checks
        .config
        .is_valid(&json!({"a": {"a": [{"a": "aaaa"}]}, "b": Value::Null}));
    "trusted"
}

/// Aliases, one a line.
fn drafts(text: &str) -> Vec<Draft> {
    let draft = |line: &str| {
        let mut parts = line.split(' ');
        let mut next = || parts.next().unwrap_or_default();
        let (path, stands_for) = (next().to_owned(), next().to_owned());
        let method = match next() {
            "GET" => Method::Get,
            "LIST" => Method::List,
            "DELETE" => Method::Delete,
            _ => Method::Post,
        };
        let words = parts.map(|word| {
            let (name, theirs) = word.split_once('=').unwrap_or((word, word));
            let (theirs, form) = theirs.split_once(':').unwrap_or((theirs, ""));
            DraftWord {
                name: name.to_owned(),
                stands_for: theirs.to_owned(),
                form: form.to_owned(),
            }
        });
        let words: Vec<DraftWord> = words.collect();
        Draft {
            path,
            methods: vec![method],
            stands_for,
            summary: String::from("A path."),
            takes: words.clone(),
            gives: words,
            sets: Vec::new(),
            tells: vec![(String::from("told"), json!(line).to_string())],
        }
    };
    text.lines().map(draft).collect()
}
