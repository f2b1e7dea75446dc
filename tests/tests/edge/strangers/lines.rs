//! Audit lines of refused strangers.

use lessor_tests::server::Server;
use serde_json::json;

use super::{lines, post};

/// Refusals of one peer that have a line of their own in a minute, as
/// docs/operations.md has it.
const LINES: usize = 60;

#[test]
fn refusals_of_a_stranger_are_counted_where_they_are_too_many_for_lines() {
    let mut server = Server::start();
    let stranger = server.http.without_token();
    let refused = |path: &str| {
        lines(&server, "request")
            .iter()
            .filter(|line| line["path"] == path)
            .count()
    };
    for _ in 0..LINES + 40 {
        stranger.get("nowhere/creds/x").refused(403);
    }
    assert_eq!(refused("nowhere/creds/x"), LINES);
    // A line says that others are left out, before the first is.
    let begun = lines(&server, "leaving-out");
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0]["remote_address"], "127.0.0.1");
    // Requests with a token have their lines, and so has everything that is handed out.
    for _ in 0..10 {
        server.http.get("nowhere/creds/y").refused(404);
    }
    assert_eq!(refused("nowhere/creds/y"), 10);

    server.advance_clock(61);
    stranger.get("nowhere/creds/z").refused(403);
    assert_eq!(refused("nowhere/creds/z"), 1);
    let counts = lines(&server, "left-out");
    assert_eq!(counts.len(), 1);
    assert_eq!(counts[0]["count"], 40);
    assert_eq!(counts[0]["by_status"], json!({"403": 40}));
    assert_eq!(counts[0]["remote_address"], "127.0.0.1");

    // A server that ends writes down its counts.
    for _ in 0..LINES {
        stranger.get("nowhere/creds/z").refused(403);
    }
    assert_eq!(lines(&server, "left-out").len(), 1);
    assert!(server.stop().success());
    let counts = lines(&server, "left-out");
    assert_eq!(counts.len(), 2);
    assert_eq!(counts[1]["count"], 1);
}

/// A log line for each refusal would fill the disk as an audit line does.
#[test]
fn the_log_of_a_flood_is_no_longer_than_its_audit() {
    let server = Server::start();
    let stranger = server.http.without_token();
    for _ in 0..LINES + 200 {
        post(&stranger, "sys/wrapping/lookup", "{\"token\": \"x\"}").refused(400);
    }
    let said = server.log();
    let refusals = said
        .lines()
        .filter(|line| line.contains("refused a request"))
        .count();
    assert!((1..=LINES).contains(&refusals), "{refusals}");
}
