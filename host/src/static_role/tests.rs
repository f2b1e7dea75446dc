//! Static roles over an upstream whose accounts have one password at a time.

use std::time::Duration;

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionName, RoleName},
    refusal::Refusal,
};
use lessor_store::{Place, StaticRoleState};
use serde_json::{Value, json};

use super::{Standing, StaticRoleView};
use crate::{
    engine::Engine,
    testing::{Heard, House, Step, db, requester},
};

fn name(name: &str) -> RoleName {
    name.parse().unwrap()
}

impl Engine {
    /// Writes a static role, by hand where no schedule is named.
    async fn write_static(&self, role: &str, mut body: Value) -> Result<Vec<String>, Refusal> {
        if body["rotation_period"].is_null() && body["rotation_schedule"].is_null() {
            body["manual"] = json!(true);
        }
        self.static_roles
            .write(&db(), &name(role), body, requester())
            .await
    }

    async fn rotate_static(&self, role: &str) -> Result<(), Refusal> {
        self.static_roles
            .rotate(&db(), &name(role), requester())
            .await
    }

    async fn shown(&self, place: Place) -> String {
        let found = self
            .static_roles
            .credential(&db(), &name("app"), place)
            .await;
        let parsed: Value = serde_json::from_str(found.unwrap().secret.expose()).unwrap();
        parsed["password"].as_str().unwrap().to_owned()
    }

    async fn view(&self) -> StaticRoleView {
        self.static_roles.read(&db(), &name("app")).await.unwrap()
    }

    /// Lets one attempt after the other fail, each as soon as it is due.
    async fn fail_until(
        &self,
        house: &House,
        over: impl Fn(&StaticRoleView) -> bool,
    ) -> StaticRoleView {
        let mut failed = 0;
        loop {
            let view = self.view().await;
            if over(&view) {
                return view;
            }
            if view.attempts > failed {
                failed = view.attempts;
                let next = view.next_attempt.unwrap();
                house.clock.advance(next.since(house.clock.now()));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the account rests with a credential of this version.
    async fn settled_at(&self, version: u32) {
        loop {
            let view = self.view().await;
            if view.version == version && view.state == StaticRoleState::Idle {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl House {
    fn account(&self) -> String {
        self.upstream.lock().unwrap().accounts["app"].clone()
    }
}

/// An expression that fires in this many hours, and the firing.
fn firing_in(house: &House, hours: u64) -> (String, Timestamp) {
    let firing = house.clock.now().plus(Duration::from_secs(hours * 3600));
    let minute = Timestamp(firing.0 - firing.0.rem_euclid(60_000));
    let text = minute.rfc3339();
    (format!("{} {} * * *", &text[14..16], &text[11..13]), minute)
}

#[tokio::test]
async fn a_new_static_role_takes_the_account_over_and_keeps_two_versions() {
    let house = House::new();
    let engine = house.open(true).await;
    let body = json!({"username": "app", "note": "kept"});
    assert!(
        engine
            .write_static("app", body.clone())
            .await
            .unwrap()
            .is_empty()
    );
    let first = engine.shown(Place::Current).await;
    assert_eq!(first, house.account());
    let none = engine
        .static_roles
        .credential(&db(), &name("app"), Place::Previous)
        .await
        .unwrap_err();
    assert!(none.to_string().contains("no previous"), "{none}");

    engine.rotate_static("app").await.unwrap();
    let second = engine.shown(Place::Current).await;
    assert_eq!(second, house.account());
    assert_eq!(engine.shown(Place::Previous).await, first);
    engine.rotate_static("app").await.unwrap();
    assert_eq!(engine.shown(Place::Previous).await, second);

    let view = engine.view().await;
    assert_eq!((view.version, view.state), (3, StaticRoleState::Idle));
    assert_eq!(view.document, body);
    assert!(view.last.is_some() && view.next.is_none());
}

#[tokio::test]
async fn a_role_that_skips_the_import_leaves_the_account_alone_until_it_is_rotated() {
    let house = House::new();
    let engine = house.open(true).await;
    let body = json!({"username": "app", "skip_import_rotation": true, "rotation_period": "1h"});
    engine.write_static("app", body).await.unwrap();
    assert_eq!(house.account(), "former");
    let unknown = engine
        .static_roles
        .credential(&db(), &name("app"), Place::Current)
        .await
        .unwrap_err();
    assert!(matches!(&unknown, Refusal::Conflict(text) if text.contains("first rotated at")));
    house.clock.advance(Duration::from_secs(3601));
    engine.settled_at(1).await;
    assert_eq!(engine.shown(Place::Current).await, house.account());
}

#[tokio::test]
async fn a_period_rotates_once_each_time_also_over_a_restart() {
    let house = House::new();
    {
        let engine = house.open(true).await;
        let body = json!({"username": "app", "rotation_period": "1h"});
        engine.write_static("app", body).await.unwrap();
        engine.shutdown().await;
    }
    let engine = house.open(true).await;
    let next = engine.view().await.next.unwrap();
    house.clock.advance(Duration::from_secs(3 * 3600));
    engine.settled_at(2).await;
    let view = engine.view().await;
    assert!(next < house.clock.now() && view.next.unwrap() > house.clock.now());
    let credential = engine
        .static_roles
        .credential(&db(), &name("app"), Place::Current)
        .await
        .unwrap();
    assert!(
        credential.ttl > Duration::from_secs(3500) && credential.ttl <= Duration::from_secs(3600)
    );
}

#[tokio::test]
async fn a_lost_answer_is_recovered_with_the_same_password() {
    let house = House::new();
    let engine = house.open(true).await;
    // The proof goes well; the answer of the first rotation is lost.
    house.script(&[Step::Well, Step::FailAfter]);
    let warnings = engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    assert!(warnings[0].contains("tried again"), "{warnings:?}");
    let upstream = house.account();
    assert_ne!(upstream, "former");
    house.clock.advance(Duration::from_secs(10));
    engine.settled_at(1).await;
    assert_eq!(engine.shown(Place::Current).await, upstream);
}

#[tokio::test]
async fn a_rotation_of_a_dead_process_goes_on_with_its_own_password() {
    let house = House::new();
    let upstream = {
        let engine = house.open(false).await;
        engine
            .write_static("app", json!({"username": "app"}))
            .await
            .unwrap();
        house.script(&[Step::FailAfter]);
        assert!(engine.rotate_static("app").await.is_err());
        let credential = engine
            .static_roles
            .credential(&db(), &name("app"), Place::Current)
            .await
            .unwrap();
        assert!(credential.warnings[0].contains("under way"));
        house.account()
    };
    let engine = house.open(true).await;
    engine.settled_at(2).await;
    assert_eq!(engine.shown(Place::Current).await, upstream);
    assert_eq!(house.account(), upstream);
}

#[tokio::test]
async fn what_cannot_be_imported_leaves_no_static_role() {
    let house = House::new();
    let engine = house.open(true).await;
    for step in [Step::Refuse, Step::Unreached] {
        house.script(&[Step::Well, step]);
        assert!(
            engine
                .write_static("app", json!({"username": "app"}))
                .await
                .is_err()
        );
        assert!(engine.static_roles.list(&db()).await.unwrap().is_empty());
        assert_eq!(house.account(), "former");
    }
}

/// Vault repeats the very password that the database has refused, for ever.
#[tokio::test]
async fn a_refused_value_is_not_offered_again() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    let operation = || async {
        let mount = engine.mounts.open(&db()).unwrap();
        let row = engine
            .storage
            .static_role(mount.id, name("app"))
            .await
            .unwrap();
        row.unwrap().operation
    };
    house.script(&[Step::FailBefore]);
    assert!(engine.rotate_static("app").await.is_err());
    let first = operation().await.unwrap();
    house.script(&[Step::Refuse]);
    assert!(engine.rotate_static("app").await.is_err());
    let second = operation().await.unwrap();
    assert_ne!(first, second);
    let view = engine.view().await;
    assert_eq!((view.attempts, view.state), (2, StaticRoleState::Rotating));
    assert!(view.last_error.unwrap().contains("scripted"));
    house.clock.advance(Duration::from_secs(20));
    engine.settled_at(2).await;
    assert_eq!(house.account(), format!("derived-{second}"));
    assert_eq!(engine.view().await.last_error, None);
}

#[tokio::test]
async fn after_six_attempts_a_rotation_is_out_of_sync_and_tried_daily() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .write_static("app", json!({"username": "app", "rotation_period": "1h"}))
        .await
        .unwrap();
    house.script(&[Step::FailBefore; 6]);
    house.clock.advance(Duration::from_secs(3600));
    let view = engine
        .fail_until(&house, |view| view.state == StaticRoleState::OutOfSync)
        .await;
    assert_eq!((view.attempts, view.version), (6, 1));
    assert_eq!(house.script_left(), 0);
    let wait = view.next_attempt.unwrap().since(house.clock.now());
    assert!(wait > Duration::from_secs(20 * 3600), "{wait:?}");
    house.clock.advance(Duration::from_secs(86_400));
    engine.settled_at(2).await;
}

#[tokio::test]
async fn a_rotation_that_reached_nothing_waits_for_its_next_window() {
    let house = House::new();
    let engine = house.open(true).await;
    let (cron, firing) = firing_in(&house, 5);
    let body = json!({"username": "app", "rotation_schedule": cron, "rotation_window": "1h"});
    engine.write_static("app", body).await.unwrap();
    assert_eq!(engine.view().await.next, Some(firing));

    // Upstream cannot be reached over the whole window.
    house.script(&[Step::Unreached; 40]);
    house.clock.advance(Duration::from_secs(5 * 3600));
    let view = engine
        .fail_until(&house, |view| view.next != Some(firing))
        .await;
    assert_eq!((view.state, view.version), (StaticRoleState::Idle, 1));
    assert_eq!(view.next, Some(firing.plus(Duration::from_secs(86_400))));
    house.script(&[]);
    house
        .clock
        .advance(view.next.unwrap().since(house.clock.now()));
    engine.settled_at(2).await;
}

#[tokio::test]
async fn an_account_has_one_static_role_and_is_not_the_root() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    let refused = |role: &'static str, account: &'static str| {
        let engine = &engine;
        async move {
            match engine
                .write_static(role, json!({"username": account}))
                .await
            {
                Err(Refusal::Conflict(sentence)) => sentence,
                other => panic!("{other:?}"),
            }
        }
    };
    assert!(
        refused("other", "app")
            .await
            .contains("belongs to static role app")
    );
    assert!(refused("other", "root@fake").await.contains("rotate-root"));
    assert!(
        refused("app", "billing")
            .await
            .contains("cannot be changed")
    );
    assert_eq!(engine.static_roles.list(&db()).await.unwrap(), ["app"]);

    engine
        .static_roles
        .remove(&db(), &name("app"), false)
        .await
        .unwrap();
    assert_ne!(house.account(), "former");
    engine
        .write_static("other", json!({"username": "app"}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rotation_waits_for_the_root_that_is_being_rotated() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    house.script(&[Step::FailAfter]);
    assert!(
        engine
            .rotations
            .rotate_root(&db(), &ConnectionName::DEFAULT, None)
            .await
            .is_err()
    );
    // The root in use no longer works upstream: this drives its rotation first.
    engine.rotate_static("app").await.unwrap();
    assert_eq!(engine.shown(Place::Current).await, house.account());
    assert_eq!(
        engine
            .configs
            .read(&db(), &ConnectionName::DEFAULT)
            .await
            .unwrap()
            .version,
        2
    );
}

#[tokio::test]
async fn a_former_credential_that_stays_valid_is_ended_after_its_grace() {
    let heard = Heard::from_here();
    let house = House::new();
    let engine = house.open(true).await;
    house.upstream.lock().unwrap().two_at_once = true;
    engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    let view = engine.view().await;
    assert_eq!((view.state, view.version), (StaticRoleState::Retiring, 1));
    assert_eq!(engine.shown(Place::Current).await, house.account());
    house.clock.advance(Duration::from_secs(61));
    engine.settled_at(1).await;
    assert_eq!(house.upstream.lock().unwrap().ended, ["former"]);

    // By hand there is no waiting: the former is ended first.
    let second = house.account();
    engine.rotate_static("app").await.unwrap();
    engine.rotate_static("app").await.unwrap();
    assert_eq!(house.upstream.lock().unwrap().ended, ["former", &second]);
    assert_eq!(heard.count("static_role.former_ended"), 2);
}

/// Upstream was asked to end the credential of no name.
#[tokio::test]
async fn a_former_credential_whose_name_is_gone_is_ended_by_no_guess() {
    let house = House::new();
    let engine = house.open(false).await;
    house.upstream.lock().unwrap().two_at_once = true;
    engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    house.damage("PRAGMA ignore_check_constraints = ON; UPDATE static_roles SET retires = NULL");
    engine.rotate_static("app").await.unwrap_err();
    assert!(house.upstream.lock().unwrap().ended.is_empty());
}

#[tokio::test]
async fn a_changed_schedule_counts_from_the_last_rotation_and_rotates_nothing() {
    let house = House::new();
    let engine = house.open(true).await;
    let body = |schedule: Value| {
        let mut body = json!({"username": "app"});
        body.as_object_mut()
            .unwrap()
            .extend(schedule.as_object().unwrap().clone());
        body
    };
    engine
        .write_static("app", body(json!({"rotation_period": "10h"})))
        .await
        .unwrap();
    let last = engine.view().await.last.unwrap();
    house.clock.advance(Duration::from_secs(3600));
    engine
        .write_static("app", body(json!({"rotation_period": "2h"})))
        .await
        .unwrap();
    let next = engine.view().await.next.unwrap();
    assert_eq!(next, last.plus(Duration::from_secs(7200)));
    let (cron, firing) = firing_in(&house, 5);
    engine
        .write_static("app", body(json!({"rotation_schedule": cron})))
        .await
        .unwrap();
    assert_eq!(engine.view().await.next, Some(firing));
    engine.write_static("app", body(json!({}))).await.unwrap();
    let view = engine.view().await;
    assert_eq!((view.next, view.version), (None, 1));
}

#[tokio::test]
async fn an_unmounted_provider_takes_its_static_roles_along() {
    let house = House::new();
    let engine = house.open(true).await;
    engine
        .write_static("app", json!({"username": "app"}))
        .await
        .unwrap();
    let mount = engine.mounts.open(&db()).unwrap();
    engine.mounts.remove(&db()).await.unwrap();
    let left = engine
        .storage
        .static_role(mount.id, name("app"))
        .await
        .unwrap();
    assert!(left.is_none());
}

#[tokio::test]
async fn a_static_role_that_cannot_be_read_stops_no_other() {
    let heard = Heard::from_here();
    let house = House::new();
    let engine = house.open(true).await;
    for role in ["broken", "app"] {
        let body = json!({"username": role, "rotation_period": "1h"});
        engine.write_static(role, body).await.unwrap();
    }
    house.damage(
        "UPDATE static_roles SET period_ms = 0, cron = 'nonsense' WHERE name = 'broken'; \
         UPDATE rotation_schedules SET cron = 'nonsense', next_rotation_at = 1",
    );
    for version in 2..5 {
        house.clock.advance(Duration::from_secs(3601));
        engine.settled_at(version).await;
    }
    assert!(
        engine
            .static_roles
            .read(&db(), &name("broken"))
            .await
            .is_err()
    );
    for event in ["static_role.put_off", "rotation.put_off"] {
        assert!(heard.count(event) > 0, "{event}");
    }
    // It can be removed and written again.
    engine
        .static_roles
        .remove(&db(), &name("broken"), false)
        .await
        .unwrap();
    engine
        .write_static("broken", json!({"username": "broken"}))
        .await
        .unwrap();
}

/// Static roles that are due at the same moment are rotated once each, however few the slots.
#[tokio::test]
async fn many_static_roles_that_are_due_at_once_share_the_mounts_slots() {
    let house = House::new();
    let engine = house.open(true).await;
    let patch = lessor_model::mount::TunePatch {
        max_concurrency: Some(2),
        ..Default::default()
    };
    engine.mounts.tune(&db(), patch).await.unwrap();
    let roles: Vec<String> = (0..40).map(|number| format!("r{number}")).collect();
    for role in &roles {
        let body = json!({"username": role, "rotation_period": "1h"});
        engine.write_static(role, body).await.unwrap();
    }
    house.clock.advance(Duration::from_secs(3601));
    for role in &roles {
        let view = loop {
            let view = engine.static_roles.read(&db(), &name(role)).await.unwrap();
            assert_eq!(view.attempts, 0, "{role}: {:?}", view.last_error);
            if view.version > 1 {
                break view;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((view.version, view.state), (2, StaticRoleState::Idle));
    }
}

/// What upstream was told to end was handed out as if it worked.
#[tokio::test]
async fn versions_say_whether_they_are_valid_and_until_when() {
    let house = House::new();
    let engine = house.open(true).await;
    let body = json!({"username": "app", "rotation_grace": "5m"});
    engine.write_static("app", body).await.unwrap();
    let found = async |place| {
        let found = engine
            .static_roles
            .credential(&db(), &name("app"), place)
            .await;
        found.unwrap()
    };
    // One password at a time: the former one is over at once.
    engine.rotate_static("app").await.unwrap();
    let (current, previous) = (found(Place::Current).await, found(Place::Previous).await);
    assert_eq!((current.standing, current.expires), (Standing::Valid, None));
    assert_eq!(previous.standing, Standing::Ended);
    assert_eq!(previous.expires, Some(current.made_at));
    assert_eq!(previous.ttl, Duration::ZERO);
    assert!(previous.warnings[0].contains("not valid any more"));

    // Two at a time: until its grace is over.
    house.upstream.lock().unwrap().two_at_once = true;
    engine.rotate_static("app").await.unwrap();
    let previous = found(Place::Previous).await;
    assert_eq!(previous.standing, Standing::Ending);
    let end = found(Place::Current)
        .await
        .made_at
        .plus(Duration::from_secs(300));
    assert_eq!(previous.expires, Some(end));
    assert!(previous.warnings.is_empty());
    house.clock.advance(Duration::from_secs(301));
    engine.settled_at(3).await;
    let previous = found(Place::Previous).await;
    assert_eq!(previous.standing, Standing::Ended);
    assert!(previous.expires >= Some(end));
}

#[tokio::test]
async fn a_kept_credential_is_valid_until_the_next_rotation_and_ended_before_it() {
    let heard = Heard::from_here();
    let house = House::new();
    let engine = house.open(true).await;
    house.upstream.lock().unwrap().two_at_once = true;
    let body = json!({"username": "app", "rotation_period": "1h", "keep": 2});
    engine.write_static("app", body).await.unwrap();
    let first = engine.shown(Place::Current).await;
    house.clock.advance(Duration::from_secs(3601));
    engine.settled_at(2).await;
    // The operator's own had no version here, and was ended after its grace.
    assert_eq!(house.upstream.lock().unwrap().ended, ["former"]);
    let previous = engine
        .static_roles
        .credential(&db(), &name("app"), Place::Previous)
        .await;
    let previous = previous.unwrap();
    assert_eq!(engine.shown(Place::Previous).await, first);
    assert_eq!(previous.standing, Standing::Valid);
    assert_eq!(previous.expires, engine.view().await.next);
    assert!(!house.upstream.lock().unwrap().ended.contains(&first));

    house.clock.advance(Duration::from_secs(3601));
    engine.settled_at(3).await;
    assert!(house.upstream.lock().unwrap().ended.contains(&first));
    // By hand, and once the role goes, too.
    let second = engine.shown(Place::Previous).await;
    engine.rotate_static("app").await.unwrap();
    assert!(house.upstream.lock().unwrap().ended.contains(&second));
    let third = engine.shown(Place::Previous).await;
    house.script(&[Step::FailBefore]);
    let stays = engine.static_roles.remove(&db(), &name("app"), false).await;
    assert!(stays.unwrap_err().to_string().contains("force=true"));
    engine
        .static_roles
        .remove(&db(), &name("app"), false)
        .await
        .unwrap();
    assert!(house.upstream.lock().unwrap().ended.contains(&third));
    assert!(heard.count("static_role.former_due") > 0);
}

/// An unmount forgot it, and upstream took it for ever.
#[tokio::test]
async fn a_former_credential_is_ended_also_where_its_mount_goes() {
    for keep in [1, 2] {
        let house = House::new();
        let engine = house.open(true).await;
        house.upstream.lock().unwrap().two_at_once = true;
        let body = json!({"username": "app", "keep": keep});
        engine.write_static("app", body).await.unwrap();
        engine.mounts.remove(&db()).await.unwrap();
        house.clock.advance(Duration::from_secs(61));
        while house.upstream.lock().unwrap().ended != ["former"] {
            tokio::task::yield_now().await;
        }
        while !engine.mounts.every().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}
