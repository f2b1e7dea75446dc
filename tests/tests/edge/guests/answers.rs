//! Guests whose answer is too long, or does not fit their schema.

use lessor_tests::{server::Server, wait::eventually};
use serde_json::json;

use super::{
    guest,
    row::row,
    stage::{ROOT, Stage, audited},
};

#[test]
fn an_answer_that_is_wrong_or_too_long_is_refused_and_names_what_is_wrong() {
    let stage = Stage::start(Server::setup(), "", &[]);
    let copies = &["4194304 bytes", "(setting `sandbox.copies`)"];
    #[rustfmt::skip]
    stage.play(&[
        row(guest::HUGE_STRING).fails("limit_copies", copies).costly(),
        row(guest::MILLION_FIELDS).fails("limit_copies", copies).costly(),
        row(guest::LONG_ANSWER).fails("limit_output", &["1048576 bytes", "(setting `sandbox.output`)"]),
        row(guest::LONG_FAILURE).fails("limit_output", &["1048576 bytes", "(setting `sandbox.output`)"]),
        row(guest::INVALID_UTF8).fails("trap", &["broke its contract", "utf-8"]),
        row(guest::INVALID_JSON).fails("credential", &["credential-schema is not JSON"]),
        row(guest::DEEP_JSON).fails("credential", &["nested deeper than 32 levels"]),
        row(guest::CREDENTIAL_THAT_IS_NO_OBJECT).fails("credential", &["JSON object"]),
        row(guest::PROPERTY_MISSING).fails("credential", &["\"password\""]),
        row(guest::PROPERTY_OF_THE_WRONG_TYPE).fails("credential", &["at /password"]),
        row(guest::EMPTY_ID).fails("credential_id", &["is empty"]),
        row(guest::LONG_ID).fails("credential_id", &["longer than 512 bytes"]),
        row(guest::ID_WITH_CONTROL_CHARACTERS).fails("credential_id", &["control characters"]),
        row(guest::LONG_METADATA).fails("metadata", &["longer than 65536 bytes"]),
        row(guest::ALREADY_EXPIRED).fails("credential_expired", &["already expired"]),
    ]);

    // A list that only the inventory gives, so that it has no role.
    let http = &stage.server.http;
    let list = guest::MILLION_ELEMENT_LIST;
    stage.mount(list, "misbehaving", &[]);
    let config = json!({"root": ROOT, "inventory": 1_000_000});
    http.post(&format!("{list}/config"), &config).ok();
    let path = format!("{list}/reconcile");
    let sentence = http.post(&path, &json!({})).refused(502);
    for part in copies.iter().chain(&["(limit_copies)"]) {
        assert!(sentence.contains(part), "{sentence}");
    }
    let request = audited(&stage.server.audit(), &path).unwrap();
    assert_eq!(request["response"]["errors"][0], sentence);
    stage.good_call().unwrap();
}

/// BT-17, BT-18: whoever asks sees when upstream honours a credential, or has the answer
/// wait for it.
#[test]
fn a_credential_that_takes_effect_later_says_when_or_comes_later() {
    let stage = Stage::start(Server::setup(), "", &[]);
    let role = |seconds: u64| stage.role("bad", "late", &json!({"act": "late", "number": seconds}));
    role(3600);
    let answer = stage.create("bad", "late").ok().json();
    let effective = answer["metadata"]["effective_after"].as_str().unwrap();
    let warned = answer["warnings"].to_string();
    assert!(warned.contains(effective), "{answer}");
    // A task tells it with the credential.
    let by_task = json!({"async": true});
    let begun = stage
        .server
        .http
        .post("bad/creds/late", &by_task)
        .ok()
        .json();
    let task = format!("sys/tasks/{}", begun["data"]["task_id"].as_str().unwrap());
    let done = eventually("the task is done", || {
        let shown = stage.server.http.get(&task).ok().json();
        (shown["data"]["state"] == "succeeded").then_some(shown)
    });
    assert!(done["metadata"]["effective_after"].is_string(), "{done}");
    // A call of this mount may take a second: what takes longer is told.
    let waiting = json!({"wait": true});
    let answer = stage
        .server
        .http
        .post("bad/creds/late", &waiting)
        .ok()
        .json();
    assert!(
        answer["warnings"]
            .to_string()
            .contains("`timeout` of the mount"),
        "{answer}"
    );
    // The clock counts from the beginning of the request, so that this one is in time.
    stage
        .server
        .http
        .post("sys/mounts/bad/tune", &json!({"timeout": "20s"}))
        .ok();
    role(1);
    let answer = stage
        .server
        .http
        .post("bad/creds/late", &waiting)
        .ok()
        .json();
    assert_eq!(
        answer["metadata"]["effective_after"],
        json!(null),
        "{answer}"
    );
    role(0);
    let answer = stage.create("bad", "late").ok().json();
    assert_eq!(answer["metadata"]["effective_after"], json!(null));
    assert_eq!(answer["warnings"], json!(null));
}
