//! Guests that hand secrets to whoever listens, and those that talk too much.

use lessor_tests::server::Server;
use serde_json::json;

use super::{
    guest,
    row::row,
    stage::{Stage, note, without_secrets},
};

/// What a call may say here, so that a flood is a short one.
const EVENTS: u64 = 20;
const BYTES: u64 = 8192;

#[test]
fn no_secret_and_no_flood_leaves_by_what_a_guest_says() {
    let settings = format!("log_events = {EVENTS}\nlog_bytes = {BYTES}");
    let stage = Stage::start(Server::setup(), &settings, &[]);
    #[rustfmt::skip]
    stage.play(&[
        row(guest::SECRET_IN_THE_FAILURE).fails("bad_login", &["upstream refused **** as root"]),
        row(guest::SECRET_IN_THE_ID).fails("credential_id", &["holds a secret that the provider"]),
        row(guest::ROOT_IN_THE_ID).fails("credential_id", &["holds a secret that the provider"]),
        row(guest::SECRET_IN_METADATA),
        row(guest::SECRET_IN_THE_LOG).logged(&["root **** next line", "password=****", "key=****"]),
        row(guest::SECRET_IN_A_PANIC).fails("trap", &["crashed", "in the host's log"]).logged(&["could not log in as ****"]),
        row(guest::SECRET_ON_STANDARD_OUTPUT).logged(&["printed ****", "complained about ****"]),
        row(guest::SECRET_AS_BASE64).logged(&["basic=****"]),
        row(guest::SECRET_AS_BASE64_URL).logged(&["payload=****"]),
        row(guest::SECRET_AS_HEX).logged(&["lower=**** upper=****"]),
        row(guest::SECRET_AS_URL).logged(&["url=**** form=****", "json={"]),
        row(guest::SECRET_CUT_BY_THE_CAP).number(BYTES).drops("limit_log_bytes", "stdout", BYTES),
        row(guest::LOG_FLOOD).number(EVENTS + 980).drops("limit_log_events", "log", EVENTS).audited(&["\"dropped\":980"]).logged(&["flood 19"]),
        row(guest::LINE_FLOOD).number(EVENTS + 980).drops("limit_log_events", "stdout", EVENTS).audited(&["\"dropped\":980", "stdout"]).logged(&["row-19"]),
        row(guest::LONG_LOG_EVENT).drops("limit_log_bytes", "log", BYTES).audited(&["\"dropped\":1,"]),
        row(guest::MANY_SECRETS).logged(&["****"]).costly(),
        row(guest::STDOUT_FLOOD).number(100_u64).drops("limit_log_bytes", "stdout", BYTES),
    ]);

    // What the host keeps of a credential for all to see.
    let lease = stage.create("bad", guest::SECRET_IN_METADATA).ok().json();
    let shown = stage.server.lookup(lease["lease_id"].as_str().unwrap());
    without_secrets("lease", &shown.text()).unwrap();
    let metadata = shown.data()["metadata"].take();
    assert_eq!(metadata, json!({"note": "**** and ****", "kept": "plain"}));

    // Too many secrets to look for, so that nothing is shown.
    let lease = stage.create("bad", guest::MANY_SECRETS).ok().json();
    let shown = stage.server.lookup(lease["lease_id"].as_str().unwrap());
    assert_eq!(shown.data()["metadata"], json!({"****": "****"}));
    assert!(!stage.server.log().contains("unsearchable"));

    // What is derived is a secret, too.
    let derived = note(&stage.create("bad", guest::SECRET_IN_THE_LOG));
    assert_eq!(derived.len(), 32);
    assert!(!stage.server.log().contains(&derived));

    let flood = stage.server.log();
    assert!(!flood.contains(&format!("flood {EVENTS}")));
    assert!(!flood.contains(&format!("row-{EVENTS}")));
}
