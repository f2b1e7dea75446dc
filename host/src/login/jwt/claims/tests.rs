use serde_json::json;

use super::*;
use crate::login::Leeway;

/// Judged at second 10,000.
fn judged(claims: Value, role: impl FnOnce(&mut JwtRole), issuer: &str) -> Result<Judged, String> {
    let mut whole = json!({"sub": "bob", "exp": 10_100});
    for (name, value) in claims.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let Value::Object(mut whole) = whole else {
        panic!()
    };
    whole.retain(|_, value| !value.is_null());
    let mut the_role = JwtRole {
        user_claim: "sub".into(),
        ..JwtRole::default()
    };
    role(&mut the_role);
    judge(&whole, issuer, &the_role, 10_000)
}

#[track_caller]
fn refused(outcome: Result<Judged, String>, part: &str) {
    let sentence = outcome.unwrap_err();
    assert!(sentence.contains(part), "{sentence}");
}

#[test]
fn issuer_subject_and_audience_are_what_is_bound() {
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    for (claims, issuer, subject, audiences, expected) in [
        (json!({}), "", "", vec![], None),
        (json!({"iss": "i"}), "i", "", vec![], None),
        (json!({"iss": "j"}), "i", "", vec![], Some("iss")),
        (json!({}), "i", "", vec![], Some("iss")),
        (json!({"iss": ["i"]}), "i", "", vec![], Some("iss")),
        (json!({}), "", "bob", vec![], None),
        (json!({}), "", "eve", vec![], Some("sub")),
        (json!({"aud": "a"}), "", "", vec!["a", "b"], None),
        (json!({"aud": ["x", "b"]}), "", "", vec!["a", "b"], None),
        (json!({"aud": ["x"]}), "", "", vec!["a"], Some("aud")),
        (json!({}), "", "", vec!["a"], Some("aud")),
        (json!({"aud": []}), "", "", vec![], None),
        (json!({"aud": "a"}), "", "", vec![], Some("audience")),
        (json!({"aud": ["a"]}), "", "", vec![], Some("audience")),
    ] {
        let outcome = judged(
            claims.clone(),
            |role| {
                role.bound_subject = subject.into();
                role.bound_audiences = strings(&audiences);
            },
            issuer,
        );
        match expected {
            None => assert_eq!(outcome.unwrap().user, "bob", "{claims}"),
            Some(part) => refused(outcome, part),
        }
    }
}

#[test]
fn a_token_holds_between_its_moments() {
    for (claims, skew, expected) in [
        (json!({"exp": 10_001}), 0, None),
        (json!({"exp": 9_940}), 0, None),
        (json!({"exp": 9_939}), 0, Some("expired")),
        (json!({"exp": 9_999}), -1, Some("expired")),
        (json!({"exp": 10_000}), -1, None),
        (json!({"exp": 9_990}), 10, None),
        (json!({"nbf": 10_060}), 0, None),
        (json!({"nbf": 10_061}), 0, Some("not yet valid")),
        (json!({"nbf": 10_001}), -1, Some("not yet valid")),
        (json!({"nbf": 5, "iat": 10_061}), 0, Some("future")),
        (json!({"iat": 10_060}), 0, None),
        // Without exp it holds for 150 seconds from its beginning.
        (json!({"exp": null, "iat": 9_790}), 0, None),
        (json!({"exp": null, "iat": 9_789}), 0, Some("expired")),
        (json!({"exp": null, "nbf": 9_790, "iat": 5}), 0, None),
        // With exp alone it begins 150 seconds before.
        (json!({"exp": 10_210}), 0, None),
        (json!({"exp": 10_211}), 0, Some("not yet valid")),
        (json!({"exp": null}), 0, Some("no issued at")),
        (json!({"exp": 0}), 0, Some("no issued at")),
        (json!({"exp": 10_000.7}), -1, None),
        (json!({"exp": "10000"}), 0, Some("\"exp\" is not a moment")),
        (json!({"exp": -1}), 0, Some("\"exp\" is not a moment")),
        (json!({"exp": u64::MAX, "iat": 9_000}), 0, None),
    ] {
        let outcome = judged(
            claims.clone(),
            |role| role.clock_skew_leeway = Leeway(skew),
            "",
        );
        match expected {
            None => assert_eq!(outcome.unwrap().user, "bob", "{claims} {skew}"),
            Some(part) => refused(outcome, part),
        }
    }
}

#[test]
fn the_user_is_the_claim_that_the_role_names() {
    for (name, pointer, expected) in [
        ("sub", false, Some("bob")),
        ("/sub", true, Some("bob")),
        ("/who/name", true, Some("rob")),
        ("/who/a~1b", true, Some("slash")),
        ("/who/name", false, None),
        ("who", false, None),
        ("empty", false, None),
        ("long", false, None),
        ("missing", false, None),
    ] {
        let claims = json!({
            "who": {"name": "rob", "a/b": "slash"}, "empty": "", "long": "x".repeat(513)
        });
        let outcome = judged(
            claims,
            |role| {
                role.user_claim = name.into();
                role.user_claim_json_pointer = pointer;
            },
            "",
        );
        assert_eq!(
            outcome.ok().map(|judged| judged.user).as_deref(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn bound_claims_must_have_one_of_their_values() {
    for (claims, bound, globs, fits) in [
        (json!({"a": "x"}), json!({"a": "x"}), false, true),
        (json!({"a": "y"}), json!({"a": "x"}), false, false),
        (json!({}), json!({"a": "x"}), false, false),
        (json!({"a": null}), json!({"a": "x"}), false, false),
        (
            json!({"a": ["y", "x"]}),
            json!({"a": ["z", "x"]}),
            false,
            true,
        ),
        (json!({"a": []}), json!({"a": ["x"]}), false, false),
        (json!({"a": 1}), json!({"a": [1.0]}), false, true),
        (json!({"a": 1}), json!({"a": "1"}), false, false),
        (json!({"a": true}), json!({"a": true}), false, true),
        (json!({"a": {"b": "x"}}), json!({"/a/b": "x"}), false, true),
        (json!({"a": {"b": "x"}}), json!({"a": "x"}), false, false),
        (
            json!({"a": "x", "b": "y"}),
            json!({"a": "x", "b": "z"}),
            false,
            false,
        ),
        (json!({"a": "x*"}), json!({"a": "xyz"}), true, false),
        (json!({"a": "xyz"}), json!({"a": "x*"}), true, true),
        (json!({"a": "xyz"}), json!({"a": "x*"}), false, false),
        (json!({"a": 1}), json!({"a": "*"}), true, false),
    ] {
        let outcome = judged(
            claims.clone(),
            |role| {
                role.bound_claims = bound.as_object().unwrap().clone();
                role.bound_claims_glob = globs;
            },
            "",
        );
        assert_eq!(outcome.is_ok(), fits, "{claims} {bound} {globs}");
    }
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, text, fits) in [
        ("", "", true),
        ("", "x", false),
        ("*", "", true),
        ("*", "anything", true),
        ("a*", "a", true),
        ("a*", "ab", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*a", "ab", false),
        ("a*b", "ab", true),
        ("a*b", "axxb", true),
        ("a*a", "a", false),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "acb", false),
        ("a**c", "abc", true),
        ("*b*", "abc", true),
        ("*b*", "ac", false),
        ("ab*ba", "aba", false),
        ("a*é*b", "aéb", true),
    ] {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
}

#[test]
fn metadata_is_what_the_role_maps() {
    let claims = json!({"team": "db", "n": 1, "who": {"mail": "b@x"}, "g": ["a,b", "c"]});
    let mapped = |mappings: Value, groups: &str| {
        let groups = groups.to_owned();
        judged(
            claims.clone(),
            move |role| {
                role.claim_mappings = serde_json::from_value(mappings).unwrap();
                role.groups_claim = groups;
            },
            "",
        )
        .map(|judged| json!(judged.metadata))
    };
    for (mappings, groups, expected) in [
        (json!({}), "", Some(json!({}))),
        (
            json!({"team": "t", "absent": "a"}),
            "",
            Some(json!({"t": "db"})),
        ),
        (
            json!({"/who/mail": "mail"}),
            "",
            Some(json!({"mail": "b@x"})),
        ),
        (json!({"n": "n"}), "", None),
        (json!({}), "g", Some(json!({"groups": r#"["a,b","c"]"#}))),
        (json!({}), "team", Some(json!({"groups": r#"["db"]"#}))),
        (json!({}), "n", None),
        (json!({}), "absent", None),
    ] {
        assert_eq!(
            mapped(mappings.clone(), groups).ok(),
            expected,
            "{mappings} {groups}"
        );
    }
}
