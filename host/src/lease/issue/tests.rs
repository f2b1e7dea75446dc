//! Events that can happen while a credential is being made. Most tests are about credentials that
//! leave nothing upstream: they have no intent, so all is decided in the one commit.

use std::{future::Future, time::Duration};

use lessor_model::{id::ConnectionName, refusal::Refusal};
use lessor_store::LeaseState;
use serde_json::json;

use crate::{
    engine::Engine,
    lease::Issued,
    testing::{House, Step, db, reader, requester},
};

fn house() -> House {
    let house = House::new();
    house.upstream.lock().unwrap().keeps_nothing = true;
    house
}

/// Issues while `meanwhile` happens in the middle of the provider's call.
async fn issue_while(
    house: &House,
    engine: &Engine,
    meanwhile: impl Future<Output = ()>,
) -> Result<Issued, Refusal> {
    let gate = house.hold();
    let other = async {
        gate.reached.notified().await;
        meanwhile.await;
        gate.opened.notify_one();
    };
    tokio::join!(engine.issue(), other).0
}

async fn write_role(engine: &Engine, role: serde_json::Value) {
    let (path, name) = (db(), reader());
    let written = engine.roles.write(&path, &name, role, requester());
    written.await.unwrap();
}

async fn leases(engine: &Engine) -> u64 {
    let counts = engine.leases.count().await.unwrap();
    counts.into_iter().map(|(_, _, number)| number).sum()
}

#[tokio::test]
async fn what_leaves_nothing_is_recorded_once_it_is_made() {
    let house = house();
    let engine = house.open(true).await;
    house.script(&[Step::FailAfter]);
    assert!(matches!(engine.issue().await, Err(Refusal::Provider(_))));
    assert_eq!(leases(&engine).await, 0);

    let unseen = async { assert_eq!(leases(&engine).await, 0) };
    let issued = issue_while(&house, &engine, unseen).await.unwrap().lease;
    let seen = engine.leases.lookup(&issued.id).await.unwrap();
    assert_eq!(seen.state, LeaseState::Active);
    assert_eq!(seen.credential_id, issued.credential_id);
    assert_eq!(seen.metadata, issued.metadata);
    assert_eq!(seen.expire_time, issued.expire_time);
    house.clock.advance(Duration::from_secs(3700));
    engine.drain(&house.clock).await;
}

#[tokio::test]
async fn a_role_that_changes_meanwhile_has_the_credential_made_anew() {
    let house = house();
    let engine = house.open(false).await;
    let change = write_role(&engine, json!({"default_ttl": "5m"}));
    let lease = issue_while(&house, &engine, change).await.unwrap().lease;
    assert_eq!(lease.ttl(lease.issue_time), Duration::from_secs(300));
    assert_eq!(house.upstream.lock().unwrap().created, 2);
    // The former version stays, because it has a lease.
    let change = write_role(&engine, json!({"default_ttl": "6m"}));
    let lease = issue_while(&house, &engine, change).await.unwrap().lease;
    assert_eq!(lease.ttl(lease.issue_time), Duration::from_secs(360));
    assert_eq!(leases(&engine).await, 2);
}

#[tokio::test]
async fn a_role_or_mount_that_goes_meanwhile_takes_the_credential_along() {
    let house = house();
    let engine = house.open(false).await;
    let removal = async {
        let removed = engine.roles.remove(&db(), &reader(), None).await;
        assert_eq!(removed.unwrap().revoking, 0);
    };
    let gone = issue_while(&house, &engine, removal).await;
    assert!(matches!(gone, Err(Refusal::NotFound(_))), "{gone:?}");
    write_role(&engine, json!({})).await;
    let removal = async {
        engine.mounts.remove(&db()).await.unwrap();
    };
    let gone = issue_while(&house, &engine, removal).await;
    assert!(gone.is_err());
    assert_eq!(leases(&engine).await, 0);
}

#[tokio::test]
async fn what_is_revoked_by_prefix_meanwhile_is_not_handed_out() {
    let house = house();
    let engine = house.open(false).await;
    let order = async {
        // Leases of one millisecond are in no order.
        house.clock.advance(Duration::from_millis(1));
        engine.issue().await.unwrap();
        assert_eq!(engine.leases.revoke_prefix("db").await.unwrap(), 1);
    };
    let revoked = issue_while(&house, &engine, order).await.unwrap_err();
    assert!(
        revoked.to_string().contains("was revoked while"),
        "{revoked}"
    );
    assert_eq!(leases(&engine).await, 1);
}

#[tokio::test]
async fn a_cap_holds_whoever_was_first() {
    let house = house();
    let engine = house.open(false).await;
    write_role(&engine, json!({"max_leases": 1})).await;
    let other = async {
        engine.issue().await.unwrap();
    };
    let late = issue_while(&house, &engine, other).await;
    assert!(matches!(late, Err(Refusal::Limit { .. })), "{late:?}");
    let made = house.upstream.lock().unwrap().created;
    assert!(matches!(engine.issue().await, Err(Refusal::Limit { .. })));
    assert_eq!(house.upstream.lock().unwrap().created, made);
    assert_eq!(leases(&engine).await, 1);
}

/// A call that is stopped, or whose upstream breaks off, may have asked for what takes
/// effect only after a first look for it.
#[tokio::test]
async fn what_may_still_land_is_not_looked_for_at_once() {
    for (step, wait) in [(Step::Refuse, 0), (Step::FailBefore, 5)] {
        let house = House::new();
        let engine = house.open(false).await;
        house.script(&[step]);
        let wait = Duration::from_secs(wait);
        let earliest = house.clock.now().plus(wait);
        assert!(engine.issue().await.is_err());
        let latest = house.clock.now().plus(wait);
        let connection = engine.connected();
        let due = engine.leases.next_due(&connection).await.unwrap().unwrap();
        assert!(earliest <= due && due <= latest, "{step:?}: {due}");
    }
}

/// The machine slept, or its clock was set forward: the intent was given up, looked for
/// and forgotten while the call was under way. Its lost answer left a credential that
/// nobody knew of.
#[tokio::test]
async fn a_call_that_outlives_its_intent_leaves_nothing_upstream() {
    for (step, made) in [(Step::Well, "made"), (Step::FailAfter, "lost")] {
        let house = House::new();
        let engine = house.open(true).await;
        let gate = house.hold();
        let other = async {
            gate.reached.notified().await;
            engine.drain(&house.clock).await;
            house.script(&[step]);
            gate.opened.notify_one();
        };
        let (issued, ()) = tokio::join!(engine.issue(), other);
        assert!(issued.is_err(), "{made}");
        engine.drain(&house.clock).await;
        assert_eq!(house.principals(), 0, "{made}");
    }
}

/// A call that a rotation had refused was repeated however long it had waited: its
/// intent was long given up and forgotten, and where the answer to the repeat was lost,
/// too, the credential stayed upstream and nobody knew of it.
#[tokio::test]
async fn what_was_given_up_while_it_waited_for_a_rotation_is_not_made() {
    let house = House::new();
    let engine = house.open(true).await;
    let connection = engine.connected();
    let gate = house.hold();
    let other = async {
        gate.reached.notified().await;
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await
            .unwrap();
        let turn = connection.rotation_turn().await;
        gate.opened.notify_one();
        engine.drain(&house.clock).await;
        house.script(&[Step::FailAfter]);
        drop(turn);
    };
    let (issued, ()) = tokio::join!(engine.issue(), other);
    let refused = issued.unwrap_err();
    assert!(
        matches!(refused.cause(), Refusal::Conflict(_)),
        "{refused:?}"
    );
    assert_eq!(house.principals(), 0);
    assert_eq!(house.script_left(), 1);
}

#[tokio::test]
async fn what_is_made_anew_after_a_rotation_has_as_long_as_at_first() {
    let house = House::new();
    let engine = house.open(false).await;
    let connection = engine.connected();
    let timeout = connection.spec.tune.timeout;
    let first = house.hold();
    let other = async {
        first.reached.notified().await;
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await
            .unwrap();
        house.clock.advance(timeout);
        let second = house.hold();
        first.opened.notify_one();
        second.reached.notified().await;
        house.clock.advance(timeout);
        let given_up = engine.leases.claim_due(&connection, house.clock.now(), 10);
        assert!(given_up.await.unwrap().is_empty());
        second.opened.notify_one();
    };
    let (issued, ()) = tokio::join!(engine.issue(), other);
    let lease = issued.unwrap().lease;
    assert_eq!(lease.state, LeaseState::Active);
    assert_eq!(house.principals(), 1);
}
