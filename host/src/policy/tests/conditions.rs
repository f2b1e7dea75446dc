//! Conditions of rules on a request's fields and on the wrapping of its answer.

use serde_json::json;

use super::*;

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => panic!("not an object"),
    }
}

/// Each case: fields, and whether an update with them is allowed.
fn check_fields(rules: &[&str], cases: &[(Value, bool)]) {
    let texts: Vec<String> = rules
        .iter()
        .map(|rule| format!("path \"a\" {{ capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\"]\n{rule} }}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut backwards = texts.clone();
    backwards.reverse();
    for (given, expected) in cases {
        for texts in [&texts, &backwards] {
            for name in ["update", "create", "patch", "read"] {
                let decision = acl(texts).decide(&Question {
                    path: "a",
                    capability: capability(name),
                    fields: &fields(given.clone()),
                    wrap_ttl: None,
                });
                assert_eq!(decision.allowed, *expected, "{given} of {texts:?}");
            }
            // An operation without fields of its own is not held to conditions on fields.
            assert!(decide(&acl(texts), "delete", "a").allowed);
        }
    }
}

#[test]
fn required_fields_must_be_there() {
    check_fields(
        &[r#"required_parameters = ["name", "userId"]"#],
        &[
            (json!({}), false),
            (json!({"name": 1}), false),
            (json!({"name": null, "userId": ""}), true),
            (json!({"name": 1, "userid": 1}), true),
            (json!({"Name": 1, "userId": 1}), false),
            (json!({"name": 1, "userId": 1, "more": 1}), true),
        ],
    );
    check_fields(
        &[
            r#"required_parameters = ["x"]"#,
            r#"required_parameters = ["y"]"#,
            "",
        ],
        &[
            (json!({"x": 1}), false),
            (json!({"y": 1}), false),
            (json!({"x": 1, "y": 1}), true),
        ],
    );
}

#[test]
fn only_allowed_fields_pass() {
    check_fields(
        &[r#"allowed_parameters = { "foo" = [] "bar" = ["zip", "zap"] }"#],
        &[
            (json!({}), true),
            (json!({"foo": "anything"}), true),
            (json!({"foo": null}), true),
            (json!({"bar": "zip"}), true),
            (json!({"BAR": "zap"}), true),
            (json!({"bar": "zop"}), false),
            (json!({"bar": "Zip"}), false),
            (json!({"bar": null}), false),
            (json!({"bar": ["zip"]}), false),
            (json!({"baz": 1}), false),
            (json!({"foo": 1, "baz": 1}), false),
        ],
    );
    check_fields(
        &[r#"allowed_parameters = { "*" = [], "bar" = [false] }"#],
        &[
            (json!({"any": true}), true),
            (json!({"bar": false}), true),
            (json!({"bar": true}), false),
            (json!({"bar": "false"}), false),
            (json!({"bar": false, "any": 1}), true),
        ],
    );
    check_fields(&["allowed_parameters = {}"], &[(json!({"any": 1}), true)]);
}

#[test]
fn denied_fields_do_not_pass() {
    check_fields(
        &[r#"denied_parameters = { "ttl" = [], "Policy" = ["admin"] }"#],
        &[
            (json!({}), true),
            (json!({"ttl": 1}), false),
            (json!({"TTL": null}), false),
            (json!({"policy": "admin"}), false),
            (json!({"policy": "other"}), true),
            (json!({"any": 1}), true),
        ],
    );
    check_fields(
        &[r#"denied_parameters = { "*" = [] }"#],
        &[(json!({}), true), (json!({"any": 1}), false)],
    );
    check_fields(
        &[r#"allowed_parameters = { "a" = [] } denied_parameters = { "a" = ["x"] }"#],
        &[
            (json!({"a": "y"}), true),
            (json!({"a": "x"}), false),
            (json!({"b": "y"}), false),
        ],
    );
    check_fields(
        &[r#"allowed_parameters = { "*" = [] } denied_parameters = { "*" = [] }"#],
        &[(json!({"a": 1}), false)],
    );
}

#[test]
fn values_are_compared_by_kind_and_ends() {
    check_fields(
        &[r#"allowed_parameters = {
            "begins" = ["foo-*"]
            "ends" = ["*-foo"]
            "within" = ["*foo*"]
            "star" = ["*"]
            "empty" = [""]
            "number" = [1, 2.5]
            "map" = [{"good" = "one"}]
            "list" = [["a", 1]]
        }"#],
        &[
            (json!({"begins": "foo-"}), true),
            (json!({"begins": "foo-bar,baz"}), true),
            (json!({"begins": "a-foo-bar"}), false),
            (json!({"ends": "a-foo"}), true),
            (json!({"ends": "a-foob"}), false),
            (json!({"within": "afoob"}), true),
            (json!({"within": "afob"}), false),
            (json!({"star": "*"}), true),
            (json!({"star": "x"}), false),
            (json!({"empty": ""}), true),
            (json!({"empty": "x"}), false),
            (json!({"number": 1}), true),
            (json!({"number": 1.0}), true),
            (json!({"number": 2.5}), true),
            (json!({"number": 2}), false),
            (json!({"number": "1"}), false),
            (json!({"map": {"good": "one"}}), true),
            (json!({"map": {"good": "two"}}), false),
            (json!({"list": ["a", 1]}), true),
            (json!({"list": ["a"]}), false),
        ],
    );
    check_fields(
        &[r#"denied_parameters = { "a" = ["**"] }"#],
        &[(json!({"a": ""}), false), (json!({"a": 1}), true)],
    );
}

#[test]
fn conditions_of_several_rules_are_merged() {
    check_fields(
        &[
            r#"allowed_parameters = { "a" = ["x"] }"#,
            r#"allowed_parameters = { "a" = ["y"], "b" = [] }"#,
        ],
        &[
            (json!({"a": "x"}), true),
            (json!({"a": "y", "b": 1}), true),
            (json!({"a": "z"}), false),
            (json!({"c": 1}), false),
        ],
    );
    check_fields(
        &[
            r#"allowed_parameters = { "a" = ["x"] }"#,
            r#"allowed_parameters = { "a" = [] }"#,
        ],
        &[(json!({"a": "z"}), true), (json!({"b": "z"}), false)],
    );
    check_fields(
        &[
            r#"denied_parameters = { "a" = ["x"] }"#,
            r#"denied_parameters = { "a" = [] }"#,
        ],
        &[(json!({"a": "z"}), false), (json!({"b": "z"}), true)],
    );
    check_fields(
        &[
            r#"denied_parameters = { "a" = ["x"] }"#,
            r#"denied_parameters = { "a" = ["y"] }"#,
        ],
        &[
            (json!({"a": "x"}), false),
            (json!({"a": "y"}), false),
            (json!({"a": "z"}), true),
        ],
    );
    // A rule without conditions does not lift the conditions of another rule.
    check_fields(
        &[r#"allowed_parameters = { "a" = [] }"#, ""],
        &[(json!({"a": 1}), true), (json!({"b": 1}), false)],
    );
}

#[test]
fn answers_are_wrapped_as_long_as_is_asked() {
    for (rules, cases) in [
        (
            &["min_wrapping_ttl = \"1s\" max_wrapping_ttl = 90"][..],
            &[
                (None, false),
                (Some(0), false),
                (Some(1), true),
                (Some(90), true),
                (Some(91), false),
            ][..],
        ),
        (
            &["min_wrapping_ttl = 300"],
            &[(None, false), (Some(299), false), (Some(1000), true)],
        ),
        (
            &["max_wrapping_ttl = 300"],
            &[(None, false), (Some(0), true), (Some(301), false)],
        ),
        (
            &["min_wrapping_ttl = 0 max_wrapping_ttl = \"0s\""],
            &[(None, true), (Some(5), true)],
        ),
        (&[""], &[(None, true), (Some(5), true)]),
        // The lesser of each bound.
        (
            &[
                "min_wrapping_ttl = 100 max_wrapping_ttl = 300",
                "min_wrapping_ttl = 50 max_wrapping_ttl = 200",
                "",
            ],
            &[
                (None, false),
                (Some(49), false),
                (Some(50), true),
                (Some(200), true),
                (Some(201), false),
            ],
        ),
        // Bounds that exclude each other leave nothing.
        (
            &["min_wrapping_ttl = 100", "max_wrapping_ttl = 50"],
            &[
                (None, false),
                (Some(40), false),
                (Some(75), false),
                (Some(120), false),
            ],
        ),
    ] {
        let texts: Vec<String> = rules
            .iter()
            .map(|rule| format!("path \"a\" {{ capabilities = [\"list\", \"update\"] {rule} }}"))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (seconds, expected) in cases {
            for capability in [Capability::List, Capability::Update] {
                let decision = acl(&texts).decide(&Question {
                    path: "a",
                    capability,
                    fields: &Map::new(),
                    wrap_ttl: seconds.map(Duration::from_secs),
                });
                assert_eq!(decision.allowed, *expected, "{seconds:?} of {rules:?}");
            }
        }
    }
}
