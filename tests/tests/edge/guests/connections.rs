//! Guests that hold on to connections, take those of others, and leave
//! something upstream behind.

use std::{net::TcpListener, thread};

use lessor_tests::{server::Server, wait::eventually_true};
use serde_json::json;

use super::{
    guest,
    row::row,
    stage::{GIVEN_UP_SECONDS, Stage, audited, note},
    upstream::Upstream,
};

#[test]
fn connections_end_with_their_call_and_belong_to_their_mount() {
    let upstream = Upstream::lines(TcpListener::bind("127.0.0.1:0").unwrap());
    let web = Upstream::http("200 OK\r\ncontent-length: 0", 0);
    let grants = [upstream.grant("tcp"), web.grant("http")];
    let stage = Stage::start(Server::setup(), "", &grants);
    let told = |act: &str| json!({"act": act, "target": "127.0.0.1", "number": upstream.port()});
    // A connection that another mount parked with the host, and finds again at the end.
    stage.mount("other", "misbehaving", &grants);
    stage.role("other", "park", &told("park"));
    assert_eq!(note(&stage.create("other", "park").ok()), "found: false");

    let at = |guest| row(guest).target("127.0.0.1").number(upstream.port());
    #[rustfmt::skip]
    stage.play(&[
        at(guest::CONNECTION_NEVER_CLOSED).notes(&["forgotten"]),
        at(guest::THOUSAND_CONNECTIONS).fails("limit_connections", &["32 connections", "(setting `sandbox.connections`)"]).costly(),
        row(guest::THOUSAND_REQUESTS).target(web.url()).fails("limit_connections", &["32 connections"]).costly(),
        at(guest::SILENT_UPSTREAM).fails("timeout", &["timeout of 1 s"]).costly(),
        row(guest::UNPARK_OF_ANOTHER_MOUNT).notes(&["found: false"]),
        row(guest::FORGED_HANDLE).number(1_u64).fails("trap", &["unknown handle index 1"]),
        at(guest::TRAP_IN_CREATE).principals().fails("trap", &["crashed"]).logged(&["the principal is made"]),
    ]);
    eventually_true("all connections but the parked one are closed", || {
        upstream.open() == 1 && web.open() == 0
    });
    // Every crash was followed by a revocation, which upstream heard of.
    assert!(upstream.principals().is_empty());
    let audit = stage.server.audit();
    let is_end =
        |line: &&str| line.contains("revoked a lease") && line.contains(guest::TRAP_IN_CREATE);
    assert!(audit.lines().any(|line| is_end(&line)));

    // Upstream had sent more on the connection, so the host does not hand it out again.
    let unfinished = guest::PARK_AN_UNFINISHED_CONNECTION;
    stage.role("bad", unfinished, &told(unfinished));
    for _ in 0..2 {
        let before = upstream.answered();
        assert_eq!(note(&stage.create("bad", unfinished).ok()), "found: false");
        eventually_true("upstream has answered", || upstream.answered() > before);
    }
    assert_eq!(note(&stage.create("other", "park").ok()), "found: true");
    stage.good_call().unwrap();
}

/// The host gives up and upstream goes on: the credential that it makes is found and ended.
#[test]
fn a_principal_that_is_made_after_the_deadline_is_ended() {
    let upstream = Upstream::lines(TcpListener::bind("127.0.0.1:0").unwrap());
    let stage = Stage::start(Server::setup(), "", &[upstream.grant("tcp")]);
    let late = guest::ANSWER_AFTER_THE_DEADLINE;
    let role = json!({
        "act": late, "target": "127.0.0.1", "number": upstream.port(), "principals": true,
    });
    stage.role("bad", late, &role);
    let sentence = stage.create("bad", late).refused(502);
    assert!(sentence.ends_with("(timeout)"), "{sentence}");
    stage.good_call().unwrap();
    assert_eq!(upstream.principals().len(), 1);
    upstream.release();
    eventually_true("upstream has answered, to nobody", || upstream.open() == 0);
    stage.server.advance_clock(GIVEN_UP_SECONDS);
    eventually_true("what was made is ended", || {
        upstream.principals().is_empty()
    });
    stage.server.await_no_leases("bad/creds");
    let audit = stage.server.audit();
    assert!(
        audit
            .lines()
            .any(|line| line.contains("revoked a lease") && line.contains(late))
    );
    stage.good_call().unwrap();
}

/// Mounts of a provider hang: the next mount of it finds a slot as long as there is one,
/// waits in vain where there is none, and another provider is served meanwhile.
#[test]
fn a_provider_that_hangs_leaves_room_for_others() {
    let upstream = Upstream::lines(TcpListener::bind("127.0.0.1:0").unwrap());
    let stage = Stage::start_with(Server::setup(), "calls = 16\nplugin_calls = 4", &[]);
    stage.mount_table_bomb();
    stage.role("table", guest::TABLE_BOMB, &json!({}));
    let silent = guest::SILENT_UPSTREAM;
    let role = json!({"act": silent, "target": "127.0.0.1", "number": upstream.port()});
    for mount in ["first", "second", "third"] {
        stage.mount(mount, "misbehaving", &[upstream.grant("tcp")]);
        stage.role(mount, silent, &role);
        let tune = json!({"timeout": "8s"});
        let path = format!("sys/mounts/{mount}/tune");
        stage.server.http.post(&path, &tune).ok();
    }
    stage.role("bad", "well", &json!({"act": "behave"}));
    thread::scope(|scope| {
        // The third of the first mount waits: it would leave too few for the others.
        let mut hanging: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| stage.create("first", silent)))
            .collect();
        eventually_true("half of the slots are taken", || upstream.open() == 2);
        assert_eq!(note(&stage.create("bad", "well")), "behaved");
        for (mount, open) in [("second", 3), ("third", 4)] {
            let stage = &stage;
            hanging.push(scope.spawn(move || stage.create(mount, silent)));
            eventually_true("one more hangs", || upstream.open() == open);
        }
        let sentence = stage.create("table", guest::TABLE_BOMB).refused(502);
        assert!(sentence.ends_with("(limit_table)"), "{sentence}");
        let sentence = stage.create("bad", "well").refused(502);
        let says = "as it may: 4, and one mount takes at most half of them \
                    (setting `sandbox.plugin_calls`) (limit_plugin_calls)";
        assert!(sentence.ends_with(says), "{sentence}");
        let lines = stage.server.audit();
        let told = lines.lines().rev().collect::<Vec<_>>().join("\n");
        let request = audited(&told, "bad/creds/well").unwrap();
        assert_eq!(request["response"]["errors"][0], sentence);
        let all_wait = hanging.iter().all(|call| !call.is_finished());
        assert!(all_wait, "they waited all along");
        let ends: Vec<_> = hanging
            .into_iter()
            .map(|call| call.join().unwrap().refused(502))
            .collect();
        let hung = ends.iter().filter(|end| end.ends_with("(timeout)"));
        assert!(hung.count() >= 4, "{ends:?}");
    });
    stage.good_call().unwrap();
}
