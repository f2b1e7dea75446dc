//! The state machine over a fake upstream.

use std::{sync::Arc, time::Duration};

use lessor_model::{
    id::{ConnectionName, Digest, LeaseId, MountPath, OperationId, RoleName},
    lifetime::Length,
    mount::TunePatch,
    provider::Trigger,
    refusal::Refusal,
};
use lessor_store::{Activation, LeaseState, NewLease, PinSource};
use serde_json::{Value, json};

use super::{Ending, IssueRequest, RevokeOutcome};
use crate::{
    catalog::PinSpec,
    engine::Engine,
    testing::{House, Step, db, reader, request, requester},
};

/// Writes the role `reader`; what is warned of.
async fn write(engine: &Engine, role: Value) -> Vec<String> {
    let written = engine
        .roles
        .write(&db(), &reader(), role, requester())
        .await;
    written.unwrap()
}

#[tokio::test]
async fn a_lease_is_issued_renewed_and_ends_with_its_time() {
    let house = House::new();
    let engine = house.open(true).await;
    let issued = engine.issue().await.unwrap();
    assert_eq!(house.principals(), 1);
    let end = issued.lease.expire_time.unwrap();
    house.clock.advance(Duration::from_secs(600));
    let renewed = engine.leases.renew(&issued.lease.id, None).await.unwrap();
    assert!(renewed.lease.expire_time.unwrap() > end && !renewed.shortened);
    house.clock.advance(Duration::from_secs(3700));
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
    assert!(matches!(
        engine.leases.lookup(&issued.lease.id).await,
        Err(Refusal::NotFound(_))
    ));
    assert_eq!(
        engine.leases.revoke(&issued.lease.id).await.unwrap(),
        RevokeOutcome::Unknown
    );
}

#[tokio::test]
async fn a_lease_that_was_laid_in_is_found_and_ends_like_one_that_was_issued() {
    let house = House::new();
    let engine = house.open(true).await;
    let issued = engine.issue().await.unwrap().lease;
    let storage = &engine.leases.storage;
    let row = storage.lease(issued.id.operation).await.unwrap().unwrap();
    let now = house.clock.now();
    let lease = NewLease {
        operation: OperationId::new(now).unwrap(),
        ..NewLease::of_row(&row, 1, now)
    };
    let activation = Activation {
        credential_id: "laid in".into(),
        metadata: json!({}),
        expires_at: row.expires_at,
        upstream_expires_at: None,
    };
    let id = LeaseId {
        operation: lease.operation,
        ..issued.id.clone()
    };
    storage
        .record_existing(vec![(lease, activation)])
        .await
        .unwrap();
    let seen = engine.leases.lookup(&id).await.unwrap();
    assert_eq!(seen.state, LeaseState::Active);
    assert_eq!(seen.expire_time, issued.expire_time);
    house.clock.advance(Duration::from_secs(3700));
    engine.drain(&house.clock).await;
    assert!(engine.leases.count().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_renewal_never_passes_the_longest_life() {
    let house = House::new();
    let engine = house.open(true).await;
    let issued = engine.issue().await.unwrap();
    house.clock.advance(Duration::from_secs(3500));
    engine.leases.renew(&issued.lease.id, None).await.unwrap();
    house.clock.advance(Duration::from_secs(3000));
    let renewed = engine.leases.renew(&issued.lease.id, None).await.unwrap();
    let longest = issued.lease.issue_time.plus(Duration::from_secs(7200));
    assert_eq!(renewed.lease.expire_time, Some(longest));
    assert!(!renewed.shortened, "nobody asked for more");
    let again = engine.leases.renew(&issued.lease.id, None).await.unwrap();
    assert_eq!(again.lease.expire_time, Some(longest));
    for more in [Length::For(Duration::from_secs(24 * 3600)), Length::Never] {
        let renewed = engine.leases.renew(&issued.lease.id, Some(more)).await;
        let renewed = renewed.unwrap();
        assert_eq!(renewed.lease.expire_time, Some(longest), "{more}");
        assert!(renewed.shortened, "{more}");
    }
}

/// The mount allows less since the lease was made: a renewal goes no further than that,
/// and where that is over, the lease keeps the end that it has.
#[tokio::test]
async fn a_renewal_knows_the_bounds_of_now() {
    let house = House::new();
    let engine = house.open(false).await;
    let issued = engine.issue().await.unwrap().lease;
    let allow = async |seconds: u64| {
        let patch = TunePatch {
            default_lease_ttl: Some(Duration::from_secs(60)),
            max_lease_ttl: Some(Some(Length::For(Duration::from_secs(seconds)))),
            ..TunePatch::default()
        };
        engine.mounts.tune(&db(), patch).await.unwrap();
    };
    let hour = Some(Length::For(Duration::from_secs(3600)));
    allow(1800).await;
    let renewed = engine.leases.renew(&issued.id, hour).await.unwrap();
    let bound = issued.issue_time.plus(Duration::from_secs(1800));
    assert_eq!(renewed.lease.expire_time, Some(bound));
    assert!(renewed.shortened);
    house.clock.advance(Duration::from_secs(600));
    allow(300).await;
    let renewed = engine.leases.renew(&issued.id, hour).await.unwrap();
    assert_eq!(renewed.lease.expire_time, Some(bound));
    assert!(renewed.shortened);
}

#[tokio::test]
async fn a_lease_without_end_needs_the_word_of_role_and_mount() {
    let house = House::new();
    let engine = house.open(false).await;
    let endless = json!({"default_ttl": "never", "max_ttl": "never"});
    let warnings = write(&engine, endless.clone()).await;
    assert!(
        warnings.iter().any(|warning| warning.contains("never")),
        "{warnings:?}"
    );
    let bounded = engine.issue().await.unwrap().lease;
    let month = Duration::from_secs(768 * 3600);
    assert_eq!(bounded.expire_time, Some(bounded.issue_time.plus(month)));

    let patch = TunePatch {
        max_lease_ttl: Some(Some(Length::Never)),
        ..TunePatch::default()
    };
    engine.mounts.tune(&db(), patch).await.unwrap();
    assert!(write(&engine, endless).await.is_empty());
    let lease = engine.issue().await.unwrap().lease;
    assert_eq!((lease.expire_time, lease.renewable), (None, false));
    let refused = engine.leases.renew(&lease.id, None).await.unwrap_err();
    assert!(refused.to_string().contains("has no end"), "{refused}");
    // The other role of the mount says nothing, so nothing of it is without end.
    let other: RoleName = "other".parse().unwrap();
    let written = engine
        .roles
        .write(&db(), &other, json!({}), requester())
        .await;
    written.unwrap();
    let asked = IssueRequest {
        ttl: Some(Length::Never),
        ..request()
    };
    let refused = engine.leases.issue(&db(), &other, asked).await.unwrap_err();
    assert!(refused.to_string().contains("ttl is never"), "{refused}");
}

#[tokio::test]
async fn a_write_of_a_role_changes_what_it_names() {
    let house = House::new();
    let engine = house.open(false).await;
    let shown = async || engine.roles.read(&db(), &reader()).await.unwrap();
    write(
        &engine,
        json!({"max_leases": 2, "grants": ["a"], "note": "x"}),
    )
    .await;
    write(&engine, json!({"note": "y", "grants": null})).await;
    let role = shown().await;
    assert_eq!(role["grants"], json!(["a"]));
    assert_eq!(role["note"], "y");
    assert_eq!(
        (&role["max_leases"], &role["max_ttl"]),
        (&json!(2), &json!(7200))
    );
    write(&engine, role.clone()).await;
    assert_eq!(shown().await, role);
    let anew = json!({"note": "z"});
    let replaced = engine
        .roles
        .replace(&db(), &reader(), anew, requester())
        .await;
    replaced.unwrap();
    let role = shown().await;
    assert!(role.get("grants").is_none(), "{role}");
    assert_eq!(
        (&role["max_leases"], &role["max_ttl"]),
        (&json!(0), &json!(0))
    );
}

/// Two writers that change one field each: neither undoes the other's.
#[tokio::test]
async fn who_writes_a_role_at_the_same_time_undoes_nothing() {
    let house = House::new();
    let engine = house.open(false).await;
    for round in 0..10 {
        let (one, other) = (json!({"a": round}), json!({"b": round}));
        tokio::join!(write(&engine, one), write(&engine, other));
        let role = engine.roles.read(&db(), &reader()).await.unwrap();
        assert_eq!((&role["a"], &role["b"]), (&json!(round), &json!(round)));
    }
}

/// A lease is ended by the version that made it while that is pinned, and by the one in
/// use after that: without the role, where that is none for it.
#[tokio::test]
async fn a_lease_is_ended_by_its_maker_and_never_needs_a_role_that_fits() {
    let house = House::new();
    let engine = house.open(false).await;
    let (first, second) = (engine.issue().await.unwrap(), engine.issue().await.unwrap());
    let successor = PinSpec {
        name: "fake".into(),
        version: None,
        file: "successor.wasm".into(),
        sha256: Digest::of(b"successor"),
        source: PinSource::Api,
    };
    engine.catalog.pin(successor).await.unwrap();
    let running = engine.mounts.view(&db()).await.unwrap().running_sha256;
    assert_eq!(running, Some(Digest::of(b"successor")));
    let renewed = engine.leases.renew(&first.lease.id, None).await;
    renewed.unwrap();
    let end = async |lease: &LeaseId| {
        assert_eq!(
            engine.leases.revoke(lease).await.unwrap(),
            RevokeOutcome::Revoked
        );
    };
    end(&first.lease.id).await;
    engine.catalog.remove("fake", Some("1.0.0")).await.unwrap();
    end(&second.lease.id).await;
    let ended_by = house.upstream.lock().unwrap().ended_by.clone();
    assert_eq!(
        ended_by,
        [
            (Digest::of(b"fake"), true),
            (Digest::of(b"successor"), false)
        ]
    );
}

/// A revocation may have failed because of the pin or the role, so a change of either has it tried
/// at once and not a day later.
#[tokio::test]
async fn a_stuck_lease_is_tried_at_once_when_its_pin_or_role_changes() {
    let house = House::new();
    let engine = house.open(false).await;
    let lease = engine.issue().await.unwrap().lease.id;
    let due_now = async || {
        let shown = engine.leases.lookup(&lease).await.unwrap();
        assert_eq!(shown.state, LeaseState::OutOfSync);
        shown.next_attempt.unwrap() <= house.clock.now()
    };
    for change in ["pin", "role"] {
        house.script(&[Step::Refuse]);
        let outcome = engine.leases.revoke(&lease).await.unwrap();
        assert!(matches!(outcome, RevokeOutcome::Queued(_)));
        assert!(!due_now().await, "{change}");
        match change {
            "pin" => engine.pins_changed("fake").await.unwrap(),
            _ => {
                write(&engine, json!({"max_leases": 9})).await;
            }
        }
        assert!(due_now().await, "{change}");
    }
}

#[tokio::test]
async fn who_waits_for_a_prefix_hears_that_it_is_ended_or_that_upstream_refuses() {
    let house = House::new();
    let engine = house.open(true).await;
    for _ in 0..3 {
        engine.issue().await.unwrap();
    }
    let newest = OperationId::new(house.clock.now().plus(Duration::from_secs(1))).unwrap();
    let patience = Duration::from_secs(30);
    house.script(&[Step::Refuse, Step::Well, Step::Well]);
    engine.leases.revoke_prefix("db").await.unwrap();
    let end = engine
        .leases
        .await_end("db", None, newest, patience)
        .await
        .unwrap();
    assert!(matches!(end, Ending::Failing(Some(_))), "{end:?}");
    assert_eq!(house.principals(), 1);
    engine.pins_changed("fake").await.unwrap();
    let drained = engine.drained("db", patience).await;
    assert!(drained);
    let end = engine
        .leases
        .await_end("db", None, newest, patience)
        .await
        .unwrap();
    assert_eq!(end, Ending::Ended);
}

#[tokio::test]
async fn a_failure_that_reached_nothing_leaves_no_lease() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::Unreached]);
    assert!(matches!(engine.issue().await, Err(Refusal::Provider(_))));
    assert!(engine.leases.count().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_credential_whose_answer_was_lost_is_found_and_ended() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::FailAfter]);
    let failed = engine.issue().await.unwrap_err();
    assert!(matches!(failed.cause(), Refusal::Provider(_)));
    assert!(
        failed
            .to_string()
            .contains("ended as lease db/creds/reader/"),
        "{failed}"
    );
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
}

#[tokio::test]
async fn an_intent_of_a_dead_process_is_revoked_after_its_call_must_have_ended() {
    let house = House::new();
    {
        let engine = house.open(false).await;
        house.script(&[Step::FailAfter]);
        let _ = engine.issue().await;
        assert_eq!(house.principals(), 1);
    }
    let engine = house.open(true).await;
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
}

/// Marking a lease and taking it were two transactions. Where the scheduler was
/// awake it took the lease in between, and the caller was told that a lease that
/// it had in its hands was still being made.
#[tokio::test(flavor = "multi_thread")]
async fn who_revokes_a_lease_hears_that_it_is_revoked_however_busy_the_scheduler_is() {
    let house = House::new();
    let engine = house.open(true).await;
    for _ in 0..200 {
        let issued = engine.issue().await.unwrap();
        let (outcome, ()) = tokio::join!(engine.leases.revoke(&issued.lease.id), async {
            for _ in 0..50 {
                engine.storage.wake();
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(outcome.unwrap(), RevokeOutcome::Revoked);
    }
    assert_eq!(house.principals(), 0);
}

#[tokio::test]
async fn an_upstream_that_is_down_delays_a_revocation_and_never_loses_it() {
    let house = House::new();
    let engine = house.open(true).await;
    let issued = engine.issue().await.unwrap();
    house.script(&[Step::FailBefore; 9]);
    let outcome = engine.leases.revoke(&issued.lease.id).await.unwrap();
    assert!(matches!(outcome, RevokeOutcome::Queued(_)));
    let shown = engine.leases.lookup(&issued.lease.id).await.unwrap();
    assert_eq!((shown.state, shown.attempts), (LeaseState::Revoking, 1));
    assert!(shown.last_error.is_some() && shown.next_attempt.is_some());
    house.clock.advance(Duration::from_secs(24 * 3600));
    for _ in 0..8 {
        house.clock.advance(Duration::from_secs(25 * 3600));
        tokio::task::yield_now().await;
    }
    while !engine.drained("db", Duration::from_millis(50)).await {
        house.clock.advance(Duration::from_secs(25 * 3600));
    }
    assert_eq!(house.principals(), 0);
}

/// Four mounts reserve all the room there is, for one lease each. What they did not
/// need went back unnoticed, and the fifth mount waited for one of the four.
#[tokio::test]
async fn mounts_whose_upstream_hangs_hold_up_no_other() {
    let house = House::new();
    let engine = house.open(true).await;
    for name in ["db", "m1", "m2", "m3", "m4"] {
        let path: MountPath = name.parse().unwrap();
        if path != db() {
            engine.furnish(&path).await;
        }
        let issued = engine.leases.issue(&path, &reader(), request()).await;
        issued.unwrap();
    }
    house.upstream.lock().unwrap().hanging = 4;
    house.clock.advance(Duration::from_secs(3700));
    // Whichever of them found no room at first.
    let fifth = async {
        while house.principals() > 4 {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(10);
    assert!(tokio::time::timeout(patience, fifth).await.is_ok());
    assert_eq!(house.principals(), 4);
}

#[tokio::test]
async fn an_unmounted_provider_ends_its_leases_and_then_its_row() {
    let house = House::new();
    let engine = house.open(true).await;
    for _ in 0..5 {
        engine.issue().await.unwrap();
    }
    engine.mounts.remove(&db()).await.unwrap();
    assert!(matches!(engine.issue().await, Err(Refusal::NotFound(_))));
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
    while !engine.storage.mounts().await.unwrap().is_empty() {
        house.clock.advance(Duration::from_secs(61));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_removed_role_ends_its_leases_where_that_is_wanted_and_a_changed_one_does_not() {
    let house = House::new();
    let engine = house.open(true).await;
    engine.issue().await.unwrap();
    engine
        .roles
        .write(&db(), &reader(), json!({"default_ttl": "5m"}), requester())
        .await
        .unwrap();
    let newer = engine.issue().await.unwrap();
    assert_eq!(
        newer.lease.ttl(newer.lease.issue_time),
        Duration::from_secs(300)
    );
    assert_eq!(
        engine.leases.list("db/creds/reader").await.unwrap().len(),
        2
    );
    let removed = engine.roles.remove(&db(), &reader(), None).await.unwrap();
    assert_eq!(removed.revoking, 0);
    // They live on under the role that they were made with, and can be renewed.
    let renewed = engine.leases.renew(&newer.lease.id, None).await.unwrap();
    assert_eq!(renewed.lease.state, LeaseState::Active);
    assert_eq!(house.principals(), 2);
    write(&engine, json!({"default_ttl": "1h"})).await;
    let tuned = TunePatch {
        revoke_leases_with_role: Some(true),
        ..TunePatch::default()
    };
    engine.mounts.tune(&db(), tuned).await.unwrap();
    let removed = engine.roles.remove(&db(), &reader(), None).await.unwrap();
    assert_eq!(removed.revoking, 2);
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
}

#[tokio::test]
async fn a_cap_refuses_and_makes_nothing() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .roles
        .write(&db(), &reader(), json!({"max_leases": 2}), requester())
        .await
        .unwrap();
    engine.issue().await.unwrap();
    engine.issue().await.unwrap();
    let refused = engine.issue().await.unwrap_err();
    assert!(
        matches!(&refused, Refusal::Limit { message, .. } if message.contains("max_leases")),
        "{refused}"
    );
    assert_eq!(house.principals(), 2);
}

#[tokio::test]
async fn unknown_names_suggest_the_nearest_known_one() {
    let house = House::new();
    let engine = house.open(false).await;
    let role = engine
        .leases
        .issue(&db(), &"raeder".parse().unwrap(), request())
        .await
        .unwrap_err();
    assert!(role.to_string().contains("\"reader\""), "{role}");
    let mount = engine
        .leases
        .issue(&"bd".parse().unwrap(), &reader(), request())
        .await
        .unwrap_err();
    assert!(mount.to_string().contains("\"db\""), "{mount}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_issue_fails_and_no_root_is_lost_while_rotations_run() {
    let house = House::new();
    let engine = Arc::new(house.open(true).await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let engine = Arc::clone(&engine);
        tasks.spawn(async move {
            for _ in 0..25 {
                engine.issue().await.unwrap();
            }
        });
    }
    for _ in 0..4 {
        let engine = Arc::clone(&engine);
        tasks.spawn(async move {
            for _ in 0..20 {
                engine
                    .rotations
                    .rotate_root(&db(), &ConnectionName::DEFAULT, None)
                    .await
                    .unwrap();
            }
        });
    }
    // A role is proven with the root credential, so it waits for a rotation, too.
    tasks.spawn({
        let engine = Arc::clone(&engine);
        async move {
            for _ in 0..40 {
                let (connection, name) = (db(), "other".parse().unwrap());
                let written = engine
                    .roles
                    .write(&connection, &name, json!({}), requester());
                written.await.unwrap();
            }
        }
    });
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(house.principals(), 400);
    assert_eq!(
        engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap()
            .version,
        81
    );
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_mended_config_has_failed_revocations_tried_at_once() {
    let house = House::new();
    let engine = house.open(false).await;
    let issued = engine.issue().await.unwrap();
    house.script(&[Step::FailBefore]);
    assert!(matches!(
        engine.leases.revoke(&issued.lease.id).await.unwrap(),
        RevokeOutcome::Queued(_)
    ));
    let config = json!({"password": "initial"});
    engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, config, requester())
        .await
        .unwrap();
    let shown = engine.leases.lookup(&issued.lease.id).await.unwrap();
    assert!(shown.next_attempt.unwrap() <= house.clock.now());
}

fn keyed(key: &str, ttl: u64) -> IssueRequest {
    IssueRequest {
        body: json!({}),
        ttl: Some(Length::For(Duration::from_secs(ttl))),
        requester: requester(),
        key: Some(key.parse().unwrap()),
        patience: None,
        token_end: None,
        waits: false,
    }
}

#[tokio::test]
async fn a_repeat_under_the_same_key_is_the_same_lease_and_credential() {
    let house = House::new();
    let engine = house.open(true).await;
    let (db, reader) = (db(), reader());
    let issue = |key, ttl| engine.leases.issue(&db, &reader, keyed(key, ttl));
    let first = issue("a", 600).await.unwrap();
    house.clock.advance(Duration::from_secs(60));
    let again = issue("a", 600).await.unwrap();
    assert_eq!(first.lease.id, again.lease.id);
    assert_eq!(first.lease.expire_time, again.lease.expire_time);
    assert_eq!(first.data.expose(), again.data.expose());
    let other = issue("b", 600).await.unwrap();
    assert_ne!(first.lease.id, other.lease.id);
    assert_eq!(house.principals(), 2);

    let mixed_up = issue("a", 700).await.unwrap_err();
    assert!(
        mixed_up.to_string().contains("another request"),
        "{mixed_up}"
    );
    engine.leases.revoke(&first.lease.id).await.unwrap();
    let ended = issue("a", 600).await.unwrap_err();
    assert!(ended.to_string().contains("has ended"), "{ended}");
    assert_eq!(house.principals(), 1);

    house.clock.advance(Duration::from_secs(24 * 3600));
    issue("a", 600).await.unwrap();
}

#[tokio::test]
async fn a_key_whose_credential_was_not_made_is_free_again() {
    let house = House::new();
    let engine = house.open(true).await;
    for step in [Step::Unreached, Step::FailBefore, Step::FailAfter] {
        house.script(&[step]);
        let (db, reader) = (db(), reader());
        let issue = || engine.leases.issue(&db, &reader, keyed("a", 600));
        assert!(
            matches!(issue().await.unwrap_err().cause(), Refusal::Provider(_)),
            "{step:?}"
        );
        let made = issue().await.unwrap();
        engine.leases.revoke(&made.lease.id).await.unwrap();
        engine.drain(&house.clock).await;
        house.clock.advance(Duration::from_secs(24 * 3600));
    }
    assert_eq!(house.principals(), 0);
}

/// The process dies between the provider's answer and the commit. The caller
/// comes back with its key and gets the credential that was made then.
#[tokio::test]
async fn a_repeat_after_a_crash_takes_the_operation_up_again() {
    let house = House::new();
    let operation = {
        let engine = house.open(false).await;
        let connection = engine.connected();
        let role = engine.roles.current(&connection, &reader()).await.unwrap();
        let now = house.clock.now();
        let operation = lessor_model::id::OperationId::new(now).unwrap();
        let key =
            engine
                .leases
                .idempotency_row(&connection, &reader(), &keyed("a", 600), operation, now);
        let end = now.plus(Duration::from_secs(600));
        let lease = lessor_store::NewLease {
            operation,
            mount_id: connection.mount.id,
            connection: connection.id,
            role_id: role.id,
            principal: "half-made".into(),
            requester: requester(),
            plugin_sha256: lessor_model::id::Digest::of(b"fake"),
            config_version: 1,
            issued_at: now,
            expires_at: Some(end),
            max_expires_at: Some(end),
            give_up_at: now.plus(Duration::from_secs(60)),
            role_cap: 0,
            mount_cap: 0,
            bound: false,
        };
        engine.storage.record_intent(lease, key).await.unwrap();
        house
            .upstream
            .lock()
            .unwrap()
            .principals
            .insert("half-made".into());
        operation
    };
    let engine = house.open(true).await;
    let issued = engine
        .leases
        .issue(&db(), &reader(), keyed("a", 600))
        .await
        .unwrap();
    assert_eq!(issued.lease.id.operation, operation);
    assert_eq!(house.principals(), 1);
    house.clock.advance(Duration::from_secs(120));
    let lease = engine.leases.lookup(&issued.lease.id).await.unwrap();
    assert_eq!(lease.state, LeaseState::Active);
}

/// A list of ending leases once removed, in its query, the rows that it could not read.
#[tokio::test]
async fn a_look_at_the_ending_leases_changes_nothing() {
    let house = House::new();
    let engine = house.open(false).await;
    let lease = engine.issue().await.unwrap().lease;
    house.script(&[Step::FailBefore]);
    engine.leases.revoke(&lease.id).await.unwrap();
    house.damage("UPDATE leases SET metadata = 'no json'");

    let connection = engine.connected();
    for _ in 0..2 {
        let look = engine.storage.ending_leases(connection.mount.id, None, 10);
        let found = look.await.unwrap();
        assert_eq!(found.rows.len(), 0);
        assert_eq!(found.unreadable, [lease.id.operation.to_bytes()]);
        assert_eq!(engine.storage.count_quarantined().await.unwrap(), 0);
    }
    // Whoever asked sets it aside, in a step of its own.
    assert!(engine.leases.ending(None, 10).await.unwrap().is_empty());
    assert_eq!(engine.leases.count_quarantined().await.unwrap(), 1);
    let look = engine.storage.ending_leases(connection.mount.id, None, 10);
    assert!(look.await.unwrap().unreadable.is_empty());
}

#[tokio::test]
async fn only_what_upstream_failed_to_end_can_be_dropped_by_force() {
    let house = House::new();
    let engine = house.open(false).await;
    let (stuck, well) = (engine.issue().await.unwrap(), engine.issue().await.unwrap());
    house.script(&[Step::FailBefore]);
    assert!(matches!(
        engine.leases.revoke(&stuck.lease.id).await.unwrap(),
        RevokeOutcome::Queued(_)
    ));
    let ending = engine.leases.ending(None, 10).await.unwrap();
    assert_eq!(ending.len(), 1);
    assert!(ending[0].last_error.is_some());

    let forced = engine
        .leases
        .force_prefix("db", "upstream is gone")
        .await
        .unwrap();
    assert_eq!((forced.purged, forced.marked), (1, 1));
    assert!(matches!(
        engine.leases.lookup(&stuck.lease.id).await,
        Err(Refusal::NotFound(_))
    ));
    // Its credential is still there: that is what force means.
    assert_eq!(house.principals(), 2);
    let marked = engine.leases.lookup(&well.lease.id).await.unwrap();
    assert_eq!(marked.state, LeaseState::Revoking);

    house.script(&[Step::FailBefore]);
    let outcome = engine.leases.revoke_or_purge(&well.lease.id, "same");
    assert_eq!(outcome.await.unwrap(), RevokeOutcome::Revoked);
    assert!(engine.leases.count().await.unwrap().is_empty());
}

/// An upstream that is down costs a few leases their attempts, not all of them,
/// and what failed meanwhile is ended as soon as it is back.
#[tokio::test]
async fn an_outage_holds_revocations_back_until_upstream_answers() {
    let house = House::new();
    let engine = house.open(true).await;
    for _ in 0..100 {
        engine.issue().await.unwrap();
    }
    house.script(&[Step::FailBefore; 1000]);
    let connection = engine.connected();
    house.clock.advance(Duration::from_secs(3601));
    while !connection.is_upstream_down() {
        tokio::task::yield_now().await;
    }
    for _ in 0..60 {
        house.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    let asked = 1000 - house.script_left();
    // The first round may take as many as there are call slots; then probes.
    assert!(asked < 64 + 100, "{asked} calls to a system that is down");
    house.script(&[]);
    engine.drain(&house.clock).await;
    assert!(!connection.is_upstream_down());
    assert_eq!(house.principals(), 0);
}

/// The findings of a dry run: orphans, and the numbers of undecided and vanished ones.
async fn reconciled(engine: &crate::engine::Engine) -> (Vec<String>, usize, usize) {
    let found = engine
        .leases
        .reconcile(&db(), &ConnectionName::DEFAULT, &[], requester())
        .await;
    let found = found.unwrap();
    assert_eq!(found.orphan_count, found.orphans.len());
    (found.orphans, found.undecided_count, found.vanished_count)
}

/// A lease whose credential's name is not known may stand for any that no lease
/// knows, where upstream does not name as it is asked to.
#[tokio::test]
async fn a_lost_answer_leaves_strangers_undecided_where_upstream_names_them_itself() {
    let house = House::new();
    house.upstream.lock().unwrap().names_itself = true;
    let engine = house.open(false).await;
    for _ in 0..3 {
        engine.issue().await.unwrap();
    }
    assert_eq!(reconciled(&engine).await, (vec![], 0, 0));
    let stray = |present: bool| {
        let mut upstream = house.upstream.lock().unwrap();
        match present {
            true => upstream.principals.insert("stray".into()),
            false => upstream.principals.remove("stray"),
        };
    };
    stray(true);
    let orphan = vec!["id-of-stray".to_owned()];
    assert_eq!(reconciled(&engine).await, (orphan.clone(), 0, 0));
    house.script(&[Step::FailAfter]);
    assert!(engine.issue().await.is_err());
    assert_eq!(reconciled(&engine).await, (vec![], 2, 0));
    let refused = engine
        .leases
        .reconcile(&db(), &ConnectionName::DEFAULT, &orphan, requester())
        .await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
    stray(false);
    assert_eq!(reconciled(&engine).await, (vec![], 1, 0));
    stray(true);
    engine.start_scheduler().await;
    engine.drain(&house.clock).await;
    assert_eq!(reconciled(&engine).await, (orphan.clone(), 0, 0));
    let ended = engine
        .leases
        .reconcile(&db(), &ConnectionName::DEFAULT, &orphan, requester())
        .await;
    assert_eq!(ended.unwrap().revoked, orphan);
    assert_eq!(house.principals(), 0);
}

#[tokio::test]
async fn where_upstream_names_as_asked_a_lost_answer_leaves_nothing_undecided() {
    let house = House::new();
    let engine = house.open(false).await;
    house
        .upstream
        .lock()
        .unwrap()
        .principals
        .insert("stray".into());
    house.script(&[Step::FailAfter]);
    assert!(engine.issue().await.is_err());
    let orphan = vec!["stray".to_owned()];
    assert_eq!(reconciled(&engine).await, (orphan, 0, 0));
}

#[tokio::test]
async fn a_provider_that_ends_nothing_or_lists_for_ever_is_not_believed() {
    let house = House::new();
    let engine = house.open(false).await;
    let stray = ["stray".to_owned()];
    {
        let mut upstream = house.upstream.lock().unwrap();
        upstream.principals.insert("stray".into());
        upstream.deaf = true;
    }
    let found = engine
        .leases
        .reconcile(&db(), &ConnectionName::DEFAULT, &stray, requester())
        .await;
    let found = found.unwrap();
    assert!(found.revoked.is_empty());
    assert_eq!(found.failed[0].0, "stray");
    assert!(found.failed[0].1.contains("lists it still"));
    house.upstream.lock().unwrap().endless = true;
    let endless = engine
        .leases
        .reconcile(&db(), &ConnectionName::DEFAULT, &[], requester())
        .await;
    assert!(
        endless
            .unwrap_err()
            .to_string()
            .contains("endless_inventory")
    );
}

/// IBM-22: what an upstream system is told is why it is called.
#[tokio::test]
async fn a_provider_is_told_why_it_is_called() {
    let house = House::new();
    let engine = house.open(true).await;
    let heard = || std::mem::take(&mut house.upstream.lock().unwrap().occasions);
    let (config, request) = (Trigger::Configuration, Trigger::Request);
    assert_eq!(heard(), [("validate", config), ("validate", config)]);

    let lease = engine.issue().await.unwrap().lease.id;
    engine.leases.renew(&lease, None).await.unwrap();
    engine.leases.revoke(&lease).await.unwrap();
    let told = [("create", request), ("renew", request), ("revoke", request)];
    assert_eq!(heard(), told);

    engine.issue().await.unwrap();
    house.clock.advance(Duration::from_secs(3700));
    engine.drain(&house.clock).await;
    assert_eq!(heard(), [("create", request), ("revoke", Trigger::Expiry)]);

    engine.issue().await.unwrap();
    engine.leases.revoke_prefix("db/").await.unwrap();
    engine.drain(&house.clock).await;
    let told = [("create", request), ("revoke", Trigger::Operator)];
    assert_eq!(heard(), told);

    house.script(&[Step::FailAfter]);
    engine.issue().await.unwrap_err();
    engine.drain(&house.clock).await;
    let told = [("create", request), ("revoke", Trigger::Recovery)];
    assert_eq!(heard(), told);

    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    let by = Some(requester());
    house.script(&[Step::FailBefore]);
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, by)
        .await
        .unwrap_err();
    let found = engine
        .leases
        .reconcile(&db(), &ConnectionName::DEFAULT, &[], requester())
        .await;
    found.unwrap();
    let rotated: Vec<_> = heard()
        .into_iter()
        .filter(|(what, _)| ["rotate", "list"].contains(what))
        .take(3)
        .collect();
    let told = [
        ("rotate", Trigger::Schedule),
        ("rotate", Trigger::Operator),
        ("list", Trigger::Operator),
    ];
    assert_eq!(rotated, told);

    engine.issue().await.unwrap();
    engine.mounts.remove(&db()).await.unwrap();
    engine.drain(&house.clock).await;
    let ended = heard().into_iter().rfind(|(what, _)| *what == "revoke");
    assert_eq!(ended, Some(("revoke", Trigger::Cascade)));
}

/// BT-17, BT-18: a credential that upstream honours later says so, or is waited for.
#[tokio::test]
async fn a_credential_that_takes_effect_later_says_when_or_is_waited_for() {
    let house = House::new();
    let engine = Arc::new(house.open(false).await);
    let minute = Duration::from_secs(60);
    house.upstream.lock().unwrap().effective_in = Some(minute / 2);
    let issued = engine.issue().await.unwrap();
    let effective = issued.effective_after.unwrap();
    assert!(effective > house.clock.now());
    assert!(issued.warnings[0].contains(&effective.rfc3339()));

    let ask = |waited: Duration| {
        house.upstream.lock().unwrap().effective_in = Some(waited);
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            let asked = IssueRequest {
                waits: true,
                ..request()
            };
            engine.leases.issue(&db(), &reader(), asked).await
        })
    };
    let active = async |number: usize| {
        while engine.leases.count().await.unwrap()
            != [("db".into(), "active".into(), number as u64)]
        {
            tokio::task::yield_now().await;
        }
    };
    let asked = ask(minute / 2);
    active(2).await;
    assert!(!asked.is_finished());
    house.clock.advance(minute / 2);
    let issued = asked.await.unwrap().unwrap();
    assert!(issued.effective_after.is_none() && issued.warnings.is_empty());

    // No longer than the call may take.
    let asked = ask(minute * 2);
    active(3).await;
    house.clock.advance(minute);
    let issued = asked.await.unwrap().unwrap();
    assert!(issued.effective_after.unwrap() > house.clock.now());
    assert!(issued.warnings[0].contains("`timeout` of the mount"));

    // Whoever goes away leaves a lease that ends like any other.
    let asked = ask(minute);
    active(4).await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    engine.start_scheduler().await;
    engine.leases.revoke_prefix("db/").await.unwrap();
    engine.drain(&house.clock).await;
    assert_eq!(house.principals(), 0);
}

#[tokio::test]
async fn a_role_that_outlives_what_can_end_its_credentials_is_warned_of() {
    let house = House::new();
    house.upstream.lock().unwrap().keeps_nothing = true;
    let engine = house.open(false).await;
    let warned = write(&engine, json!({"max_ttl": "48h"})).await;
    assert!(warned[0].contains("for up to 172800 s"), "{warned:?}");
    assert!(write(&engine, json!({"max_ttl": "24h"})).await.is_empty());
}
