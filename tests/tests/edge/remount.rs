//! A mount is moved together with everything that belongs to it.

use std::process::{Command, Stdio};

use lessor_tests::{
    fixture::{Fixture, Lease},
    server::{Server, binary},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// The points at which a move may be cut off.
pub(crate) const POINTS: [&str; 1] = ["remount.after_move"];

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

    // Credentials from before the move still count as the mount's own.
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

/// The id that a lease was handed out with goes on naming it after its mount is moved, also
/// after a restart. Revoking by such an id used to answer 204 and end nothing.
#[test]
fn ids_of_before_a_move_go_on_naming_their_leases() {
    let mut fixture = Fixture::start();
    let [renewed, revoked, pathed, marked, typed, forced, role, all] =
        std::array::from_fn(|_| fixture.issue("reader"));
    fixture.write_role("other", &json!({})).ok();
    let other = fixture.issue("other");
    mv(&fixture, "db", "team/db").ok();
    mv(&fixture, "team/db", "final").ok();
    fixture.server.kill();
    fixture.server.restart();
    let http = &fixture.server.http;
    let gone = |lease: &Lease| !fixture.postgres.leased_roles().contains(&lease.username);

    // Also under the path where it was in between, where lists showed it.
    let between = format!("team/{}", renewed.id);
    for id in [&renewed.id, &between] {
        let shown = fixture.server.lookup(id).ok().json();
        assert_eq!(shown["data"]["id"], *id);
        assert_eq!(shown["data"]["path"], "final/creds/reader");
        assert!(
            shown["warnings"][0]
                .as_str()
                .unwrap()
                .contains("final/creds/reader/")
        );
        let body = json!({"lease_id": id, "increment": 1800});
        let answer = http.put("sys/leases/renew", &body).ok().json();
        assert_eq!(
            (&answer["lease_id"], &answer["lease_duration"]),
            (&json!(id), &json!(1800))
        );
    }

    let body = json!({"lease_id": revoked.id});
    assert_eq!(http.put("sys/leases/revoke", &body).status, 204);
    assert!(gone(&revoked));
    let path = format!("sys/leases/revoke/{}", pathed.id);
    assert_eq!(http.put(&path, &json!({})).status, 204);
    assert!(gone(&pathed));
    let body = json!({"lease_id": marked.id, "async": true});
    let task = http.put("sys/leases/revoke", &body).ok().data();
    assert_eq!(task["marked"], 1);
    succeeded(&fixture, &task);
    assert!(gone(&marked));
    let done = Command::new(binary())
        .args(["lease", "revoke", &typed.id])
        .env("LESSOR_ADDR", http.base())
        .env("LESSOR_TOKEN", http.token())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(gone(&typed));
    let body = json!({"lease_id": forced.id, "force": true, "reason": "a test"});
    assert_eq!(http.put("sys/leases/revoke", &body).status, 204);
    assert!(gone(&forced));

    // By prefix: of a lease, a role, the mount.
    let task = http.put(
        &format!("sys/leases/revoke-prefix/{}", role.id),
        &json!({"sync": true}),
    );
    assert_eq!(task.ok().status, 204);
    assert!(gone(&role) && !gone(&other));
    let body = json!({"sync": true});
    http.put("sys/leases/revoke-prefix/db/creds/other", &body)
        .ok();
    assert!(gone(&other) && fixture.works(&all) && fixture.works(&renewed));
    http.put("sys/leases/revoke-prefix/db", &body).ok();
    assert_eq!(fixture.postgres.leased_roles().len(), 0);
    fixture.server.await_no_leases("final");
    // Revoking a lease that is gone succeeds.
    let body = json!({"lease_id": revoked.id});
    assert_eq!(http.put("sys/leases/revoke", &body).status, 204);
}

/// Waits until a task of this answer has succeeded.
fn succeeded(fixture: &Fixture, task: &Value) {
    let id = task["task_id"].as_str().unwrap();
    eventually_true("the task succeeds", || {
        let state = fixture.server.http.get(&format!("sys/tasks/{id}")).data();
        state["state"] == "succeeded"
    });
}

/// A token's rights at the former path still hold for the leases from before the move, and not
/// for later ones, which never had that path. A mount that is made there is another one, and
/// ends no lease of the one that was moved away.
#[test]
fn whoever_was_granted_the_former_path_gains_nothing_by_a_move() {
    let fixture = Fixture::start();
    let before = fixture.issue("reader");
    mv(&fixture, "db", "moved").ok();
    // Ids tell no moments apart that are shorter than a millisecond.
    fixture.server.advance_clock(1);
    let http = &fixture.server.http;
    let issued = http.get("moved/creds/reader").ok();
    let after = Lease::of(&issued);
    let tail = after.id.strip_prefix("moved/").unwrap();
    let never_was = format!("db/{tail}");

    let policy = r#"
        path "sys/leases/lookup" { capabilities = ["update"] }
        path "sys/leases/renew/db/*" { capabilities = ["update"] }
        path "sys/leases/revoke/db/*" { capabilities = ["update"] }
        path "sys/leases/revoke-prefix/db/*" { capabilities = ["update", "sudo"] }
    "#;
    http.put("sys/policies/acl/former", &json!({"policy": policy}))
        .ok();
    let made = http
        .post("auth/token/create", &json!({"policies": ["former"]}))
        .ok()
        .json();
    let token = http.with_token(made["auth"]["client_token"].as_str().unwrap());
    token
        .put(&format!("sys/leases/renew/{}", before.id), &json!({}))
        .ok();
    for id in [&after.id, &never_was] {
        let path = format!("sys/leases/renew/{id}");
        assert!(
            matches!(token.put(&path, &json!({})).status, 400 | 403),
            "{id}"
        );
    }
    token
        .put("sys/leases/lookup", &json!({"lease_id": never_was}))
        .refused(400);
    token
        .put(&format!("sys/leases/revoke/{never_was}"), &json!({}))
        .ok();
    assert!(fixture.works(&after));
    token
        .put("sys/leases/revoke-prefix/db/creds", &json!({"sync": true}))
        .ok();
    assert!(fixture.works(&after) && !fixture.works(&before));

    // Another mount at the former path, removed with `sync`: the moved leases live on, and the
    // request does not wait for them.
    let another = http.get("moved/creds/reader").ok();
    mv(&fixture, "moved", "db").ok();
    mv(&fixture, "db", "moved").ok();
    let root = fixture.postgres.role_creator();
    fixture.mount("db").ok();
    fixture.postgres.sql(&format!(
        "grant harness_readers to {0} with admin option; grant pg_signal_backend to {0}",
        root.username
    ));
    let config = json!({
        "host": "127.0.0.1", "port": fixture.postgres.port(), "sslmode": "disable",
        "username": root.username, "password": root.password,
    });
    http.post("db/config", &config).ok();
    fixture.write_role("reader", &json!({})).ok();
    let own = fixture.issue("reader");
    let removed = http
        .delete("db/roles/reader?revoke=true&sync=true")
        .ok()
        .data();
    assert_eq!(removed["state"], "revoked", "{removed}");
    fixture.write_role("reader", &json!({})).ok();
    let second = fixture.issue("reader");
    let removed = http.delete("sys/mounts/db?sync=true").ok().data();
    assert_eq!(removed["state"], "revoked", "{removed}");
    assert!(!fixture.works(&own) && !fixture.works(&second));
    assert!(fixture.works(&after) && fixture.works(&Lease::of(&another)));
}

#[test]
fn a_move_that_a_crash_cut_off_is_whole_after_it() {
    let mut fixture = Fixture::with_fault(POINTS[0]);
    let before = fixture.issue("reader");
    let body = json!({"from": "db", "to": "moved"});
    fixture.server.http.post_to_the_death("sys/remount", &body);
    fixture.server.await_death();
    fixture.server.restart();
    let http = &fixture.server.http;
    // Later than the move by the clock, too.
    fixture.server.advance_clock(1);
    let after = Lease::of(&http.get("moved/creds/reader").ok());
    let never_was = format!("db/{}", after.id.strip_prefix("moved/").unwrap());
    fixture.server.lookup(&never_was).refused(400);
    let revoke = |id: &str| http.put("sys/leases/revoke", &json!({"lease_id": id}));
    assert_eq!(revoke(&never_was).status, 204);
    assert!(fixture.works(&after));
    assert_eq!(revoke(&before.id).status, 204);
    assert!(!fixture.works(&before));
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
