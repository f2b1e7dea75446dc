//! Requests that are repeated under an `Idempotency-Key`, also over a crash.

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS, Lease},
    http::Answer,
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
