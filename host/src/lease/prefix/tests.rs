//! Prefixes as they are read, and what they end over a fake upstream.

use lessor_store::{Activation, Intent, LeaseState, NewLease};
use serde_json::json;

use super::*;
use crate::testing::{House, db, request, requester};

#[test]
fn a_prefix_covers_whole_segments_only() {
    let role = |name: &str| Some(Cover::Role(name.parse().unwrap()));
    for (path, prefix, covered) in [
        ("db", "db", Some(Cover::Everything)),
        ("db", "db/", Some(Cover::Everything)),
        ("db", "db/creds", Some(Cover::Everything)),
        ("db", "db/creds/", Some(Cover::Everything)),
        ("db", "db/creds/reader", role("reader")),
        ("db", "/db/creds/reader/", role("reader")),
        ("db/orders", "db", Some(Cover::Everything)),
        ("db", "d", None),
        ("db", "db/cred", None),
        ("db", "db/orders", None),
        ("db2", "db", None),
        (
            "db",
            "db/creds/reader/00000000000000000000000000",
            Some(Cover::One(
                "db/creds/reader/00000000000000000000000000"
                    .parse()
                    .unwrap(),
            )),
        ),
        ("db", "db/creds/reader/0", None),
    ] {
        assert_eq!(cover(path, prefix), covered, "{path} {prefix}");
    }
}

#[test]
fn a_prefix_covers_what_had_ids_there_before_a_move() {
    let id = |byte| OperationId::from_bytes([byte; 16]);
    let former = |paths: &[(&str, u8)]| -> Vec<FormerPath> {
        let paths = paths.iter().map(|(path, newest)| FormerPath {
            path: path.parse().unwrap(),
            newest: id(*newest),
        });
        paths.collect()
    };
    let (all, role) = (Cover::Everything, Cover::Role("r".parse().unwrap()));
    let always = OperationId::GREATEST;
    for (was, prefix, expected) in [
        (former(&[]), "new", vec![(all.clone(), always)]),
        (former(&[]), "old", vec![]),
        (former(&[("old", 3)]), "old", vec![(all.clone(), id(3))]),
        (former(&[("old", 3)]), "old/creds/r", vec![(role, id(3))]),
        (former(&[("old", 3)]), "new", vec![(all.clone(), always)]),
        (former(&[("new/x", 3)]), "new", vec![(all.clone(), always)]),
        (
            former(&[("a/b", 3), ("a/c", 4)]),
            "a",
            vec![(all.clone(), id(4))],
        ),
        (
            former(&[("a/b", 3), ("a/c", 4)]),
            "a/b",
            vec![(all.clone(), id(3))],
        ),
    ] {
        let path = "new".parse().unwrap();
        assert_eq!(covers(&path, &was, prefix), expected, "{was:?} {prefix}");
    }
}

#[tokio::test]
async fn a_prefix_ends_all_its_leases_and_no_other() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .roles
        .write(&db(), &"writer".parse().unwrap(), json!({}), requester())
        .await
        .unwrap();
    for _ in 0..20 {
        engine.issue().await.unwrap();
    }
    let kept = engine
        .leases
        .issue(&db(), &"writer".parse().unwrap(), request())
        .await
        .unwrap();
    assert_eq!(
        engine.leases.list("db/creds/reader").await.unwrap().len(),
        20
    );
    assert_eq!(engine.leases.list("").await.unwrap(), ["db/"]);
    assert_eq!(
        engine.leases.list("db/creds").await.unwrap(),
        ["reader/", "writer/"]
    );
    assert_eq!(
        engine
            .leases
            .revoke_prefix("db/creds/reader")
            .await
            .unwrap(),
        20
    );
    assert!(
        engine
            .drained("db/creds/reader", Duration::from_secs(10))
            .await
    );
    assert_eq!(house.principals(), 1);
    assert!(engine.leases.lookup(&kept.lease.id).await.is_ok());
    assert!(matches!(
        engine.leases.revoke_prefix("/").await,
        Err(Refusal::Invalid(_))
    ));
}

/// The order is one row, from which the scheduler takes them, which does not run
/// here.
#[tokio::test]
async fn leases_whose_end_is_ordered_are_ending_to_everybody_at_once() {
    let house = House::new();
    let engine = house.open(false).await;
    let storage = &engine.storage;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(engine.issue().await.unwrap().lease.id);
    }
    let connection = engine.connected();
    let row = storage.lease(ids[0].operation).await.unwrap().unwrap();
    let under_way = NewLease {
        operation: OperationId::new(house.clock.now()).unwrap(),
        ..NewLease::of_row(&row, 1, house.clock.now())
    };
    let intent = storage.record_intent(under_way.clone(), None).await;
    assert_eq!(intent.unwrap(), Intent::Recorded);
    assert_eq!(engine.leases.revoke_prefix("db").await.unwrap(), 6);
    house.clock.advance(Duration::from_secs(1));
    let newer = engine.issue().await.unwrap().lease.id;

    let count =
        |number: usize, state: LeaseState| ("db".into(), state.as_str().into(), number as u64);
    for id in &ids {
        let seen = engine.leases.lookup(id).await.unwrap();
        assert!(seen.state == LeaseState::Revoking && !seen.renewable);
        let refused = engine.leases.renew(id, None).await;
        assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
        let at_the_last_moment = storage.record_renewed(id.operation, None, house.clock.now());
        assert!(!at_the_last_moment.await.unwrap());
    }
    let operation = under_way.operation;
    let repeated = storage.resume_intent(operation, house.clock.now());
    assert!(repeated.await.unwrap().is_none());
    let made = Activation {
        credential_id: "made meanwhile".into(),
        metadata: json!({}),
        expires_at: row.expires_at,
        upstream_expires_at: None,
    };
    let handed_out = storage.record_active(under_way, made, house.clock.now());
    assert!(!handed_out.await.unwrap());
    let counts = [count(1, LeaseState::Active), count(6, LeaseState::Revoking)];
    assert_eq!(engine.leases.count().await.unwrap(), counts);
    assert!(!engine.mounts.remove_drained(&connection).await.unwrap());

    let now = house.clock.now();
    let late = storage.lateness(connection.mount.id, now).await.unwrap();
    assert_eq!(late.revoking, 6);
    assert!(late.oldest.is_some_and(|oldest| oldest < now));
    let shown = engine.leases.ending(None, 9).await.unwrap();
    assert!(shown.len() == 6 && shown.iter().all(|view| view.ending_since.is_some()));

    // First the one that is due, then in parts those of the order.
    let mut due = Vec::new();
    for number in [2, 2, 2, 0] {
        assert!(storage.next_due(connection.id).await.unwrap() <= Some(now));
        let claimed = storage.claim_due(connection.id, now, now.plus(Duration::from_secs(9)), 2);
        let claimed = claimed.await.unwrap().rows;
        assert_eq!(claimed.len(), number);
        due.extend(claimed.iter().map(|row| row.operation));
    }
    assert!(storage.next_due(connection.id).await.unwrap() > Some(now));
    assert_eq!(due[0], operation);
    let mut expected: Vec<_> = ids.iter().map(|id| id.operation).collect();
    expected.push(operation);
    // Operations of one millisecond are in no order.
    expected.sort_unstable();
    due.sort_unstable();
    assert_eq!(due, expected);
    let seen = engine.leases.lookup(&newer).await.unwrap();
    assert_eq!(seen.state, LeaseState::Active);
}

/// Ordered once more, an order covers what came since, whatever it has passed.
#[tokio::test]
async fn a_second_order_covers_what_came_since_the_first() {
    let house = House::new();
    let engine = house.open(false).await;
    for _ in 0..4 {
        engine.issue().await.unwrap();
    }
    assert_eq!(engine.leases.revoke_prefix("db").await.unwrap(), 4);
    let connection = engine.connected();
    let now = house.clock.now();
    let taken = engine.leases.claim_due(&connection, now, 3).await.unwrap();
    assert_eq!(taken.len(), 3);
    house.clock.advance(Duration::from_secs(1));
    let newer = engine.issue().await.unwrap().lease.id;
    assert_eq!(
        engine
            .leases
            .revoke_prefix("db/creds/reader")
            .await
            .unwrap(),
        5
    );
    assert_eq!(
        engine.leases.lookup(&newer).await.unwrap().state,
        LeaseState::Revoking
    );
    engine.start_scheduler().await;
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
}
