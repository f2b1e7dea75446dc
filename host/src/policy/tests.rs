//! The specification of `policy`, case by case: paths and capabilities here.

mod conditions;
mod texts;

use serde_json::Map;

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

/// GHSA-xp3c-3jw3-4vcr: a list was judged without the slash behind it first, and so by
/// the rule of lower priority.
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
