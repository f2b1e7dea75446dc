//! `kill -9` at every point where it could hurt. Whatever the instant, after a
//! restart upstream holds the roles of the known leases and no other, and there
//! is exactly one working root.

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS},
    wait::eventually_true,
};
use serde_json::json;

/// Brings the crashed server back and past the time for which a call of the
/// dead process might still take effect.
fn recover(fixture: &mut Fixture) {
    let status = fixture.server.await_death();
    assert!(
        !status.success(),
        "the fault point was not reached: {status}"
    );
    fixture.server.restart();
    fixture.server.advance_clock(GIVEN_UP_SECONDS);
}

/// An issue dies at `point`; the role that it may have made must go.
fn issue_dies_at(point: &str, roles_left_upstream: usize) {
    let mut fixture = Fixture::with_fault(point);
    fixture
        .server
        .http
        .post_to_the_death("db/creds/reader", &json!({}));
    fixture.server.await_death();
    assert_eq!(
        fixture.postgres.leased_roles().len(),
        roles_left_upstream,
        "what the crash left upstream"
    );
    recover(&mut fixture);
    if point == "issue.after_commit" {
        // Committed, so it is a lease although the caller never saw it: it is
        // listed, and ends like any other.
        eventually_true("the lease is listed", || {
            fixture.server.leases("db/creds").len() == 1
        });
        assert_eq!(fixture.postgres.leased_roles().len(), 1);
        fixture.server.advance_clock(3601);
    }
    fixture.await_exactly(&[]);
    let lease = fixture.issue("reader");
    assert!(fixture.works(&lease));
    fixture.await_exactly(&[lease]);
}

#[test]
fn an_issue_that_dies_before_its_intent_is_written_leaves_nothing() {
    issue_dies_at("issue.before_intent", 0);
}

#[test]
fn an_issue_that_dies_after_its_intent_is_written_leaves_nothing() {
    issue_dies_at("issue.after_intent", 0);
}

#[test]
fn a_role_made_just_before_a_crash_does_not_outlive_the_restart() {
    issue_dies_at("issue.after_create", 1);
}

#[test]
fn a_lease_committed_just_before_a_crash_is_known_and_ends_in_time() {
    issue_dies_at("issue.after_commit", 1);
}

#[test]
fn a_renewal_that_dies_after_the_provider_leaves_one_lease_that_can_be_renewed() {
    let mut fixture = Fixture::with_fault("renew.after_provider");
    let lease = fixture.issue("reader");
    fixture.server.http.post_to_the_death(
        "sys/leases/renew",
        &json!({"lease_id": lease.id, "increment": 7200}),
    );
    recover(&mut fixture);
    assert!(fixture.works(&lease));
    fixture.renew(&lease, 7200).ok();
    fixture.await_exactly(std::slice::from_ref(&lease));
    fixture.server.advance_clock(7201);
    fixture.await_exactly(&[]);
}

/// A revocation dies at `point`; it must be finished by itself.
fn revocation_dies_at(point: &str) {
    let mut fixture = Fixture::with_fault(point);
    let (ended, kept) = (fixture.issue("reader"), fixture.issue("reader"));
    fixture
        .server
        .http
        .post_to_the_death("sys/leases/revoke", &json!({"lease_id": ended.id}));
    recover(&mut fixture);
    fixture.await_exactly(std::slice::from_ref(&kept));
    assert!(!fixture.works(&ended));
    assert!(fixture.works(&kept));
}

#[test]
fn a_revocation_that_dies_after_it_was_marked_is_finished() {
    revocation_dies_at("revoke.after_mark");
}

#[test]
fn a_revocation_that_dies_after_the_provider_is_finished() {
    revocation_dies_at("revoke.after_provider");
}

/// A rotation dies at `point`; it must be finished once, not begun again.
fn rotation_dies_at(point: &str) {
    let mut fixture = Fixture::with_fault(point);
    let before = fixture.issue("reader");
    fixture
        .server
        .http
        .post_to_the_death("db/config/rotate-root", &json!({}));
    recover(&mut fixture);

    eventually_true("the rotation is finished", || {
        let view = fixture.config_view();
        view["version"] == json!(2) && view["rotation"].is_null()
    });
    let root = fixture.root.clone();
    assert!(!fixture.postgres.accepts(&root.username, &root.password));
    let after = fixture.issue("reader");
    assert!(fixture.works(&after));
    fixture.revoke(&before).ok();
    fixture.await_exactly(std::slice::from_ref(&after));

    // And the next rotation finds the mount in order.
    fixture
        .server
        .http
        .post("db/config/rotate-root", &json!({}))
        .ok();
    assert_eq!(fixture.config_view()["version"], json!(3));
    fixture.revoke(&after).ok();
    fixture.await_exactly(&[]);
}

#[test]
fn a_rotation_that_dies_after_it_was_opened_is_finished() {
    rotation_dies_at("rotate.after_open");
}

/// The password is changed upstream and stored nowhere: the repeat must arrive
/// at the very same one.
#[test]
fn a_rotation_that_dies_after_the_provider_is_finished_with_the_same_password() {
    rotation_dies_at("rotate.after_provider");
}

#[test]
fn a_rotation_that_dies_after_it_was_staged_is_finished() {
    rotation_dies_at("rotate.after_staged");
}

#[test]
fn a_rotation_that_dies_after_it_was_proven_is_finished() {
    rotation_dies_at("rotate.after_proven");
}

#[test]
fn a_rotation_that_dies_after_it_was_promoted_is_finished() {
    rotation_dies_at("rotate.after_promoted");
}
