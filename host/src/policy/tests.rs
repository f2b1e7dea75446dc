//! The specification of `policy`, case by case, and what is no policy.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;

fn acl(texts: &[&str]) -> Acl {
    let policies: Vec<Policy> = texts
        .iter()
        .map(|text| Policy::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect();
    Acl::of(&policies)
}

fn capability(name: &str) -> Capability {
    let found = Capability::ALL
        .into_iter()
        .find(|known| known.as_str() == name);
    found.unwrap()
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => panic!("not an object"),
    }
}

fn decide(acl: &Acl, name: &str, path: &str) -> Decision {
    acl.decide(&Question {
        path,
        capability: capability(name),
        fields: &Map::new(),
        wrap_ttl: None,
    })
}

/// Each line: `capability path`, with `+` before it where it is allowed, `-`
/// where it is not, and `s` behind that where the rule grants sudo.
fn check(texts: &[&str], cases: &str) {
    let acl = acl(texts);
    for case in cases.lines().map(str::trim).filter(|case| !case.is_empty()) {
        let words: Vec<&str> = case.split_whitespace().collect();
        let [sign, name, path] = words[..] else {
            panic!("{case}");
        };
        let expected = Decision {
            allowed: sign.starts_with('+'),
            sudo: sign.ends_with('s'),
        };
        assert_eq!(decide(&acl, name, path), expected, "{case} of {texts:?}");
    }
}

#[test]
fn nothing_is_allowed_that_no_rule_grants() {
    check(&[], "- read a\n- sudo a\n- deny a");
    check(
        &[""],
        "- read a
         - list a/",
    );
    check(&[r#"path "a" {}"#], "- read a\n- deny a");
}

#[test]
fn paths_are_exact_or_prefixes() {
    check(
        &[r#"
            path "secret/foo" { capabilities = ["read"] }
            path "secret/bar/*" { capabilities = ["read"] }
            path "secret/zip-*" { capabilities = ["read"] }
            path "/led" { capabilities = ["read"] }
            path "mid/*/dle" { capabilities = ["read"] }
        "#],
        "+ read secret/foo
         - read secret/food
         - read secret/foo/bar
         - read secret/fo
         - update secret/foo
         - list secret/foo
         + read secret/bar/zip
         + read secret/bar/zip/zap
         + read secret/bar/
         - read secret/bar
         - read secret/bars/zip
         + read secret/zip-zap
         + read secret/zip-zap/zong
         - read secret/zip/zap
         + read led
         + read /led
         + read mid/*/dle
         - read mid/x/dle",
    );
}

#[test]
fn a_plus_is_one_segment() {
    check(
        &[r#"
            path "secret/+/teamb" { capabilities = ["read"] }
            path "kv/+/+/teamb" { capabilities = ["read"] }
            path "top/+" { capabilities = ["read"] }
            path "end/+/" { capabilities = ["read"] }
            path "deep/+/x*" { capabilities = ["read"] }
            path "all/+/*" { capabilities = ["read"] }
        "#],
        "+ read secret/a/teamb
         - read secret/teamb
         - read secret/a/b/teamb
         - read secret/a/teamb/c
         + read kv/a/b/teamb
         - read kv/a/teamb
         + read top/a
         + read top/
         - read top
         - read top/a/
         - read top/a/b
         + read end/a/
         - read end/a
         + read deep/a/x
         + read deep/a/xy/z
         - read deep/a/y
         - read deep/a
         + read all/a/
         + read all/a/b/c
         - read all/a",
    );
    check(
        &[r#"path "+" { capabilities = ["read"] }"#],
        "+ read a\n- read a/b",
    );
}

/// Each pair: of two patterns that match, the second one counts.
#[test]
fn the_pattern_of_highest_priority_counts_alone() {
    for (lower, higher, path) in [
        // Exact before any wildcard.
        ("secret/*", "secret/a", "secret/a"),
        ("+/a", "secret/a", "secret/a"),
        // 1. The first wildcard stands later.
        ("*", "a*", "ab/c"),
        ("a/*", "a/b/*", "a/b/c"),
        ("+/*", "foo/+/*", "foo/a/b"),
        ("foo/+/bar/baz", "foo/bar/+/baz", "foo/bar/bar/baz"),
        ("foo/+", "foo/b*", "foo/bar"),
        ("foo/+/c", "foo/bar/*", "foo/bar/c"),
        ("a/*", "a/+x*", "a/+xy"),
        // 2. It does not end in `*`.
        ("foo/*", "foo/+", "foo/bar"),
        ("foo/*", "foo/+/+", "foo/a/b"),
        ("foo/+/ba*", "foo/+/bar", "foo/a/bar"),
        ("foo/+/b*", "foo/+/+", "foo/a/bar"),
        ("*", "+", "a"),
        // 3. Fewer `+`.
        ("secret/+/+/foo/*", "secret/*", "secret/a/b/foo/c"),
        ("+/*", "*", "foo/bar/baz"),
        ("foo/+/+/baz", "foo/+/bar/baz", "foo/a/bar/baz"),
        ("foo/+/+/*", "foo/+/bar/*", "foo/a/bar/b"),
        // 4. Longer.
        ("foo/+/b*", "foo/+/ba*", "foo/a/bar"),
        ("foo/+/*", "foo/+/b*", "foo/a/bar"),
        // 5. Greater.
        ("a/+/+/c/d/*", "a/+/b/+/d/*", "a/x/b/c/d/e"),
    ] {
        let lower_text = format!(r#"path "{lower}" {{ capabilities = ["read", "sudo"] }}"#);
        let higher_text = format!(r#"path "{higher}" {{ capabilities = ["update"] }}"#);
        let alone = acl(&[&lower_text]);
        assert!(decide(&alone, "read", path).allowed, "{lower} {path}");
        for texts in [[&lower_text, &higher_text], [&higher_text, &lower_text]] {
            let both = acl(&[texts[0], texts[1]]);
            let (read, update) = (decide(&both, "read", path), decide(&both, "update", path));
            assert!(update.allowed, "{lower} {higher} {path}");
            assert!(!read.allowed && !read.sudo, "{lower} {higher} {path}");
        }
    }
}

#[test]
fn a_denial_of_lower_priority_does_not_reach_further() {
    check(
        &[r#"
            path "foo/metadata/*" { capabilities = ["list", "scan"] }
            path "foo/metadata/private/*" { capabilities = ["deny"] }
            path "foo/metadata/private/granted/*" { capabilities = ["list", "scan"] }
        "#],
        "- list foo/
         + list foo/metadata/
         + scan foo/metadata/test/
         - list foo/metadata/private/
         - scan foo/metadata/private/internal/
         + list foo/metadata/private/granted/
         + scan foo/metadata/private/granted/test/",
    );
}

#[test]
fn lists_are_met_with_and_without_the_slash() {
    check(
        &[r#"
            path "a" { capabilities = ["list", "read"] }
            path "b/" { capabilities = ["list", "read"] }
            path "b" { capabilities = ["scan"] }
            path "c*" { capabilities = ["list"] }
            path "d/+" { capabilities = ["list"] }
            path "e/*" { capabilities = ["list"] }
            path "+/f" { capabilities = ["list"] }
        "#],
        "+ list a/
         + list a
         - read a/
         + read a
         + list b/
         - list b
         - scan b/
         + scan b
         + read b/
         + list c/
         + list cd/
         + list d/
         + list d/x/
         - list d/x/y/
         + list e/
         - list e
         + list e/x/
         + list x/f/
         - delete x/f/",
    );
}

#[test]
fn each_capability_is_its_own() {
    for granted in Capability::ALL {
        let text = format!(r#"path "a" {{ capabilities = ["{}"] }}"#, granted.as_str());
        let acl = acl(&[&text]);
        for asked in Capability::ALL {
            let decision = decide(&acl, asked.as_str(), "a");
            let expected = granted == asked && asked != Capability::Deny;
            assert_eq!(decision.allowed, expected, "{granted:?} {asked:?}");
            assert_eq!(decision.sudo, granted == Capability::Sudo);
        }
    }
}

#[test]
fn short_forms_stand_for_capabilities() {
    check(
        &[r#"
            path "none" { policy = "deny" }
            path "read" { policy = "read" }
            path "write" { policy = "write" }
            path "sudo" { policy = "sudo" }
            path "more" { policy = "read" capabilities = ["update", "sudo"] }
            path "less" { capabilities = ["read", "sudo"], policy = "deny" }
        "#],
        "- read none
         + read read
         + list read
         - update read
         + create write
         + read write
         + update write
         + delete write
         + list write
         - patch write
         - sudo write
         +s create sudo
         +s list sudo
         -s patch sudo
         +s read more
         +s update more
         -s create more
         - read less
         - sudo less",
    );
}

#[test]
fn rules_of_one_pattern_count_together() {
    check(
        &[
            r#"
                path "a" { capabilities = ["read"] }
                path "/a" { capabilities = ["update"] }
                path "b/*" { capabilities = ["read"] }
                path "c/+" { capabilities = ["read", "sudo"] }
                path "d" { capabilities = ["read", "update", "deny"] }
                path "e" { capabilities = ["read"] }
            "#,
            r#"
                path "a" { capabilities = ["list"] }
                path "b/*" { capabilities = ["sudo"] }
                path "c/+" { capabilities = ["deny"] }
                path "d" { capabilities = ["list"] }
                path "e*" { capabilities = ["update"] }
            "#,
        ],
        "+ read a
         + update a
         + list a
         - delete a
         +s read b/c
         -s list b/c
         - read c/d
         - sudo c/d
         - read d
         - list d
         + read e
         - update e
         + update ef",
    );
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
            // What carries no fields of its own is not held to them.
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
    // A rule without conditions does not lift those of another.
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

#[test]
fn the_root_may_everything() {
    let root = Acl::root();
    assert!(root.is_root() && !acl(&[]).is_root());
    for asked in ["read", "sudo", "delete"] {
        let everything = Decision {
            allowed: true,
            sudo: true,
        };
        assert_eq!(decide(&root, asked, "any/path"), everything);
    }
    assert_eq!(root.capabilities("a").len(), 8);
}

#[test]
fn capabilities_are_told_in_the_order_of_their_names() {
    let acl = acl(&[r#"
        path "dev/*" { policy = "sudo" }
        path "both/*" { capabilities = ["update", "patch", "scan", "create"] }
        path "none" { capabilities = ["deny", "read"] }
        path "empty" {}
        path "a/+" { capabilities = ["read"] }
    "#]);
    for (path, expected) in [
        ("dev", "deny"),
        ("dev/", "create delete list read sudo update"),
        ("dev/x/y", "create delete list read sudo update"),
        ("both/x", "create patch scan update"),
        ("none", "deny"),
        ("none/", "deny"),
        ("empty", "deny"),
        ("other", "deny"),
        ("", "deny"),
        ("/a/b", "read"),
        ("a/b/", "read"),
    ] {
        let names: Vec<&str> = acl
            .capabilities(path)
            .into_iter()
            .map(Capability::as_str)
            .collect();
        assert_eq!(names.join(" "), expected, "{path}");
    }
}

#[test]
fn whoever_may_do_anything_in_a_mount_may_know_of_it() {
    for (pattern, mount, expected) in [
        ("db/creds/ro", "db", true),
        ("db", "db", true),
        ("db/creds/ro", "d", false),
        ("dbs/creds/ro", "db", false),
        ("team/db/creds/ro", "team/db", true),
        ("team/other/*", "team/db", false),
        ("*", "db", true),
        ("d*", "db", true),
        ("db*", "db", true),
        ("db/*", "db", true),
        ("db/creds/*", "db", true),
        ("team/*", "team/db", true),
        ("team", "team/db", false),
        ("dbs*", "db", false),
        ("+", "db", true),
        ("+/creds/*", "db", true),
        ("+/creds/*", "team/db", false),
        ("+/db/+/ro", "team/db", true),
        ("+/d*", "team/db", true),
        ("+/e*", "team/db", false),
    ] {
        let text = |word: &str| format!("path {pattern:?} {{ capabilities = [{word:?}] }}");
        assert_eq!(
            acl(&[&text("read")]).reaches(mount),
            expected,
            "{pattern} {mount}"
        );
        assert!(!acl(&[&text("deny")]).reaches(mount), "{pattern} {mount}");
    }
    assert!(Acl::root().reaches("db"));
    assert!(!acl(&[r#"path "db/*" {}"#]).reaches("db"));
}

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
