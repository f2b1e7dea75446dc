//! The root credential of a webhook: a payload that the webhook alone can replace.

use lessor_tests::{wait::eventually_true, webhook::Webhook};
use serde_json::{Value, json};

use super::{HOUR, Stage};

/// The payloads that an endpoint was sent, as their passwords.
fn passwords(stage: &Stage, endpoint: &str) -> Vec<String> {
    let sent = stage.webhook.sent(endpoint);
    let password = |body: &Value| {
        let payload: Value = serde_json::from_str(body["payload"].as_str().unwrap()).unwrap();
        payload["password"].as_str().unwrap().to_owned()
    };
    sent.iter().map(password).collect()
}

/// AKL-18: what was leased by the old payload is ended by the new one.
#[test]
fn akl_06_18_a_rotation_replaces_the_payload_and_ends_former_leases_by_it() {
    let stage = Stage::start();
    let former = stage.issue();
    let http = &stage.server.http;
    http.post("hook/rotate-root", &json!({})).ok();
    assert_eq!(http.get("hook/config").data()["version"], 2);
    let state = stage.webhook.state();
    let new = state["password"].as_str().unwrap();
    assert_ne!(new, "first-root");
    stage.revoke(&former.lease).ok();
    stage.issue();
    assert_eq!(passwords(&stage, "rotate"), ["first-root"]);
    assert_eq!(passwords(&stage, "revoke"), [new]);
    // It was proven before it was used, by nobody's call.
    let proven = stage.webhook.sent("create");
    let proof = &proven[proven.len() - 2];
    assert_eq!(proof["client_info"]["access_id"], "p-custom");
    let told = stage.told() + &http.get("hook/config").text();
    for secret in ["first-root", new] {
        assert!(!told.contains(secret), "a payload was told");
    }
    // The members that the webhook does not change are as they were.
    let written: Value = serde_json::from_str(&Webhook::payload()).unwrap();
    let kept: Value = serde_json::from_str(proof["payload"].as_str().unwrap()).unwrap();
    assert_eq!(kept["user"], written["user"]);
}

#[test]
fn akl_06_a_payload_is_rotated_by_schedule() {
    let stage = Stage::with(&json!({"rotation_period": "24h"}));
    stage.server.advance_clock(25 * HOUR);
    eventually_true("it is rotated", || {
        stage.server.http.get("hook/config").data()["version"] == 2
    });
    stage.issue();
}

#[test]
fn akl_18_there_is_no_default_rotation_of_what_nobody_else_understands() {
    let stage = Stage::start();
    stage.webhook.control(&json!({"rotates": false}));
    let http = &stage.server.http;
    let refused = http.post("hook/rotate-root", &json!({})).text();
    for part in [
        "does not know what a payload means",
        "404",
        "rotate endpoint",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let none = json!({"rotate_path": ""});
    stage.webhook.configure(&stage.server, "hook", &none).ok();
    let refused = http.post("hook/rotate-root", &json!({})).text();
    assert!(refused.contains("`rotate_path`"), "{refused}");
    assert_eq!(stage.webhook.state()["password"], "first-root");
    stage.issue();
}

#[test]
fn a_rotation_that_went_wrong_says_what_the_webhook_may_hold() {
    for (act, says) in [
        ("plain-500", "may have replaced the payload"),
        ("not-json", "may have replaced the payload"),
        ("no-payload", "may have replaced the payload"),
        ("same-payload", "nothing was rotated"),
        ("error-200", "quota reached"),
        ("plain-400", "missing sub-claim team"),
    ] {
        let stage = Stage::start();
        stage.webhook.next("rotate", &[act]);
        let http = &stage.server.http;
        let refused = http.post("hook/rotate-root", &json!({}));
        assert!(refused.status >= 400, "{act}: {refused:?}");
        let text = refused.text() + &http.get("hook/config").text();
        assert!(text.contains(says), "{act}: {text}");
        assert!(!text.contains("first-root"), "{act}: {text}");
    }
    // Not a text, and perhaps the only copy: kept as its JSON.
    let stage = Stage::start();
    stage.webhook.next("rotate", &["object-payload"]);
    let http = &stage.server.http;
    http.post("hook/rotate-root", &json!({})).ok();
    stage.issue();
}

/// A webhook that knows a rotation by its header answers the same payload again.
#[test]
fn a_rotation_whose_answer_was_lost_is_asked_for_again() {
    let stage = Stage::with(&json!({"idempotency_header": "Idempotency-Key"}));
    let known = json!({"idempotency": "Idempotency-Key"});
    stage.webhook.control(&known);
    stage.webhook.next("rotate", &["lost"]);
    let http = &stage.server.http;
    let _ = http.post("hook/rotate-root", &json!({}));
    for _ in 0..3 {
        stage.server.advance_clock(HOUR);
    }
    eventually_true("the new payload is there", || {
        http.get("hook/config").data()["version"] == 2
    });
    stage.issue();
    assert_eq!(stage.webhook.sent("rotate").len(), 2);
}
