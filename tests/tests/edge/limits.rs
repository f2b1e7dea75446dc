//! Bounds: how many leases a role or mount may have, how many connections stay
//! open, how long a call may take.

use std::{collections::BTreeSet, net::TcpListener, thread};

use lessor_tests::{fixture::Fixture, http::Answer, server::Server, wait::eventually_true};
use serde_json::json;

#[track_caller]
fn is_full(answer: Answer, named: &str) {
    assert!(answer.retry_after.is_some(), "{answer:?}");
    let sentence = answer.refused(429);
    assert!(sentence.contains("max_leases"), "{sentence}");
    assert!(sentence.contains(named), "{sentence}");
}

#[test]
fn a_full_role_or_mount_refuses_and_makes_nothing_until_a_lease_ends() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    fixture.write_role("reader", &json!({"max_leases": 2})).ok();
    let mut leases = vec![fixture.issue("reader"), fixture.issue("reader")];
    is_full(http.get("db/creds/reader"), "reader");
    fixture.await_exactly(&leases);
    fixture.revoke(&leases.remove(0)).ok();
    leases.push(fixture.issue("reader"));

    fixture.write_role("other", &json!({})).ok();
    http.post("sys/mounts/db/tune", &json!({"max_leases": 3}))
        .ok();
    leases.push(fixture.issue("other"));
    is_full(http.get("db/creds/other"), "db");
    fixture.await_exactly(&leases);
}

/// Two callers who see room for one lease must not both get one.
#[test]
fn a_cap_holds_under_simultaneous_issues() {
    let fixture = Fixture::start();
    fixture.write_role("reader", &json!({"max_leases": 5})).ok();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let issues: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| fixture.server.http.get("db/creds/reader")))
            .collect();
        issues
            .into_iter()
            .map(|issue| issue.join().unwrap())
            .collect()
    });
    let statuses: BTreeSet<u16> = answers.iter().map(|answer| answer.status).collect();
    let granted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((granted, statuses), (5, BTreeSet::from([200, 429])));
    assert_eq!(fixture.postgres.leased_roles().len(), 5);
    assert_eq!(fixture.server.leases("db/creds").len(), 5);
}

#[test]
fn connections_are_kept_for_later_calls_and_no_more_than_eight() {
    let fixture = Fixture::start();
    let sessions = || {
        let root = &fixture.root.username;
        let sql = format!("select pid from pg_stat_activity where usename = '{root}'");
        let pids = fixture.postgres.sql(&sql);
        pids.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    fixture.issue("reader");
    let first = sessions();
    assert!(!first.is_empty(), "the connection is kept");
    fixture.issue("reader");
    assert!(!first.is_disjoint(&sessions()), "and used again");

    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| fixture.issue("reader"));
        }
    });
    eventually_true("at most eight are kept", || sessions().len() <= 8);

    // A new root credential has no use for sessions of the former one.
    let before = sessions();
    fixture
        .server
        .http
        .post("db/config/rotate-root", &json!({}))
        .ok();
    fixture.issue("reader");
    eventually_true("sessions of the former root end", || {
        before.is_disjoint(&sessions())
    });
}

/// An upstream that takes the connection and then says nothing.
#[test]
fn a_silent_upstream_costs_the_timeout_of_its_mount_and_harms_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::start();
    let grant = format!("tcp://127.0.0.1:{port}");
    server
        .http
        .post(
            "sys/mounts/silent",
            &json!({"type": "postgres", "config": {"allowed_hosts": [grant], "timeout": "2s"}}),
        )
        .ok();
    let config = json!({
        "host": "127.0.0.1", "port": port, "username": "x", "password": "y", "sslmode": "disable",
    });
    thread::scope(|scope| {
        let silent = scope.spawn(|| server.http.post("silent/config", &config));
        server
            .http
            .post("sys/mounts/ca", &json!({"type": "certificate"}))
            .ok();
        server.http.get("sys/mounts").ok();
        let answer = silent.join().unwrap();
        let sentence = answer.refused(502);
        assert!(sentence.contains("timeout of 2 s"), "{sentence}");
    });
    server.http.get("silent/config").nothing_here();
}
