//! The reader of policies, over any text.

use lessor::policy::{
    Acl, Capability, Policy,
    internals::{Entry, Node, read_hcl},
};
use serde_json::Value;

use crate::{
    target::Target,
    text::{assert_sentence, text},
};

/// The target.
pub(super) const TARGET: Target = Target {
    name: "policies",
    words: &[
        "\"",
        "{",
        "}",
        "[",
        "]",
        "=",
        ",",
        "\n",
        "\\",
        "/*",
        "*/",
        "#",
        "//",
        "<<",
        "<<-",
        "END",
        "\\u",
        "\\U",
        "+*",
        "+",
        "*",
        "{{",
        "\u{e9}",
        "\u{0}",
        "\u{feff}",
        "-",
        "1e",
        "1.5",
        ":",
        "path",
        "\"path\"",
        "name",
        "capabilities",
        "\"read\"",
        "\"sudo\"",
        "\"deny\"",
        "policy",
        "\"write\"",
        "allowed_parameters",
        "denied_parameters",
        "required_parameters",
        "min_wrapping_ttl",
        "max_wrapping_ttl",
        "\"1h\"",
        "comment",
        "control_group",
        "true",
        "false",
        "null",
        "{\"path\":{\"a\":{",
    ],
    endings: &["refused", "read"],
    cases: 8_000,
    check,
};

#[test]
fn no_text_makes_the_reader_fail_otherwise_than_by_a_sentence() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    let text = text(input);
    let policy = match Policy::parse(&text) {
        Ok(policy) => policy,
        Err(sentence) => {
            // A path or a key of 64 characters twice, escaped, and the words around.
            assert_sentence(&sentence, 1_600);
            return "refused";
        }
    };
    let acl = Acl::of([&policy]);
    assert!(!acl.is_root());
    for path in ["", "a", "a/x/b", "sys/policies/acl/x"] {
        let found = acl.capabilities(path);
        let denied = found == [Capability::Deny];
        assert!(denied || (!found.is_empty() && !found.contains(&Capability::Deny)));
    }
    // Both languages say the same.
    if !text.trim_start().starts_with('{') {
        let entries = read_hcl(&text).unwrap();
        let written = as_json(&Node::Object(entries));
        assert_eq!(Policy::parse(&written).as_ref(), Ok(&policy), "{written}");
    }
    "read"
}

/// A tree as JSON, in which a name may stand several times.
fn as_json(node: &Node) -> String {
    let listed = |items: Vec<String>| items.join(",");
    match node {
        Node::Plain(value) => value.to_string(),
        Node::List(items) => format!("[{}]", listed(items.iter().map(as_json).collect())),
        Node::Object(entries) => {
            let entry = |entry: &Entry| {
                format!(
                    "{}:{}",
                    Value::from(entry.key.as_str()),
                    as_json(&entry.value)
                )
            };
            format!("{{{}}}", listed(entries.iter().map(entry).collect()))
        }
    }
}
