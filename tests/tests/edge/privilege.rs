//! The bounds of a token do not depend on the way to it: every path that makes a token, times
//! every source of policies, times every spelling.

use lessor_tests::{
    http::{Answer, Http},
    jwt::Signer,
    server::Server,
};
use serde_json::{Value, json};

/// Lists of policies that spell `root`.
fn spellings() -> Vec<Value> {
    vec![
        json!("root"),
        json!("Root"),
        json!(" ROOT "),
        json!("app, root"),
        json!("root,app"),
        json!(["root"]),
        json!(["rOOt"]),
        json!(["app", "\troot "]),
        json!(["\u{a0}root\u{2003}"]),
    ]
}

#[track_caller]
fn token_of(answer: &Answer) -> String {
    let token = &answer.clone().ok().json()["auth"]["client_token"];
    token.as_str().expect("a token").to_owned()
}

fn policies_of(http: &Http) -> Value {
    http.get("auth/token/lookup-self").data()["policies"].clone()
}

fn client(http: &Http, body: &Value) -> Http {
    http.with_token(&token_of(&http.post("auth/token/create", body)))
}

/// The policies of every token that exists.
fn roots(http: &Http) -> usize {
    let accessors = http.list("auth/token/accessors").keys();
    let is_root = |accessor: &String| {
        let body = json!({"accessor": accessor});
        let shown = http.post("auth/token/lookup-accessor", &body).data();
        shown["policies"]
            .to_string()
            .to_lowercase()
            .contains("root")
    };
    accessors
        .iter()
        .filter(|accessor| is_root(accessor))
        .count()
}

/// A server with a login method of each kind, `app` and two who make tokens: one
/// may only write roles and use them, the other has sudo as well.
fn scene() -> (Server, Http, Http) {
    let server = Server::start();
    let http = &server.http;
    for (path, kind) in [
        ("approle", "approle"),
        ("people", "userpass"),
        ("id", "jwt"),
    ] {
        http.post(&format!("sys/auth/{path}"), &json!({"type": kind}))
            .ok();
    }
    let of = |capabilities: &str| {
        let policy = format!(
            "path \"auth/token/*\" {{ capabilities = [{capabilities}] }}
             path \"auth/people/*\" {{ capabilities = [{capabilities}] }}
             path \"auth/approle/*\" {{ capabilities = [{capabilities}] }}
             path \"auth/id/*\" {{ capabilities = [{capabilities}] }}"
        );
        json!({ "policy": policy })
    };
    let plain = of("\"create\", \"update\", \"read\"");
    let sudo = of("\"create\", \"update\", \"read\", \"sudo\"");
    http.put("sys/policies/acl/plain", &plain).ok();
    http.put("sys/policies/acl/sudo", &sudo).ok();
    let weak = client(http, &json!({"policies": ["plain"]}));
    let strong = client(http, &json!({"policies": ["sudo"]}));
    (server, weak, strong)
}

/// A token that may write a token role and use it could once make a root token with two
/// requests. CVE-2025-5999 and CVE-2025-64761 were of this kind: root in a spelling, or from a
/// source, that the check did not see.
#[test]
fn root_is_given_by_no_role_login_or_spelling() {
    let (server, weak, strong) = scene();
    let root = &server.http;
    let before = roots(root);
    let login_role = json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "bob"});
    for spelling in spellings() {
        for who in [&weak, &strong, root] {
            // A role or user that would give `root` is refused when it is written.
            let with = |body: Value, field: &str| {
                let mut body = body;
                body[field] = spelling.clone();
                body
            };
            for (path, body) in [
                ("auth/token/roles/r", with(json!({}), "allowed_policies")),
                (
                    "auth/token/roles/r",
                    with(json!({}), "allowed_policies_glob"),
                ),
                (
                    "auth/people/users/u",
                    with(json!({"password": "x"}), "token_policies"),
                ),
                (
                    "auth/people/users/u",
                    with(json!({"password": "x"}), "policies"),
                ),
                ("auth/approle/role/u", with(json!({}), "token_policies")),
                ("auth/approle/role/u", with(json!({}), "policies")),
                ("auth/id/role/u", with(login_role.clone(), "token_policies")),
                ("auth/id/role/u", with(login_role.clone(), "policies")),
            ] {
                let sentence = who.post(path, &body).refused(400);
                assert!(sentence.contains("root"), "{path} {body}: {sentence}");
                root.get(path).nothing_here();
            }
            // An existing one cannot be changed to give it.
            root.post("auth/people/users/v", &json!({"password": "x"}))
                .ok();
            root.post("auth/approle/role/v", &json!({})).ok();
            for path in [
                "auth/people/users/v/policies",
                "auth/approle/role/v/policies",
            ] {
                who.post(path, &json!({"token_policies": spelling}))
                    .refused(400);
                who.post(path, &json!({"policies": spelling})).refused(400);
            }
            // A role that would allow it by a pattern does not give it, by name or
            // without one, neither to whoever has it already.
            for glob in ["*", "r*", "*T", "*oo*"] {
                let role = json!({"allowed_policies_glob": glob});
                root.post("auth/token/roles/g", &role).ok();
                let body = json!({"policies": spelling});
                let refused = who.post("auth/token/create/g", &body).refused(400);
                assert!(refused.contains("root"), "{refused}");
                let without = who.post("auth/token/create/g", &json!({}));
                let holder = root.with_token(&token_of(&without));
                assert!(!policies_of(&holder).to_string().contains("root"));
            }
            root.post("auth/token/roles/d", &json!({"disallowed_policies": "x"}))
                .ok();
            for role in ["d", "g"] {
                let path = format!("auth/token/create/{role}");
                who.post(&path, &json!({"policies": spelling})).refused(400);
                who.post(&path, &json!({"policies": spelling, "type": "batch"}))
                    .refused(400);
            }
        }
        // By name, only a root token makes one, and never as a batch token.
        for who in [&weak, &strong] {
            for path in ["auth/token/create", "auth/token/create-orphan"] {
                let body = json!({"policies": spelling});
                let answer = who.post(path, &body);
                assert!([400, 403].contains(&answer.status), "{answer:?}");
            }
        }
        root.post(
            "auth/token/create",
            &json!({"policies": spelling, "type": "batch"}),
        )
        .refused(400);
        assert_eq!(roots(root), before);
        let child = client(root, &json!({"policies": spelling}));
        assert_eq!(policies_of(&child), json!(["root"]));
        child.post("auth/token/revoke-self", &json!({})).ok();
    }
    assert_eq!(roots(root), before);
}

/// Every kind of login, renewed too, and through a wrapped answer, gives what its
/// role or user says and never root; the method's own settings take no limit away.
#[test]
fn every_login_gives_what_its_role_says_and_no_more() {
    let (server, _, _) = scene();
    let root = &server.http;
    let signer = Signer::new("key");
    root.post(
        "auth/id/config",
        &json!({"jwt_validation_pubkeys": signer.pem()}),
    )
    .ok();
    let jwt = signer.sign(&json!({"sub": "bob", "iat": 1_700_000_000, "exp": 4_000_000_000_u64}));
    let says = json!({"token_policies": " App ", "token_num_uses": 3, "token_ttl": "1h"});
    let with = |mut body: Value| {
        for (name, value) in says.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    root.post("auth/people/users/bob", &with(json!({"password": "x"})))
        .ok();
    root.post(
        "auth/approle/role/ci",
        &with(json!({"role_id": "r", "bind_secret_id": false, "token_bound_cidrs": "127.0.0.0/8"})),
    )
    .ok();
    root.post(
        "auth/id/role/dev",
        &with(json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "bob"})),
    )
    .ok();
    let stranger = root.without_token();
    for (mount, path, body) in [
        ("people", "auth/people/login/bob", json!({"password": "x"})),
        ("approle", "auth/approle/login", json!({"role_id": "r"})),
        ("id", "auth/id/login", json!({"role": "dev", "jwt": jwt})),
    ] {
        let tune = format!("sys/auth/{mount}/tune");
        for kind in ["default-service", "service", "default-batch", "batch"] {
            root.post(&tune, &json!({"token_type": kind})).ok();
            let login = stranger.post(path, &body);
            if kind.ends_with("batch") {
                // The uses of a batch token cannot be counted, since it is stored nowhere.
                let sentence = login.refused(400);
                assert!(sentence.contains("num_uses"), "{sentence}");
                continue;
            }
            let holder = root.with_token(&token_of(&login));
            let renewed = holder.post("auth/token/renew-self", &json!({})).ok().json();
            assert_eq!(renewed["auth"]["policies"], json!(["app", "default"]));
            assert_eq!(policies_of(&holder), json!(["app", "default"]));
            assert_eq!(holder.get("auth/token/lookup-self").status, 200);
            assert_eq!(holder.get("auth/token/lookup-self").status, 403);
        }
        root.post(&tune, &json!({"token_type": "default-service"}))
            .ok();
        let body = body.to_string();
        let headers = [("X-Vault-Wrap-TTL", "60s")];
        let wrapped = stranger.send("POST", path, &headers, Some(body.as_bytes()));
        let parcel = wrapped.ok().json()["wrap_info"]["token"].clone();
        let bearer = root.with_token(parcel.as_str().unwrap());
        let opened = bearer.post("sys/wrapping/unwrap", &json!({}));
        let opened = opened.ok().json();
        assert_eq!(opened["auth"]["policies"], json!(["app", "default"]));
    }
}

/// As in Vault, but safer: a root token ends with the one that made it.
#[test]
fn a_root_token_makes_another_that_ends_with_it() {
    let server = Server::start();
    let root = &server.http;
    // Terraform's request.
    let made = root.post(
        "auth/token/create",
        &json!({"ttl": "20m", "display_name": "terraform"}),
    );
    let auth = made.clone().ok().json()["auth"].clone();
    assert_eq!(auth["policies"], json!(["root"]));
    assert_eq!(auth["lease_duration"], 1200);
    let child = root.with_token(&token_of(&made));
    child.get("sys/mounts").ok();
    child.post("auth/token/renew-self", &json!({})).ok();
    let own = child.get("auth/token/lookup-self").data();
    assert_eq!(own["orphan"], false);
    assert_eq!(own["path"], "auth/token/create");
    // Without a length it has no end, like the one that made it, and cannot be renewed.
    let lasting = root.post("auth/token/create", &json!({}));
    let shown = lasting.clone().ok().json()["auth"].clone();
    assert_eq!(shown["lease_duration"], 0);
    assert_eq!(shown["renewable"], false);
    let lasting = root.with_token(&token_of(&lasting));
    assert!(lasting.get("auth/token/lookup-self").data()["expire_time"].is_null());
    // A token made by one with an end does not end later.
    let grandchild = child.post(
        "auth/token/create",
        &json!({"policies": "root", "no_parent": true, "ttl": "100h"}),
    );
    let left = grandchild.clone().ok().json()["auth"]["lease_duration"].clone();
    assert!(left.as_u64().unwrap() <= 1200, "{left}");
    // `root` is never given without being named: neither to an orphan nor by a role.
    root.post("auth/token/roles/open", &json!({})).ok();
    for (path, body) in [
        ("auth/token/create", json!({"no_parent": true})),
        ("auth/token/create-orphan", json!({})),
        ("auth/token/create/open", json!({})),
    ] {
        let answer = root.post(path, &body).ok().json();
        assert_eq!(answer["auth"]["policies"], json!(["default"]), "{path}");
        assert!(answer["warnings"][0].as_str().unwrap().contains("root"));
    }
    for (body, says) in [
        (json!({"type": "batch"}), "batch"),
        (json!({"type": "batch", "policies": "root"}), "batch"),
    ] {
        let sentence = root.post("auth/token/create", &body).refused(400);
        assert!(sentence.contains(says), "{sentence}");
    }
    // A root token with limited uses makes no other.
    let few = client(root, &json!({"num_uses": 3}));
    let sentence = few.post("auth/token/create", &json!({})).refused(400);
    assert!(sentence.contains("restricted use"), "{sentence}");

    // The child is revoked with the one that made it.
    let parent = client(root, &json!({}));
    let heir = client(&parent, &json!({}));
    heir.get("sys/mounts").ok();
    parent.post("auth/token/revoke-self", &json!({})).ok();
    heir.get("sys/mounts").refused(403);
    // Also by `revoke-orphan`, where other children live on.
    let parent = client(root, &json!({}));
    let heir = client(&parent, &json!({}));
    let other = client(&parent, &json!({"policies": "default"}));
    let alone = json!({"token": parent.token()});
    root.post("auth/token/revoke-orphan", &alone).ok();
    heir.get("sys/mounts").refused(403);
    other.get("auth/token/lookup-self").ok();
    // The log has its making, and the audit log has the request and the caller.
    assert!(server.log().contains("a root token made another one"));
    let audit = server.audit();
    let is_record = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["path"] == "auth/token/create"
            && line["response"]["auth"]["policies"] == json!(["root"])
    };
    assert!(audit.lines().any(is_record));
}

/// An orphan is by its definition not revoked with the one that made it. An orphan root token
/// ends no later than its maker would have, whatever length it asks for and however many
/// orphans stand in between.
#[test]
fn an_orphan_root_token_outlives_a_revoked_maker_and_not_its_end() {
    let server = Server::start();
    let root = &server.http;
    let maker = client(root, &json!({"ttl": "20m"}));
    let orphan = |maker: &Http, path: &str, fields: &Value| {
        let body = lessor_tests::fixture::changed(json!({"policies": "root"}), fields);
        let made = maker.post(&format!("auth/token/{path}"), &body);
        maker.with_token(&token_of(&made))
    };
    let mut orphans: Vec<Http> = [
        ("create", json!({"no_parent": true})),
        ("create-orphan", json!({})),
        ("create-orphan", json!({"ttl": "100h"})),
        ("create-orphan", json!({"period": "10h"})),
        (
            "create-orphan",
            json!({"explicit_max_ttl": "100h", "ttl": "10m"}),
        ),
    ]
    .iter()
    .map(|(path, fields)| orphan(&maker, path, fields))
    .collect();
    let second = orphan(&orphans[0], "create-orphan", &json!({"ttl": "100h"}));
    orphans.push(second);
    maker.post("auth/token/revoke-self", &json!({})).ok();
    maker.get("sys/mounts").refused(403);
    orphans[0].post("auth/token/revoke-self", &json!({})).ok();
    orphans.remove(0);
    server.advance_clock(5 * 60);
    for orphan in &orphans {
        orphan.get("sys/mounts").ok();
        let own = orphan.get("auth/token/lookup-self").data();
        assert_eq!(own["orphan"], true, "{own}");
        let increment = json!({"increment": "100h"});
        let renewed = orphan.post("auth/token/renew-self", &increment).ok();
        let left = renewed.json()["auth"]["lease_duration"].clone();
        assert!(left.as_u64().unwrap() <= 900, "{left}: {own}");
    }
    // A list of accessors shows such orphans, and they can be ended.
    assert_eq!(roots(root), 1 + orphans.len());
    let last = orphans.pop().unwrap();
    let accessor = last.get("auth/token/lookup-self").data()["accessor"].clone();
    let named = json!({"accessor": accessor});
    root.post("auth/token/revoke-accessor", &named).ok();
    last.get("sys/mounts").refused(403);
    server.advance_clock(16 * 60);
    for orphan in &orphans {
        orphan.get("sys/mounts").refused(403);
    }
}

#[test]
fn an_operator_can_forbid_that_root_tokens_make_others() {
    let server = Server::setup()
        .config("[tokens]\nroot_children = false")
        .start();
    let root = &server.http;
    let made = root.post("auth/token/create", &json!({})).ok().json();
    assert_eq!(made["auth"]["policies"], json!(["default"]));
    assert!(made["warnings"][0].as_str().unwrap().contains("root"));
    for spelling in spellings() {
        let body = json!({"policies": spelling});
        let sentence = root.post("auth/token/create", &body).refused(400);
        assert!(sentence.contains("tokens.root_children"), "{sentence}");
    }
}
