//! Tokens through the public edge: made, looked up, renewed, revoked, used up;
//! and the leases that end with them.

use lessor_tests::{
    fixture::{Fixture, Lease},
    http::{Answer, Http},
    server::Server,
    wait::eventually_true,
};
use serde_json::{Value, json};

const READER: &str = r#"path "db/creds/reader" { capabilities = ["read", "update"] }"#;

/// The token of an answer that grants one.
#[track_caller]
fn granted(answer: &Answer) -> String {
    let token = &answer.clone().ok().json()["auth"]["client_token"];
    token.as_str().expect("a token").to_owned()
}

/// A client with a new token, made as `body` says.
#[track_caller]
fn client(http: &Http, body: &Value) -> Http {
    http.with_token(&granted(&http.post("auth/token/create", body)))
}

fn is_live(client: &Http) -> bool {
    match client.get("auth/token/lookup-self").status {
        200 => true,
        403 => false,
        status => panic!("neither known nor refused: {status}"),
    }
}

#[test]
fn a_token_ends_with_the_one_that_made_it_and_an_orphan_does_not() {
    let mut server = Server::start();
    let http = &server.http;
    http.put(
        "sys/policy/maker",
        &json!({"policy": "path \"auth/token/*\" { capabilities = [\"update\", \"sudo\"] }"}),
    )
    .ok();
    let maker = json!({"policies": ["maker"]});
    let parent = client(http, &maker);
    let child = client(&parent, &maker);
    let grandchild = client(&child, &maker);
    let batch = client(&child, &json!({"policies": ["maker"], "type": "batch"}));
    let orphan = child.with_token(&granted(&child.post("auth/token/create-orphan", &maker)));
    let spared = client(&orphan, &maker);

    // A crash loses no token.
    server.kill();
    server.restart();
    let at = |old: &Http| server.http.with_token(old.token());
    let [parent, child, grandchild, batch, orphan, spared] =
        [&parent, &child, &grandchild, &batch, &orphan, &spared].map(at);
    for token in [&parent, &child, &grandchild, &batch, &orphan] {
        assert!(is_live(token));
    }
    let revoked = server
        .http
        .post("auth/token/revoke", &json!({"token": parent.token()}));
    assert_eq!(revoked.ok().status, 204);
    for token in [&parent, &child, &grandchild, &batch] {
        assert!(!is_live(token));
    }
    assert!(is_live(&orphan));
    // A refused caller learns nothing and makes nothing.
    assert_eq!(child.post("auth/token/create", &maker).status, 403);

    server
        .http
        .post(
            "auth/token/revoke-orphan",
            &json!({"token": orphan.token()}),
        )
        .ok();
    assert!(!is_live(&orphan) && is_live(&spared));
    assert_eq!(spared.get("auth/token/lookup-self").data()["orphan"], true);
}

#[test]
fn a_token_is_looked_up_renewed_and_revoked_by_value_self_and_accessor() {
    let server = Server::start();
    let http = &server.http;
    let made = http.post(
        "auth/token/create",
        &json!({"policies": ["x"], "ttl": "1h", "explicit_max_ttl": "2h", "display_name": "ci", "meta": {"team": "a"}}),
    );
    let auth = made.clone().ok().json()["auth"].clone();
    assert_eq!(auth["policies"], json!(["default", "x"]));
    assert_eq!(
        (&auth["lease_duration"], &auth["renewable"]),
        (&json!(3600), &json!(true))
    );
    assert_eq!(auth["metadata"], json!({"team": "a"}));
    let own = http.with_token(&granted(&made));
    let accessor = auth["accessor"].as_str().unwrap();

    let by_self = own.get("auth/token/lookup-self").data();
    let by_value = http
        .post("auth/token/lookup", &json!({"token": own.token()}))
        .data();
    let by_accessor = http
        .post("auth/token/lookup-accessor", &json!({"accessor": accessor}))
        .data();
    assert_eq!(by_self["id"], own.token());
    assert_eq!(by_value["id"], own.token());
    assert_eq!(by_accessor["id"], "", "an accessor leads to no token");
    for data in [&by_self, &by_value, &by_accessor] {
        assert_eq!(data["display_name"], "token-ci");
        assert_eq!(data["path"], "auth/token/create");
        assert_eq!(data["explicit_max_ttl"], 7200);
        assert_eq!(data["type"], "service");
    }
    assert!(
        http.list("auth/token/accessors")
            .keys()
            .contains(&accessor.to_owned())
    );

    server.advance_clock(5000 - 1500);
    let renewed = own.post("auth/token/renew-self", &json!({})).ok().json();
    assert_eq!(renewed["auth"]["client_token"], own.token());
    let renewed = http
        .post(
            "auth/token/renew-accessor",
            &json!({"accessor": accessor, "increment": "3h"}),
        )
        .ok()
        .json();
    assert_eq!(renewed["auth"]["client_token"], "");
    let left = renewed["auth"]["lease_duration"].as_u64().unwrap();
    assert!((3600..=3700).contains(&left), "cut at two hours: {left}");
    assert!(renewed["warnings"][0].is_string(), "{renewed}");

    http.post("auth/token/revoke-accessor", &json!({"accessor": accessor}))
        .ok();
    assert!(!is_live(&own));
    for (path, body) in [
        ("auth/token/lookup", json!({"token": own.token()})),
        ("auth/token/lookup-accessor", json!({"accessor": accessor})),
        ("auth/token/renew", json!({"token": own.token()})),
        ("auth/token/renew-accessor", json!({"accessor": accessor})),
        ("auth/token/revoke-orphan", json!({"token": own.token()})),
    ] {
        let answer = http.post(path, &body);
        assert!((400..=403).contains(&answer.status), "{answer:?}");
    }
    // As in Vault, revoking a token that does not exist succeeds.
    http.post("auth/token/revoke-accessor", &json!({"accessor": accessor}))
        .ok();
    http.post("auth/token/revoke", &json!({"token": own.token()}))
        .ok();
    let again = http.post("auth/token/revoke-accessor", &json!({"accessor": accessor}));
    assert!(again.ok().json()["warnings"][0].is_string());
    let log = server.log() + &server.audit();
    assert!(!log.contains(own.token()), "no token is ever written down");
}

#[test]
fn a_token_ends_by_its_time_its_uses_and_its_addresses() {
    let server = Server::start();
    let http = &server.http;
    let short = client(http, &json!({"policies": ["x"], "ttl": "1m"}));
    let below = client(http, &json!({"policies": ["x"], "period": "1m"}));
    server.advance_clock(59);
    assert!(is_live(&short));
    below.post("auth/token/renew-self", &json!({})).ok();
    server.advance_clock(1);
    assert!(!is_live(&short) && is_live(&below));

    let twice = client(http, &json!({"policies": ["x"], "num_uses": 2}));
    assert_eq!(twice.get("auth/token/lookup-self").data()["num_uses"], 1);
    // A request that is refused is a use, too.
    assert_eq!(twice.get("sys/mounts").status, 403);
    assert!(!is_live(&twice));

    http.post(
        "auth/token/roles/elsewhere",
        &json!({"token_bound_cidrs": "10.0.0.0/8, 192.0.2.1", "orphan": true}),
    )
    .ok();
    let shown = http.get("auth/token/roles/elsewhere").data();
    assert_eq!(
        shown["token_bound_cidrs"],
        json!(["10.0.0.0/8", "192.0.2.1"])
    );
    let elsewhere = http.post("auth/token/create/elsewhere", &json!({"policies": ["x"]}));
    assert!(!is_live(&http.with_token(&granted(&elsewhere))));
    http.post(
        "auth/token/roles/elsewhere",
        &json!({"token_bound_cidrs": ["127.0.0.0/8"]}),
    )
    .ok();
    let here = http.post("auth/token/create/elsewhere", &json!({"policies": ["x"]}));
    assert!(is_live(&http.with_token(&granted(&here))));
}

#[test]
fn a_lease_of_a_binding_role_ends_with_its_requesters_token() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    fixture
        .write_role("reader", &json!({"bind_to_token": true}))
        .ok();
    fixture.write_role("free", &json!({})).ok();
    let policy = READER.replace("reader", "+");
    http.put("sys/policy/reader", &json!({"policy": policy}))
        .ok();
    let works = |lease: &Lease| fixture.postgres.accepts(&lease.username, &lease.password);
    let ends = |lease: &Lease| {
        eventually_true("the credential is gone upstream", || {
            !fixture.postgres.leased_roles().contains(&lease.username)
        });
    };

    // Revoked.
    let parent = client(http, &json!({"policies": ["reader"]}));
    let bound = Lease::of(&parent.get("db/creds/reader"));
    let free = Lease::of(&parent.get("db/creds/free"));
    assert!(works(&bound) && works(&free));
    let looked_up = fixture.server.lookup(&bound.id).data();
    let accessor = parent.get("auth/token/lookup-self").data()["accessor"].clone();
    assert_eq!(looked_up["bound_to"], accessor);
    parent.post("auth/token/revoke-self", &json!({})).ok();
    ends(&bound);
    assert!(works(&free), "a lease of any other role stays");

    // At its end.
    let short = client(http, &json!({"policies": ["reader"], "ttl": "10m"}));
    let bound = Lease::of(&short.get("db/creds/reader"));
    fixture.server.advance_clock(600);
    ends(&bound);

    // The end of a batch token never moves, so the end of its lease does not either.
    let batch = client(
        http,
        &json!({"policies": ["reader"], "ttl": "10m", "type": "batch"}),
    );
    let bound = Lease::of(&batch.get("db/creds/reader"));
    assert!(bound.seconds <= 600, "{}", bound.seconds);
    let renewed = fixture.renew(&bound, 3600).ok().json();
    assert!(
        renewed["lease_duration"].as_u64().unwrap() <= 600,
        "{renewed}"
    );

    // With its last use, a token cannot make a lease or token that would end with it.
    let once = client(http, &json!({"policies": ["reader"], "num_uses": 1}));
    let before = fixture.postgres.leased_roles();
    once.get("db/creds/reader").refused(409);
    assert_eq!(fixture.postgres.leased_roles(), before);
    let once = client(http, &json!({"policies": ["reader"], "num_uses": 1}));
    assert!(works(&Lease::of(&once.get("db/creds/free"))));
}

#[test]
fn a_crash_between_a_token_and_its_leases_ends_both() {
    let mut fixture = Fixture::start();
    fixture
        .write_role("reader", &json!({"bind_to_token": true}))
        .ok();
    let http = &fixture.server.http;
    http.put("sys/policy/reader", &json!({"policy": READER}))
        .ok();
    let token = client(http, &json!({"policies": ["reader"]}));
    let lease = Lease::of(&token.get("db/creds/reader"));
    fixture.postgres.stop();
    token.post("auth/token/revoke-self", &json!({})).ok();
    fixture.server.kill();
    fixture.postgres.start_again();
    fixture.server.restart();
    eventually_true("the credential is gone upstream", || {
        !fixture.postgres.leased_roles().contains(&lease.username)
    });
}

#[test]
fn the_credential_of_a_task_is_for_whoever_asked_for_it() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let policy = format!("{READER}\npath \"sys/tasks/+\" {{ capabilities = [\"read\"] }}");
    http.put("sys/policy/async", &json!({"policy": policy}))
        .ok();
    let body = json!({"policies": ["async"]});
    let (one, other) = (client(http, &body), client(http, &body));
    let begun = one.post("db/creds/reader", &json!({"async": true}));
    let task = begun.data()["task_id"].as_str().unwrap().to_owned();
    let path = format!("sys/tasks/{task}");
    eventually_true("the task is over", || {
        http.get(&path).data()["has_credential"] == true
    });
    // Neither another caller nor an operator gets the credential.
    for client in [&other, http] {
        let shown = client.get(&path).data();
        assert_eq!(shown["state"], "succeeded");
        assert!(shown["credential"].is_null(), "{shown}");
    }
    let shown = one.get(&path).data();
    assert!(shown["credential"]["password"].is_string(), "{shown}");
}

#[test]
fn what_no_token_may_have_is_refused_and_nothing_is_made() {
    let server = Server::start();
    let http = &server.http;
    http.put(
        "sys/policy/maker",
        &json!({"policy": "path \"auth/token/create\" { capabilities = [\"update\"] }"}),
    )
    .ok();
    let maker = client(http, &json!({"policies": ["maker"]}));
    let before = http.list("auth/token/accessors").keys().len();
    for (client, body, says) in [
        (
            http,
            json!({"policies": "response-wrapping"}),
            "response-wrapping",
        ),
        (http, json!({"polices": ["x"]}), "policies"),
        (http, json!({"ttl": "soon"}), "ttl"),
        (http, json!({"ttl": -1}), "ttl"),
        (http, json!({"num_uses": -1}), "num_uses"),
        (http, json!({"num_uses": 5_000_000_000_u64}), "num_uses"),
        (http, json!({"meta": {"a": []}}), "meta"),
        (http, json!({"type": "bach"}), "type"),
        (http, json!({"type": "batch", "num_uses": 1}), "num_uses"),
        (http, json!({"entity_alias": "x"}), "entity_alias"),
        (http, json!({"id": "hvs.mine"}), "id"),
        (&maker, json!({"policies": ["other"]}), "subset of parent"),
        (&maker, json!({"no_parent": true}), "no_parent"),
        (&maker, json!({"period": "1h"}), "period"),
        (&maker, json!({"id": "mine"}), "id"),
    ] {
        let sentence = client.post("auth/token/create", &body).refused(400);
        assert!(sentence.contains(says), "{body}: {sentence}");
    }
    assert_eq!(http.list("auth/token/accessors").keys().len(), before);

    // A token of the caller's own choice works once it is made, and only once.
    let own = json!({"id": "my-own-token", "policies": ["default"]});
    assert_eq!(
        granted(&http.post("auth/token/create", &own)),
        "my-own-token"
    );
    assert!(is_live(&http.with_token("my-own-token")));
    http.post("auth/token/create", &own).refused(409);
}

#[test]
fn a_range_is_the_same_in_its_ipv6_form_and_a_child_is_bound_by_it_too() {
    let server = Server::start();
    let http = &server.http;
    http.put(
        "sys/policy/maker",
        &json!({"policy": "path \"auth/token/create\" { capabilities = [\"update\"] }"}),
    )
    .ok();
    for (range, shown, holds) in [
        ("::ffff:127.0.0.0/104", "127.0.0.0/8", true),
        ("::ffff:7f00:1", "127.0.0.1", true),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8", false),
    ] {
        let role = json!({"token_bound_cidrs": range, "allowed_policies": "maker"});
        http.post("auth/token/roles/mapped", &role).ok();
        let read = http.get("auth/token/roles/mapped").data();
        assert_eq!(read["token_bound_cidrs"], json!([shown]));
        let made = http.post("auth/token/create/mapped", &json!({}));
        let bound = http.with_token(&granted(&made));
        assert_eq!(is_live(&bound), holds, "{range}");
        if holds {
            let child = client(&bound, &json!({}));
            let own = child.get("auth/token/lookup-self").data();
            assert_eq!(own["bound_cidrs"], json!([shown]));
        }
    }
    http.post("sys/auth/approle", &json!({"type": "approle"}))
        .ok();
    for (range, status) in [("::ffff:127.0.0.0/104", 200), ("::ffff:10.0.0.0/104", 400)] {
        let role = json!({"role_id": "r", "bind_secret_id": false, "secret_id_bound_cidrs": range});
        http.post("auth/approle/role/app", &role).ok();
        let login = http
            .without_token()
            .post("auth/approle/login", &json!({"role_id": "r"}));
        assert_eq!(login.status, status, "{range}: {login:?}");
    }
}
