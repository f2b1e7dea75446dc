//! AppRole: a role id and a secret id for a token.

use std::thread;

use serde_json::{Value, json};

use super::{log_in, role, secret_id, server};

#[test]
fn an_approle_gives_a_token_for_a_role_id_and_a_secret_id() {
    let server = server();
    let fields = json!({
        "token_policies": "reader,writer",
        "token_ttl": "10m",
        "token_max_ttl": "1h",
        "secret_id_ttl": "1h",
    });
    let role_id = role(&server, "CI", &fields);
    let made = secret_id(&server, "ci", &json!({"metadata": "{\"build\": \"7\"}"}));
    assert_eq!(made["secret_id_ttl"], 3600);
    assert_eq!(made["secret_id_num_uses"], 0);

    let body = log_in(&server, &role_id, &made["secret_id"]).ok().json();
    let auth = &body["auth"];
    assert!(body["data"].is_null(), "{body}");
    assert_eq!(auth["policies"], json!(["default", "reader", "writer"]));
    assert_eq!(auth["token_policies"], auth["policies"]);
    assert_eq!(auth["metadata"], json!({"role_name": "ci", "build": "7"}));
    assert_eq!(
        (&auth["lease_duration"], &auth["renewable"]),
        (&json!(600), &json!(true))
    );
    assert_eq!(
        (&auth["token_type"], &auth["orphan"]),
        (&json!("service"), &json!(true))
    );

    let holder = server
        .http
        .with_token(auth["client_token"].as_str().unwrap());
    let own = holder.get("auth/token/lookup-self").data();
    assert_eq!(own["display_name"], "approle");
    assert_eq!(own["path"], "auth/approle/login");
    assert_eq!(own["meta"], auth["metadata"]);
    holder.get("sys/mounts").refused(403);
    server.advance_clock(601);
    holder.get("auth/token/lookup-self").refused(403);

    // The other ways to send it: PUT, a wrong token along, blanks around.
    let body = json!({"role_id": format!(" {role_id} "), "secret_id": made["secret_id"]});
    server
        .http
        .with_token("gone")
        .put("auth/approle/login", &body)
        .ok();
}

#[test]
fn a_role_is_read_as_it_was_written_field_by_field() {
    let server = server();
    let http = &server.http;
    role(
        &server,
        "ci",
        &json!({"period": "5m", "policies": ["a"], "enable_local_secret_ids": false}),
    );
    let shown = http.get("auth/approle/role/ci").data();
    for (name, expected) in [
        ("bind_secret_id", json!(true)),
        ("secret_id_bound_cidrs", json!([])),
        ("secret_id_num_uses", json!(0)),
        ("secret_id_ttl", json!(0)),
        ("local_secret_ids", json!(false)),
        ("token_policies", json!(["a"])),
        ("token_period", json!(300)),
        ("token_ttl", json!(0)),
        ("token_type", json!("default")),
        ("token_bound_cidrs", json!([])),
    ] {
        assert_eq!(shown[name], expected, "{name}");
    }
    for (path, field, value, expected, default) in [
        (
            "policies",
            "token_policies",
            json!("b,c"),
            json!(["b", "c"]),
            json!([]),
        ),
        (
            "secret-id-bound-cidrs",
            "secret_id_bound_cidrs",
            json!(["127.0.0.0/8"]),
            json!(["127.0.0.0/8"]),
            json!([]),
        ),
        (
            "token-bound-cidrs",
            "token_bound_cidrs",
            json!("127.0.0.1"),
            json!(["127.0.0.1"]),
            json!([]),
        ),
        (
            "secret-id-num-uses",
            "secret_id_num_uses",
            json!(4),
            json!(4),
            json!(0),
        ),
        (
            "secret-id-ttl",
            "secret_id_ttl",
            json!("1m"),
            json!(60),
            json!(0),
        ),
        ("period", "token_period", json!(60), json!(60), json!(0)),
        (
            "token-num-uses",
            "token_num_uses",
            json!(9),
            json!(9),
            json!(0),
        ),
        ("token-ttl", "token_ttl", json!("2m"), json!(120), json!(0)),
        (
            "token-max-ttl",
            "token_max_ttl",
            json!("3m"),
            json!(180),
            json!(0),
        ),
    ] {
        let path = format!("auth/approle/role/ci/{path}");
        assert_eq!(http.post(&path, &json!({field: value})).ok().status, 204);
        assert_eq!(http.get(&path).data(), json!({field: expected}));
        assert_eq!(http.get("auth/approle/role/ci").data()[field], expected);
        http.delete(&path).ok();
        assert_eq!(http.get(&path).data(), json!({field: default}));
    }
    http.post("auth/approle/role/ci/role-id", &json!({"role_id": "mine"}))
        .ok();
    assert_eq!(
        http.get("auth/approle/role/ci/role-id").data(),
        json!({"role_id": "mine"})
    );
    role(&server, "other", &json!({}));
    assert_eq!(http.list("auth/approle/role").keys(), ["ci", "other"]);
    let taken = http.post("auth/approle/role/other", &json!({"role_id": "mine"}));
    assert!(taken.refused(409).contains("role_id"));
    http.delete("auth/approle/role/ci").ok();
    http.get("auth/approle/role/ci").nothing_here();
    http.delete("auth/approle/role/ci").ok();
    http.get("auth/approle/role/ci/role-id").nothing_here();
}

#[test]
fn a_secret_id_is_known_by_its_accessor_and_ends_when_it_should() {
    let server = server();
    let http = &server.http;
    let role_id = role(&server, "ci", &json!({"secret_id_num_uses": 3}));
    let path = |rest: &str| format!("auth/approle/role/ci/{rest}");
    let one = secret_id(&server, "ci", &json!({"metadata": {"a": "b"}, "ttl": "1m"}));
    let other = secret_id(&server, "ci", &json!({"num_uses": 2}));
    let mut accessors = http.list(&path("secret-id")).keys();
    accessors.sort();
    let mut expected = [&one, &other].map(|made| made["secret_id_accessor"].as_str().unwrap());
    expected.sort_unstable();
    assert_eq!(accessors, expected);

    let by_value = http.post(
        &path("secret-id/lookup"),
        &json!({"secret_id": one["secret_id"]}),
    );
    let by_accessor = json!({"secret_id_accessor": one["secret_id_accessor"]});
    let by_accessor = http
        .post(&path("secret-id-accessor/lookup"), &by_accessor)
        .data();
    assert_eq!(by_value.data(), by_accessor);
    assert_eq!(by_accessor["secret_id_num_uses"], 3);
    assert_eq!(by_accessor["metadata"], json!({"a": "b"}));
    assert!(by_accessor.get("secret_id").is_none(), "{by_accessor}");

    for left in [2, 1, 0] {
        log_in(&server, &role_id, &one["secret_id"]).ok();
        let lookup = http.post(
            &path("secret-id/lookup"),
            &json!({"secret_id": one["secret_id"]}),
        );
        match left {
            0 => assert_eq!(lookup.status, 204, "used up: {lookup:?}"),
            left => assert_eq!(lookup.data()["secret_id_num_uses"], left),
        }
    }
    let refused = log_in(&server, &role_id, &one["secret_id"]).refused(400);
    assert_eq!(refused, "invalid role or secret ID");
    assert_eq!(
        log_in(&server, "nobody", &one["secret_id"]).refused(400),
        refused
    );
    assert_eq!(
        log_in(&server, &role_id, &json!(null)).refused(400),
        "missing secret_id"
    );

    // Ended by its time, also where no sweep has removed it yet.
    let brief = secret_id(&server, "ci", &json!({"ttl": "1m"}));
    log_in(&server, &role_id, &brief["secret_id"]).ok();
    server.advance_clock(60);
    assert_eq!(
        log_in(&server, &role_id, &brief["secret_id"]).refused(400),
        refused
    );
    assert_eq!(http.list(&path("secret-id")).keys().len(), 1);
    assert_eq!(
        http.post("auth/approle/tidy/secret-id", &json!({}))
            .ok()
            .status,
        202
    );

    // By hand, both ways.
    let third = secret_id(&server, "ci", &json!({}));
    http.post(
        &path("secret-id/destroy"),
        &json!({"secret_id": third["secret_id"]}),
    )
    .ok();
    log_in(&server, &role_id, &third["secret_id"]).refused(400);
    let accessor = json!({"secret_id_accessor": other["secret_id_accessor"]});
    http.post(&path("secret-id-accessor/destroy"), &accessor)
        .ok();
    log_in(&server, &role_id, &other["secret_id"]).refused(400);
    http.post(&path("secret-id-accessor/lookup"), &accessor)
        .refused(404);

    // Chosen by its maker, and by no other.
    let custom = json!({"secret_id": "chosen", "num_uses": 1});
    let made = http.post(&path("custom-secret-id"), &custom).data();
    assert_eq!(made["secret_id"], "chosen");
    http.post(&path("custom-secret-id"), &custom).refused(409);
    log_in(&server, &role_id, &json!("chosen")).ok();

    // With the role.
    let last = secret_id(&server, "ci", &json!({}));
    http.delete("auth/approle/role/ci").ok();
    role(&server, "ci", &json!({"role_id": role_id}));
    log_in(&server, &role_id, &last["secret_id"]).refused(400);
}

/// Two logins at a time must not both take the last use.
#[test]
fn the_last_use_of_a_secret_id_is_taken_once() {
    let server = server();
    // The losers' logins fail, and enough failures would lock the role id.
    let never = json!({"user_lockout_config": {"lockout_disable": true}});
    server.http.post("sys/auth/approle/tune", &never).ok();
    let role_id = role(&server, "ci", &json!({}));
    for _ in 0..5 {
        let made = secret_id(&server, "ci", &json!({"num_uses": 2}));
        let outcomes = thread::scope(|scope| {
            let racer = || log_in(&server, &role_id, &made["secret_id"]).status;
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(racer)).collect();
            racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .collect::<Vec<_>>()
        });
        let won = outcomes.iter().filter(|status| **status == 200).count();
        assert_eq!(won, 2, "{outcomes:?}");
    }
}

#[test]
fn addresses_are_bound_to_roles_secret_ids_and_tokens() {
    let server = server();
    let elsewhere = json!(["10.9.8.0/24"]);
    for (role_fields, secret_fields, expected) in [
        (
            json!({"secret_id_bound_cidrs": "127.0.0.0/8"}),
            json!({}),
            200,
        ),
        (json!({"secret_id_bound_cidrs": elsewhere}), json!({}), 400),
        (json!({}), json!({"cidr_list": "127.0.0.1"}), 200),
        (json!({}), json!({"cidr_list": elsewhere}), 400),
        (json!({"token_bound_cidrs": "127.0.0.1/32"}), json!({}), 200),
        (json!({"token_bound_cidrs": elsewhere}), json!({}), 403),
        (json!({}), json!({"token_bound_cidrs": elsewhere}), 403),
    ] {
        let role_id = role(&server, "bound", &role_fields);
        let made = secret_id(&server, "bound", &secret_fields);
        let answer = log_in(&server, &role_id, &made["secret_id"]);
        assert_eq!(
            answer.status, expected,
            "{role_fields} {secret_fields}: {answer:?}"
        );
        server.http.delete("auth/approle/role/bound").ok();
    }
    let role_id = role(
        &server,
        "open",
        &json!({"bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/32"}),
    );
    log_in(&server, &role_id, &json!(null)).ok();
}

/// A wrapped secret id reaches its program, and nobody in between sees it.
#[test]
fn a_secret_id_and_a_login_are_answered_wrapped() {
    let server = server();
    let role_id = role(&server, "ci", &json!({}));
    let wrap = [
        ("X-Vault-Wrap-TTL", "60"),
        ("Content-Type", "application/json"),
    ];
    let path = "auth/approle/role/ci/secret-id";
    let wrapped = server
        .http
        .send("POST", path, &wrap, Some(b"{}"))
        .ok()
        .json();
    assert!(wrapped["data"].is_null(), "{wrapped}");
    let unwrap = |wrapped: &Value| {
        let token = wrapped["wrap_info"]["token"].as_str().unwrap();
        let bearer = server.http.with_token(token);
        bearer.post("sys/wrapping/unwrap", &json!({})).ok().json()
    };
    let secret = unwrap(&wrapped)["data"]["secret_id"].clone();
    let body = json!({"role_id": role_id, "secret_id": secret}).to_string();
    let stranger = server.http.without_token();
    let login = stranger.send("POST", "auth/approle/login", &wrap, Some(body.as_bytes()));
    let login = login.ok().json();
    assert!(login["auth"].is_null(), "{login}");
    let auth = unwrap(&login)["auth"].clone();
    let holder = server
        .http
        .with_token(auth["client_token"].as_str().unwrap());
    holder.get("auth/token/lookup-self").ok();
}
