//! A path is judged in the form in which it is used: no spelling of it leads past a
//! policy that is for another spelling.

use lessor_tests::{http::Http, server::Server};
use serde_json::{Value, json};

/// Paths with a name in which upper and lower case are the same, as the text before and after
/// that name; and a body that a write there takes.
fn places() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let policy = json!({"policy": "path \"x\" { capabilities = [\"read\"] }"});
    vec![
        ("POST", "auth/people/users/", "", json!({"password": "x"})),
        (
            "POST",
            "auth/people/users/",
            "/password",
            json!({"password": "y"}),
        ),
        (
            "POST",
            "auth/people/users/",
            "/policies",
            json!({"token_policies": "x"}),
        ),
        ("GET", "auth/people/users/", "", json!(null)),
        ("DELETE", "auth/people/users/", "", json!(null)),
        (
            "POST",
            "auth/team/ci/role/",
            "",
            json!({"token_policies": "x"}),
        ),
        ("POST", "auth/team/ci/role/", "/secret-id", json!({})),
        (
            "POST",
            "auth/team/ci/role/",
            "/role-id",
            json!({"role_id": "mine"}),
        ),
        ("GET", "auth/team/ci/role/", "/role-id", json!(null)),
        ("DELETE", "auth/team/ci/role/", "", json!(null)),
        (
            "POST",
            "auth/id/role/",
            "",
            json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "x"}),
        ),
        ("GET", "auth/id/role/", "", json!(null)),
        (
            "POST",
            "auth/token/roles/",
            "",
            json!({"allowed_policies": "x"}),
        ),
        ("GET", "auth/token/roles/", "", json!(null)),
        ("DELETE", "auth/token/roles/", "", json!(null)),
        ("POST", "auth/token/create/", "", json!({})),
        ("PUT", "sys/policies/acl/", "", policy.clone()),
        ("PUT", "sys/policies/acl/team/", "", policy.clone()),
        ("GET", "sys/policies/acl/", "", json!(null)),
        ("DELETE", "sys/policies/acl/", "", json!(null)),
        ("PUT", "sys/policy/", "", policy),
        ("GET", "sys/policy/", "", json!(null)),
        ("DELETE", "sys/policy/", "", json!(null)),
    ]
}

/// Spellings of a name by which a caller may hope to be judged as somebody else.
const SPELLINGS: [&str; 8] = [
    "locked",
    "LOCKED",
    "Locked",
    "lockeD",
    "%4cocked",
    "/locked",
    "lock%45d",
    "%6c%6f%63%6b%65%64",
];

/// The same with letters that look alike or that some readers fold: nobody's name.
const LOOK_ALIKES: [&str; 6] = [
    "loc%e2%84%aaed",  // the Kelvin sign
    "l%d0%becked",     // a Cyrillic o
    "%ef%bd%8cocked",  // a full-width l
    "locked%e2%80%8b", // a blank of no width
    "locked%20",       // a blank
    "%c2%a0locked",    // a blank that does not break
];

fn send(http: &Http, method: &str, path: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let body = ["POST", "PUT"].contains(&method).then_some(body.as_bytes());
    http.send(method, path, &[], body).status
}

/// A server with a login method of each kind, and a token that may do everything with names
/// except the name `locked`.
fn scene() -> (Server, Http) {
    let server = Server::start();
    let http = &server.http;
    for (path, kind) in [
        ("people", "userpass"),
        ("team/ci", "approle"),
        ("id", "jwt"),
    ] {
        http.post(&format!("sys/auth/{path}"), &json!({"type": kind}))
            .ok();
    }
    let mut policy = String::new();
    let mut prefixes: Vec<&str> = places().iter().map(|(_, prefix, _, _)| *prefix).collect();
    prefixes.dedup();
    for prefix in prefixes {
        let all = r#"["create", "read", "update", "delete", "list", "sudo"]"#;
        policy += &format!(
            "path \"{prefix}*\" {{ capabilities = {all} }}
             path \"{prefix}locked\" {{ capabilities = [\"deny\"] }}
             path \"{prefix}locked/*\" {{ capabilities = [\"deny\"] }}\n"
        );
    }
    http.put("sys/policies/acl/keeper", &json!({"policy": policy}))
        .ok();
    let made = http.post("auth/token/create", &json!({"policies": ["keeper"]}));
    let token = made.ok().json()["auth"]["client_token"].clone();
    let keeper = http.with_token(token.as_str().unwrap());
    (server, keeper)
}

/// `deny` on `auth/userpass/users/admin/*` was once passed as `ADMIN`.
#[test]
fn no_spelling_of_a_path_passes_a_denial() {
    let (_server, keeper) = scene();
    for (method, prefix, suffix, body) in places() {
        for name in SPELLINGS {
            for slashes in ["", "/"] {
                let path = format!("{prefix}{name}{suffix}{slashes}");
                let status = send(&keeper, method, &path, &body);
                assert_eq!(status, 403, "{method} {path}");
            }
        }
        for name in LOOK_ALIKES {
            let path = format!("{prefix}{name}{suffix}");
            let status = send(&keeper, method, &path, &body);
            assert_eq!(status, 400, "{method} {path}");
        }
    }
}

/// A rule that was written before its method existed, or with a `+`, is not put into the form
/// that is used: it denies a request in its own spelling.
#[test]
fn a_denial_in_another_spelling_refuses_who_writes_like_it() {
    let server = Server::start();
    let rules = r#"
        path "auth/+/users/*" { capabilities = ["create", "update"] }
        path "auth/later/users/Admin" { capabilities = ["deny"] }
        path "auth/+/users/Owner" { capabilities = ["deny"] }
    "#;
    let policy = json!({"policy": rules});
    server.http.post("sys/policies/acl/keeper", &policy).ok();
    let method = json!({"type": "userpass"});
    server.http.post("sys/auth/later", &method).ok();
    let made = server
        .http
        .post("auth/token/create", &json!({"policies": ["keeper"]}))
        .ok()
        .json();
    let keeper = made["auth"]["client_token"].as_str().unwrap();
    let keeper = server.http.with_token(keeper);
    let user = json!({"password": "a password"});
    for (name, status) in [
        ("Admin", 403),
        ("Owner", 403),
        ("Other", 204),
        ("other", 204),
    ] {
        let answer = keeper.post(&format!("auth/later/users/{name}"), &user);
        assert_eq!(answer.status, status, "{name}");
    }
}

/// Such a rule grants nothing, in no spelling of a request. Put into the form that is used it
/// would grant, and a rule that narrows a wider one would narrow it no more.
#[test]
fn a_rule_in_another_spelling_grants_nothing_and_narrows_a_wider_one() {
    let server = Server::start();
    let http = &server.http;
    let method = json!({"type": "userpass"});
    let user = json!({"password": "a password"});
    let narrow = r#"
        path "auth/+/users/Admin" { capabilities = ["create", "update"] }
        path "auth/later/users/Root*" { capabilities = ["create", "update"] }
    "#;
    let wide = r#"
        path "auth/+/users/*" { capabilities = ["create", "update"] }
        path "auth/+/users/Admin" { capabilities = ["read"] }
        path "auth/later/users/Root*" { capabilities = ["update"], required_parameters = ["token_ttl"] }
    "#;
    for (name, rules) in [("narrow", narrow), ("wide", wide)] {
        let policy = json!({"policy": rules});
        http.put(&format!("sys/policies/acl/{name}"), &policy).ok();
    }
    http.post("sys/auth/later", &method).ok();
    for (policy, user_name, status) in [
        ("narrow", "Admin", 403),
        ("narrow", "admin", 403),
        ("narrow", "Rooted", 403),
        ("narrow", "rooted", 403),
        ("wide", "Admin", 403),
        ("wide", "Rooted", 403),
        ("wide", "ADMIN", 204),
        ("wide", "admin", 204),
        ("wide", "rooted", 204),
    ] {
        let made = http.post("auth/token/create", &json!({"policies": [policy]}));
        let token = made.ok().json()["auth"]["client_token"].clone();
        let keeper = http.with_token(token.as_str().unwrap());
        let answer = keeper.post(&format!("auth/later/users/{user_name}"), &user);
        assert_eq!(answer.status, status, "{policy} {user_name}");
    }
}

#[test]
fn a_name_is_one_name_in_every_spelling() {
    let (server, keeper) = scene();
    for (path, list) in [
        ("auth/people/users/", "auth/people/users"),
        ("auth/team/ci/role/", "auth/team/ci/role"),
        ("auth/id/role/", "auth/id/role"),
        ("auth/token/roles/", "auth/token/roles"),
        ("sys/policies/acl/", "sys/policies/acl"),
        ("sys/policies/acl/team/", "sys/policies/acl"),
        ("sys/policy/", "sys/policy"),
    ] {
        let (_, _, _, body) = places()
            .into_iter()
            .find(|(method, prefix, _, _)| *prefix == path && *method != "GET")
            .unwrap();
        let before = server.http.list(list).keys().len();
        for name in ["Bob", "BOB", "%62ob", "/bob/"] {
            let status = send(&keeper, "POST", &format!("{path}{name}"), &body);
            assert!(status < 300, "{path}{name}: {status}");
            assert_eq!(
                server.http.list(list).keys().len(),
                before + 1,
                "{path}{name}"
            );
            let status = send(&keeper, "GET", &format!("{path}bob"), &body);
            assert_eq!(status, 200, "{path}{name}");
        }
        // A warning gives the name in the form in which it is kept.
        if path.starts_with("sys/") {
            let answer = keeper.put(&format!("{path}BOB"), &body).ok().json();
            let warning = answer["warnings"][0].as_str().unwrap();
            assert!(
                warning.contains("bob: names are in lower case"),
                "{warning}"
            );
            let plain = keeper.put(&format!("{path}bob"), &body).ok();
            assert_eq!(plain.status, 204);
        }
        let status = send(&keeper, "DELETE", &format!("{path}bOb"), &body);
        assert!(status < 300, "{path}: {status}");
        assert_eq!(server.http.list(list).keys().len(), before, "{path}");
    }
    // A user is one user in every spelling, and failures are counted together.
    let user = json!({"password": "x", "token_policies": "x"});
    server.http.post("auth/people/users/Bob", &user).ok();
    let stranger = server.http.without_token();
    for name in ["bob", "BOB", "b%6fb"] {
        let login = stranger.post(
            &format!("auth/people/login/{name}"),
            &json!({"password": "x"}),
        );
        let auth = login.ok().json()["auth"].clone();
        assert_eq!(auth["metadata"]["username"], "bob");
    }
    for name in ["bob", "BOB", "Bob", "bOb", "boB"] {
        let wrong = json!({"password": "wrong"});
        stranger
            .post(&format!("auth/people/login/{name}"), &wrong)
            .refused(400);
    }
    stranger
        .post("auth/people/login/bob", &json!({"password": "x"}))
        .refused(403);
}

#[test]
fn what_a_token_may_is_told_for_the_path_that_would_be_judged() {
    let (_server, keeper) = scene();
    for (_, prefix, suffix, _) in places() {
        for name in ["locked", "LOCKED", "/Locked", "bob", "BOB"] {
            let path = format!("{prefix}{name}{suffix}");
            let answer = keeper.post("sys/capabilities-self", &json!({"path": path}));
            let told = answer.ok().json()["capabilities"].clone();
            let is_denied = told == json!(["deny"]);
            assert_eq!(
                is_denied,
                name.to_lowercase().contains("locked"),
                "{path}: {told}"
            );
        }
        for name in ["loc\u{212a}ed", "l\u{43e}cked", "locked ", "..", "."] {
            let path = format!("{prefix}{name}{suffix}");
            let answer = keeper.post("sys/capabilities-self", &json!({"path": path}));
            assert_eq!(
                answer.ok().json()["capabilities"],
                json!(["deny"]),
                "{path}"
            );
        }
    }
}

/// A rule for a spelling that is never judged would deny nothing, so its writer hears
/// of it.
#[test]
fn a_rule_that_meets_no_request_is_warned_of() {
    let (server, _) = scene();
    let http = &server.http;
    let policy = r#"
        path "auth/people/users/Admin/*" { capabilities = ["deny"] }
        path "auth/token/create/CI" { capabilities = ["update"] }
        path "DB/creds/Reader" { capabilities = ["read"] }
        path "auth/people/users/+/password" { capabilities = ["update"] }
    "#;
    let written = http.put("sys/policies/acl/p", &json!({"policy": policy}));
    let warnings = written.ok().json()["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 2, "{warnings}");
    for (warning, path) in [
        (&warnings[0], "auth/people/users/admin/*"),
        (&warnings[1], "auth/token/create/ci"),
    ] {
        assert!(warning.as_str().unwrap().contains(path), "{warning}");
    }
}

/// Names of mounts and of their roles are as they are written, so another case is
/// another name, for policies and for all else.
#[test]
fn names_that_tell_cases_apart_are_judged_as_they_are_written() {
    let (server, keeper) = scene();
    let http = &server.http;
    http.post("sys/auth/People", &json!({"type": "userpass"}))
        .ok();
    // No policy grants anything there.
    let user = json!({"password": "x"});
    keeper.post("auth/People/users/bob", &user).refused(403);
    keeper.post("auth/PEOPLE/users/bob", &user).refused(403);
    http.get("auth/PEOPLE/users/bob").nothing_here();
    // A path that means something else is not taken for such a name.
    for path in ["auth/people/Users/bob", "auth/People/USERS/bob"] {
        http.get(path).nothing_here();
    }
}
