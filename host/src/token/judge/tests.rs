//! The requests of makers and logins, and the tokens that come of them.

use lessor_model::{
    life::SYSTEM_TTL,
    token::{RoleTokenKind, TokenParameters},
};

use super::*;
use crate::token::{
    NewToken, Terms,
    make::{draft_of_login, draft_of_maker},
};

const NOW: Timestamp = Timestamp(1_000_000_000);

const RULES: TokenRules = TokenRules {
    root_children: true,
};

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

fn judged_by(
    rules: TokenRules,
    maker: &Token,
    sudo: bool,
    role: Option<&TokenRole>,
    asked: &NewToken,
) -> Result<Judged, String> {
    let maker = Maker { token: maker, sudo };
    let (draft, warnings) = draft_of_maker(maker, role, asked, rules)?;
    let mut judged = judge(Voucher::Maker(maker, role), draft, rules, NOW)?;
    judged.warnings.extend(warnings);
    Ok(judged)
}

fn judged(
    maker: &Token,
    sudo: bool,
    role: Option<&TokenRole>,
    asked: &NewToken,
) -> Result<Judged, String> {
    judged_by(RULES, maker, sudo, role, asked)
}

fn planned(maker: &Token, sudo: bool, role: Option<&TokenRole>, asked: &NewToken) -> Judged {
    judged(maker, sudo, role, asked).unwrap()
}

fn refused(maker: &Token, sudo: bool, role: Option<&TokenRole>, asked: &NewToken) -> String {
    judged(maker, sudo, role, asked).unwrap_err()
}

#[test]
fn policies_are_those_of_the_maker_unless_it_may_more() {
    for (makers, sudo, asked, without_default, expected) in [
        // Nothing named: the maker's.
        (
            vec!["app", "default"],
            false,
            vec![],
            false,
            vec!["app", "default"],
        ),
        (vec!["app"], false, vec![], false, vec!["app"]),
        (vec!["app", "default"], false, vec![], true, vec!["app"]),
        (vec!["root"], true, vec![], false, vec!["root"]),
        (vec!["root"], true, vec![], true, vec!["root"]),
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
    assert!(refused(&app, true, None, &asks(&["root"])).contains("parent token being root"));
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
        let got = judged(&maker(&makers), false, Some(&role), &asked);
        match (got, expected) {
            (Ok(judged), Ok(expected)) => {
                let mut got = judged.policies;
                got.sort();
                assert_eq!(got, names(&expected), "{role:?}");
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
    assert_eq!(
        planned(&app, true, None, &periodic).ttl,
        Some(Duration::from_secs(60))
    );
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
    let plan = planned(&maker(&["app"]), false, Some(&role), &asked);
    assert_eq!((plan.ttl, plan.bounds.explicit_max), (Some(hour), hour));
    assert_eq!((plan.num_uses, plan.renewable), (5, false));
    assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
    let default = planned(&maker(&["app"]), false, None, &NewToken::default());
    assert_eq!(default.ttl, Some(SYSTEM_TTL));
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
    let named = batch(|asked| asked.policies = names(&["app"]));
    let plan = planned(&root, true, None, &named);
    assert!(!plan.renewable && plan.kind == TokenKind::Batch);
    // A limit of a role or a login counts, too, and such a token could not keep it.
    let parameters = TokenParameters {
        num_uses: 1,
        kind: RoleTokenKind::DefaultBatch,
        ..TokenParameters::default()
    };
    let login = judge(Voucher::Login, login_of(&parameters), RULES, NOW);
    assert!(login.unwrap_err().contains("num_uses"));
    let role = TokenRole {
        parameters,
        ..TokenRole::default()
    };
    let app = maker(&["app"]);
    assert!(refused(&app, false, Some(&role), &NewToken::default()).contains("num_uses"));
}

fn login_of(parameters: &TokenParameters) -> Draft<'static> {
    draft_of_login(Terms {
        default_ttl: Duration::ZERO,
        max_ttl: Duration::ZERO,
        parameters,
    })
}

/// Root in every spelling that a list of policies may have it in, alone and among
/// others.
fn spellings() -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for root in [
        "root",
        "Root",
        "ROOT",
        " root ",
        "\troot\n",
        "\u{a0}rOOt\u{2003}",
    ] {
        all.push(names(&[root]));
        all.push(names(&["app", root]));
        all.push(names(&[root, "default", root]));
    }
    all
}

/// Every source of policies times every way to have a token made times every
/// spelling of root: what comes out has root only where a root token made it, at
/// `auth/token/create` itself.
///
/// CVE-2025-5999 was a role's spelling of root that the check of the request did not
/// see; CVE-2025-64761 a group's.
#[test]
fn root_comes_from_a_root_token_alone_by_every_way_and_in_every_spelling() {
    let app = maker(&["app", "default", "ops"]);
    let root = maker(&["root"]);
    let none = || vec![Vec::new()];
    let globs = [&[][..], &["*"], &["r*"], &["*t"], &["*oo*"]];
    let lists = || spellings().into_iter().chain(none());
    let mut looked_at = 0;
    for asked in lists() {
        for allowed in lists() {
            for glob in globs {
                for (maker, sudo) in [(&app, false), (&app, true), (&root, false), (&root, true)] {
                    for no_parent in [false, true] {
                        let role = TokenRole {
                            allowed_policies: allowed.clone(),
                            allowed_policies_glob: names(glob),
                            orphan: no_parent,
                            ..TokenRole::default()
                        };
                        let asked = NewToken {
                            policies: asked.clone(),
                            no_parent,
                            ..NewToken::default()
                        };
                        let by_role = judged(maker, sudo, Some(&role), &asked);
                        let has_root = by_role.as_ref().is_ok_and(Judged::is_root);
                        assert!(!has_root, "{role:?} {asked:?}: {by_role:?}");
                        // Not a token without it either, where it was asked for.
                        let names_root = |list: &[String]| {
                            clean(list.iter().map(String::as_str)).contains(&"root".to_owned())
                        };
                        let filled_in = asked.policies.is_empty() && names_root(&allowed);
                        if names_root(&asked.policies) || filled_in {
                            assert!(by_role.is_err(), "{role:?} {asked:?}: {by_role:?}");
                        }
                        looked_at += 1;
                    }
                }
            }
        }
        // Directly: by a root token alone.
        for (maker, sudo, may) in [
            (&app, false, false),
            (&app, true, false),
            (&root, false, true),
            (&root, true, true),
        ] {
            for no_parent in [false, true] {
                let asked = NewToken {
                    policies: asked.clone(),
                    no_parent,
                    ..NewToken::default()
                };
                let direct = judged(maker, sudo, None, &asked);
                let has_root = direct.as_ref().is_ok_and(Judged::is_root);
                // Only a child inherits policies that nobody named.
                let expected = may && (!asked.policies.is_empty() || !no_parent);
                assert_eq!(has_root, expected, "{asked:?}: {direct:?}");
                if has_root {
                    assert_eq!(direct.unwrap().policies, ["root"]);
                }
                for changed in [
                    NewToken {
                        kind: Some(TokenKind::Batch),
                        policies: asked.policies.clone(),
                        ..NewToken::default()
                    },
                    NewToken {
                        policies: asked.policies.clone(),
                        ..NewToken::default()
                    },
                ] {
                    let rules = TokenRules {
                        root_children: changed.kind.is_some(),
                    };
                    let got = judged_by(rules, maker, sudo, None, &changed);
                    assert!(!got.is_ok_and(|judged| judged.is_root()), "{changed:?}");
                }
                looked_at += 3;
            }
        }
        // By a login, and by one that is renewed.
        for kind in [RoleTokenKind::Service, RoleTokenKind::Batch] {
            let parameters = TokenParameters {
                policies: asked.clone(),
                kind,
                ..TokenParameters::default()
            };
            let login = judge(Voucher::Login, login_of(&parameters), RULES, NOW);
            assert_eq!(login.is_err(), !asked.is_empty(), "{asked:?}: {login:?}");
            looked_at += 1;
        }
        // A token that is renewed gets nothing that it did not have, and keeps no root
        // that a role or a setting does not give.
        let mut held = login_of(&TokenParameters::default());
        held.policies = asked.clone();
        let role = TokenRole::default();
        let by_role = judge(Voucher::Holder(Some(&role)), held, RULES, NOW);
        assert_eq!(
            by_role.is_err(),
            !asked.is_empty(),
            "{asked:?}: {by_role:?}"
        );
    }
    assert!(looked_at > 14_000, "{looked_at}");
}

#[test]
fn the_policy_of_wrapped_answers_is_given_to_nothing_else() {
    let root = maker(&["root"]);
    for name in ["response-wrapping", " Response-Wrapping "] {
        let asked = NewToken {
            policies: names(&[name]),
            ..NewToken::default()
        };
        assert!(refused(&root, true, None, &asked).contains("response-wrapping"));
        let role = TokenRole {
            allowed_policies: names(&[name]),
            ..TokenRole::default()
        };
        let by_role = refused(&root, true, Some(&role), &NewToken::default());
        assert!(by_role.contains("response-wrapping"), "{by_role}");
        let parameters = TokenParameters {
            policies: names(&[name]),
            ..TokenParameters::default()
        };
        assert!(judge(Voucher::Login, login_of(&parameters), RULES, NOW).is_err());
    }
}

/// Every limit times every way to have a token made: a limit that a role or the maker
/// has is the token's, and whoever asks for less of it needs the right to.
#[test]
fn no_way_to_have_a_token_made_passes_a_limit_of_another() {
    let seconds = Duration::from_secs;
    let range = |text: &str| text.parse::<IpNet>().unwrap();
    let app = maker(&["app"]);
    let limited = TokenRole {
        parameters: TokenParameters {
            explicit_max_ttl: seconds(50),
            period: seconds(20),
            num_uses: 3,
            bound_cidrs: vec![range("10.0.0.0/8")],
            ..TokenParameters::default()
        },
        renewable: false,
        ..TokenRole::default()
    };
    let asked = NewToken {
        ttl: Some(seconds(1000)),
        period: seconds(1000),
        explicit_max_ttl: seconds(1000),
        num_uses: 1000,
        renewable: Some(true),
        ..NewToken::default()
    };
    for sudo in [false, true] {
        let plan = planned(&app, sudo, Some(&limited), &asked);
        assert_eq!(plan.ttl, Some(seconds(20)));
        assert_eq!(plan.bounds.explicit_max, seconds(50));
        assert_eq!((plan.num_uses, plan.renewable), (3, false));
        assert_eq!(plan.bound_cidrs, [range("10.0.0.0/8")]);
    }
    // A role without a period gives none to who may not have one anyway.
    let open = TokenRole::default();
    for (role, sudo, fits) in [
        (None, false, false),
        (None, true, true),
        (Some(&open), false, false),
        (Some(&open), true, true),
    ] {
        let periodic = NewToken {
            period: seconds(60),
            ..NewToken::default()
        };
        let got = judged(&app, sudo, role, &periodic);
        assert_eq!(got.is_ok(), fits, "{role:?} {sudo}");
    }
    // An orphan outlives its maker: by sudo, or by a role that says so.
    let orphans = TokenRole {
        orphan: true,
        ..TokenRole::default()
    };
    for (role, sudo, no_parent, expected) in [
        (None, false, false, Some(false)),
        (None, false, true, None),
        (None, true, true, Some(true)),
        (Some(&open), false, true, None),
        (Some(&open), false, false, Some(false)),
        (Some(&orphans), false, false, Some(true)),
        (Some(&orphans), true, true, Some(true)),
    ] {
        let asked = NewToken {
            no_parent,
            ..NewToken::default()
        };
        let got = judged(&app, sudo, role, &asked).ok();
        assert_eq!(
            got.map(|plan| plan.orphan),
            expected,
            "{role:?} {sudo} {no_parent}"
        );
    }
    // Whoever may be used from some addresses makes no token for others.
    let mut bound = maker(&["app"]);
    bound.row.facts.bound_cidrs = vec![range("192.0.2.0/24")];
    for role in [None, Some(&open)] {
        let plan = planned(&bound, true, role, &NewToken::default());
        assert_eq!(plan.bound_cidrs, [range("192.0.2.0/24")]);
    }
    // Whoever has a limited number of requests would have any number by children.
    let mut counted = maker(&["root"]);
    counted.row.uses_left = Some(2);
    for role in [None, Some(&open), Some(&orphans)] {
        let sentence = refused(&counted, true, role, &NewToken::default());
        assert!(sentence.contains("restricted use"), "{sentence}");
    }
}

#[test]
fn a_root_token_outlives_no_root_token_that_it_is_from() {
    let seconds = Duration::from_secs;
    let lasting = maker(&["root"]);
    let mut ending = maker(&["root"]);
    ending.row.expires_at = Some(NOW.plus(seconds(100)));
    let explicit = || names(&["root"]);
    for (maker, policies, no_parent, ttl, period, expected) in [
        (&lasting, vec![], false, None, 0, None),
        (&lasting, explicit(), true, None, 0, None),
        (&lasting, vec![], false, Some(60), 0, Some(60)),
        (&lasting, vec![], false, Some(0), 0, None),
        (&lasting, vec![], false, None, 60, Some(60)),
        (&ending, vec![], false, None, 0, Some(100)),
        (&ending, vec![], false, Some(60), 0, Some(60)),
        (&ending, vec![], false, Some(1000), 0, Some(100)),
        (&ending, vec![], false, None, 1000, Some(100)),
        (&ending, explicit(), true, Some(1000), 0, Some(100)),
        (&ending, explicit(), true, None, 0, Some(100)),
    ] {
        let asked = NewToken {
            policies,
            no_parent,
            ttl: ttl.map(seconds),
            period: seconds(period),
            ..NewToken::default()
        };
        let plan = planned(maker, true, None, &asked);
        assert!(plan.is_root());
        assert_eq!(plan.ttl, expected.map(seconds), "{asked:?}");
        assert_eq!(plan.renewable, expected.is_some(), "{asked:?}");
        assert!(maker.row.expires_at.is_none() || plan.bounds.explicit_max <= seconds(100));
    }
}
