//! Login methods in general: they are enabled, tuned and disabled at paths, obey policies,
//! refuse bad input, and leave no secret anywhere.

use lessor_tests::{
    http::{Answer, Http},
    refusal::{Case, refuse_all},
    server::Server,
};
use serde_json::json;

use super::{enable, holder, log_in, password, role, secret_id, server};

#[test]
fn methods_are_enabled_tuned_and_disabled_at_paths() {
    let server = server();
    let http = &server.http;
    http.post(
        "sys/auth/team/ci",
        &json!({
            "type": "approle",
            "description": "builds",
            "local": false,
            "seal_wrap": false,
            "options": {},
            "config": {"default_lease_ttl": "30m", "max_lease_ttl": "2h", "token_type": "default-service", "listing_visibility": "unauth"},
        }),
    )
    .ok();
    let all = http.get("sys/auth").data();
    for (path, kind) in [
        ("approle/", "approle"),
        ("people/", "userpass"),
        ("team/ci/", "approle"),
        ("token/", "token"),
    ] {
        let entry = &all[path];
        assert_eq!(entry["type"], kind, "{all}");
        for field in ["accessor", "uuid", "description"] {
            assert!(entry[field].is_string(), "{path} {field}");
        }
        for field in ["local", "seal_wrap", "external_entropy_access"] {
            assert_eq!(entry[field], false, "{path} {field}");
        }
        let config = &entry["config"];
        assert!(config["default_lease_ttl"].is_u64() && config["max_lease_ttl"].is_u64());
        assert!(config["token_type"].is_string() && config["force_no_cache"].is_boolean());
    }
    assert_eq!(http.get("sys/auth/team/ci").data(), all["team/ci/"]);
    assert_eq!(all["team/ci/"]["config"]["max_lease_ttl"], 7200);
    for path in ["sys/auth/team/ci/tune", "sys/mounts/auth/team/ci/tune"] {
        assert_eq!(http.get(path).data()["default_lease_ttl"], 1800);
    }
    assert_eq!(
        http.get("sys/auth/approle/tune").data()["max_lease_ttl"],
        768 * 3600
    );

    // The method's settings count where the role has none.
    http.post("auth/team/ci/role/ci", &json!({"role_id": "r"}))
        .ok();
    let made = http
        .post("auth/team/ci/role/ci/secret-id", &json!({}))
        .data();
    let body = json!({"role_id": "r", "secret_id": made["secret_id"]});
    let stranger = http.without_token();
    let first = stranger.post("auth/team/ci/login", &body).ok();
    assert_eq!(first.json()["auth"]["lease_duration"], 1800);
    http.post(
        "sys/mounts/auth/team/ci/tune",
        &json!({"max_lease_ttl": "40m", "default_lease_ttl": "40m"}),
    )
    .ok();
    let second = stranger.post("auth/team/ci/login", &body).ok();
    assert_eq!(second.json()["auth"]["lease_duration"], 2400);
    http.post("auth/team/ci/role/ci", &json!({"token_ttl": "1h"}))
        .ok();
    let cut = stranger.post("auth/team/ci/login", &body).ok().json();
    assert_eq!(cut["auth"]["lease_duration"], 2400);
    let first = holder(&server, first);
    assert_eq!(
        first.get("auth/token/lookup-self").data()["display_name"],
        "team-ci"
    );

    // Disabling takes all with it, and nothing else.
    role(&server, "kept", &json!({"role_id": "kept"}));
    let kept = secret_id(&server, "kept", &json!({}));
    let kept = holder(&server, log_in(&server, "kept", &kept["secret_id"]));
    http.delete("sys/auth/team/ci").ok();
    http.delete("sys/auth/team/ci").ok();
    for gone in [first, holder_of(&server, &second)] {
        gone.get("auth/token/lookup-self").refused(403);
    }
    kept.get("auth/token/lookup-self").ok();
    stranger.post("auth/team/ci/login", &body).refused(403);
    http.post("auth/team/ci/login", &body).nothing_here();
    enable(&server, "team/ci", "approle");
    http.get("auth/team/ci/role/ci").nothing_here();
    assert_ne!(
        http.get("sys/auth/team/ci").data()["accessor"],
        all["team/ci/"]["accessor"]
    );
}

fn holder_of(server: &Server, login: &Answer) -> Http {
    holder(server, login.clone())
}

#[test]
fn only_logins_need_no_token() {
    let server = server();
    role(&server, "ci", &json!({"role_id": "r"}));
    let stranger = server.http.without_token();
    let body = json!({"role_id": "r", "secret_id": "x"});
    for (method, path, expected) in [
        ("POST", "auth/approle/login", 400),
        ("PUT", "auth/approle//login/", 400),
        ("GET", "auth/approle/login", 403),
        ("LIST", "auth/approle/login", 403),
        ("DELETE", "auth/approle/login", 403),
        ("POST", "auth/approle/login/bob", 403),
        ("POST", "auth/people/login", 403),
        ("POST", "auth/people/login/a/b", 403),
        ("POST", "auth/approle/role/ci", 403),
        ("GET", "auth/approle/role/ci/role-id", 403),
        ("POST", "auth/approle/role/ci/secret-id", 403),
        ("POST", "auth/people/users/bob", 403),
        ("POST", "auth/nowhere/login", 403),
        ("POST", "auth/token/login", 403),
        ("POST", "approle/login", 403),
        ("GET", "sys/auth", 403),
        ("POST", "sys/auth/x", 403),
        ("GET", "sys/locked-users", 403),
    ] {
        let body = body.to_string();
        let answer = stranger.send(method, path, &[], Some(body.as_bytes()));
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
    }
    // A caller with a token is told more.
    for (method, path, expected) in [
        ("GET", "auth/approle/login", 405),
        ("POST", "auth/approle/login/bob", 404),
        ("POST", "auth/nowhere/login", 404),
        ("GET", "auth/approle/role", 405),
        ("GET", "auth/approle/nothing", 404),
    ] {
        let answer = server.http.send(method, path, &[], Some(b"{}"));
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
    }
}

#[test]
fn bad_logins_methods_and_roles_are_refused_by_field() {
    let server = server();
    role(
        &server,
        "ci",
        &json!({"secret_id_num_uses": 2, "secret_id_bound_cidrs": "127.0.0.0/8"}),
    );
    let http = &server.http;
    http.post("auth/people/users/bob", &json!({"password": "x"}))
        .ok();
    let before = [
        http.get("sys/auth").data(),
        http.get("auth/approle/role/ci").data(),
        http.get("auth/people/users/bob").data(),
    ];
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("unknown kind", "POST", "sys/auth/x", json!({"type": "aprole"}), 400, &["type", "aprole", "approle", "userpass"]),
        ("no kind", "POST", "sys/auth/x", json!({}), 400, &["type"]),
        ("kind oidc", "POST", "sys/auth/x", json!({"type": "oidc"}), 400, &["oidc", "jwt"]),
        ("path taken", "POST", "sys/auth/approle", json!({"type": "approle"}), 409, &["approle"]),
        ("path within", "POST", "sys/auth/approle/x", json!({"type": "approle"}), 409, &["approle"]),
        ("path of tokens", "POST", "sys/auth/token", json!({"type": "approle"}), 409, &["token"]),
        ("unknown setting", "POST", "sys/auth/x", json!({"type": "approle", "config": {"max_ttl": 1}}), 400, &["config.max_ttl", "max_lease_ttl"]),
        ("default over max", "POST", "sys/auth/x", json!({"type": "approle", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"}}), 400, &["default_lease_ttl", "max_lease_ttl"]),
        ("token type", "POST", "sys/auth/approle/tune", json!({"token_type": "paper"}), 400, &["token_type", "service"]),
        ("lock-out of none", "POST", "sys/auth/approle/tune", json!({"user_lockout_config": {"lockout_threshold": 0}}), 400, &["lockout_threshold", "lockout_disable"]),
        ("tokens disabled", "DELETE", "sys/auth/token", json!({}), 400, &["token"]),
        ("unknown method tuned", "POST", "sys/auth/aprole/tune", json!({}), 404, &["aprole", "approle"]),
        ("role without bounds", "POST", "auth/approle/role/x", json!({"bind_secret_id": false}), 400, &["constraint", "secret_id_bound_cidrs"]),
        ("role name", "POST", "auth/approle/role/a%20b", json!({}), 400, &["role name"]),
        ("ranges", "POST", "auth/approle/role/ci", json!({"secret_id_bound_cidrs": "everywhere"}), 400, &["secret_id_bound_cidrs", "10.0.0.0/8"]),
        ("root", "POST", "auth/approle/role/ci", json!({"token_policies": "root"}), 400, &["token_policies", "root"]),
        ("unknown role field", "POST", "auth/approle/role/ci", json!({"secret_id_tll": 1}), 400, &["secret_id_tll", "secret_id_ttl"]),
        ("local secret ids later", "POST", "auth/approle/role/ci", json!({"local_secret_ids": true}), 400, &["local_secret_ids"]),
        ("empty role id", "POST", "auth/approle/role/ci", json!({"role_id": ""}), 400, &["role_id"]),
        ("no value", "POST", "auth/approle/role/ci/token-ttl", json!({}), 400, &["missing token_ttl"]),
        ("unknown role", "POST", "auth/approle/role/ic/token-ttl", json!({"token_ttl": 1}), 404, &["ic"]),
        ("unknown role", "POST", "auth/approle/role/ic/secret-id", json!({}), 404, &["ic"]),
        ("too many uses", "POST", "auth/approle/role/ci/secret-id", json!({"num_uses": 3}), 400, &["num_uses", "secret_id_num_uses"]),
        ("wider than the role", "POST", "auth/approle/role/ci/secret-id", json!({"cidr_list": "0.0.0.0/0"}), 400, &["cidr_list", "secret_id_bound_cidrs"]),
        ("metadata", "POST", "auth/approle/role/ci/secret-id", json!({"metadata": [1]}), 400, &["metadata"]),
        ("no custom value", "POST", "auth/approle/role/ci/custom-secret-id", json!({}), 400, &["secret_id"]),
        ("user without password", "POST", "auth/people/users/eve", json!({}), 400, &["missing password"]),
        ("password of nobody", "POST", "auth/people/users/eve/password", json!({"password": "x"}), 404, &["username"]),
        ("long password", "POST", "auth/people/users/bob", json!({"password": "x".repeat(5000)}), 400, &["password", "4096"]),
        ("ttl over max", "POST", "auth/people/users/bob", json!({"token_ttl": "2h", "token_max_ttl": "1h"}), 400, &["token_ttl", "token_max_ttl"]),
        ("login without role id", "POST", "auth/approle/login", json!({}), 400, &["missing role_id"]),
        ("login with a wrong type", "POST", "auth/approle/login", json!({"role_id": [7]}), 400, &["role_id must be a string"]),
        ("login with a wrong field", "POST", "auth/people/login/bob", json!({"password": "x", "pasword": "x"}), 400, &["pasword"]),
    ];
    refuse_all(http, cases);
    let after = [
        http.get("sys/auth").data(),
        http.get("auth/approle/role/ci").data(),
        http.get("auth/people/users/bob").data(),
    ];
    assert_eq!(before, after);
}

#[test]
fn what_logs_in_shows_nowhere() {
    let mut server = Server::setup()
        .argument("--log-level")
        .argument("debug")
        .start();
    enable(&server, "approle", "approle");
    enable(&server, "people", "userpass");
    let role_id = role(&server, "ci", &json!({}));
    let made = secret_id(&server, "ci", &json!({}));
    let secret = made["secret_id"].as_str().unwrap().to_owned();
    let path = "auth/approle/role/ci/custom-secret-id";
    let custom = "canary-of-a-chosen-secret-id";
    server.http.post(path, &json!({"secret_id": custom})).ok();
    let word = "canary-of-a-password";
    let wrong = "canary-of-a-mistyped-password";
    server
        .http
        .post("auth/people/users/bob", &json!({"password": word}))
        .ok();
    let mut tokens = Vec::new();
    for login in [
        log_in(&server, &role_id, &json!(secret)),
        log_in(&server, &role_id, &json!(custom)),
        password(&server, "bob", word),
    ] {
        tokens.push(
            login.ok().json()["auth"]["client_token"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let refusals = [
        password(&server, "bob", wrong).text(),
        log_in(&server, &role_id, &json!(wrong)).text(),
        log_in(&server, wrong, &json!(secret)).text(),
        server
            .http
            .post("auth/people/users/bob", &json!({"pasword": wrong}))
            .text(),
        server
            .http
            .post(
                "auth/approle/role/ci/secret-id/lookup",
                &json!({"secret_id": custom}),
            )
            .text(),
    ];
    server.stop();
    let mut places = vec![
        ("the log", server.log().into_bytes()),
        ("the audit log", server.audit().into_bytes()),
    ];
    places.extend(refusals.map(|text| ("an answer", text.into_bytes())));
    for file in std::fs::read_dir(server.data()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            places.push(("a file of the data directory", std::fs::read(path).unwrap()));
        }
    }
    for secret in [secret.as_str(), custom, word, wrong]
        .into_iter()
        .chain(tokens.iter().map(String::as_str))
    {
        for (place, bytes) in &places {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{place} holds {secret}");
        }
    }
    // The logins themselves are in the audit log, by hash.
    assert!(server.audit().contains("auth/approle/login"));
}

/// Policies decide what operators may do below `auth/`, as everywhere.
#[test]
fn paths_of_a_method_are_held_to_policies() {
    let server = server();
    let http = &server.http;
    let policy = r#"
        path "auth/approle/role/ci" { capabilities = ["create", "read"] }
        path "auth/approle/role/+/secret-id" { capabilities = ["update"] }
        path "sys/auth" { capabilities = ["read"] }
        path "sys/auth/*" { capabilities = ["create", "read", "update"] }
    "#;
    http.put("sys/policies/acl/builder", &json!({"policy": policy}))
        .ok();
    let sudo = r#"path "sys/auth/*" { capabilities = ["update", "read", "sudo"] }"#;
    http.put("sys/policies/acl/opener", &json!({"policy": sudo}))
        .ok();
    for (name, policies) in [("bob", "builder"), ("eve", "opener")] {
        let user = json!({"password": "x", "token_policies": policies});
        http.post(&format!("auth/people/users/{name}"), &user).ok();
    }
    let bob = holder(&server, password(&server, "bob", "x"));
    let eve = holder(&server, password(&server, "eve", "x"));
    let none = json!({});
    bob.get("sys/auth").ok();
    bob.post("auth/approle/role/ci", &none).ok();
    // The role exists by now, so a write would change it.
    bob.post("auth/approle/role/ci", &none).refused(403);
    bob.get("auth/approle/role/ci").ok();
    bob.post("auth/approle/role/ci/secret-id", &none).ok();
    bob.post("auth/approle/role/ci/custom-secret-id", &none)
        .refused(403);
    bob.list("auth/approle/role").refused(403);
    bob.get("auth/people/users/bob").refused(403);
    // Enabling is for those with sudo, as in Vault.
    bob.post("sys/auth/x", &json!({"type": "approle"}))
        .refused(403);
    bob.get("sys/auth/approle/tune").refused(403);
    eve.post("sys/auth/x", &json!({"type": "approle"})).ok();
    eve.get("sys/auth/approle/tune").ok();
    eve.post("sys/locked-users/x/unlock/bob", &none)
        .refused(403);
}
