//! Floods of logins, and those who log in meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use lessor_tests::server::Server;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

/// A hundred loops without a password kept everybody out: ten of ten got 429.
#[test]
fn whoever_exists_logs_in_beside_a_hundred_loops_that_do_not() {
    let server = Server::start();
    let http = &server.http;
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    http.post("auth/people/users/bob", &json!({"password": "right"}))
        .ok();
    let stranger = http.without_token();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..100 {
            let (stranger, over) = (&stranger, &over);
            scope.spawn(move || {
                let mut round = 0;
                while !over.load(Ordering::Relaxed) {
                    let path = format!("auth/people/login/x{number}-{}", round % 7);
                    let answer = stranger.post(&path, &json!({"password": "wrong"}));
                    assert!([400, 403, 429].contains(&answer.status), "{answer:?}");
                    round += 1;
                }
            });
        }
        let statuses: Vec<u16> = (0..10)
            .map(|_| {
                stranger
                    .post("auth/people/login/bob", &json!({"password": "right"}))
                    .status
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(statuses, [200; 10]);
    });
}

/// After failures an existing and a missing name answered differently.
#[test]
fn names_that_do_not_exist_answer_as_those_that_do() {
    let server = Server::start();
    let http = &server.http;
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    http.post("sys/auth/approle", &json!({"type": "approle"}))
        .ok();
    http.post("auth/people/users/bob", &json!({"password": "right"}))
        .ok();
    http.post("auth/approle/role/r", &json!({})).ok();
    http.post("auth/approle/role/r/role-id", &json!({"role_id": "known"}))
        .ok();
    let stranger = http.without_token();
    let answers = |path: &str, body: serde_json::Value| -> Vec<(u16, String)> {
        let answers = (0..8).map(|_| stranger.post(path, &body));
        answers
            .map(|answer| (answer.status, answer.json()["errors"].to_string()))
            .collect()
    };
    let password = json!({"password": "wrong"});
    let known = answers("auth/people/login/bob", password.clone());
    assert_eq!(known[4].0, 400);
    assert_eq!(known[5].0, 403);
    assert_eq!(answers("auth/people/login/nobody", password), known);
    let ids = |role: &str| json!({"role_id": role, "secret_id": "wrong"});
    let known = answers("auth/approle/login", ids("known"));
    assert_eq!(answers("auth/approle/login", ids("unknown")), known);
    let half = |role: &str| answers("auth/approle/login", json!({"role_id": role}))[0].clone();
    server.advance_clock(16 * 60);
    assert_eq!(half("known"), half("missing"));
}

/// A failed login of an existing name was written to the disk, and one of a missing name was
/// not: its answer came milliseconds sooner.
#[test]
fn a_failure_of_nobody_is_written_as_one_of_somebody_and_fills_nothing() {
    let server = Server::start();
    let http = &server.http;
    for kind in ["userpass", "approle"] {
        http.post(&format!("sys/auth/{kind}"), &json!({"type": kind}))
            .ok();
    }
    http.post("auth/userpass/users/bob", &json!({"password": "right"}))
        .ok();
    http.post("auth/approle/role/r", &json!({})).ok();
    http.post("auth/approle/role/r/role-id", &json!({"role_id": "bob"}))
        .ok();
    let file = server.data().join("lessor.db");
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let written = || -> Vec<(i64, String, i64)> {
        let sql = "SELECT mount_id, name, last_at FROM login_failures ORDER BY mount_id, name";
        let mut rows = database.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let stranger = http.without_token();
    let fail = |kind: &str, name: &str| {
        let answer = match kind {
            "userpass" => stranger.post(
                &format!("auth/userpass/login/{name}"),
                &json!({"password": "wrong"}),
            ),
            _ => stranger.post(
                "auth/approle/login",
                &json!({"role_id": name, "secret_id": "wrong"}),
            ),
        };
        assert_eq!(answer.status, 400, "{answer:?}");
    };
    for kind in ["userpass", "approle"] {
        for name in ["bob", "nobody", "bob", "nobody", "noone"] {
            let before = written();
            server.advance_clock(1);
            fail(kind, name);
            assert_ne!(written(), before, "{kind} {name}");
        }
        for number in 0..20 {
            fail(kind, &format!("x{number}"));
        }
    }
    let names: Vec<String> = written().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["", "bob", "", "bob"]);
    // The name belongs to no user, and no user is locked.
    let locked = http.get("sys/locked-users").data();
    assert_eq!(locked["total"], json!(0), "{locked}");
}
