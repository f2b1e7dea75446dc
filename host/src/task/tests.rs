//! Tasks over a fake upstream.

use std::time::Duration;

use lessor_model::{
    id::{ConnectionName, OperationId},
    refusal::Refusal,
};
use lessor_store::TaskState;
use serde_json::json;

use super::{Done, Draining, TaskView, Work};
use crate::{
    engine::Engine,
    testing::{Heard, House, Step, db, requester},
};

fn issue() -> Work {
    Work::Issue {
        mount: "db".into(),
        role: "reader".into(),
        body: json!({}),
        ttl_ms: None,
        endless: false,
        key: None,
        token_end: None,
        waits: false,
    }
}

async fn submit(engine: &Engine, work: Work) -> OperationId {
    let view = engine.tasks.submit(work, requester()).await.unwrap();
    view.row.id
}

async fn over(engine: &Engine, id: OperationId) -> TaskView {
    loop {
        let view = engine.tasks.show(id, None).await.unwrap();
        if view.row.state.is_over() {
            return view;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_credential_is_handed_out_once() {
    let house = House::new();
    let engine = house.open(true).await;
    let queued = engine.tasks.submit(issue(), requester()).await.unwrap();
    let id = queued.row.id;
    assert_eq!(queued.row.state, TaskState::Queued);
    let done = over(&engine, id).await;
    assert_eq!(done.row.state, TaskState::Succeeded);
    assert!(done.credential.is_none());

    let taken = engine
        .tasks
        .show(id, Some(&requester().accessor))
        .await
        .unwrap()
        .credential
        .unwrap();
    assert!(taken.data.expose().contains("username"));
    engine.leases.lookup(&taken.lease).await.unwrap();
    let again = engine
        .tasks
        .show(id, Some(&requester().accessor))
        .await
        .unwrap();
    assert!(again.credential.is_none());
    assert_eq!(house.principals(), 1);

    let late = engine.tasks.cancel(id).await.unwrap_err();
    assert!(late.to_string().contains("is over"), "{late}");
}

#[tokio::test]
async fn a_failure_stands_in_the_task_with_its_code() {
    let house = House::new();
    let engine = house.open(true).await;
    house.script(&[Step::Unreached]);
    let id = submit(&engine, issue()).await;
    let done = over(&engine, id).await;
    assert_eq!(done.row.state, TaskState::Failed);
    assert_eq!(done.row.errors.len(), 1);
    assert_eq!(done.row.errors[0].code, "fake");
}

/// The process dies with the task taken up and, at the second time, with the
/// credential made: there is never a second one.
#[tokio::test]
async fn a_task_of_a_dead_process_goes_on_as_the_same_operation() {
    let house = House::new();
    let id = {
        let engine = house.open(false).await;
        engine.tasks.workers.close();
        let id = submit(&engine, issue()).await;
        let row = engine.storage.claim_task(vec![]).await.unwrap().0.unwrap();
        // As far as the work itself goes, and not to its record.
        engine.tasks.perform(&row).await.unwrap();
        id
    };
    assert_eq!(house.principals(), 1);
    let engine = house.open(true).await;
    let done = over(&engine, id).await;
    assert_eq!(done.row.state, TaskState::Succeeded);
    let taken = engine
        .tasks
        .show(id, Some(&requester().accessor))
        .await
        .unwrap()
        .credential
        .unwrap();
    engine.leases.lookup(&taken.lease).await.unwrap();
    assert_eq!(house.principals(), 1);
}

#[tokio::test]
async fn what_nobody_has_begun_can_be_cancelled() {
    let house = House::new();
    let engine = house.open(false).await;
    engine.tasks.workers.close();
    let id = submit(&engine, issue()).await;
    engine.tasks.cancel(id).await.unwrap();
    let view = engine
        .tasks
        .show(id, Some(&requester().accessor))
        .await
        .unwrap();
    assert_eq!(view.row.state, TaskState::Cancelled);
    assert!(matches!(
        engine.tasks.cancel(id).await,
        Err(Refusal::Conflict(_))
    ));
    assert!(matches!(
        engine.tasks.cancel(OperationId::from_bytes([9; 16])).await,
        Err(Refusal::NotFound(_))
    ));
    assert_eq!(house.principals(), 0);
}

#[tokio::test]
async fn a_task_that_cannot_be_read_is_set_aside_and_told_of() {
    let heard = Heard::from_here();
    let house = House::new();
    {
        let engine = house.open(false).await;
        engine.tasks.workers.close();
        submit(&engine, issue()).await;
    }
    house.damage("UPDATE tasks SET errors = 'no json'");
    let engine = house.open(true).await;
    while heard.count("task.set_aside") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(engine.tasks.list().await.unwrap().is_empty());
}

/// Cancelled after the credential was made and before that was written down.
#[tokio::test]
async fn the_credential_of_a_cancelled_task_is_ended() {
    let heard = Heard::from_here();
    let house = House::new();
    let engine = house.open(false).await;
    engine.tasks.workers.close();
    let id = submit(&engine, issue()).await;
    let row = engine.storage.claim_task(vec![]).await.unwrap().0.unwrap();
    let outcome = engine.tasks.perform(&row).await;
    let outcome = outcome.map_err(|refusal| (super::work::error_of(&refusal), refusal));
    engine.tasks.cancel(id).await.unwrap();
    engine.tasks.finish(&row, outcome).await;
    assert_eq!(house.principals(), 0);
    let told = |event| heard.count(event);
    assert_eq!((told("task.cancelled"), told("task.ended")), (1, 0));
    let view = engine
        .tasks
        .show(id, Some(&requester().accessor))
        .await
        .unwrap();
    assert_eq!(view.row.state, TaskState::Cancelled);
}

#[tokio::test]
async fn a_drain_waits_for_what_was_there_and_a_rotation_happens_once() {
    let house = House::new();
    let engine = house.open(true).await;
    engine.issue().await.unwrap();
    house.script(&[Step::FailBefore]);
    engine.leases.revoke_prefix("db").await.unwrap();
    let drain = Work::Drain {
        kind: Draining::RevokePrefix,
        prefix: "db".into(),
        of: None,
        newest: None,
    };
    let id = submit(&engine, drain).await;
    while house.script_left() > 0 {
        tokio::task::yield_now().await;
    }
    let waiting = engine.tasks.show(id, None).await.unwrap();
    assert!(!waiting.row.state.is_over());
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(over(&engine, id).await.row.state, TaskState::Succeeded);

    let before = engine
        .rotations
        .version(&db(), &ConnectionName::DEFAULT)
        .await
        .unwrap();
    let rotate = || Work::RotateRoot {
        connection: None,
        mount: "db".into(),
        before,
    };
    for _ in 0..2 {
        let id = submit(&engine, rotate()).await;
        assert_eq!(over(&engine, id).await.row.state, TaskState::Succeeded);
        assert_eq!(
            engine
                .rotations
                .version(&db(), &ConnectionName::DEFAULT)
                .await
                .unwrap(),
            before + 1
        );
    }
}

/// Tasks that only wait were counted as those of one mount: from the seventeenth
/// on they stayed queued, and no end of another woke them.
#[tokio::test]
async fn any_number_of_tasks_may_wait_at_a_time() {
    let house = House::new();
    let engine = house.open(true).await;
    engine.issue().await.unwrap();
    house.script(&[Step::FailBefore]);
    engine.leases.revoke_prefix("db").await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..super::WORKERS_OF_A_MOUNT + 4 {
        let drain = Work::Drain {
            kind: Draining::RevokePrefix,
            prefix: "db".into(),
            of: None,
            newest: None,
        };
        let id = submit(&engine, drain).await;
        loop {
            let view = engine.tasks.show(id, None).await.unwrap();
            if view.row.state != TaskState::Queued {
                break;
            }
            tokio::task::yield_now().await;
        }
        ids.push(id);
    }
    house.clock.advance(Duration::from_secs(60));
    for id in ids {
        assert_eq!(over(&engine, id).await.row.state, TaskState::Succeeded);
    }
}

#[tokio::test]
async fn a_task_that_takes_too_long_fails_by_name() {
    let house = House::new();
    let engine = house.open(true).await;
    engine.issue().await.unwrap();
    house.script(&[Step::FailBefore; 100]);
    engine.leases.revoke_prefix("db").await.unwrap();
    let drain = Work::Drain {
        kind: Draining::Unmount,
        prefix: "db".into(),
        of: None,
        newest: None,
    };
    let id = submit(&engine, drain).await;
    loop {
        let view = engine.tasks.show(id, None).await.unwrap();
        if view.row.state.is_over() {
            assert_eq!(view.row.errors[0].code, "timeout");
            break;
        }
        house.clock.advance(Duration::from_secs(3600));
        tokio::task::yield_now().await;
    }
}

fn reconcile(revoke: &[&str]) -> Work {
    Work::Reconcile {
        connection: None,
        mount: "db".into(),
        revoke: revoke.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// The findings of a comparison are told to everybody who may see the task, as often as they ask.
#[tokio::test]
async fn a_comparison_is_told_by_its_task_and_to_who_waits_for_it() {
    let house = House::new();
    let engine = house.open(true).await;
    let stray = "stray".to_owned();
    house.upstream.lock().unwrap().principals.insert(stray);
    let id = submit(&engine, reconcile(&[])).await;
    assert_eq!(over(&engine, id).await.row.state, TaskState::Succeeded);
    for _ in 0..2 {
        let told = engine.tasks.show(id, None).await.unwrap();
        let found = told.report.unwrap();
        assert_eq!(
            (&found["dry_run"], &found["orphans"]),
            (&json!(true), &json!(["stray"]))
        );
        assert!(!told.holds_credential);
    }
    let nobody_leaves = std::future::pending();
    let done = engine
        .tasks
        .perform_for(reconcile(&["stray"]), requester(), nobody_leaves);
    let Done::Report(found) = done.await.unwrap() else {
        panic!("no report")
    };
    assert_eq!(found["revoked"], json!(["stray"]));
    let refused =
        engine
            .tasks
            .perform_for(reconcile(&["stray"]), requester(), std::future::pending());
    assert!(matches!(refused.await, Err(Refusal::Invalid(_))));
    assert_eq!(house.principals(), 0);
}

/// A provider that never answers: the comparison ends when its task is cancelled, when
/// nobody waits for it any more, or with its time, and holds up no other.
#[tokio::test]
async fn a_comparison_ends_when_it_is_told_to() {
    let house = House::new();
    let engine = house.open(true).await;
    house.upstream.lock().unwrap().silent = true;
    let id = submit(&engine, reconcile(&[])).await;
    while engine.tasks.show(id, None).await.unwrap().row.state != TaskState::Processing {
        tokio::task::yield_now().await;
    }
    engine.tasks.cancel(id).await.unwrap();
    assert_eq!(over(&engine, id).await.row.state, TaskState::Cancelled);

    let leaves = engine
        .tasks
        .perform_for(reconcile(&[]), requester(), tokio::task::yield_now());
    assert!(matches!(leaves.await, Err(Refusal::Conflict(_))));
    let timeout = engine.mounts.open(&db()).unwrap().spec.tune.task_timeout;
    let waits = engine
        .tasks
        .perform_for(reconcile(&[]), requester(), std::future::pending());
    let late = async {
        loop {
            house.clock.advance(timeout);
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::select! {
        ended = waits => ended,
        () = late => unreachable!(),
    };
    assert!(matches!(ended, Err(Refusal::Unavailable(_))), "{ended:?}");
    house.upstream.lock().unwrap().silent = false;
    let done = engine
        .tasks
        .perform_for(reconcile(&[]), requester(), std::future::pending());
    done.await.unwrap();
}
