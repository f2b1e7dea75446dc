//! Answers that are lost or are none: each is one sentence, and what may be left at the webhook
//! is ended or named.

use lessor_tests::wait::{eventually, eventually_true};
use serde_json::{Value, json};

use super::{HOUR, Stage};

/// The lease that stands for what may have been made.
fn orphan(stage: &Stage) -> Value {
    eventually("the lease is out of sync", || {
        let ids = stage.server.leases("hook/creds");
        let lease = stage.lookup(ids.first()?);
        (lease["state"] == "out-of-sync").then_some(lease)
    })
}

/// Each answer of create: what is said, and whether something may be left.
#[test]
fn an_answer_that_cannot_be_leased_is_one_sentence_and_leaves_nothing_behind() {
    let stage = Stage::start();
    let http = &stage.server.http;
    for (act, says) in [
        ("plain-400", "answered 400: missing sub-claim team"),
        ("json-400", "answered 400: no such region"),
        ("echo-400", "bad payload, password ****"),
        ("slow-429", "answered 429: slow down"),
        ("redirect", "a redirect, and none is followed"),
        ("missing", "no such endpoint"),
        ("error-200", "with an error in it: quota reached"),
        ("empty", "it made nothing"),
        (
            "number-id",
            "`id` is a number, not a string; what it made was ended again",
        ),
        ("no-response", "no `response`; what it made was ended again"),
        ("secret-id", "taken for a secret"),
    ] {
        stage.webhook.next("create", &[act]);
        let refused = http.get("hook/creds/app");
        assert!((400..=599).contains(&refused.status), "{act}: {refused:?}");
        let body = refused.json();
        let sentences = body["errors"].as_array().unwrap();
        assert_eq!(sentences.len(), 1, "{act}: {body}");
        let sentence = sentences[0].as_str().unwrap();
        assert!(sentence.contains(says), "{act}: {sentence}");
        assert!(!sentence.contains("first-root"), "{act}: {sentence}");
        assert!(!sentence.contains('\n'), "{act}: {sentence}");
        // What may still land is looked for once it has landed.
        stage.server.advance_clock(HOUR);
        eventually_true(&format!("{act}: no lease is left"), || {
            stage.server.leases("hook/creds").is_empty()
        });
        // What `secret-id` answers is no id that the webhook knows, as it would be in life.
        if act != "secret-id" {
            assert_eq!(stage.webhook.ids(), Vec::<String>::new(), "{act}");
        }
    }
    let told = stage.told();
    assert!(!told.contains("first-root"), "a payload was told");
    // The same webhook goes on.
    stage.issue();
}

/// AKL-13's trap: create has no key by which the webhook would know it again.
#[test]
fn what_may_be_left_of_an_answer_that_was_lost_is_shown_until_an_operator_forgets_it() {
    for act in [
        "lost",
        "plain-500",
        "html-502",
        "not-json",
        "huge",
        "no-id",
        "list",
    ] {
        let stage = Stage::start();
        stage.webhook.next("create", &[act]);
        let refused = stage.server.http.get("hook/creds/app");
        assert!(refused.status >= 400, "{act}: {refused:?}");
        stage.server.advance_clock(HOUR);
        let lease = orphan(&stage);
        let error = lease["last_error"].as_str().unwrap();
        for part in ["possible_orphan", "role app", "in operation", "--force"] {
            assert!(error.contains(part), "{act}: {error}");
        }
        let made = stage.webhook.ids();
        assert_eq!(
            made.len(),
            usize::from(!["plain-500", "html-502"].contains(&act))
        );
        let id = stage.server.leases("hook/creds").remove(0);
        let operation = id.rsplit('/').next().unwrap();
        assert!(error.contains(operation), "{act}: {error}");

        let force = json!({"lease_id": id, "force": true, "reason": "ended by hand"});
        stage.server.http.put("sys/leases/revoke", &force).ok();
        assert_eq!(stage.server.leases("hook/creds"), Vec::<String>::new());
    }
}

#[test]
fn what_could_not_be_ended_again_is_named_and_ended_later() {
    let stage = Stage::start();
    stage.webhook.next("create", &["number-id"]);
    stage.webhook.next("revoke", &["plain-500"]);
    let refused = stage.server.http.get("hook/creds/app").text();
    assert!(
        refused.contains("may have left credential 1001"),
        "{refused}"
    );
    stage.server.advance_clock(HOUR);
    stage.server.await_no_leases("hook/creds");
    assert_eq!(stage.webhook.ids(), Vec::<String>::new());
}

#[test]
fn a_webhook_that_was_never_reached_leaves_nothing() {
    let mut stage = Stage::start();
    let elsewhere = json!({"url": "http://127.0.0.1:9", "dry_run": false});
    let granted = json!({"allowed_hosts": ["http://127.0.0.1:9"]});
    let http = &stage.server.http;
    http.post("sys/mounts/hook/tune", &granted).ok();
    stage
        .webhook
        .configure(&stage.server, "hook", &elsewhere)
        .ok();
    let refused = http.get("hook/creds/app").text();
    assert!(refused.contains("cannot be reached"), "{refused}");
    stage.server.advance_clock(HOUR);
    stage.server.await_no_leases("hook/creds");
    stage.server.stop();
}

#[test]
fn a_webhook_that_knows_its_calls_again_ends_what_was_lost() {
    let stage = Stage::with(&json!({"idempotency_header": "Idempotency-Key"}));
    let known = json!({"idempotency": "Idempotency-Key"});
    stage.webhook.control(&known);
    for act in ["lost", "not-json", "plain-500"] {
        stage.webhook.next("create", &[act]);
        let refused = stage.server.http.get("hook/creds/app");
        assert!(refused.status >= 400, "{act}: {refused:?}");
        stage.server.advance_clock(HOUR);
        stage.server.await_no_leases("hook/creds");
        assert_eq!(stage.webhook.ids(), Vec::<String>::new(), "{act}");
    }
    let state = stage.webhook.state();
    let requests = state["requests"].as_array().unwrap();
    let keys: Vec<&Value> = requests
        .iter()
        .filter(|request| !request["key"].is_null())
        .map(|request| &request["key"])
        .collect();
    // Each create and the revocation behind it have one key.
    assert_eq!(keys.len(), 6, "{keys:?}");
    for pair in keys.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

#[test]
fn what_is_wrong_with_a_config_is_said_before_anything_is_sent() {
    let stage = Stage::start();
    let before = stage.webhook.state()["requests"].as_array().unwrap().len();
    for (changes, says) in [
        (json!({"url": "hooks.example.com"}), "`url`"),
        (json!({"url": "https://a.example/x?y=1"}), "`url`"),
        (json!({"payload": {"password": "canary-x"}}), "payload"),
        (json!({"create_path": "sync/create"}), "`create_path`"),
        (json!({"caller_header": "two words"}), "`caller_header`"),
        (
            json!({"idempotency_header": "Authorization"}),
            "`idempotency_header`",
        ),
        (
            json!({"idempotency_header": "X", "caller_header": "x", "audience": "a"}),
            "two headers",
        ),
        (json!({"token_url": "https://a.example/t"}), "`client_id`"),
        (
            json!({"token_url": "https://a.example/t", "client_id": "a"}),
            "`client_secret` or `client_key`",
        ),
        (
            json!({"token_url": "https://a.example/t", "client_id": "a", "client_key": "canary-x"}),
            "private key",
        ),
        (json!({"client_id": "a"}), "`token_url`"),
        (
            json!({"token_url": "https://a.example/t", "authorization": "canary-x"}),
            "keep one of the two",
        ),
        (json!({"paylod": "canary-x"}), "paylod"),
    ] {
        let refused = stage.webhook.configure(&stage.server, "hook", &changes);
        let refused = refused.refused(400);
        assert!(refused.contains(says), "{changes}: {refused}");
        assert!(!refused.contains("canary-x"), "{refused}");
    }
    let after = stage.webhook.state()["requests"].as_array().unwrap().len();
    assert_eq!(before, after, "something was sent");
    stage.issue();
}
