//! Rotations over an upstream that holds one root password at a time.

use std::time::Duration;

use lessor_model::{clock::Timestamp, id::ConnectionName, refusal::Refusal};
use lessor_store::RotationState;
use serde_json::json;

use crate::testing::{Heard, House, Step, db, requester};

#[tokio::test]
async fn an_answer_lost_after_the_password_changed_is_recovered_by_derivation() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::FailAfter]);
    assert!(matches!(
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await,
        Err(Refusal::Provider(_))
    ));
    // The root in use no longer works upstream; the next caller drives the open
    // rotation to its end and notices nothing.
    engine.issue().await.unwrap();
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    assert_eq!(shown.version, 2);
    assert!(shown.rotation.is_none());
}

#[tokio::test]
async fn a_rotation_of_a_dead_process_goes_on_at_the_next_start() {
    let house = House::new();
    {
        let engine = house.open(false).await;
        house.script(&[Step::FailAfter]);
        let _ = engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await;
    }
    let engine = house.open(true).await;
    while engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .version
        != 2
    {
        tokio::task::yield_now().await;
    }
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_rotation_that_reached_nothing_leaves_nothing_open() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::Unreached]);
    assert!(
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await
            .is_err()
    );
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
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
        assert!(
            engine
                .rotations
                .rotate_root(&db(), &ConnectionName::DEFAULT, None)
                .await
                .is_err()
        );
        house.clock.advance(Duration::from_secs(30));
    }
    let open = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .rotation
        .unwrap();
    assert_eq!(open.row.state, RotationState::Failed);
    let refused = engine
        .rotations
        .abort(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("retry it"), "{refused}");
    engine
        .rotations
        .retry(&db(), &ConnectionName::DEFAULT, false)
        .await
        .unwrap();
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_failed_rotation_that_changed_nothing_can_be_given_up() {
    let house = House::new();
    let engine = house.open(false).await;
    house.script(&[Step::FailBefore; 6]);
    for _ in 0..6 {
        assert!(
            engine
                .rotations
                .rotate_root(&db(), &ConnectionName::DEFAULT, None)
                .await
                .is_err()
        );
        house.clock.advance(Duration::from_secs(30));
    }
    engine
        .rotations
        .abort(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    assert!(shown.rotation.is_none());
    assert_eq!(shown.version, 1);
    assert!(matches!(
        engine
            .rotations
            .abort(&db(), &ConnectionName::DEFAULT)
            .await,
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
    assert!(
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await
            .is_err()
    );
    let rotation = loop {
        let shown = engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap();
        let rotation = shown.rotation.unwrap().row;
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
        assert!(
            engine
                .rotations
                .rotate_root(&db(), &ConnectionName::DEFAULT, None)
                .await
                .is_err()
        );
    }
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    let rotation = shown.rotation.unwrap().row;
    assert_eq!(rotation.state, RotationState::Rotating);
    let soon = house.clock.now().plus(Duration::from_secs(6));
    assert!(rotation.due_at.unwrap() <= soon, "{rotation:?}");
    while engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .version
        != 2
    {
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
            .configs
            .write(&db(), &ConnectionName::DEFAULT, config, requester())
            .await
            .unwrap()
            .view
            .version,
        3
    );
    house.clock.advance(Duration::from_secs(3601));
    while engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .version
        != 4
    {
        tokio::task::yield_now().await;
    }
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
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
        let written = engine
            .configs
            .write(&db(), &ConnectionName::DEFAULT, schedule, requester())
            .await;
        assert_eq!(written.unwrap().view.schedule.next, Some(firing));
    }
    // The process was down over the whole window.
    house.clock.advance(Duration::from_secs(7 * 3600));
    let engine = house.open(true).await;
    let day = Duration::from_secs(86_400);
    let next = loop {
        let shown = engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap();
        if shown.schedule.next != Some(firing) {
            break shown.schedule.next;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(next, Some(firing.plus(day)));
    assert_eq!(
        engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap()
            .version,
        2
    );

    // Its time has come: once, and not again in the same window.
    house.clock.advance(Duration::from_secs(22 * 3600 + 600));
    while engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .version
        != 3
    {
        tokio::task::yield_now().await;
    }
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    assert_eq!(shown.schedule.next, Some(firing.plus(2 * day)));
    assert!(shown.schedule.last.is_some());
}

#[tokio::test]
async fn a_scheduled_rotation_that_fails_says_why_and_is_tried_again_within_its_window() {
    let house = House::new();
    let engine = house.open(true).await;
    let (schedule, _) = firing_in(&house, 5);
    engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, schedule, requester())
        .await
        .unwrap();
    house.script(&[Step::Unreached]);
    house.clock.advance(Duration::from_secs(5 * 3600));
    let error = loop {
        let shown = engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap();
        if let Some(error) = shown.schedule.last_error {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(error.contains("scripted"), "{error}");
    house.clock.advance(Duration::from_secs(61));
    while engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .version
        != 3
    {
        tokio::task::yield_now().await;
    }
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    assert_eq!(shown.schedule.last_error, None);
}

#[tokio::test]
async fn a_config_that_does_not_work_is_not_stored() {
    let house = House::new();
    let engine = house.open(true).await;
    assert!(
        engine
            .configs
            .write(
                &db(),
                &ConnectionName::DEFAULT,
                json!({"password": "wrong"}),
                requester()
            )
            .await
            .is_err()
    );
    let unknown = engine
        .configs
        .write(
            &db(),
            &ConnectionName::DEFAULT,
            json!({"pasword": "x"}),
            requester(),
        )
        .await
        .unwrap_err();
    assert!(unknown.to_string().contains("password"), "{unknown}");
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    assert_eq!(shown.version, 1);
    assert_eq!(shown.config, json!({"password": "<redacted>"}));
    engine.issue().await.unwrap();
}

#[tokio::test]
async fn a_config_that_was_read_can_be_written_back_after_a_rotation() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    let mut shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .config;
    shown["rotation_period"] = json!("1d");
    let written = engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, shown, requester())
        .await
        .unwrap()
        .view;
    assert_eq!(written.version, 3);
    assert!(written.schedule.next.is_some());
    engine.issue().await.unwrap();
}

/// The answer was refused and forgotten, although upstream had changed already: the
/// root credential was lost.
#[tokio::test]
async fn a_rotated_config_that_fails_its_schema_is_kept_and_the_operator_decides() {
    for (answer, says) in [
        (r#"{"pasword": "{password}"}"#, "pasword"),
        (r#"["{password}"]"#, "must be a JSON object"),
        ("{password}", "no JSON"),
    ] {
        let house = House::new();
        {
            let engine = house.open(false).await;
            house.upstream.lock().unwrap().answers = Some(answer.into());
            let refused = engine
                .rotations
                .rotate_root(&db(), &ConnectionName::DEFAULT, None)
                .await;
            let sentence = refused.unwrap_err().to_string();
            assert!(
                sentence.contains(says) && sentence.contains("rotate-root/retry"),
                "{sentence}"
            );
        }
        let engine = house.open(false).await;
        let shown = engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap();
        let open = shown.rotation.unwrap();
        assert_eq!(open.row.state, RotationState::Failed);
        assert_eq!((open.row.new_version, open.staged), (Some(2), None));
        assert!(open.row.last_error.unwrap().contains(says));
        let (row, stored) = (open.row.new_version.unwrap(), &engine.storage);
        let connection = engine.connected();
        let staged = stored.config(connection.id, row).await.unwrap().unwrap();
        let document = staged.document.unwrap();
        let context = crate::mount::config_context(connection.id, row);
        let kept = engine.keyring.open_text(&context, &document).unwrap();
        let derived = house.upstream.lock().unwrap().password.clone();
        assert_eq!(*kept.expose(), answer.replace("{password}", &derived));
        // The former one works no more upstream, so it is not given up either.
        assert!(
            engine
                .rotations
                .abort(&db(), &ConnectionName::DEFAULT)
                .await
                .is_err()
        );
        let retried = engine
            .rotations
            .retry(&db(), &ConnectionName::DEFAULT, true)
            .await;
        if answer.contains("pasword") {
            // Upstream takes it as it is: what is unusual about it is for the provider.
            assert_eq!(retried.unwrap().version, 2);
            engine.issue().await.unwrap();
            assert_eq!(
                engine
                    .configs
                    .read(&db(), &ConnectionName::DEFAULT)
                    .await
                    .unwrap()
                    .config,
                json!({"pasword": "<redacted>"})
            );
        } else {
            retried.unwrap_err();
            let shown = engine
                .configs
                .read(&db(), &ConnectionName::DEFAULT)
                .await
                .unwrap();
            assert_eq!(shown.rotation.unwrap().row.new_version, Some(2));
        }
    }
}

#[tokio::test]
async fn a_rotation_that_moves_the_root_to_another_host_needs_the_operator() {
    let house = House::new();
    let engine = house.open(false).await;
    house.upstream.lock().unwrap().two_roots = true;
    house.upstream.lock().unwrap().answers =
        Some(r#"{"password": "{password}", "host": "elsewhere"}"#.into());
    let refused = engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("config.host"), "{refused}");
    let open = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .rotation
        .unwrap();
    assert_eq!(open.changes, ["config.host"]);
    assert_eq!(
        open.staged,
        Some(json!({"password": "<redacted>", "host": "elsewhere"}))
    );
    // The former one is in use until then.
    engine.issue().await.unwrap();
    let refused = engine
        .rotations
        .retry(&db(), &ConnectionName::DEFAULT, false)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("accept=true"), "{refused}");
    engine
        .rotations
        .retry(&db(), &ConnectionName::DEFAULT, true)
        .await
        .unwrap();
    assert_eq!(
        engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap()
            .config["host"],
        "elsewhere"
    );
}

/// Each way of giving a rotation up ends its staged root credential.
#[tokio::test]
async fn a_staged_root_credential_is_ended_upstream_before_it_is_forgotten() {
    for way in ["write", "remove", "abort", "unmount"] {
        let house = House::new();
        let engine = house.open(true).await;
        {
            let mut upstream = house.upstream.lock().unwrap();
            upstream.two_roots = true;
            upstream.answers = Some(r#"{"pasword": "{password}"}"#.into());
        }
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await
            .unwrap_err();
        assert_eq!(house.upstream.lock().unwrap().roots.len(), 1);
        match way {
            "write" => {
                let config = json!({"password": "initial"});
                let written = engine
                    .configs
                    .write(&db(), &ConnectionName::DEFAULT, config, requester())
                    .await;
                assert!(written.unwrap().view.rotation.is_none());
            }
            "remove" => drop(
                engine
                    .configs
                    .remove(&db(), &ConnectionName::DEFAULT, false)
                    .await
                    .unwrap(),
            ),
            "abort" => assert_eq!(
                engine
                    .rotations
                    .abort(&db(), &ConnectionName::DEFAULT)
                    .await
                    .unwrap(),
                None
            ),
            _ => {
                engine.mounts.remove(&db()).await.unwrap();
            }
        }
        while !house.upstream.lock().unwrap().roots.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(house.upstream.lock().unwrap().password, "initial", "{way}");
        if way == "write" || way == "abort" {
            while !engine
                .configs
                .read(&db(), &ConnectionName::DEFAULT)
                .await
                .unwrap()
                .ending
                .is_empty()
            {
                tokio::task::yield_now().await;
            }
            engine.issue().await.unwrap();
        }
    }
}

/// The answer never came, so nothing is staged; upstream may have made it all the same.
#[tokio::test]
async fn what_a_rotation_made_without_an_answer_is_ended_when_a_config_is_written() {
    let house = House::new();
    let engine = house.open(true).await;
    house.upstream.lock().unwrap().two_roots = true;
    house.script(&[Step::FailAfter]);
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap_err();
    assert_eq!(house.upstream.lock().unwrap().roots.len(), 1);
    let config = json!({"password": "initial"});
    engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, config, requester())
        .await
        .unwrap();
    while !house.upstream.lock().unwrap().roots.is_empty() {
        house.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_config_is_not_removed_while_something_is_left_to_be_ended_with_it() {
    let house = House::new();
    let engine = house.open(false).await;
    house.upstream.lock().unwrap().two_roots = true;
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    // The former one, which its grace period still keeps.
    house.script(&[Step::FailBefore]);
    let refused = engine
        .configs
        .remove(&db(), &ConnectionName::DEFAULT, false)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("force=true"), "{refused}");
    assert_eq!(
        engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap()
            .version,
        2
    );
    let issued = engine.issue().await.unwrap();
    let refused = engine
        .configs
        .remove(&db(), &ConnectionName::DEFAULT, false)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("1 leases"), "{refused}");
    engine.leases.revoke(&issued.lease.id).await.unwrap();
    engine
        .configs
        .remove(&db(), &ConnectionName::DEFAULT, false)
        .await
        .unwrap();
    assert_eq!(house.upstream.lock().unwrap().ended, ["initial"]);

    let written = json!({"password": house.upstream.lock().unwrap().roots.first()});
    engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, written, requester())
        .await
        .unwrap();
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    house.script(&[Step::FailBefore]);
    engine
        .configs
        .remove(&db(), &ConnectionName::DEFAULT, true)
        .await
        .unwrap();
    assert!(
        engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .is_err()
    );
    let ending = engine.rotations.ending(&engine.connected()).await;
    assert_eq!(ending.unwrap().len(), 1, "it waits for a config");
}

/// Only the host knew it, and nobody could have ended it any more.
#[tokio::test]
async fn a_root_credential_that_a_rotation_made_is_ended_when_the_operator_replaces_it() {
    let house = House::new();
    let engine = house.open(true).await;
    house.upstream.lock().unwrap().two_roots = true;
    house
        .upstream
        .lock()
        .unwrap()
        .roots
        .insert("by hand".into());
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    // The same secret as before: that is the one in use.
    let shown = engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .config;
    engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, shown, requester())
        .await
        .unwrap();
    assert_eq!(house.upstream.lock().unwrap().roots.len(), 2);
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    let config = json!({"password": "by hand"});
    engine
        .configs
        .write(&db(), &ConnectionName::DEFAULT, config, requester())
        .await
        .unwrap();
    let only = std::collections::BTreeSet::from(["by hand".to_owned()]);
    while house.upstream.lock().unwrap().roots != only {
        house.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    while !engine
        .configs
        .read(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap()
        .ending
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    engine.issue().await.unwrap();
}

/// Upstream is away for a moment right after the config is stored: the write was answered
/// as if nothing had been.
#[tokio::test]
async fn a_rotation_at_configuration_that_fails_is_a_warning_and_goes_on_by_itself() {
    for (steps, goes_on) in [
        (&[Step::Well, Step::Unreached][..], "tried again by itself"),
        (&[Step::Well, Step::FailAfter], "goes on by itself"),
        (&[Step::Well, Step::Refuse], "waits for you"),
    ] {
        let house = House::new();
        let engine = house.open(true).await;
        house.script(steps);
        let config = json!({"password": "initial", "rotate_on_config": true});
        let written = engine
            .configs
            .write(&db(), &ConnectionName::DEFAULT, config, requester())
            .await;
        let written = written.unwrap();
        assert_eq!(written.view.version, 2);
        let warning = &written.warnings[0];
        assert!(
            warning.contains("stored as version 2") && warning.contains(goes_on),
            "{warning}"
        );
        if goes_on.contains("itself") {
            while engine
                .configs
                .read(&db(), &ConnectionName::DEFAULT)
                .await
                .unwrap()
                .version
                != 3
            {
                house.clock.advance(Duration::from_secs(61));
                tokio::task::yield_now().await;
            }
        }
        engine.issue().await.ok();
    }
}

/// A kept setting applies to each new root credential, and not to each write.
#[tokio::test]
async fn a_write_that_changes_no_secret_rotates_nothing() {
    let house = House::new();
    let engine = house.open(false).await;
    let write = async |config| {
        let written = engine
            .configs
            .write(&db(), &ConnectionName::DEFAULT, config, requester())
            .await;
        written.unwrap().view.version
    };
    assert_eq!(write(json!({"rotate_on_config": true})).await, 3);
    assert_eq!(write(json!({"rotation_period": "1h"})).await, 4);
    assert_eq!(write(json!({"rotate_on_config": true})).await, 5);
    house.upstream.lock().unwrap().password = "by hand".into();
    assert_eq!(write(json!({"password": "by hand"})).await, 7);
    // A rotation that was interrupted is brought to its end before its secret is reused.
    house.script(&[Step::FailAfter]);
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap_err();
    assert_eq!(write(json!({"rotation_period": "2h"})).await, 9);
    engine.issue().await.unwrap();
}

/// A mount whose upstream is gone for good must not wait for ever to be removed.
#[tokio::test]
async fn what_rotations_left_can_be_dropped_by_force() {
    let house = House::new();
    let engine = house.open(false).await;
    house.upstream.lock().unwrap().two_roots = true;
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    let connection = engine.connected();
    // Not tried yet: nothing is dropped that upstream was never asked to end.
    engine.leases.force_prefix("db", "test").await.unwrap();
    assert_eq!(engine.rotations.ending(&connection).await.unwrap().len(), 1);
    house.script(&[Step::FailBefore]);
    engine
        .configs
        .remove(&db(), &ConnectionName::DEFAULT, false)
        .await
        .unwrap_err();
    engine.leases.force_prefix("db", "test").await.unwrap();
    assert!(
        engine
            .rotations
            .ending(&connection)
            .await
            .unwrap()
            .is_empty()
    );
}

/// The scheduler took what was due, waited for its turn, and did it once more.
#[tokio::test]
async fn what_was_ended_before_the_scheduler_had_its_turn_is_not_ended_again() {
    let heard = Heard::from_here();
    let house = House::new();
    let engine = house.open(false).await;
    house.upstream.lock().unwrap().two_roots = true;
    engine
        .rotations
        .rotate_root(&db(), &ConnectionName::DEFAULT, None)
        .await
        .unwrap();
    house.clock.advance(Duration::from_secs(61));
    let connection = engine.connected();
    let turn = connection.rotation_turn().await;
    let due = engine.rotations.ending(&connection).await.unwrap();
    engine.rotations.run_due(house.clock.now()).await.unwrap();
    // Gives it time to queue up for the turn.
    engine.rotations.end(&connection, &due[0]).await.unwrap();
    drop(turn);
    let _behind_it = connection.rotation_turn().await;
    assert_eq!(heard.count("rotation.former_ended"), 1);
}
