//! Six lives of a server that two callers lease from and revoke at while the payload is
//! rotated. Each is killed while a request to the webhook is under way, at a place that nobody
//! chose; the webhook does what it was asked for all the same, after the death or before it.

use std::{collections::BTreeSet, sync::Mutex, thread};

use lessor_tests::{http::Http, wait::eventually_true};
use serde_json::{Value, json};

use super::{Leased, Stage};

/// When a call of a dead process can no longer take effect; see `crashes`.
const GIVEN_UP_SECONDS: u64 = 600;

/// The seed of the places at which the server is killed. Any number does.
const SEED: u32 = 20;

/// The lives of a server in one test.
const LIVES: u32 = 6;

/// Whether the webhook knows calls again, and the payload is rotated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    KnowsCalls,
    KnowsNone,
}

#[test]
fn no_credential_and_no_payload_is_lost_whenever_the_server_is_killed() {
    let (stage, story) = after_the_kills(Habit::KnowsCalls);
    eventually_true(
        &format!("{story}: the webhook has what leases hold"),
        || held(&stage).is_some_and(|held| held == ids(&stage)),
    );
    stage.server.http.delete("sys/mounts/hook").ok();
    eventually_true("everything is ended", || stage.webhook.ids().is_empty());
}

/// A webhook that knows no call again cannot say what it made. So whatever it has besides the
/// credentials of leases is shown as something that may be there.
#[test]
fn no_orphan_is_unseen_at_a_webhook_that_knows_no_call_again() {
    let (stage, story) = after_the_kills(Habit::KnowsNone);
    let shown = stage
        .server
        .leases("hook/creds")
        .into_iter()
        .filter(|lease| {
            let view = stage.lookup(lease);
            view["state"] == "out-of-sync"
                && view["last_error"]
                    .as_str()
                    .is_some_and(|error| error.contains("possible"))
        });
    let shown = shown.count();
    let held = certain(&stage);
    let there = ids(&stage);
    assert!(held.is_subset(&there), "{story}: {held:?} {there:?}");
    let left = there.difference(&held).count();
    assert!(
        left <= shown,
        "{story}: {left} are left, and {shown} are shown"
    );
}

/// The stage after its lives. What was handed over in any of them is still there.
fn after_the_kills(habit: Habit) -> (Stage, String) {
    let knows = habit == Habit::KnowsCalls;
    let mut stage = match knows {
        true => Stage::with(&json!({"idempotency_header": "Idempotency-Key"})),
        false => Stage::start(),
    };
    if knows {
        let known = json!({"idempotency": "Idempotency-Key"});
        stage.webhook.control(&known);
    }
    let role = json!({"default_ttl": "12h"});
    stage.server.http.post("hook/roles/app", &role).ok();
    let handed = Mutex::new(BTreeSet::<String>::new());
    let (mut seed, mut passed, mut story) = (SEED, 0, String::new());
    for life in 0..LIVES {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let place = 1 + (seed >> 16) % 20;
        let when = ["before", "after"][life as usize % 2];
        story = format!("life {life}, {when} request {place}");
        stage
            .webhook
            .control(&json!({"hold": {"left": place, "when": when}}));
        thread::scope(|scope| {
            for _ in 0..2 {
                let http = stage.server.http.clone();
                scope.spawn(|| until_death(http, &handed));
            }
            if knows {
                let http = stage.server.http.clone();
                scope.spawn(move || {
                    let _ = http.try_send("POST", "hook/rotate-root", &[], None);
                });
            }
            stage.webhook.await_held();
            stage.server.kill();
        });
        stage.webhook.control(&json!({"hold": null}));
        stage.server.restart();
        passed += GIVEN_UP_SECONDS;
        stage.server.advance_clock(passed);
        settled(&stage, knows, &story);
        let there = ids(&stage);
        let handed = handed.lock().unwrap();
        assert!(handed.is_subset(&there), "{story}: {handed:?} {there:?}");
        // The payload that is known is the one that the webhook takes.
        let leased = stage.issue();
        stage.revoke(&leased.lease).ok();
    }
    (stage, story)
}

/// Waits until nothing is under way.
fn settled(stage: &Stage, knows: bool, story: &str) {
    eventually_true(&format!("{story}: nothing is under way"), || {
        let states = stage.server.http.get("sys/leases/count").data();
        let states = states["states"].as_object().cloned().unwrap_or_default();
        let rests = |state: &String| state == "active" || !knows && state == "out-of-sync";
        states.keys().all(rests)
            && stage.server.http.get("hook/config").data()["rotation"].is_null()
    });
}

/// Leases, and gives every second one back, until nobody answers.
fn until_death(http: Http, handed: &Mutex<BTreeSet<String>>) {
    let headers = [("Content-Type", "application/json")];
    for count in 0.. {
        let Ok(answer) = http.try_send("POST", "hook/creds/app", &headers, Some(b"{}")) else {
            return;
        };
        // A payload that is being replaced may be refused.
        if answer.status != 200 {
            continue;
        }
        let leased = Leased::of(&answer);
        if count % 2 == 0 {
            handed.lock().unwrap().insert(leased.username);
            continue;
        }
        let body = json!({"lease_id": leased.lease}).to_string();
        let revoke = "sys/leases/revoke";
        if http
            .try_send("PUT", revoke, &headers, Some(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}

fn ids(stage: &Stage) -> BTreeSet<String> {
    stage.webhook.ids().into_iter().collect()
}

/// The ids of active leases.
fn certain(stage: &Stage) -> BTreeSet<String> {
    let views = stage.server.leases("hook/creds").into_iter();
    let views = views.map(|lease| stage.lookup(&lease));
    views
        .filter(|view| view["state"] == "active")
        .filter_map(|view| id_of(&view))
        .collect()
}

/// The ids of all leases, once all are active.
fn held(stage: &Stage) -> Option<BTreeSet<String>> {
    let views = stage.server.leases("hook/creds").into_iter();
    let views: Vec<Value> = views.map(|lease| stage.lookup(&lease)).collect();
    let settled = views.iter().all(|view| view["state"] == "active");
    settled.then(|| views.iter().filter_map(id_of).collect())
}

fn id_of(view: &Value) -> Option<String> {
    view["credential_id"].as_str().map(str::to_owned)
}
