//! Texts: the same in both languages, refused with one sentence, and bounded.

use super::*;

#[test]
fn json_says_the_same_as_hcl() {
    let hcl = r#"
        name = "both"
        path "a/*" {
            policy = "read"
            comment = "why"
            allowed_parameters = { "x" = ["y", 1] }
            required_parameters = ["x"]
            min_wrapping_ttl = "1m"
        }
        path "b" { capabilities = ["sudo"] }
        path "b" { capabilities = ["read"] }
    "#;
    let json = r#"{
        "name": "both",
        "path": {
            "a/*": {
                "policy": "read",
                "comment": "why",
                "allowed_parameters": {"x": ["y", 1]},
                "required_parameters": ["x"],
                "min_wrapping_ttl": "1m"
            },
            "b": {"capabilities": ["sudo"]},
            "b": {"capabilities": ["read"]}
        }
    }"#;
    let listed = r#"{"path": [
        {"a/*": [{"policy": "read", "comment": "why", "allowed_parameters": [{"x": ["y", 1]}],
            "required_parameters": ["x"], "min_wrapping_ttl": 60}]},
        {"b": {"capabilities": ["sudo"]}},
        {"b": {"capabilities": ["read"]}}
    ]}"#;
    let expected = Policy::parse(hcl).unwrap();
    assert_eq!(Policy::parse(json).unwrap(), expected);
    assert_eq!(Policy::parse(listed).unwrap(), expected);
}

#[test]
fn what_is_no_policy_is_refused_with_one_sentence() {
    for (text, sentence) in [
        ("bad = 1", "line 1: bad is not known: known are name, path"),
        (
            "\nnames = \"x\"",
            "line 2: names is not known: did you mean \"name\"?",
        ),
        ("name {}", "line 1: name must be a string"),
        (
            "path = 1",
            "line 1: path must be followed by a path in quotes and a block",
        ),
        (
            "path {\n capabilities = [] }",
            "line 2: path \"capabilities\": a block in braces must follow",
        ),
        (
            "path \"x\" {\n capabilites = [] }",
            "line 2: path \"x\": capabilites is not known: did you mean \"capabilities\"?",
        ),
        (
            r#"path "x" { capabilities = ["raed"] }"#,
            "line 1: path \"x\": the capability \"raed\" is not known: did you mean \"read\"?",
        ),
        (
            r#"path "x" { capabilities = "read" }"#,
            "line 1: path \"x\": capabilities must be a list of strings",
        ),
        (
            r#"path "x" { capabilities = ["read", 1] }"#,
            "line 1: path \"x\": capabilities must be a list of strings",
        ),
        (
            r#"path "x" { policy = "banana" }"#,
            "line 1: path \"x\": the short form policy = \"banana\" is not known: known are deny, read, write, sudo",
        ),
        (
            r#"path "x" { policy = [] }"#,
            "line 1: path \"x\": policy must be a string",
        ),
        (
            "path \"x\" { policy = \"read\"\n policy = \"write\" }",
            "line 2: path \"x\": policy stands twice",
        ),
        (
            r#"path "x" { policy = "read" min_wrapping_ttl = 2 max_wrapping_ttl = "1s" }"#,
            "line 1: path \"x\": max_wrapping_ttl must not be less than min_wrapping_ttl",
        ),
        (
            r#"path "x" { min_wrapping_ttl = "soon" }"#,
            "line 1: path \"x\": min_wrapping_ttl is not a duration: write seconds as a number, or text such as \"90s\", \"1h30m\" or \"1d\"",
        ),
        (
            r#"path "x" { allowed_parameters = ["a"] }"#,
            "line 1: path \"x\": allowed_parameters must be an object with a list of values by each name; [] is any value",
        ),
        (
            r#"path "x" { denied_parameters = { a = "b" } }"#,
            "line 1: path \"x\": denied_parameters must be an object with a list of values by each name; [] is any value",
        ),
        (
            r#"path "x" { denied_parameters = { a = [], A = ["b"] } }"#,
            "line 1: path \"x\": the field \"A\" stands twice",
        ),
        (
            r#"path "x" { required_parameters = { a = [] } }"#,
            "line 1: path \"x\": required_parameters must be a list of strings",
        ),
        (
            r#"path "x" { pagination_limit = 5 }"#,
            "line 1: path \"x\": pagination_limit is not available, and without it the rule would allow more than it says",
        ),
        (
            r#"path "x" { control_group = { ttl = "4h" } }"#,
            "line 1: path \"x\": control_group is not available, and without it the rule would allow more than it says",
        ),
        (
            r#"path "x/+*" {}"#,
            "line 1: path \"x/+*\": `+*` is no wildcard: write `+/*` for all below any segment",
        ),
        (
            r#"path "x/{{identity.entity.id}}/*" {}"#,
            "line 1: path \"x/{{identity.entity.id}}/*\": templates ({{…}}) are not available: write the path out",
        ),
        (r#"{"bad": 1}"#, "bad is not known: known are name, path"),
        (
            r#"{"path": {"x": {"capabilities": ["raed"]}}}"#,
            "path \"x\": the capability \"raed\" is not known: did you mean \"read\"?",
        ),
        (
            r#"{"path": {"x": []}}"#,
            "path \"x\": a block in braces must follow",
        ),
        (
            r#"{"path": }"#,
            "the policy begins with { and is not JSON (line 1, column 10)",
        ),
    ] {
        assert_eq!(Policy::parse(text).unwrap_err(), sentence, "{text}");
    }
}

#[test]
fn a_hostile_text_is_refused_soon() {
    let long = format!("# {}", "x".repeat(LONGEST));
    assert!(
        Policy::parse(&long)
            .unwrap_err()
            .contains("longer than 256 KiB")
    );
    let many = LONGEST / 8;
    for text in [
        format!(
            "path \"x\" {{ allowed_parameters = {{ a = {}",
            "[".repeat(many)
        ),
        format!("path \"x\" {}", "{ a ".repeat(many)),
        format!("{{\"path\": {}", "[".repeat(many)),
        format!("{{\"a\":{}", "{\"a\":".repeat(many / 2)),
    ] {
        let sentence = Policy::parse(&text).unwrap_err();
        assert!(
            sentence.ends_with("the policy is nested deeper than 16 levels"),
            "{sentence}"
        );
    }
}

#[test]
fn as_many_rules_as_fit_are_merged_and_asked_soon() {
    let mut text = String::new();
    for number in 0.. {
        let rule = format!(
            "path \"a/+/{number}*\" {{policy=\"read\" required_parameters=[\"{number}\"]}}\n"
        );
        if text.len() + rule.len() > LONGEST {
            break;
        }
        text.push_str(&rule);
    }
    let policy = Policy::parse(&text).unwrap();
    let acl = Acl::of([&policy, &policy]);
    assert!(decide(&acl, "list", "a/b/77x").allowed);
    assert!(!decide(&acl, "list", "a/b/x").allowed);
}
