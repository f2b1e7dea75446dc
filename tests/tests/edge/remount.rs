//! A mount is moved with all that belongs to it.

use lessor_tests::{fixture::Fixture, server::Server, wait::eventually_true};
use serde_json::{Value, json};

fn mv(fixture: &Fixture, from: &str, to: &str) -> lessor_tests::http::Answer {
    fixture
        .server
        .http
        .post("sys/remount", &json!({"from": from, "to": to}))
}

#[test]
fn leases_roles_and_the_root_follow_a_mount_that_is_moved() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let moved = mv(&fixture, "db", "team/db/").ok().data();
    let id = moved["migration_id"].as_str().unwrap();
    let status = fixture.server.http.get(&format!("sys/remount/status/{id}"));
    assert_eq!(status.data()["migration_info"]["status"], "success");

    fixture.server.http.get("db/creds/reader").refused(404);
    let ids = fixture.server.leases("team/db/creds");
    assert_eq!(ids, [format!("team/{}", lease.id)]);
    fixture
        .server
        .http
        .post("team/db/rotate-root", &json!({}))
        .ok();

    // What was made before the move is still known to be the mount's own.
    let found = fixture
        .server
        .http
        .post("team/db/reconcile", &json!({}))
        .ok()
        .data();
    for list in ["orphans", "vanished"] {
        assert!(
            found[list].as_array().is_none_or(Vec::is_empty),
            "{list}: {found}"
        );
    }
    let revoke = json!({"lease_id": ids[0]});
    fixture.server.http.put("sys/leases/revoke", &revoke).ok();
    eventually_true("the role is gone", || {
        fixture.postgres.leased_roles().is_empty()
    });
}

/// The former path is free. A mount made there is another one, also for the
/// upstream system: it does not take the moved mount's roles for its own.
#[test]
fn a_mount_made_at_the_former_path_does_not_know_the_roles_of_the_moved_one() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    mv(&fixture, "db", "old").ok();
    let root = fixture.postgres.role_creator();
    fixture.mount("db").ok();
    let config = json!({
        "host": "127.0.0.1", "port": fixture.postgres.port(), "sslmode": "disable",
        "username": root.username, "password": root.password,
    });
    fixture.server.http.post("db/config", &config).ok();
    let found = fixture
        .server
        .http
        .post("db/reconcile", &json!({}))
        .ok()
        .data();
    assert!(!found.to_string().contains(&lease.username), "{found}");
    assert!(fixture.works(&lease));
}

#[test]
fn a_move_that_cannot_be_is_refused_and_changes_nothing() {
    let fixture = Fixture::start();
    fixture.mount("other").ok();
    let before: Value = fixture.server.http.get("sys/mounts").data();
    for (from, to, status, says) in [
        ("db", "other", 409, "other"),
        ("db", "other/below", 409, "other"),
        ("db", "db", 409, "db"),
        ("nowhere", "new", 404, "nowhere"),
        ("db", "sys/x", 400, "sys"),
        ("db", "", 400, "to"),
    ] {
        let refused = mv(&fixture, from, to).refused(status);
        assert!(refused.contains(says), "{from} {to}: {refused}");
    }
    let after: Value = fixture.server.http.get("sys/mounts").data();
    assert_eq!(before, after);
}

/// Users, tokens and lock-outs of a login method follow it.
#[test]
fn a_login_method_is_moved_with_its_users_tokens_and_locks() {
    let server = Server::start();
    let http = &server.http;
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    for name in ["bob", "eve"] {
        let user = json!({"password": "tr0ub4dor"});
        http.post(&format!("auth/people/users/{name}"), &user).ok();
    }
    let anybody = http.without_token();
    let log_in = |path: &str, name: &str, password: &str| {
        let body = json!({"password": password});
        anybody.post(&format!("auth/{path}/login/{name}"), &body)
    };
    let token = log_in("people", "bob", "tr0ub4dor").ok().json();
    let bob = http.with_token(token["auth"]["client_token"].as_str().unwrap());
    for _ in 0..5 {
        log_in("people", "eve", "wrong").refused(400);
    }
    log_in("people", "eve", "tr0ub4dor").refused(403);

    let body = json!({"from": "auth/people", "to": "auth/team/people/"});
    let moved = http.post("sys/remount", &body).data();
    let id = moved["migration_id"].as_str().unwrap();
    let status = http.get(&format!("sys/remount/status/{id}")).data();
    let info = &status["migration_info"];
    assert_eq!(info["source_mount"], "auth/people/");
    assert_eq!(info["target_mount"], "auth/team/people/");

    assert_eq!(http.list("auth/team/people/users").keys(), ["bob", "eve"]);
    assert!(log_in("people", "bob", "tr0ub4dor").status >= 400);
    log_in("team/people", "bob", "tr0ub4dor").ok();
    log_in("team/people", "eve", "tr0ub4dor").refused(403);
    let own = bob.get("auth/token/lookup-self").data();
    assert_eq!(own["path"], "auth/team/people/login/bob");
    // A method that is enabled at the former path is another one.
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    http.delete("sys/auth/people").ok();
    bob.get("auth/token/lookup-self").ok();
    for (from, to, status) in [
        ("auth/nowhere", "auth/x", 404),
        ("auth/team/people", "people", 400),
        ("auth/team/people", "auth/token", 409),
        ("auth/team/people", "auth/team/people", 409),
    ] {
        let body = json!({"from": from, "to": to});
        http.post("sys/remount", &body).refused(status);
    }
    http.delete("sys/auth/team/people").ok();
    bob.get("auth/token/lookup-self").refused(403);
}
