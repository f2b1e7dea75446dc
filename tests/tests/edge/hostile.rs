//! Requests that mean harm, over every kind of path: each is refused by at most
//! one sentence, none changes anything, and the server goes on.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use lessor_tests::{
    fixture::Fixture,
    http::{Answer, Http},
    refusal::{complaint, state},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// A server with one of everything that a request could name.
fn furnished() -> Fixture {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let policy =
        "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }";
    for (path, body) in [
        ("sys/policies/acl/wide", json!({"policy": policy})),
        (
            "auth/token/roles/batch",
            json!({"allowed_policies": "wide"}),
        ),
        (
            "auth/token/roles/elsewhere",
            json!({"allowed_policies": "wide", "token_bound_cidrs": "10.0.0.0/8"}),
        ),
        ("sys/auth/approle", json!({"type": "approle"})),
        ("auth/approle/role/app", json!({"token_policies": "wide"})),
        ("sys/auth/userpass", json!({"type": "userpass"})),
        (
            "auth/userpass/users/ann",
            json!({"password": "correct horse", "token_policies": "wide"}),
        ),
        ("sys/auth/jwt", json!({"type": "jwt"})),
    ] {
        http.post(path, &body).ok();
    }
    fixture
}

/// Everything that a request could change, beside tokens.
fn everything(fixture: &Fixture) -> Value {
    let http = &fixture.server.http;
    let read = |path: &str| http.get(path).json()["data"].clone();
    json!({
        "mounts": state(&fixture.server),
        "policies": http.list("sys/policies/acl").keys(),
        "policy": read("sys/policies/acl/wide"),
        "token roles": http.list("auth/token/roles").keys(),
        "token role": read("auth/token/roles/batch"),
        "methods": read("sys/auth"),
        "roles": http.list("auth/approle/role").keys(),
        "role": read("auth/approle/role/app"),
        "role id": read("auth/approle/role/app/role-id"),
        "users": http.list("auth/userpass/users").keys(),
        "user": read("auth/userpass/users/ann"),
        "jwt roles": http.list("auth/jwt/role").keys(),
        "jwt": read("auth/jwt/config"),
    })
}

/// The accessors of all tokens.
fn tokens(http: &Http) -> BTreeSet<String> {
    http.list("auth/token/accessors")
        .keys()
        .into_iter()
        .collect()
}

#[test]
fn a_token_that_does_not_hold_opens_nothing() {
    let fixture = furnished();
    let server = &fixture.server;
    let http = &server.http;
    let made = |by: &Http, path: &str, body: Value| {
        let answer = by.post(path, &body).ok().json();
        by.with_token(answer["auth"]["client_token"].as_str().unwrap())
    };
    let wide =
        |changes: &Value| lessor_tests::fixture::changed(json!({"policies": ["wide"]}), changes);
    let create = "auth/token/create";
    let expired = made(
        http,
        create,
        wide(&json!({"ttl": "5m", "explicit_max_ttl": "5m"})),
    );
    let used_up = made(http, create, wide(&json!({"num_uses": 1})));
    used_up.get("auth/token/lookup-self").ok();
    let elsewhere = made(http, "auth/token/create/elsewhere", json!({}));
    let parent = made(http, create, wide(&json!({})));
    let child = made(&parent, create, json!({}));
    child.get("auth/token/lookup-self").ok();
    parent.post("auth/token/revoke-self", &json!({})).ok();
    let wrapped = http.send(
        "POST",
        create,
        &[("X-Vault-Wrap-TTL", "5m")],
        Some(wide(&json!({})).to_string().as_bytes()),
    );
    let wrapping = http.with_token(wrapped.ok().json()["wrap_info"]["token"].as_str().unwrap());
    server.advance_clock(301);

    let long = "x".repeat(10_000);
    let before = (everything(&fixture), tokens(http));
    let mut wrong = Vec::new();
    for (what, token) in [
        ("none", http.without_token()),
        ("a wrong one", http.with_token("wrong")),
        ("a beginning", http.with_token("lsr.")),
        ("one that is too long", http.with_token(&long)),
        (
            "one of Vault's",
            http.with_token("hvs.CAESIJ0000000000000000000000000000000000000000"),
        ),
        ("an expired one", expired),
        ("one that is used up", used_up),
        ("one from elsewhere", elsewhere),
        ("a revoked one", parent),
        ("a child of a revoked one", child),
        ("one that wraps an answer", wrapping),
    ] {
        for (method, path) in [
            ("GET", "db/creds/reader"),
            ("POST", "db/roles/reader"),
            ("GET", "auth/token/lookup-self"),
            ("POST", "auth/token/create"),
            ("POST", "auth/token/create-orphan"),
            ("POST", "auth/token/create/batch"),
            ("POST", "auth/token/renew-self"),
            ("POST", "auth/token/revoke-self"),
            ("LIST", "auth/token/accessors"),
            ("POST", "auth/token/roles/batch"),
            ("DELETE", "auth/token/roles/batch"),
            ("GET", "sys/policies/acl/wide"),
            ("POST", "sys/policies/acl/wide"),
            ("DELETE", "sys/policy/wide"),
            ("POST", "sys/capabilities-self"),
            ("GET", "sys/auth"),
            ("POST", "sys/auth/x"),
            ("DELETE", "sys/auth/approle"),
            ("POST", "auth/approle/role/app"),
            ("POST", "auth/approle/role/app/secret-id"),
            ("DELETE", "auth/userpass/users/ann"),
            ("POST", "auth/jwt/config"),
            ("POST", "sys/wrapping/wrap"),
            ("POST", "sys/wrapping/rewrap"),
        ] {
            // A wrapping token may be looked up and rewrapped.
            if what == "one that wraps an answer" && path == "sys/wrapping/rewrap" {
                continue;
            }
            let body = (method == "POST").then_some(b"{}".as_slice());
            let answer = token.send(method, path, &[], body);
            if let Some(why) = complaint(&answer, 403, &["permission denied"]) {
                wrong.push(format!("{what}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(everything(&fixture), before.0);
    assert!(tokens(http).is_subset(&before.1), "a token was made");
    fixture.await_exactly(&[]);
}

/// The fault of an answer to a path that names nothing.
fn no_refusal(answer: &Answer) -> Option<String> {
    let describe = |why: &str| {
        Some(format!(
            "{why}: {} {} {:.200}",
            answer.request.len(),
            answer.status,
            answer.text()
        ))
    };
    // A thing that cannot exist counts as deleted already.
    if answer.status == 204 && answer.request.starts_with("DELETE") {
        return None;
    }
    if !(400..500).contains(&answer.status) {
        return describe("no refusal");
    }
    let body: Value = serde_json::from_slice(&answer.bytes)
        .ok()
        .unwrap_or_default();
    match body["errors"].as_array().map(Vec::as_slice) {
        Some([]) => None,
        Some([sentence]) => {
            let text = sentence.as_str().unwrap_or_default();
            let is_plain = text.len() <= 600 && !text.chars().any(char::is_control);
            if is_plain {
                None
            } else {
                describe("no clear sentence")
            }
        }
        _ => describe("no errors"),
    }
}

#[test]
fn names_that_are_none_are_refused_wherever_a_path_holds_one() {
    let fixture = furnished();
    let http = &fixture.server.http;
    let before = (everything(&fixture), tokens(http));
    let long = "x".repeat(60_000);
    let names = [
        "a%2fb",
        "a%2Fb",
        "..",
        "%2e%2e",
        "..%2fapp",
        "a%00b",
        "%00",
        "a%0ab",
        "a%1bb",
        "a%20b",
        "%ff%fe",
        "%",
        "%zz",
        "a%5cb",
        "a%3bb",
        "%c3%a4",
        "%e2%80%ae",
        long.as_str(),
    ];
    let mut wrong = Vec::new();
    for place in [
        "auth/token/roles/",
        "auth/token/create/",
        "sys/policies/acl/",
        "sys/policy/",
        "sys/auth/",
        "auth/approle/role/",
        "auth/userpass/users/",
        "auth/userpass/login/",
        "auth/jwt/role/",
        "auth/",
        "sys/mounts/",
        "sys/leases/lookup/",
        "sys/plugins/catalog/secret/",
        "sys/tasks/",
        "db/roles/",
        "db/creds/",
        "db/static-roles/",
    ] {
        for name in names {
            let path = format!("{place}{name}");
            for (method, body) in [
                ("GET", None),
                ("POST", Some(b"{}".as_slice())),
                ("DELETE", None),
            ] {
                let answer = http.send(method, &path, &[], body);
                if let Some(why) = no_refusal(&answer) {
                    wrong.push(format!("{method} {path:.60}: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(everything(&fixture), before.0);
    assert_eq!(tokens(http), before.1);
}

#[test]
fn bodies_that_mean_harm_are_refused_wherever_one_is_taken() {
    let fixture = furnished();
    let http = &fixture.server.http;
    let before = (everything(&fixture), tokens(http));
    let deep = |name: &str| {
        format!(
            "{{\"{name}\": {}{}}}",
            "[".repeat(20_000),
            "]".repeat(20_000)
        )
    };
    let mut wrong = Vec::new();
    let mut refuse = |path: &str, body: &[u8]| {
        let json = [("Content-Type", "application/json")];
        let answer = http.send("POST", path, &json, Some(body));
        if let Some(why) = complaint(&answer, 400, &[]) {
            wrong.push(format!("{:.80}: {why}", String::from_utf8_lossy(body)));
        }
    };

    for (path, field) in [
        ("auth/token/create", "ttl"),
        ("auth/token/roles/batch", "token_period"),
        ("auth/token/renew-self", "increment"),
        ("sys/policies/acl/wide", "policy"),
        ("sys/policy/wide", "policy"),
        ("sys/capabilities-self", "paths"),
        ("sys/wrapping/lookup", "token"),
        ("sys/wrapping/unwrap", "token"),
        ("sys/auth/x", "type"),
        ("sys/auth/approle/tune", "default_lease_ttl"),
        ("auth/approle/role/app", "token_ttl"),
        ("auth/approle/role/app/secret-id", "cidr_list"),
        ("auth/approle/login", "role_id"),
        ("auth/userpass/users/ann", "token_ttl"),
        ("auth/userpass/login/ann", "password"),
        ("auth/jwt/config", "bound_issuer"),
        ("auth/jwt/role/x", "user_claim"),
        ("auth/jwt/login", "jwt"),
        ("sys/leases/revoke", "lease_id"),
        ("sys/remount", "from"),
    ] {
        refuse(
            path,
            format!("{{\"{field}\": \"1\", \"{field}\": \"2\"}}").as_bytes(),
        );
        refuse(path, deep(field).as_bytes());
        refuse(
            path,
            &[b"{\"".as_slice(), field.as_bytes(), b"\": \"\xff\xfe\"}"].concat(),
        );
        refuse(path, format!("{{\"{field}\": {{}}}}").as_bytes());
        refuse(path, format!("{{\"{field}\": \"1\"").as_bytes());
        refuse(path, format!("[\"{field}\"]").as_bytes());
        refuse(path, format!("{{\"{field}\": 1e999}}").as_bytes());
    }
    for (path, body) in [
        ("auth/token/create", json!({"ttl": -1})),
        ("auth/token/create", json!({"ttl": "99999999999999999999h"})),
        ("auth/token/create", json!({"ttl": 1.5e300})),
        ("auth/token/create", json!({"period": "-1h"})),
        ("auth/token/create", json!({"num_uses": -1})),
        ("auth/token/create", json!({"num_uses": u64::MAX})),
        ("auth/token/create", json!({"num_uses": 1.5})),
        ("auth/token/create", json!({"policies": {"wide": 1}})),
        ("auth/token/create", json!({"policies": [["wide"]]})),
        ("auth/token/create", json!({"meta": "red"})),
        ("auth/token/create", json!({"renewable": "perhaps"})),
        ("auth/token/create", json!({"nosuch_policies": "x"})),
        (
            "auth/token/roles/batch",
            json!({"token_bound_cidrs": "10.0.0.0/99"}),
        ),
        ("auth/token/roles/batch", json!({"path_suffix": "../x"})),
        ("auth/token/roles/batch", json!({"nosuch_max": "x"})),
        (
            "sys/policies/acl/wide",
            json!({"policy": "path \"x\" { capabilities = [\"fly\"] }"}),
        ),
        (
            "sys/policies/acl/wide",
            json!({"policy": "{".repeat(50_000)}),
        ),
        ("sys/capabilities-self", json!({"paths": [[5]]})),
        ("sys/auth/approle/tune", json!({"default_lease_ttl": "-1h"})),
        ("auth/approle/role/app", json!({"secret_id_num_uses": -1})),
        ("auth/approle/role/app", json!({"token_num_uses": u64::MAX})),
        (
            "auth/approle/role/app",
            json!({"secret_id_bound_cidrs": "nosuch"}),
        ),
        (
            "auth/approle/role/app/secret-id",
            json!({"metadata": "[1]"}),
        ),
        (
            "auth/approle/role/app/secret-id",
            json!({"cidr_list": "nosuch"}),
        ),
        ("auth/approle/role/app/role-id", json!({"role_id": ""})),
        (
            "auth/approle/login",
            json!({"role_id": "x".repeat(100_000), "secret_id": "x"}),
        ),
        ("auth/userpass/users/ann", json!({"token_type": "nosuch"})),
        (
            "auth/userpass/login/ann",
            json!({"password": "x".repeat(100_000)}),
        ),
        (
            "auth/jwt/config",
            json!({"jwt_validation_pubkeys": "nosuch"}),
        ),
        (
            "auth/jwt/role/x",
            json!({"role_type": "nosuch", "user_claim": "sub"}),
        ),
        (
            "auth/jwt/login",
            json!({"role": "x", "jwt": ".".repeat(100_000)}),
        ),
    ] {
        refuse(path, body.to_string().as_bytes());
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(everything(&fixture), before.0);
    assert_eq!(tokens(http), before.1);
}

/// Bytes that no client library sends.
#[test]
fn lines_that_are_no_http_are_refused_and_the_server_goes_on() {
    let fixture = Fixture::start();
    let address = fixture.server.http.base().replace("http://", "");
    let long = format!(
        "GET /v1/sys/policies/acl/{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "x".repeat(1 << 16)
    );
    let header = format!(
        "GET /v1/sys/mounts HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    for bytes in [
        long.as_bytes(),
        header.as_bytes(),
        b"GET /v1/sys/policies/acl/a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/sys/mounts HTTP/1.1\r\nHost: x\r\nX-Vault-Token: a\0b\r\n\r\n",
        b"POST /v1/auth/token/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /v1/auth/token/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"{}\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        // A server that has seen enough may close before it has read all.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{:.60}: {answer}", String::from_utf8_lossy(bytes));
    }
    eventually_true("the server goes on", || {
        fixture.server.http.get("sys/health").status == 200
    });
    fixture.issue("reader");
}
