//! The upstream system goes away and comes back.

use lessor_tests::{fixture::Fixture, wait::eventually};
use serde_json::json;

#[test]
fn a_revocation_that_finds_postgresql_down_is_done_once_it_is_up() {
    let mut fixture = Fixture::start();
    let lease = fixture.issue("reader");
    fixture.postgres.stop();
    // Whether the server answers "queued" or with the failure, the lease is ending from here
    // on.
    let answer = fixture.revoke(&lease);
    assert!(
        answer.status < 500 || matches!(answer.status, 502 | 503),
        "{answer:?}"
    );
    let view = eventually("the failed attempt is recorded", || {
        let view = fixture.server.lookup(&lease.id).data();
        view["last_error"].is_string().then_some(view)
    });
    assert_eq!(view["state"], json!("revoking"), "{view}");
    assert!(view["attempts"].as_u64().unwrap() >= 1, "{view}");
    assert!(view["next_attempt"].is_string(), "{view}");
    let renewal = fixture.renew(&lease, 60);
    assert_eq!(
        renewal.status, 400,
        "a lease that is ending is not renewed: {renewal:?}"
    );

    fixture.postgres.start_again();
    fixture.server.advance_clock(60);
    fixture.await_exactly(&[]);
    assert!(!fixture.works(&lease));
}

#[test]
fn a_revocation_that_never_works_is_shown_as_out_of_sync_and_still_done_later() {
    let mut fixture = Fixture::start();
    let lease = fixture.issue("reader");
    fixture.postgres.stop();
    let _ = fixture.revoke(&lease);
    let view = eventually("the lease is out of sync after enough attempts", || {
        fixture.server.advance_clock(3600);
        let view = fixture.server.lookup(&lease.id).data();
        (view["state"] == "out-of-sync").then_some(view)
    });
    assert!(view["attempts"].as_u64().unwrap() >= 6, "{view}");
    assert!(
        view["last_error"].as_str().unwrap().contains("127.0.0.1"),
        "{view}"
    );

    fixture.postgres.start_again();
    fixture.revoke(&lease).ok();
    fixture.await_exactly(&[]);
}

#[test]
fn an_issue_that_finds_postgresql_down_fails_and_leaves_nothing() {
    let mut fixture = Fixture::start();
    fixture.postgres.stop();
    let sentence = fixture.server.http.get("db/creds/reader").refused(502);
    let port = fixture.postgres.port().to_string();
    assert!(
        sentence.contains("127.0.0.1") && sentence.contains(&port),
        "{sentence}"
    );
    fixture.postgres.start_again();
    fixture.server.advance_clock(60);
    fixture.await_exactly(&[]);
    let lease = fixture.issue("reader");
    fixture.await_exactly(&[lease]);
}

#[test]
fn a_root_password_changed_behind_the_servers_back_is_mended_by_a_new_config() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let root = &fixture.root.username;
    fixture.postgres.sql(&format!(
        "alter role {root} password 'changed-by-hand'; \
         select pg_terminate_backend(pid) from pg_stat_activity where usename = '{root}'"
    ));
    let sentence = fixture.server.http.get("db/creds/reader").refused(502);
    assert!(sentence.contains("password"), "{sentence}");
    let mut config = fixture.config();
    config["password"] = json!("changed-by-hand");
    fixture.server.http.post("db/config", &config).ok();
    let after = fixture.issue("reader");
    fixture.revoke(&lease).ok();
    fixture.server.advance_clock(60);
    fixture.await_exactly(&[after]);
}
