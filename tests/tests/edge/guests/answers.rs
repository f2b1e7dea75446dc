//! Guests whose answer is too long, or does not fit their schema.

use lessor_tests::server::Server;
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
