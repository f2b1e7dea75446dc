//! Guests that make the host hold memory for them, and upstreams that help. That memory is
//! counted, freed with the call, and bounded over all calls.

use std::thread;

use lessor_tests::server::Server;
use serde_json::json;

use super::{
    guest,
    row::row,
    stage::{Stage, metric},
    upstream::Upstream,
};

/// The bytes that the host may hold for one call, and for all.
const HELD: u64 = 2 << 20;
const HELD_BY_ALL: u64 = 8 << 20;

#[test]
fn what_the_host_holds_for_a_call_is_bounded_and_ends_with_it() {
    let flooding = Upstream::endless("", "HTTP/1.1 100 Continue\r\n\r\n");
    let wordy = Upstream::endless("HTTP/1.1 200 OK\r\n", "x-more: of it\r\n");
    let long = Upstream::http("200 OK\r\ncontent-length: 4000000", 4_000_000);
    let deaf = Upstream::deaf();
    let grants = [
        flooding.grant("http"),
        wordy.grant("http"),
        long.grant("http"),
        deaf.grant("tcp"),
    ];
    let settings = format!("held = {HELD}\nheld_by_all = {HELD_BY_ALL}");
    let stage = Stage::start(Server::setup(), &settings, &grants);
    let held = ["2097152 bytes", "(setting `sandbox.held`)"];
    let handles = ["256 streams", "(setting `sandbox.handles`)"];
    let authority = long.grant("http").replace("http://", "");
    #[rustfmt::skip]
    stage.play(&[
        row(guest::UNSENT_BODIES).fails("limit_held", &held),
        row(guest::LONG_HEADERS).fails("limit_held", &held),
        row(guest::LONG_METHODS).fails("limit_held", &held),
        row(guest::UNUSED_POLLABLES).fails("limit_handles", &handles),
        row(guest::POLL_ONE_THING_OFTEN).fails("limit_handles", &handles),
        row(guest::INTERIM_RESPONSES).target(flooding.url()).fails("limit_head", &["65536 bytes"]),
        row(guest::LONG_HEAD).target(wordy.url()).fails("limit_head", &["65536 bytes"]),
        row(guest::UNREAD_RESPONSES).target(authority).number(8_u64).notes(&["8 unread"]),
        row(guest::WRITE_TO_A_DEAF_UPSTREAM).target("127.0.0.1").number(deaf.port()).fails("timeout", &["timeout of 1 s"]).costly(),
    ]);
    deaf.release();

    // The guest or the host may be computing when the time is over.
    let verify = json!({"act": guest::VERIFY_AT_LENGTH, "number": 1_500_000});
    stage.role("bad", "verify", &verify);
    let before = stage.rest();
    let sentence = stage.create("bad", "verify").refused(502);
    let ends = ["(timeout)", "(limit_cpu)"];
    assert!(sentence.contains("timeout of 1 s"), "{sentence}");
    assert!(ends.iter().any(|end| sentence.contains(end)), "{sentence}");
    stage.is_at_rest(before);

    // As many calls as possible hoard at once: all of them together have one limit.
    stage.role("bad", "hoard", &json!({"act": guest::UNSENT_BODIES}));
    let before = stage.rest();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let sentence = stage.create("bad", "hoard").refused(502);
                let code = ["(limit_held)", "(limit_held_by_all)"];
                assert!(
                    code.iter().any(|code| sentence.ends_with(code)),
                    "{sentence}"
                );
            });
        }
    });
    let metrics = stage.metrics();
    let peak = metric(&metrics, "lessor_provider_held_peak_bytes");
    assert!((HELD / 2..=HELD_BY_ALL).contains(&peak), "{peak}");
    let most = metric(&metrics, "lessor_provider_held_limit_bytes");
    assert_eq!(most, HELD_BY_ALL);
    let limits = metrics.lines().filter(|line| {
        line.starts_with("lessor_provider_limits_total{") && line.contains("limit=\"held\"")
    });
    assert_eq!(limits.count(), 1);
    stage.is_at_rest(before);
}

/// A failure that a guest makes up cannot be taken for the host's, nor fill the metrics
/// with names.
#[test]
fn a_guest_speaks_for_itself_alone() {
    let stage = Stage::start(Server::setup(), "", &[]);
    for (role, code, given) in [
        ("plain", "28P01", "28P01"),
        ("limit", "limit_a3f9", "unnamed"),
        ("memory", "limit_memory", "unnamed"),
        ("trap", "trap", "unnamed"),
        ("timeout", "timeout", "unnamed"),
        ("grant", "grant_missing", "unnamed"),
    ] {
        stage.role(
            "bad",
            role,
            &json!({"act": guest::FORGED_CODE, "target": code}),
        );
        let answer = stage.create("bad", role);
        let sentence = answer.clone().refused(answer.status);
        assert_eq!(sentence, format!("not the host ({given})"));
    }
    let metrics = stage.metrics();
    assert!(!metrics.contains("a3f9"), "{metrics}");
    let labels = metrics
        .lines()
        .filter(|line| line.starts_with("lessor_provider_limits_total{"));
    assert_eq!(labels.count(), 0);
}
