//! Refusals name the missing grant of the mount, or the missing privilege of the root
//! credential. Without the grant nothing is dialled.

use std::{io::ErrorKind, net::TcpListener};

use lessor_tests::{fixture::Fixture, postgres::Postgres, server::Server};
use serde_json::json;

/// Connections that a listener has been offered so far.
fn offered(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).unwrap();
    let mut count = 0;
    loop {
        match listener.accept() {
            Ok(_) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("accept: {error}"),
        }
    }
}

#[test]
fn without_a_grant_nothing_is_dialled_and_the_refusal_says_which_to_add() {
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = json!({
        "host": "127.0.0.1", "port": port, "username": "root", "password": "secret", "sslmode": "disable",
    });
    // A grant for another port, and one for the same port elsewhere, are no grants.
    for (mount, granted) in [
        ("none", json!([])),
        ("port", json!([format!("tcp://127.0.0.1:{}", port ^ 1)])),
        ("host", json!([format!("tcp://127.0.0.2:{port}")])),
        ("scheme", json!([format!("https://127.0.0.1:{port}")])),
    ] {
        server
            .http
            .post(
                &format!("sys/mounts/{mount}"),
                &json!({"type": "postgres", "config": {"allowed_hosts": granted}}),
            )
            .ok();
        let answer = server.http.post(&format!("{mount}/config"), &config);
        assert!(answer.status >= 400, "{mount}: {answer:?}");
        let sentence = answer.clone().refused(answer.status);
        let wanted = format!("tcp://127.0.0.1:{port}");
        assert!(sentence.contains(&wanted), "{mount}: {sentence}");
        assert!(sentence.contains("allowed_hosts"), "{mount}: {sentence}");
        assert!(sentence.contains("--allow-host"), "{mount}: {sentence}");
        server.http.get(&format!("{mount}/config")).nothing_here();
    }
    assert_eq!(offered(&listener), 0, "something was dialled");

    // Proof that the counter counts: with the grant, the same config dials.
    server
        .http
        .post(
            "sys/mounts/none/tune",
            &json!({"allowed_hosts": [format!("tcp://127.0.0.1:{port}")], "timeout": "1s"}),
        )
        .ok();
    let refused = server.http.post("none/config", &config);
    assert!(refused.status >= 400, "{refused:?}");
    assert!(offered(&listener) > 0);
}

#[test]
fn a_grant_wider_than_what_the_provider_asks_for_is_told_when_it_is_set() {
    let server = Server::start();
    let wide = "tcp://0.0.0.0/0:16390";
    let mount = |hosts: &str| json!({"type": "postgres", "config": {"allowed_hosts": [hosts]}});
    let told = server
        .http
        .post("sys/mounts/wide", &mount(wide))
        .ok()
        .text();
    assert!(
        told.contains(wide) && told.contains("tcp://{host}:{port}"),
        "{told}"
    );
    let told = server
        .http
        .post("sys/mounts/narrow", &mount("tcp://db:5432"))
        .ok();
    assert_eq!(told.status, 204, "{told:?}");
    let tune = |body| server.http.post("sys/mounts/narrow/tune", &body).ok();
    let told = tune(json!({"allowed_hosts": ["tcp://*.example.com:5432"]})).text();
    assert!(told.contains("*.example.com"), "{told}");
    assert_eq!(tune(json!({"description": "hers"})).status, 204);
}

/// An auditor could not read the grants of a mount.
#[test]
fn grants_and_pins_stand_in_clear_in_the_audit_log_and_nothing_else_does() {
    let server = Server::start();
    let grant = "tcp://audited.example.com:5432";
    let body = json!({
        "type": "postgres", "description": "canary-description", "config": {"allowed_hosts": [grant]},
    });
    server.http.post("sys/mounts/db", &body).ok();
    let tuned = "tcp://tuned.example.com:5432";
    server
        .http
        .post("sys/mounts/db/tune", &json!({"allowed_hosts": [tuned]}))
        .ok();
    // At other paths a field of that name may hold anything.
    let config = json!({"allowed_hosts": ["canary-config"]});
    assert_eq!(server.http.post("db/config", &config).status, 400);
    let audit = server.audit();
    let requests = audit.lines().filter(|line| line.contains("\"request_id\""));
    let requests = requests.collect::<Vec<_>>().join("\n");
    for shown in [grant, tuned, &server.digest("postgres.wasm")] {
        assert!(requests.contains(shown), "{shown}: {requests}");
    }
    assert!(!audit.contains("canary-"), "{audit}");
}

#[test]
fn a_grant_taken_away_stops_the_next_call() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    fixture
        .server
        .http
        .post("sys/mounts/db/tune", &json!({"allowed_hosts": []}))
        .ok();
    let answer = fixture.server.http.get("db/creds/reader");
    let sentence = answer.clone().refused(answer.status);
    assert!(sentence.contains(&fixture.postgres.grant()), "{sentence}");
    fixture
        .server
        .http
        .post(
            "sys/mounts/db/tune",
            &json!({"allowed_hosts": [fixture.postgres.grant()]}),
        )
        .ok();
    let again = fixture.issue("reader");
    fixture.server.advance_clock(60);
    fixture.await_exactly(&[lease, again]);
}

#[test]
fn a_root_without_the_privilege_is_told_which_it_lacks() {
    let fixture = Fixture::start();
    fixture.mount("weak").ok();
    let root = fixture.postgres.powerless();
    let answer = fixture.server.http.post(
        "weak/config",
        &json!({
            "host": "127.0.0.1", "port": fixture.postgres.port(), "sslmode": "disable",
            "username": root.username, "password": root.password,
        }),
    );
    // The config is refused, or taken with a warning: either way CREATEROLE is named.
    assert!(answer.text().contains("CREATEROLE"), "{answer:?}");
}

#[test]
fn a_root_that_cannot_give_a_membership_is_told_which_option_it_lacks() {
    // On PostgreSQL 15 CREATEROLE alone gives any membership but a superuser's.
    let fixture = Fixture::with(Server::setup(), Postgres::role_creator);
    fixture.postgres.sql("create role harness_admins superuser");
    let answer = fixture.write_role("admin", &json!({"member_of": ["harness_admins"]}));
    assert!(answer.text().contains("harness_admins"), "{answer:?}");
    let missing = fixture.write_role("ghost", &json!({"member_of": ["harness_nobody"]}));
    let sentence = missing.clone().refused(missing.status);
    assert!(sentence.contains("harness_nobody"), "{sentence}");
    fixture.server.http.get("db/roles/ghost").nothing_here();
}

#[test]
fn a_root_that_is_no_superuser_leases_and_revokes_and_rotates() {
    let fixture = Fixture::with(Server::setup(), Postgres::role_creator);
    let lease = fixture.issue("reader");
    let read = "select value from harness_table";
    let found = fixture
        .postgres
        .query_as(&lease.username, &lease.password, read);
    assert_eq!(found.unwrap(), "found it");
    fixture.renew(&lease, 7200).ok();

    fixture
        .server
        .http
        .post("db/config/rotate-root", &json!({}))
        .ok();
    let root = &fixture.root;
    assert!(!fixture.postgres.accepts(&root.username, &root.password));

    let session = fixture
        .postgres
        .open_session(&lease.username, &lease.password);
    fixture.revoke(&lease).ok();
    session.await_end();
    fixture.await_exactly(&[]);
}

/// The output of `GET config` can be written back, as configuration tools do. But only somebody
/// who knows the root credential can have it sent to another host.
#[test]
fn a_config_written_back_keeps_its_password_and_never_for_another_host() {
    let fixture = Fixture::start();
    let shown = fixture.config_view()["config"].clone();
    assert_eq!(shown["password"], json!("<redacted>"));
    fixture.server.http.post("db/config", &shown).ok();
    let lease = fixture.issue("reader");
    assert!(fixture.works(&lease));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    fixture
        .server
        .http
        .post(
            "sys/mounts/db/tune",
            &json!({"allowed_hosts": [fixture.postgres.grant(), format!("tcp://127.0.0.1:{port}")]}),
        )
        .ok();
    let mut elsewhere = shown.clone();
    elsewhere["port"] = json!(port);
    let sentence = fixture
        .server
        .http
        .post("db/config", &elsewhere)
        .refused(400);
    assert!(sentence.contains("<redacted>"), "{sentence}");
    assert_eq!(
        offered(&listener),
        0,
        "the password may have been sent there"
    );
    assert_eq!(fixture.config_view()["config"], shown);
}
