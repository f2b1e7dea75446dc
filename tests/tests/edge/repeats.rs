//! Requests that are repeated under an `Idempotency-Key`, also over a crash.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
};

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS, Lease},
    http::Answer,
    wait::eventually_true,
};
use serde_json::json;

fn ask(fixture: &Fixture, key: &str, body: &serde_json::Value) -> Answer {
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    let body = body.to_string();
    fixture
        .server
        .http
        .send("POST", "db/creds/reader", &headers, Some(body.as_bytes()))
}

#[test]
fn a_repeat_gives_the_same_credential_and_never_a_second_one() {
    let fixture = Fixture::start();
    let first = Lease::of(&ask(&fixture, "order-1", &json!({})));
    let again = Lease::of(&ask(&fixture, "order-1", &json!({})));
    assert_eq!(first.id, again.id);
    assert_eq!(first.password, again.password);
    assert!(fixture.works(&again));
    fixture.await_exactly(std::slice::from_ref(&first));

    let other = ask(&fixture, "order-1", &json!({"ttl": "5m"})).refused(409);
    assert!(other.contains("another request"), "{other}");
    let unfit = ask(&fixture, "two words", &json!({})).refused(400);
    assert!(unfit.contains("Idempotency-Key"), "{unfit}");
    fixture.revoke(&first).ok();
    let ended = ask(&fixture, "order-1", &json!({})).refused(409);
    assert!(ended.contains("has ended"), "{ended}");
    fixture.await_exactly(&[]);
}

/// The caller loses its answer with the host, comes back with its key, and gets
/// the credential that the dead process was making.
#[test]
fn a_caller_comes_back_after_a_crash_and_gets_its_credential() {
    for point in [
        "issue.after_intent",
        "issue.after_create",
        "issue.after_commit",
    ] {
        let mut fixture = Fixture::with_fault(point);
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "order-1"),
        ];
        let died = fixture
            .server
            .http
            .try_send("POST", "db/creds/reader", &headers, Some(b"{}"));
        assert!(died.is_err(), "{point}: {died:?}");
        fixture.server.await_death();
        fixture.server.restart();
        let lease = Lease::of(&ask(&fixture, "order-1", &json!({})));
        assert!(fixture.works(&lease), "{point}");
        fixture.server.advance_clock(GIVEN_UP_SECONDS);
        fixture.await_exactly(std::slice::from_ref(&lease));
        assert!(fixture.works(&lease), "{point}");
    }
}

/// Callers that leave while their credential is being made: nobody has it, and it is
/// ended. A caller that named its request comes back for it.
#[test]
fn what_nobody_waited_for_is_ended_unless_the_request_has_a_name() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let slow = json!({
        "member_of": null,
        "creation_statements": [
            "SELECT pg_advisory_xact_lock(7)",
            "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'",
        ],
    });
    fixture.write_role("slow", &slow).ok();
    let advisory = |granted: &str| {
        let sql =
            format!("select count(*) from pg_locks where locktype = 'advisory' and {granted}");
        fixture.postgres.sql(&sql)
    };
    let address = http.base().trim_start_matches("http://").to_owned();
    let ask = |key: &str| {
        let mut caller = TcpStream::connect(&address).unwrap();
        let head = format!(
            "GET /v1/db/creds/slow HTTP/1.1\r\nhost: {address}\r\nx-vault-token: {}\r\n{key}\r\n",
            http.token()
        );
        caller.write_all(head.as_bytes()).unwrap();
        caller
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            // Of its own session, which the test ends; where it fails, time does.
            let hold = "select pg_advisory_lock(7); select pg_sleep(50)";
            let (user, password) = (&fixture.root.username, &fixture.root.password);
            let _ = fixture.postgres.query_as(user, password, hold);
        });
        eventually_true("the lock is held", || advisory("granted") == "1");
        let mut callers: Vec<TcpStream> = (0..5).map(|_| ask("")).collect();
        callers.push(ask("idempotency-key: mine\r\n"));
        eventually_true("six are being made", || advisory("not granted") == "6");
        for mut caller in callers {
            caller.shutdown(Shutdown::Write).unwrap();
            // The server has seen that nobody waits once it closes its side.
            let mut answer = Vec::new();
            caller.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"");
        }
        fixture.postgres.sql(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted",
        );
    });
    eventually_true("five were made and ended", || {
        let log = fixture.server.log();
        log.matches("credential reached nobody").count() == 5
            && fixture.postgres.leased_roles().len() == 1
    });
    let named = [("Idempotency-Key", "mine")];
    let lease = Lease::of(&http.send("GET", "db/creds/slow", &named, None));
    fixture.await_exactly(&[lease]);
}
