//! The fields of a request are read from any kind of body, with values as Vault's clients write
//! them, without fields that repeat the path, and with a warning about unused ones.

use lessor_tests::{
    fixture::Fixture,
    http::{Answer, Http},
    jwt::Signer,
    server::Server,
};
use serde_json::{Value, json};

/// A server with AppRole at `approle` and users at `people`.
fn server() -> Server {
    let server = Server::start();
    for (path, kind) in [("approle", "approle"), ("people", "userpass")] {
        let body = json!({ "type": kind });
        server.http.post(&format!("sys/auth/{path}"), &body).ok();
    }
    server
}

fn send(http: &Http, path: &str, kind: Option<&str>, body: &str) -> Answer {
    let headers: Vec<(&str, &str)> = kind.iter().map(|kind| ("Content-Type", *kind)).collect();
    http.send("POST", path, &headers, Some(body.as_bytes()))
}

fn warnings(answer: &Answer) -> Vec<String> {
    if answer.bytes.is_empty() {
        return Vec::new();
    }
    let warnings = answer.json()["warnings"].clone();
    serde_json::from_value::<Option<Vec<String>>>(warnings)
        .unwrap()
        .unwrap_or_default()
}

/// .NET and `fetch` call JSON text, curl calls it a form; and a form is one.
#[test]
fn a_body_is_read_for_what_it_is_and_not_for_what_it_is_called() {
    let server = server();
    let http = &server.http;
    http.post("auth/approle/role/r", &json!({"token_policies": "a"}))
        .ok();
    let role_id = http.get("auth/approle/role/r/role-id").data()["role_id"].clone();
    let made = http
        .post("auth/approle/role/r/secret-id", &json!({}))
        .data();
    let (role_id, secret_id) = (
        role_id.as_str().unwrap(),
        made["secret_id"].as_str().unwrap(),
    );
    let as_json = json!({"role_id": role_id, "secret_id": secret_id}).to_string();
    let as_form = format!("role_id={role_id}&secret_id={secret_id}");
    let stranger = http.without_token();
    let form = "application/x-www-form-urlencoded";
    for (kind, body) in [
        (Some("text/plain;charset=UTF-8"), &as_json),
        (Some("application/octet-stream"), &as_json),
        (Some("application/vnd.api+json"), &as_json),
        (Some("multipart/form-data; boundary=x"), &as_json),
        (Some("no type at all"), &as_json),
        (Some(form), &as_json),
        (None, &as_json),
        (Some(form), &as_form),
    ] {
        let answer = send(&stranger, "auth/approle/login", kind, body);
        assert_eq!(answer.status, 200, "{kind:?} {answer:?}");
    }
    // A name that stands twice in a form is a list.
    let body = "token_policies=a&token_policies=b&token_ttl=1h&token_no_default_policy=t";
    send(http, "auth/approle/role/of-a-form", Some(form), body).ok();
    let shown = http.get("auth/approle/role/of-a-form").data();
    assert_eq!(shown["token_policies"], json!(["a", "b"]));
    assert_eq!(shown["token_ttl"], 3600);
    assert_eq!(shown["token_no_default_policy"], true);
    send(
        http,
        "auth/approle/role/x",
        Some("text/plain"),
        "token_ttl=1h",
    )
    .refused(400);
}

/// A page that somebody has open may send simple forms, and its browser says so.
#[test]
fn no_web_page_initialises_a_server() {
    let server = Server::setup().start_uninitialised();
    for header in [
        ("Origin", "https://example.com"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        for body in ["{}", ""] {
            let answer = server
                .http
                .send("POST", "sys/init", &[header], Some(body.as_bytes()));
            answer.refused(403);
        }
    }
    assert_eq!(server.http.get("sys/init").json()["initialized"], false);
    server.http.put("sys/init", &json!({})).ok();
}

#[test]
fn what_the_path_says_is_dropped_from_the_body() {
    let server = server();
    let http = &server.http;
    http.post("auth/approle/role/r", &json!({"token_policies": "a"}))
        .ok();
    http.post("auth/people/users/bob", &json!({"password": "pw"}))
        .ok();
    http.post("auth/token/roles/x", &json!({"allowed_policies": "a"}))
        .ok();
    let made = http
        .post("auth/approle/role/r/secret-id", &json!({}))
        .data();
    let policy = "path \"a\" { capabilities = [\"read\"] }";
    for (path, body) in [
        (
            "sys/mounts/q",
            json!({"mount_point": "q", "type": "postgres"}),
        ),
        ("sys/mounts/q2", json!({"path": "q2/", "type": "postgres"})),
        (
            "sys/mounts/q/tune",
            json!({"mount_point": "q", "max_lease_ttl": "2h", "default_lease_ttl": "1h"}),
        ),
        (
            "sys/auth/ap2",
            json!({"mount_point": "ap2", "type": "approle"}),
        ),
        (
            "sys/auth/ap2/tune",
            json!({"path": "ap2", "description": "x"}),
        ),
        (
            "sys/revoke-prefix/q/creds/b",
            json!({"path_prefix": "q/creds/b", "sync": true}),
        ),
        (
            "auth/approle/role/r",
            json!({"role_name": "r", "token_policies": "a"}),
        ),
        ("auth/approle/role/r/secret-id", json!({"role_name": "r"})),
        (
            "auth/approle/role/r/role-id",
            json!({"role_name": "r", "role_id": "x"}),
        ),
        (
            "auth/approle/role/r/secret-id/lookup",
            json!({"role_name": "r", "secret_id": made["secret_id"]}),
        ),
        (
            "auth/approle/role/r/secret-id-accessor/destroy",
            json!({"role_name": "r", "secret_id_accessor": made["secret_id_accessor"]}),
        ),
        (
            "auth/people/login/bob",
            json!({"username": "bob", "password": "pw"}),
        ),
        (
            "auth/people/users/bob/password",
            json!({"username": "bob", "password": "pw2"}),
        ),
        (
            "auth/people/users/bob",
            json!({"username": "BOB", "token_policies": "a"}),
        ),
        (
            "auth/token/roles/x",
            json!({"role_name": "x", "name": "x", "allowed_policies": "a"}),
        ),
        ("auth/token/create/x", json!({"role_name": "x"})),
        ("sys/policies/acl/p", json!({"name": "p", "policy": policy})),
        (
            "q/roles/r",
            json!({"name": "r", "mount_point": "q", "member_of": ["x"]}),
        ),
    ] {
        let answer = http.post(path, &body).ok();
        let notices = warnings(&answer);
        assert!(
            !notices.iter().any(|notice| notice.contains("ignored")),
            "{path}: {notices:?}"
        );
    }
    // A field that contradicts the path is not used, and a warning names it.
    let answer = http
        .post("auth/approle/role/r", &json!({"role_name": "other"}))
        .ok();
    assert!(
        warnings(&answer)[0].starts_with("role_name was ignored"),
        "{answer:?}"
    );
    assert_eq!(http.list("auth/approle/role").keys(), ["r"]);
    // In a provider's document, the field is unknown to the provider's schema.
    let sentence = http
        .post("q/roles/r", &json!({"name": "other", "member_of": ["x"]}))
        .refused(400);
    assert!(sentence.contains("role.name"), "{sentence}");
}

#[test]
fn a_field_that_is_not_known_is_named_in_a_warning() {
    let server = server();
    let http = &server.http;
    let body = json!({"type": "postgres", "descripton": "x", "plugin": {"a": 1}, "nothing": null});
    let answer = http.post("sys/mounts/q", &body).ok();
    assert_eq!(answer.status, 200);
    assert_eq!(
        warnings(&answer),
        [
            "descripton is not known here and was ignored; did you mean \"description\"?",
            "plugin is not known here and was ignored",
        ]
    );
    for (path, body) in [
        ("sys/mounts/q/tune", json!({"colour": "red"})),
        ("sys/auth/people/tune", json!({"colour": "red"})),
        (
            "auth/people/users/bob",
            json!({"password": "pw", "colour": "red"}),
        ),
        (
            "auth/people/login/bob",
            json!({"password": "pw", "colour": "red"}),
        ),
        ("auth/approle/role/r", json!({"colour": "red"})),
        ("auth/approle/role/r/secret-id", json!({"colour": "red"})),
        (
            "auth/token/create",
            json!({"policies": ["default"], "colour": "red"}),
        ),
        ("auth/token/roles/x", json!({"colour": "red"})),
        ("auth/token/lookup-self", json!({"colour": "red"})),
        (
            "sys/policies/acl/p",
            json!({"policy": "path \"a\" { capabilities = [\"read\"] }", "colour": "red"}),
        ),
        (
            "sys/capabilities-self",
            json!({"paths": ["a"], "colour": "red"}),
        ),
    ] {
        let answer = http.post(path, &body).ok();
        let notices = warnings(&answer);
        assert!(
            notices
                .iter()
                .any(|notice| notice == "colour is not known here and was ignored"),
            "{path}: {notices:?}"
        );
    }
}

/// If ignored, each of these fields would let somebody do more or for longer than was meant.
#[test]
fn a_misspelled_limit_is_refused_by_name_and_changes_nothing() {
    let server = server();
    let http = &server.http;
    http.post("auth/people/users/bob", &json!({"password": "pw"}))
        .ok();
    http.post("auth/approle/role/r", &json!({})).ok();
    http.post("sys/mounts/q", &json!({"type": "postgres"})).ok();
    let policy = "path \"a\" { capabilities = [\"read\"] }";
    for (path, field, value) in [
        ("auth/token/create", "polices", json!(["default"])),
        ("auth/token/create", "explict_max_ttl", json!("1h")),
        ("auth/token/create", "num_use", json!(1)),
        ("auth/token/create", "bound_cidr", json!("10.0.0.0/8")),
        ("auth/token/create", "role_name", json!("x")),
        ("auth/token/roles/x", "alowed_policies", json!(["a"])),
        (
            "auth/token/roles/x",
            "token_bound_cidr",
            json!("10.0.0.0/8"),
        ),
        ("auth/people/users/bob", "token_polices", json!(["a"])),
        (
            "auth/people/users/bob",
            "token_strictly_bind_ip",
            json!(true),
        ),
        ("auth/people/users/bob", "pasword", json!("new")),
        ("auth/approle/role/r", "bind_secretid", json!(true)),
        (
            "auth/approle/role/r/secret-id",
            "cidrlist",
            json!(["10.0.0.0/8"]),
        ),
        ("auth/approle/role/r/secret-id", "num_use", json!(1)),
        ("sys/mounts/q/tune", "max_lease_tll", json!("1h")),
        ("sys/mounts/q/tune", "allowed_host", json!(["https://x"])),
        ("sys/auth/people/tune", "user_lockout_treshold", json!(3)),
        ("sys/leases/renew", "incremnt", json!(5)),
        ("sys/policies/acl/p", "cas_requird", json!(true)),
    ] {
        let body = match path {
            "sys/policies/acl/p" => json!({"policy": policy, field: value}),
            "sys/leases/renew" => {
                json!({"lease_id": "q/creds/r/00000000000000000000000000", field: value})
            }
            _ => json!({field: value}),
        };
        let sentence = http.post(path, &body).refused(400);
        assert!(
            sentence.contains(field) && sentence.contains("not known"),
            "{path} {field}: {sentence}"
        );
    }
    let password = json!({"password": "pw"});
    http.without_token()
        .post("auth/people/login/bob", &password)
        .ok();
    http.get("sys/policies/acl/p").nothing_here();
    http.get("auth/token/roles/x").nothing_here();
}

#[test]
fn values_are_read_as_gos_decoder_reads_them() {
    let server = server();
    let http = &server.http;
    let role = "auth/approle/role/r";
    for (value, expected) in [
        (json!(1), true),
        (json!("0"), false),
        (json!("1"), true),
        (json!("f"), false),
        (json!("t"), true),
        (json!(0), false),
        (json!("T"), true),
        (json!("FALSE"), false),
        (json!("True"), true),
        (json!("F"), false),
        (json!("TRUE"), true),
        (json!("False"), false),
    ] {
        http.post(role, &json!({"token_no_default_policy": value}))
            .ok();
        let shown = http.get(role).data();
        assert_eq!(shown["token_no_default_policy"], expected, "{value}");
    }
    http.post(role, &json!({"token_no_default_policy": "yes"}))
        .refused(400);
    let body = json!({"token_num_uses": "3", "secret_id_num_uses": 2.0, "token_ttl": "60", "token_policies": ["a", 7]});
    http.post(role, &body).ok();
    let shown = http.get(role).data();
    assert_eq!(shown["token_num_uses"], 3);
    assert_eq!(shown["secret_id_num_uses"], 2);
    assert_eq!(shown["token_ttl"], 60);
    assert_eq!(shown["token_policies"], json!(["a", "7"]));

    let body =
        json!({"policies": "[\"default\"]", "meta": {"build": 7, "dirty": true}, "renewable": "f"});
    let auth = http.post("auth/token/create", &body).ok().json()["auth"].clone();
    assert_eq!(auth["metadata"], json!({"build": "7", "dirty": "1"}));
    assert_eq!(auth["policies"], json!(["default"]));
    assert_eq!(auth["renewable"], false);

    // A password of digits is one; more digits than JSON readers keep are none.
    http.post("auth/people/users/bob", &json!({"password": 12345}))
        .ok();
    let stranger = http.without_token();
    stranger
        .post("auth/people/login/bob", &json!({"password": "12345"}))
        .ok();
    stranger
        .post("auth/people/login/bob", &json!({"password": 12345}))
        .ok();
    let long = "{\"password\": 123456789012345678901234567890}";
    let sentence = send(http, "auth/people/users/bob", None, long).refused(400);
    assert!(sentence.contains("password"), "{sentence}");

    // A number names a role id as its text does, so it is counted and locked too.
    http.post("auth/approle/role/r/role-id", &json!({"role_id": 4711}))
        .ok();
    for _ in 0..5 {
        stranger
            .post(
                "auth/approle/login",
                &json!({"role_id": 4711, "secret_id": "x"}),
            )
            .refused(400);
    }
    stranger
        .post(
            "auth/approle/login",
            &json!({"role_id": "4711", "secret_id": "x"}),
        )
        .refused(403);
    stranger
        .post(
            "auth/approle/login",
            &json!({"role_id": 4711, "secret_id": "x"}),
        )
        .refused(403);
}

/// A value that is read from a file ends in a newline.
#[test]
fn bearer_texts_lose_the_white_space_around_them() {
    let server = server();
    let http = &server.http;
    let stranger = http.without_token();
    let padded = |value: &Value| format!(" {}\r\n", value.as_str().unwrap());

    let made = http
        .post("auth/token/create", &json!({"policies": ["default"]}))
        .ok()
        .json();
    let (token, accessor) = (&made["auth"]["client_token"], &made["auth"]["accessor"]);
    http.post("auth/token/lookup", &json!({"token": padded(token)}))
        .ok();
    http.post(
        "auth/token/lookup-accessor",
        &json!({"accessor": padded(accessor)}),
    )
    .ok();
    http.post(
        "sys/capabilities",
        &json!({"token": padded(token), "paths": ["a"]}),
    )
    .ok();
    let own = [(
        "Authorization",
        format!("Bearer  {} ", token.as_str().unwrap()),
    )];
    let own: Vec<(&str, &str)> = own
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    stranger
        .send("GET", "auth/token/lookup-self", &own, None)
        .ok();
    http.post(
        "auth/token/revoke-accessor",
        &json!({"accessor": padded(accessor)}),
    )
    .ok();
    stranger
        .send("GET", "auth/token/lookup-self", &own, None)
        .refused(403);

    http.post("auth/approle/role/r", &json!({})).ok();
    let role_id = http.get("auth/approle/role/r/role-id").data()["role_id"].clone();
    let made = http
        .post("auth/approle/role/r/secret-id", &json!({}))
        .data();
    let login = json!({"role_id": padded(&role_id), "secret_id": padded(&made["secret_id"])});
    stranger.post("auth/approle/login", &login).ok();
    let lookup = json!({"secret_id": padded(&made["secret_id"])});
    http.post("auth/approle/role/r/secret-id/lookup", &lookup)
        .data();
    let destroy = json!({"secret_id_accessor": padded(&made["secret_id_accessor"])});
    http.post("auth/approle/role/r/secret-id-accessor/destroy", &destroy)
        .ok();
    http.post(
        "auth/approle/role/r/custom-secret-id",
        &json!({"secret_id": "own-secret\n"}),
    )
    .ok();
    stranger
        .post(
            "auth/approle/login",
            &json!({"role_id": role_id, "secret_id": "own-secret"}),
        )
        .ok();

    let wrap = [("X-Vault-Wrap-TTL", "60")];
    let wrapped = || {
        let answer = http
            .send("POST", "sys/wrapping/wrap", &wrap, Some(b"{\"a\": 1}"))
            .ok();
        answer.json()["wrap_info"]["token"].clone()
    };
    let token = wrapped();
    stranger
        .post("sys/wrapping/lookup", &json!({"token": padded(&token)}))
        .ok();
    let opened = http
        .post("sys/wrapping/unwrap", &json!({"token": padded(&token)}))
        .ok();
    assert_eq!(opened.json()["data"]["a"], 1);

    let issuer = Signer::new("key");
    http.post("sys/auth/jwt", &json!({"type": "jwt"})).ok();
    http.post(
        "auth/jwt/config",
        &json!({"jwt_validation_pubkeys": [issuer.pem()]}),
    )
    .ok();
    http.post(
        "auth/jwt/role/r",
        &json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "a"}),
    )
    .ok();
    let jwt = issuer.sign(&json!({"sub": "a", "iat": 1_700_000_000, "exp": 4_102_444_800_u64}));
    for jwt in [
        jwt.clone(),
        format!("{jwt}\n"),
        format!("{jwt}\r\n"),
        format!(" {jwt}"),
    ] {
        stranger
            .post("auth/jwt/login", &json!({"role": "r", "jwt": jwt}))
            .ok();
    }
}

/// A `revoke` or a `ttl` in the body of a DELETE or GET was silently dropped: the leases of a
/// role lived on, and a lease lived for longer than its caller had asked for.
#[test]
fn the_body_of_whatever_is_no_write_counts_as_its_query_does() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let json = [("Content-Type", "application/json")];
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let get = |headers: &[(&str, &str)], query: &str, body: &str| {
        let path = format!("db/creds/reader{query}");
        http.send("GET", &path, headers, Some(body.as_bytes()))
    };
    for (headers, query, body) in [
        (&json[..], "", r#"{"ttl": "5m"}"#),
        (&[], "", r#"{"ttl": 300}"#),
        (&form, "", "ttl=300"),
        (&json, "?ttl=300", r#"{"ttl": 300, "role_name": "reader"}"#),
        (&json, "?ttl=300", r#"{"ttl": null}"#),
        (&json, "?ttl=300", ""),
        (&json, "?ttl=300", "{}"),
    ] {
        let issued = get(headers, query, body).ok().json();
        assert_eq!(issued["lease_duration"], 300, "{query} {body}");
    }

    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let wide = format!("[{}1]", "1,".repeat(20_000));
    let before = fixture.server.leases("db");
    for (query, body, says) in [
        ("", "[1]".to_owned(), "object"),
        ("", "{\"revoke\"".to_owned(), "JSON"),
        (
            "",
            r#"{"revoke": false, "revoke": true}"#.to_owned(),
            "revoke",
        ),
        ("", format!(r#"{{"revoke": {deep}}}"#), "deep"),
        ("", format!(r#"{{"revoke": {wide}}}"#), "10000"),
        ("", r#"{"revoke": "perhaps"}"#.to_owned(), "revoke"),
        ("?revoke=false", r#"{"revoke": true}"#.to_owned(), "revoke"),
    ] {
        let path = format!("db/roles/reader{query}");
        let refused = http
            .send("DELETE", &path, &json, Some(body.as_bytes()))
            .refused(400);
        assert!(refused.contains(says), "{body:.60}: {refused}");
    }
    http.get("db/roles/reader").ok();
    assert_eq!(fixture.server.leases("db"), before);

    for (name, headers, body, revoked) in [
        ("a", &json[..], r#"{"revoke": true, "sync": true}"#, true),
        ("b", &form, "revoke=1&sync=1", true),
        ("c", &json, r#"{"revoke": false, "name": "c"}"#, false),
        ("d", &json, "", false),
        ("e", &[], "null", false),
    ] {
        fixture.write_role(name, &json!({})).ok();
        let lease = fixture.issue(name);
        let path = format!("db/roles/{name}");
        http.send("DELETE", &path, headers, Some(body.as_bytes()))
            .ok();
        assert_eq!(fixture.works(&lease), !revoked, "{name}");
    }
    // The audit line has the fields that counted, wherever they stood in the request.
    let audit = fixture.server.audit();
    let line = audit
        .lines()
        .find(|line| line.contains("db/roles/a") && line.contains("delete"));
    assert!(line.unwrap().contains("\"revoke\":true"), "{line:?}");
}

/// `rotate-root` with `{"abort": true}` rotated, and only warned that it did not know the
/// field.
#[test]
fn nothing_that_cannot_be_undone_is_done_past_a_field_that_is_not_known() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    fixture
        .postgres
        .sql("create role harness_app login password 'first'");
    let account = json!({"username": "harness_app", "manual": true});
    http.post("db/static-roles/app", &account).ok();
    for (path, kind) in [("approle", "approle"), ("people", "userpass")] {
        http.post(&format!("sys/auth/{path}"), &json!({ "type": kind }))
            .ok();
    }
    http.post("auth/people/users/bob", &json!({"password": "pw"}))
        .ok();
    http.post("auth/approle/role/r", &json!({"token_policies": "a"}))
        .ok();
    let secret = http
        .post("auth/approle/role/r/secret-id", &json!({}))
        .data();
    http.post("auth/token/roles/x", &json!({"allowed_policies": "a"}))
        .ok();
    let policy = json!({"policy": "path \"a\" { capabilities = [\"read\"] }"});
    http.put("sys/policies/acl/a", &policy).ok();
    let made = http
        .post("auth/token/create", &json!({"policies": ["a"]}))
        .ok()
        .json();
    let (token, accessor) = (&made["auth"]["client_token"], &made["auth"]["accessor"]);
    let lease = fixture.issue("reader");
    let before = lessor_tests::refusal::state(&fixture.server);
    let password = http.get("db/static-creds/app").data()["password"].clone();

    for (method, path, body) in [
        ("POST", "db/rotate-root", json!({})),
        ("POST", "db/rotate-root", json!({"async": true})),
        ("POST", "db/rotate-root/abort", json!({})),
        ("POST", "db/rotate-root/retry", json!({})),
        ("POST", "db/rotate-role/app", json!({})),
        (
            "POST",
            "db/reconcile",
            json!({"dry_run": false, "revoke": [lease.username]}),
        ),
        ("DELETE", "db/config", json!({"force": true})),
        ("DELETE", "db/roles/reader", json!({"revoke": true})),
        ("DELETE", "db/static-roles/app", json!({})),
        ("DELETE", "sys/mounts/db", json!({})),
        ("DELETE", "sys/plugins/catalog/secret/postgres", json!({})),
        ("DELETE", "sys/auth/people", json!({})),
        ("DELETE", "sys/policies/acl/a", json!({})),
        ("DELETE", "sys/policy/a", json!({})),
        ("DELETE", "auth/people/users/bob", json!({})),
        ("DELETE", "auth/approle/role/r", json!({})),
        ("DELETE", "auth/token/roles/x", json!({})),
        (
            "POST",
            "auth/approle/role/r/secret-id/destroy",
            json!({"secret_id": secret["secret_id"]}),
        ),
        ("PUT", "sys/leases/revoke", json!({"lease_id": lease.id})),
        ("PUT", "sys/leases/revoke-prefix/db", json!({"sync": true})),
        (
            "PUT",
            "sys/leases/revoke-force/db",
            json!({"reason": "a test"}),
        ),
        ("PUT", "sys/hold/release", json!({})),
        ("POST", "auth/token/revoke", json!({"token": token})),
        (
            "POST",
            "auth/token/revoke-accessor",
            json!({"accessor": accessor}),
        ),
        ("POST", "auth/token/revoke-orphan", json!({"token": token})),
        ("DELETE", "sys/tasks/00000000000000000000000000", json!({})),
        ("DELETE", "sys/leases/quarantine/1", json!({})),
    ] {
        for (name, value) in [("only_look", json!(true)), ("colour", json!("red"))] {
            let mut body = body.clone();
            body[name] = value;
            let json = [("Content-Type", "application/json")];
            let answer = http.send(method, path, &json, Some(body.to_string().as_bytes()));
            let refused = answer.refused(400);
            assert!(refused.contains(name), "{method} {path}: {refused}");
            if method == "DELETE" {
                let refused = http.delete(&format!("{path}?{name}=1")).refused(400);
                assert!(refused.contains(name), "{method} {path}: {refused}");
            }
        }
    }
    assert_eq!(lessor_tests::refusal::state(&fixture.server), before);
    assert!(fixture.works(&lease));
    assert_eq!(http.get("db/static-creds/app").data()["password"], password);
    assert_eq!(fixture.config_view()["version"], 1);
    http.post("auth/token/lookup", &json!({"token": token}))
        .ok();
    let body = json!({"secret_id": secret["secret_id"]});
    let kept = http
        .post("auth/approle/role/r/secret-id/lookup", &body)
        .data();
    assert_eq!(kept["secret_id_accessor"], secret["secret_id_accessor"]);

    // A field that asks for nothing is no reason to refuse; a warning names it.
    let rotated = http.post("db/rotate-root", &json!({"abort": false})).ok();
    assert!(warnings(&rotated)[0].contains("abort"), "{rotated:?}");
    assert_eq!(fixture.config_view()["version"], 2);
}
