//! Logins with a name and a password, and the consequences of failed ones.

use lessor_tests::server::Server;
use serde_json::json;

use super::{accessor, log_in, password, role, secret_id, server};

#[test]
fn a_user_logs_in_with_a_password() {
    let server = server();
    let http = &server.http;
    let fields = json!({"password": "tr0ub4dor", "token_policies": ["ops"], "token_num_uses": 2});
    assert_eq!(http.post("auth/people/users/Bob", &fields).ok().status, 204);
    let shown = http.get("auth/people/users/bob").data();
    assert_eq!(shown["token_policies"], json!(["ops"]));
    assert!(!shown.to_string().contains("argon2"), "{shown}");
    assert_eq!(http.list("auth/people/users").keys(), ["bob"]);

    let body = password(&server, "BOB", "tr0ub4dor").ok().json();
    let auth = &body["auth"];
    assert_eq!(auth["metadata"], json!({"username": "bob"}));
    assert_eq!(auth["policies"], json!(["default", "ops"]));
    let holder = server
        .http
        .with_token(auth["client_token"].as_str().unwrap());
    let own = holder.get("auth/token/lookup-self").data();
    assert_eq!(own["display_name"], "people-bob");
    assert_eq!(own["path"], "auth/people/login/bob");
    holder.get("auth/token/lookup-self").ok();
    holder.get("auth/token/lookup-self").refused(403);

    let wrong = password(&server, "bob", "wrong").refused(400);
    assert_eq!(wrong, "invalid username or password");
    assert_eq!(password(&server, "nobody", "wrong").refused(400), wrong);
    assert_eq!(
        password(&server, "bob", "").refused(400),
        "missing password"
    );

    // Fields that a write does not name stay, the password too.
    http.post("auth/people/users/bob", &json!({"token_ttl": "1h"}))
        .ok();
    http.post(
        "auth/people/users/bob/policies",
        &json!({"policies": "dev,ops"}),
    )
    .ok();
    let shown = http.get("auth/people/users/bob").data();
    assert_eq!(shown["token_policies"], json!(["dev", "ops"]));
    assert_eq!(
        (&shown["token_ttl"], &shown["token_num_uses"]),
        (&json!(3600), &json!(2))
    );
    password(&server, "bob", "tr0ub4dor").ok();
    http.post(
        "auth/people/users/bob/password",
        &json!({"password": "new"}),
    )
    .ok();
    password(&server, "bob", "tr0ub4dor").refused(400);
    password(&server, "bob", "new").ok();
    http.delete("auth/people/users/bob").ok();
    password(&server, "bob", "new").refused(400);
    http.get("auth/people/users/bob").nothing_here();
}

#[test]
fn failures_in_a_row_lock_a_name_out_for_a_while() {
    let mut server = server();
    for name in ["bob", "eve"] {
        let fields = json!({"password": "right"});
        server
            .http
            .post(&format!("auth/people/users/{name}"), &fields)
            .ok();
    }
    let fail = |server: &Server, name: &str, times: usize| {
        for _ in 0..times {
            password(server, name, "wrong").refused(400);
        }
    };
    // After a success, counting begins anew.
    fail(&server, "bob", 4);
    password(&server, "bob", "right").ok();
    fail(&server, "bob", 5);
    for attempt in ["right", "wrong"] {
        assert_eq!(
            password(&server, "Bob", attempt).refused(403),
            "permission denied"
        );
    }
    password(&server, "eve", "right").ok();
    // A name that does not exist is answered like one that does, and is not shown as locked.
    fail(&server, "nobody", 5);
    assert_eq!(
        password(&server, "nobody", "wrong").refused(403),
        "permission denied"
    );
    // A user who is made meanwhile begins without failures.
    fail(&server, "carol", 5);
    password(&server, "carol", "right").refused(403);
    let made = json!({"password": "right"});
    server.http.post("auth/people/users/carol", &made).ok();
    password(&server, "carol", "right").ok();

    let people = accessor(&server, "people");
    let locked = server.http.get("sys/locked-users").data();
    assert_eq!(locked["total"], 1);
    let by_mount = &locked["by_namespace"][0]["mount_accessors"][0];
    assert_eq!(by_mount["mount_accessor"], people);
    assert_eq!(by_mount["alias_identifiers"], json!(["bob"]));
    let elsewhere = format!(
        "sys/locked-users?mount_accessor={}",
        accessor(&server, "approle")
    );
    assert_eq!(server.http.get(&elsewhere).data()["total"], 0);

    // A lock outlives the process, and ends by its time and by hand.
    server.kill();
    server.restart();
    password(&server, "bob", "right").refused(403);
    server.advance_clock(15 * 60);
    assert_eq!(server.http.get("sys/locked-users").data()["total"], 0);
    fail(&server, "bob", 5);
    password(&server, "bob", "right").refused(403);
    let unlock = format!("sys/locked-users/{people}/unlock/bob");
    server.http.post(&unlock, &json!({})).ok();
    password(&server, "bob", "right").ok();
    let unknown = "sys/locked-users/auth_userpass_0/unlock/bob";
    server.http.post(unknown, &json!({})).refused(400);

    // As the operator wants it.
    let strict =
        json!({"user_lockout_config": {"lockout_threshold": "2", "lockout_duration": "1m"}});
    server.http.post("sys/auth/people/tune", &strict).ok();
    fail(&server, "eve", 2);
    password(&server, "eve", "right").refused(403);
    server.advance_clock(60);
    password(&server, "eve", "right").ok();
    let never = json!({"user_lockout_config": {"lockout_disable": true}});
    server.http.post("sys/auth/people/tune", &never).ok();
    fail(&server, "eve", 5);
    password(&server, "eve", "right").ok();
}

/// A role id is no secret: somebody who knows it can lock it, and no more.
#[test]
fn wrong_secret_ids_lock_a_role_id_out() {
    let server = server();
    let role_id = role(&server, "ci", &json!({}));
    let made = secret_id(&server, "ci", &json!({"num_uses": 1}));
    for _ in 0..5 {
        log_in(&server, &role_id, &json!("wrong")).refused(400);
    }
    log_in(&server, &role_id, &made["secret_id"]).refused(403);
    let unlock = format!(
        "sys/locked-users/{}/unlock/{role_id}",
        accessor(&server, "approle")
    );
    server.http.put(&unlock, &json!({})).ok();
    // The refused login has taken no use.
    log_in(&server, &role_id, &made["secret_id"]).ok();
}

#[test]
fn a_user_brings_a_hash_along_that_is_never_shown() {
    let server = server();
    let http = &server.http;
    // `U*U`, from the tests of the first implementation of bcrypt.
    let hash = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let user = "auth/people/users/ann";
    http.post(user, &json!({"password_hash": hash, "policies": "ops"}))
        .ok();
    let shown = http.get(user).data();
    assert_eq!(
        (&shown["policies"], &shown["token_policies"]),
        (&json!(["ops"]), &json!(["ops"]))
    );
    password(&server, "ann", "U*U").ok();
    assert_eq!(
        password(&server, "ann", hash).refused(400),
        password(&server, "ann", "wrong").refused(400)
    );
    for (path, body, named) in [
        (user, json!({"password_hash": "nosuch"}), "password_hash"),
        (
            user,
            json!({"password_hash": hash.replace("$05$", "$04$")}),
            "cost",
        ),
        (
            user,
            json!({"password_hash": hash.replace("$05$", "$31$")}),
            "cost",
        ),
        (
            user,
            json!({"password": "x", "password_hash": hash}),
            "only one",
        ),
        ("auth/people/users/ann/password", json!({}), "password_hash"),
    ] {
        let refused = http.post(path, &body).refused(400);
        assert!(refused.contains(named), "{body}: {refused}");
        assert!(!refused.contains("CCCC"), "{refused}");
    }
    password(&server, "ann", "U*U").ok();
    http.post(
        "auth/people/users/ann/password",
        &json!({"password": "new"}),
    )
    .ok();
    password(&server, "ann", "U*U").refused(400);
    http.post(
        "auth/people/users/ann/password",
        &json!({"password_hash": hash}),
    )
    .ok();
    password(&server, "ann", "U*U").ok();
    let told = server.log() + &server.audit() + &http.get(user).text();
    assert!(!told.contains("CCCCCC"), "the hash is told to nobody");
}

#[test]
fn what_is_written_by_an_older_name_is_read_back_by_it() {
    let server = server();
    let http = &server.http;
    let older = json!({"password": "x", "policies": ["ops"], "ttl": 60, "max_ttl": 120, "bound_cidrs": "127.0.0.0/8"});
    let user = "auth/people/users/ann";
    http.post(user, &older).ok();
    let shown = http.get(user).data();
    for (older, present, value) in [
        ("policies", "token_policies", json!(["ops"])),
        ("ttl", "token_ttl", json!(60)),
        ("max_ttl", "token_max_ttl", json!(120)),
        ("bound_cidrs", "token_bound_cidrs", json!(["127.0.0.0/8"])),
    ] {
        assert_eq!(
            (&shown[older], &shown[present]),
            (&value, &value),
            "{shown}"
        );
    }
    // The document that is read can be written back, and reads the same.
    http.post(user, &shown).ok();
    assert_eq!(http.get(user).data(), shown);
    http.post(user, &json!({"token_policies": ["dev"]})).ok();
    let shown = http.get(user).data();
    assert!(
        shown.get("policies").is_none() && shown["ttl"] == 60,
        "{shown}"
    );
    http.post(
        "auth/people/users/ann/policies",
        &json!({"policies": "ops"}),
    )
    .ok();
    assert_eq!(http.get(user).data()["policies"], json!(["ops"]));

    let role = "auth/approle/role/app";
    http.post(role, &json!({"policies": "ops", "period": 60}))
        .ok();
    let shown = http.get(role).data();
    assert_eq!(
        (&shown["policies"], &shown["period"]),
        (&json!(["ops"]), &json!(60))
    );
    let period = http.get("auth/approle/role/app/period").data();
    assert_eq!(period, json!({"period": 60, "token_period": 60}));
    http.post("auth/approle/role/app/period", &json!({"token_period": 30}))
        .ok();
    let period = http.get("auth/approle/role/app/period").data();
    assert_eq!(period, json!({"token_period": 30}));
}
