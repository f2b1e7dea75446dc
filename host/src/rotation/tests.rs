//! Rotations over an upstream that holds one root password at a time.

use std::time::Duration;

use serde_json::json;

use crate::{
    clock::Timestamp,
    refusal::Refusal,
    storage::RotationState,
    testing::{House, Step, db, requester},
};

#[tokio::test]
async fn an_answer_lost_after_the_password_changed_is_recovered_by_derivation() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::FailAfter]);
    assert!(matches!(
        engine.rotations.rotate_root(&db(), None).await,
        Err(Refusal::Provider(_))
    ));
    // The root in use no longer works upstream; the next caller drives the open
    // rotation to its end and notices nothing.
    engine.issue().await.unwrap();
    let shown = engine.settings.read(&db()).await.unwrap();
    assert_eq!(shown.version, 2);
    assert!(shown.rotation.is_none());
}

#[tokio::test]
async fn a_rotation_of_a_dead_process_goes_on_at_the_next_start() {
    let house = House::new();
    {
        let engine = house.open(false).await;
        house.script(&[Step::FailAfter]);
        let _ = engine.rotations.rotate_root(&db(), None).await;
    }
    let engine = house.open(true).await;
    while engine.settings.read(&db()).await.unwrap().version != 2 {
        tokio::task::yield_now().await;
    }
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_rotation_that_reached_nothing_leaves_nothing_open() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::Unreached]);
    assert!(engine.rotations.rotate_root(&db(), None).await.is_err());
    let shown = engine.settings.read(&db()).await.unwrap();
    assert!(shown.rotation.is_none());
    assert_eq!(shown.version, 1);
}

#[tokio::test]
async fn a_rotation_is_never_given_up_where_that_would_lose_the_root() {
    let house = House::new();
    let engine = house.open(false).await;
    house.script(&[
        Step::FailAfter,
        Step::FailBefore,
        Step::FailBefore,
        Step::FailBefore,
        Step::FailBefore,
        Step::FailBefore,
    ]);
    for _ in 0..6 {
        assert!(engine.rotations.rotate_root(&db(), None).await.is_err());
        house.clock.advance(Duration::from_secs(30));
    }
    let open = engine.settings.read(&db()).await.unwrap().rotation.unwrap();
    assert_eq!(open.state, RotationState::Failed);
    let refused = engine.rotations.abort(&db()).await.unwrap_err();
    assert!(refused.to_string().contains("retry it"), "{refused}");
    engine.rotations.retry(&db()).await.unwrap();
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_failed_rotation_that_changed_nothing_can_be_given_up() {
    let house = House::new();
    let engine = house.open(false).await;
    house.script(&[Step::FailBefore; 6]);
    for _ in 0..6 {
        assert!(engine.rotations.rotate_root(&db(), None).await.is_err());
        house.clock.advance(Duration::from_secs(30));
    }
    engine.rotations.abort(&db()).await.unwrap();
    let shown = engine.settings.read(&db()).await.unwrap();
    assert!(shown.rotation.is_none());
    assert_eq!(shown.version, 1);
    assert!(matches!(
        engine.rotations.abort(&db()).await,
        Err(Refusal::Conflict(_))
    ));
}

/// An attempt that the scheduler drove used to be counted twice, so that a
/// rotation was left to the operator after three of the six.
#[tokio::test]
async fn the_scheduler_makes_six_attempts_before_it_leaves_a_rotation_to_the_operator() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::FailBefore; 7]);
    assert!(engine.rotations.rotate_root(&db(), None).await.is_err());
    let rotation = loop {
        let shown = engine.settings.read(&db()).await.unwrap();
        let rotation = shown.rotation.unwrap();
        if rotation.state == RotationState::Failed {
            break rotation;
        }
        house.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    };
    assert_eq!(rotation.attempts, 6);
    assert_eq!(house.script_left(), 1);
}

/// Every caller who met an open rotation used up one of its six attempts. While
/// a database restarted, sixteen clients did so within a second, and a rotation
/// that only had to wait was left to the operator.
#[tokio::test]
async fn callers_do_not_use_up_the_attempts_of_a_rotation_whose_upstream_is_away_for_a_moment() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::FailBefore; 20]);
    for _ in 0..20 {
        assert!(engine.rotations.rotate_root(&db(), None).await.is_err());
    }
    let shown = engine.settings.read(&db()).await.unwrap();
    let rotation = shown.rotation.unwrap();
    assert_eq!(rotation.state, RotationState::Rotating);
    let soon = house.clock.now().plus(Duration::from_secs(6));
    assert!(rotation.due_at.unwrap() <= soon, "{rotation:?}");
    while engine.settings.read(&db()).await.unwrap().version != 2 {
        house.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn scheduled_rotations_come_by_themselves() {
    let house = House::new();
    let engine = house.open(true).await;
    let config = json!({"password": "initial", "rotation_period": "1h", "rotate_on_config": true});
    assert_eq!(
        engine
            .settings
            .write(&db(), config, requester())
            .await
            .unwrap()
            .version,
        3
    );
    house.clock.advance(Duration::from_secs(3601));
    while engine.settings.read(&db()).await.unwrap().version != 4 {
        tokio::task::yield_now().await;
    }
    let shown = engine.settings.read(&db()).await.unwrap();
    assert!(shown.schedule.next.unwrap() > house.clock.now());
}

/// A schedule that fires `hours` from now, with a window of an hour; the firing
/// itself.
fn firing_in(house: &House, hours: u64) -> (serde_json::Value, Timestamp) {
    let firing = house.clock.now().plus(Duration::from_secs(hours * 3600));
    let minute = Timestamp(firing.0 - firing.0.rem_euclid(60_000));
    let text = minute.rfc3339();
    let (hour, minutes) = (&text[11..13], &text[14..16]);
    let schedule = json!({
        "password": "initial", "rotation_schedule": format!("{minutes} {hour} * * *"), "rotation_window": "1h"
    });
    (schedule, minute)
}

#[tokio::test]
async fn a_missed_window_waits_for_the_next_firing() {
    let house = House::new();
    let (schedule, firing) = firing_in(&house, 5);
    {
        let engine = house.open(false).await;
        let written = engine.settings.write(&db(), schedule, requester()).await;
        assert_eq!(written.unwrap().schedule.next, Some(firing));
    }
    // The process was down over the whole window.
    house.clock.advance(Duration::from_secs(7 * 3600));
    let engine = house.open(true).await;
    let day = Duration::from_secs(86_400);
    let next = loop {
        let shown = engine.settings.read(&db()).await.unwrap();
        if shown.schedule.next != Some(firing) {
            break shown.schedule.next;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(next, Some(firing.plus(day)));
    assert_eq!(engine.settings.read(&db()).await.unwrap().version, 2);

    // Its time has come: once, and not again in the same window.
    house.clock.advance(Duration::from_secs(22 * 3600 + 600));
    while engine.settings.read(&db()).await.unwrap().version != 3 {
        tokio::task::yield_now().await;
    }
    let shown = engine.settings.read(&db()).await.unwrap();
    assert_eq!(shown.schedule.next, Some(firing.plus(2 * day)));
    assert!(shown.schedule.last.is_some());
}

#[tokio::test]
async fn a_scheduled_rotation_that_fails_says_why_and_is_tried_again_within_its_window() {
    let house = House::new();
    let engine = house.open(true).await;
    let (schedule, _) = firing_in(&house, 5);
    engine
        .settings
        .write(&db(), schedule, requester())
        .await
        .unwrap();
    house.script(&[Step::Unreached]);
    house.clock.advance(Duration::from_secs(5 * 3600));
    let error = loop {
        let shown = engine.settings.read(&db()).await.unwrap();
        if let Some(error) = shown.schedule.last_error {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(error.contains("scripted"), "{error}");
    house.clock.advance(Duration::from_secs(61));
    while engine.settings.read(&db()).await.unwrap().version != 3 {
        tokio::task::yield_now().await;
    }
    let shown = engine.settings.read(&db()).await.unwrap();
    assert_eq!(shown.schedule.last_error, None);
}

#[tokio::test]
async fn a_config_that_does_not_work_is_not_stored() {
    let house = House::new();
    let engine = house.open(true).await;
    assert!(
        engine
            .settings
            .write(&db(), json!({"password": "wrong"}), requester())
            .await
            .is_err()
    );
    let unknown = engine
        .settings
        .write(&db(), json!({"pasword": "x"}), requester())
        .await
        .unwrap_err();
    assert!(unknown.to_string().contains("password"), "{unknown}");
    let shown = engine.settings.read(&db()).await.unwrap();
    assert_eq!(shown.version, 1);
    assert_eq!(shown.config, json!({"password": "<redacted>"}));
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_config_that_was_read_can_be_written_back_after_a_rotation() {
    let house = House::new();
    let engine = house.open(true).await;
    engine.rotations.rotate_root(&db(), None).await.unwrap();
    let mut shown = engine.settings.read(&db()).await.unwrap().config;
    shown["rotation_period"] = json!("1d");
    let written = engine
        .settings
        .write(&db(), shown, requester())
        .await
        .unwrap();
    assert_eq!(written.version, 3);
    assert!(written.schedule.next.is_some());
    engine.issue().await.unwrap();
}
