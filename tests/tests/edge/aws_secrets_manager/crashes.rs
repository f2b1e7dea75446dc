//! `kill -9` at every point of a rotation, and again while that is recovered from.
//! Afterwards AWS has exactly one root, which works, and secrets are read with it.

use lessor_tests::{
    fixture::{GIVEN_UP_SECONDS, GRACE_SECONDS},
    moto::{Moto, everything},
    server::Server,
    wait::eventually_true,
};
use serde_json::json;

use super::Vault;

/// The points, and where the recovery dies once more.
const CRASHES: [(&str, &str); 11] = [
    ("issue.after_intent", ""),
    ("issue.after_create", ""),
    ("rotate.after_open", ""),
    ("rotate.after_provider", ""),
    ("rotate.after_staged", ""),
    ("rotate.after_proven", ""),
    ("rotate.after_promoted", ""),
    ("rotate.after_retired", ""),
    ("rotate.after_provider", "rotate.after_provider"),
    ("rotate.after_staged", "rotate.after_proven"),
    ("rotate.after_promoted", "rotate.after_retired"),
];

#[test]
fn no_root_that_reads_secrets_is_lost_whatever_the_point_of_the_crash() {
    let mut moto = Moto::start();
    moto.user("lessor", &everything());
    let secret = json!({"Name": "db", "SecretString": "hunter2"});
    moto.by(&moto.admin, "secretsmanager", "create_secret", secret)
        .unwrap();
    for (point, again) in CRASHES {
        moto = crash(moto, point, again);
    }
}

fn crash(moto: Moto, point: &str, again: &str) -> Moto {
    let story = format!("{point} {again}");
    let root = moto.only_key("lessor");
    let mut vault = Vault::on(moto, root, Server::setup().fault(point));
    vault.role("db", &json!({"key": "db"})).ok();
    let http = vault.server.http.clone();
    let rotates = point.starts_with("rotate.");
    if rotates {
        assert_eq!(vault.read("db", &json!({}))["value"], "hunter2", "{story}");
        // The process may die in the scheduler, after the answer.
        let headers = [("Content-Type", "application/json")];
        let _ = http.try_send("POST", "asm/rotate-root", &headers, Some(b"{}"));
    } else {
        http.post_to_the_death("asm/creds/db", &json!({}));
    }
    let mut passed = 0;
    if point == "rotate.after_retired" {
        passed += GRACE_SECONDS;
        vault.server.advance_clock_to_the_death(passed);
    }
    vault.server.await_death();
    if !again.is_empty() {
        passed += GIVEN_UP_SECONDS + GRACE_SECONDS;
        vault.server.restart_with_fault(again);
        // The server dies while it recovers, perhaps before it can answer this.
        vault.server.advance_clock_to_the_death(passed);
        vault.server.await_death();
    }
    vault.server.restart();
    vault.server.advance_clock(passed + GIVEN_UP_SECONDS);

    one_root_is_left(&vault, &story);
    let rotated = vault.moto.keys("lessor") != [vault.root.access_key.clone()];
    assert_eq!(rotated, rotates, "{story}");
    eventually_true(&format!("{story}: no lease is in between"), || {
        let states = vault.server.http.get("sys/leases/count").data();
        let states = states["states"].as_object().cloned().unwrap_or_default();
        states.keys().all(|state| state == "active")
    });
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2", "{story}");
    vault.server.http.delete("sys/mounts/asm").ok();
    vault.server.kill();
    vault.moto
}

/// Waits until no rotation is under way, and only the root in use is left.
fn one_root_is_left(vault: &Vault, story: &str) {
    let view = || vault.server.http.get("asm/config").data();
    eventually_true(&format!("{story}: no rotation is open"), || {
        view()["rotation"].is_null()
    });
    // A former root is ended once its grace is over.
    vault.server.advance_clock(GRACE_SECONDS);
    eventually_true(&format!("{story}: one root is left"), || {
        view()["ending"] == json!([]) && vault.moto.keys("lessor").len() == 1
    });
    let in_use = view()["config"]["access_key"].clone();
    assert_eq!(json!(vault.moto.keys("lessor")), json!([in_use]), "{story}");
}
