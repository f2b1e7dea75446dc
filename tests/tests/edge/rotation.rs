//! The root credential is renewed and never lost.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use lessor_tests::fixture::{Fixture, Lease};
use serde_json::json;

#[test]
fn rotation_ends_the_first_root_password_and_leases_go_on() {
    let fixture = Fixture::start();
    let before = fixture.issue("reader");
    for path in ["db/config/rotate-root", "db/rotate-root"] {
        fixture.server.http.post(path, &json!({})).ok();
        let root = &fixture.root;
        assert!(!fixture.postgres.accepts(&root.username, &root.password));
        let after = fixture.issue("reader");
        assert!(fixture.works(&after));
        fixture.revoke(&after).ok();
    }
    // A lease made with the former root is revoked with the present one.
    fixture.revoke(&before).ok();
    fixture.await_exactly(&[]);
    assert_eq!(fixture.config_view()["version"], json!(3));
}

#[test]
fn rotation_at_configuration_leaves_only_the_server_with_the_password() {
    let fixture = Fixture::start();
    fixture.mount("fresh").ok();
    let mut config = fixture.config();
    config["rotate_on_config"] = json!(true);
    fixture.server.http.post("fresh/config", &config).ok();
    lessor_tests::wait::eventually_true("the given password has ended", || {
        let root = &fixture.root;
        !fixture.postgres.accepts(&root.username, &root.password)
    });
    fixture
        .server
        .http
        .post(
            "fresh/roles/reader",
            &json!({"member_of": ["harness_readers"]}),
        )
        .ok();
    let lease = Lease::of(&fixture.server.http.get("fresh/creds/reader"));
    assert!(fixture.works(&lease));
}

#[test]
fn rotation_comes_round_by_its_period() {
    let fixture = Fixture::start();
    let mut config = fixture.config();
    config["rotation_period"] = json!("24h");
    fixture.server.http.post("db/config", &config).ok();
    let root = &fixture.root;
    assert!(fixture.postgres.accepts(&root.username, &root.password));
    let version = fixture.config_view()["version"].as_u64().unwrap();

    fixture.server.advance_clock(24 * 3600 + 1);
    lessor_tests::wait::eventually_true("the period's rotation is done", || {
        fixture.config_view()["version"].as_u64().unwrap() == version + 1
    });
    assert!(!fixture.postgres.accepts(&root.username, &root.password));
    fixture.issue("reader");
}

/// OpenBao 2.6.2 loses the root credential in this very case: its rotation
/// changes the password upstream and stores it in two steps that others see.
#[test]
fn rotation_under_load_fails_no_issue_and_never_loses_the_root() {
    const ISSUERS: usize = 16;
    const ROTATORS: usize = 4;
    const ROTATIONS: usize = 20;
    let fixture = Fixture::start();
    let issued: Mutex<Vec<Lease>> = Mutex::default();
    let (rotating, rotated) = (AtomicBool::new(true), AtomicUsize::new(0));

    thread::scope(|scope| {
        for _ in 0..ISSUERS {
            scope.spawn(|| {
                let mut round = 0;
                while round < 5 || rotating.load(Ordering::SeqCst) {
                    let lease = fixture.issue("reader");
                    assert!(fixture.works(&lease), "{lease:?} does not log in");
                    issued.lock().unwrap().push(lease);
                    round += 1;
                }
            });
        }
        let rotators: Vec<_> = (0..ROTATORS)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..ROTATIONS {
                        let answer = fixture
                            .server
                            .http
                            .post("db/config/rotate-root", &json!({}));
                        match answer.status {
                            200..300 => {
                                rotated.fetch_add(1, Ordering::SeqCst);
                            }
                            // One rotation at a time: the other caller's is under way.
                            409 => {}
                            _ => panic!("a rotation failed: {answer:?}"),
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<_> = rotators
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        rotating.store(false, Ordering::SeqCst);
        for end in ended {
            end.expect("a rotator failed");
        }
    });

    let rotated = rotated.into_inner();
    assert!(rotated >= ROTATIONS, "only {rotated} rotations were made");
    let issued = issued.into_inner().unwrap();
    let root = &fixture.root;
    assert!(!fixture.postgres.accepts(&root.username, &root.password));
    for lease in issued.iter().step_by(10) {
        assert!(fixture.works(lease), "{lease:?} no longer logs in");
    }
    fixture.await_exactly(&issued);
    fixture.issue("reader");
    println!("{} leases under {rotated} rotations", issued.len());
}
