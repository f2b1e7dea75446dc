//! A mount is moved with all that belongs to it.

use lessor_tests::{fixture::Fixture, wait::eventually_true};
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
