//! What a maker asks for, and what becomes of it.

use super::*;
use crate::clock::Timestamp;

fn maker(policies: &[&str]) -> Token {
    Token {
        kind: TokenKind::Service,
        row: TokenRow {
            hash: [1; 32],
            accessor: "a".into(),
            display_name: "maker".into(),
            policies: policies.iter().map(|&policy| policy.to_owned()).collect(),
            created_at: Timestamp(0),
            expires_at: None,
            parent: None,
            uses_left: None,
            path: "auth/token/create".into(),
            facts: TokenFacts::default(),
        },
    }
}

fn names(policies: &[&str]) -> Vec<String> {
    policies.iter().map(|&policy| policy.to_owned()).collect()
}

fn planned(maker: &Token, sudo: bool, role: Option<&TokenRole>, asked: &NewToken) -> Plan {
    plan(maker, Permits { sudo }, role, asked).unwrap().0
}

fn refused(maker: &Token, sudo: bool, role: Option<&TokenRole>, asked: &NewToken) -> String {
    plan(maker, Permits { sudo }, role, asked).unwrap_err()
}

#[test]
fn policies_are_those_of_the_maker_unless_it_may_more() {
    for (makers, sudo, asked, without_default, expected) in [
        // Nothing named: the maker's, but never root.
        (
            vec!["app", "default"],
            false,
            vec![],
            false,
            vec!["app", "default"],
        ),
        (vec!["app"], false, vec![], false, vec!["app"]),
        (vec!["app", "default"], false, vec![], true, vec!["app"]),
        (vec!["root"], true, vec![], false, vec!["default"]),
        (vec!["root"], true, vec![], true, vec![]),
        // Named: some of the maker's, and default where the maker has it.
        (
            vec!["app", "b", "default"],
            false,
            vec!["app"],
            false,
            vec!["app", "default"],
        ),
        (vec!["app", "b"], false, vec!["app"], false, vec!["app"]),
        (
            vec!["app", "default"],
            false,
            vec!["app"],
            true,
            vec!["app"],
        ),
        (
            vec!["app", "default"],
            false,
            vec!["default"],
            true,
            vec!["default"],
        ),
        (vec!["app"], false, vec![" APP ", "app"], false, vec!["app"]),
        // Whoever has sudo names any.
        (
            vec!["app"],
            true,
            vec!["other"],
            false,
            vec!["default", "other"],
        ),
        (vec!["root"], false, vec!["other"], true, vec!["other"]),
    ] {
        let asked = NewToken {
            policies: names(&asked),
            no_default_policy: without_default,
            ..NewToken::default()
        };
        let plan = planned(&maker(&makers), sudo, None, &asked);
        assert_eq!(
            plan.policies,
            names(&expected),
            "{makers:?} {sudo} {asked:?}"
        );
    }
    let asks = |policies: &[&str]| NewToken {
        policies: names(policies),
        ..NewToken::default()
    };
    let app = maker(&["app", "default"]);
    assert!(refused(&app, false, None, &asks(&["other"])).contains("subset of parent"));
    assert!(refused(&app, false, None, &asks(&["root"])).contains("root"));
    assert!(refused(&maker(&["root"]), true, None, &asks(&["root"])).contains("root"));
    assert!(refused(&app, true, None, &asks(&["response-wrapping"])).contains("response-wrapping"));
}

#[test]
fn a_role_says_which_policies_may_be_asked_for() {
    let role = |allowed: &[&str], globs: &[&str], disallowed: &[&str]| TokenRole {
        allowed_policies: names(allowed),
        allowed_policies_glob: names(globs),
        disallowed_policies: names(disallowed),
        ..TokenRole::default()
    };
    for (role, makers, asked, expected) in [
        (
            role(&["a", "b"], &[], &[]),
            vec!["x"],
            vec![],
            Ok(vec!["a", "b", "default"]),
        ),
        (
            role(&["a", "b"], &[], &[]),
            vec!["x"],
            vec!["a"],
            Ok(vec!["a", "default"]),
        ),
        (
            role(&["a", "b"], &[], &[]),
            vec!["x"],
            vec!["x"],
            Err("allowed_policies"),
        ),
        (
            role(&[], &["dev-*"], &[]),
            vec!["x"],
            vec!["dev-1"],
            Ok(vec!["default", "dev-1"]),
        ),
        (
            role(&[], &["dev-*"], &[]),
            vec!["x"],
            vec!["prod"],
            Err("allowed_policies"),
        ),
        (
            role(&["a"], &[], &["default"]),
            vec!["x"],
            vec!["a"],
            Ok(vec!["a"]),
        ),
        (
            role(&[], &[], &["b"]),
            vec!["x"],
            vec!["y"],
            Ok(vec!["default", "y"]),
        ),
        (
            role(&[], &[], &["b"]),
            vec!["x"],
            vec!["b"],
            Err("disallowed"),
        ),
        (role(&[], &[], &["b"]), vec!["b"], vec![], Err("disallowed")),
        (
            role(&[], &[], &[]),
            vec!["x", "default"],
            vec!["x"],
            Ok(vec!["default", "x"]),
        ),
        (
            role(&[], &[], &[]),
            vec!["x"],
            vec!["y"],
            Err("subset of parent"),
        ),
        (
            role(&["root"], &[], &[]),
            vec!["x"],
            vec!["root"],
            Err("root"),
        ),
    ] {
        let asked = NewToken {
            policies: names(&asked),
            ..NewToken::default()
        };
        let got = plan(
            &maker(&makers),
            Permits { sudo: false },
            Some(&role),
            &asked,
        );
        match (got, expected) {
            (Ok((plan, _)), Ok(expected)) => {
                assert_eq!(plan.policies, names(&expected), "{role:?}")
            }
            (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{sentence}"),
            (got, expected) => panic!("{role:?} {asked:?}: {got:?}, not {expected:?}"),
        }
    }
}

#[test]
fn what_takes_more_rights_is_refused_without_them() {
    let orphan = NewToken {
        no_parent: true,
        ..NewToken::default()
    };
    let periodic = NewToken {
        period: Duration::from_secs(60),
        ..NewToken::default()
    };
    let app = maker(&["app"]);
    assert!(refused(&app, false, None, &orphan).contains("no_parent"));
    assert!(planned(&app, true, None, &orphan).orphan);
    assert!(refused(&app, false, None, &periodic).contains("period"));
    assert_eq!(planned(&app, true, None, &periodic).ttl.as_secs(), 60);
    let chosen = |id: &str| NewToken {
        id: Some(Secret::new(id.to_owned())),
        ..NewToken::default()
    };
    assert!(refused(&app, true, None, &chosen("mine")).contains("root required"));
    let root = maker(&["root"]);
    planned(&root, true, None, &chosen("mine"));
    for bad in ["", "lsr.mine", "hvs.mine", "a b", "ä"] {
        assert!(
            refused(&root, true, None, &chosen(bad)).contains("id must"),
            "{bad}"
        );
    }
    let mut limited = maker(&["app"]);
    limited.row.uses_left = Some(3);
    assert!(refused(&limited, true, None, &NewToken::default()).contains("restricted use"));
    let mut batch = maker(&["app"]);
    batch.kind = TokenKind::Batch;
    assert!(refused(&batch, true, None, &NewToken::default()).contains("batch tokens"));
}

#[test]
fn lengths_are_cut_by_what_limits_them() {
    let hour = Duration::from_secs(3600);
    let role = TokenRole {
        parameters: TokenParameters {
            explicit_max_ttl: hour,
            num_uses: 5,
            ..TokenParameters::default()
        },
        renewable: false,
        ..TokenRole::default()
    };
    let asked = NewToken {
        ttl: Some(hour * 2),
        explicit_max_ttl: hour * 3,
        num_uses: 9,
        ..NewToken::default()
    };
    let (plan, warnings) = plan(
        &maker(&["app"]),
        Permits { sudo: false },
        Some(&role),
        &asked,
    )
    .unwrap();
    assert_eq!((plan.ttl, plan.explicit_max_ttl), (hour, hour));
    assert_eq!((plan.num_uses, plan.renewable), (5, false));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let default = planned(&maker(&["app"]), false, None, &NewToken::default());
    assert_eq!(default.ttl, SYSTEM_TTL);
}

#[test]
fn a_batch_token_has_no_row_to_count_or_move() {
    let batch = |change: fn(&mut NewToken)| {
        let mut asked = NewToken {
            kind: Some(TokenKind::Batch),
            ..NewToken::default()
        };
        change(&mut asked);
        asked
    };
    let root = maker(&["root"]);
    for (name, asked) in [
        ("num_uses", batch(|asked| asked.num_uses = 1)),
        (
            "period",
            batch(|asked| asked.period = Duration::from_secs(1)),
        ),
        (
            "explicit_max_ttl",
            batch(|asked| asked.explicit_max_ttl = Duration::from_secs(1)),
        ),
        (
            "id",
            batch(|asked| asked.id = Some(Secret::new("mine".into()))),
        ),
    ] {
        assert!(refused(&root, true, None, &asked).contains(name), "{name}");
    }
    let plan = planned(&root, true, None, &batch(|_| ()));
    assert!(!plan.renewable && plan.kind == TokenKind::Batch);
}

#[test]
fn display_names_can_stand_in_upstream_names() {
    for (asked, expected) in [
        ("", "token"),
        ("ci", "token-ci"),
        ("my app!", "token-my-app"),
        ("ä/b", "token---b"),
    ] {
        assert_eq!(display_name(asked), expected);
    }
}
