//! `kill -9` at every fault point there is, and again during the recovery. Afterwards the same
//! three things always hold: upstream has exactly the credentials of the leases that exist,
//! exactly one root works and is known, and no lease that somebody was given is missing.

use std::{collections::BTreeSet, fs, path::Path};

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS, Lease},
    postgres::{Postgres, Root},
    server::{Server, workspace},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// The points in the order in which an operation reaches them. A point that is added to the
/// program must be added here: the first test compares.
const CHAINS: [&[&str]; 9] = [
    &[
        "issue.before_intent",
        "issue.after_intent",
        "issue.after_create",
        "issue.after_commit",
    ],
    &["renew.after_provider", "renew.after_commit"],
    &[
        "revoke.after_mark",
        "revoke.after_provider",
        "revoke.after_commit",
    ],
    &[
        "rotate.after_open",
        "rotate.after_provider",
        "rotate.after_staged",
        "rotate.after_proven",
        "rotate.after_promoted",
    ],
    &[
        "rotate-account.after_open",
        "rotate-account.after_provider",
        "rotate-account.after_stored",
    ],
    &[
        "task.after_queued",
        "task.after_claimed",
        "task.after_work",
        "task.after_finished",
    ],
    &["cascade.after_role", "cascade.after_mount"],
    &["revoke-prefix.after_order"],
    &["config.after_settled", "config.after_replaced"],
];

/// Points that only an upstream with several root tokens reaches: `root_ends` has them.
const ELSEWHERE: [&str; 2] = ["rotate.after_retired", "rotate.after_undone"];

#[test]
fn every_fault_point_of_the_program_is_in_the_table() {
    let mut found = BTreeSet::new();
    collect(&workspace().join("host/src"), &mut found);
    let known = CHAINS
        .concat()
        .into_iter()
        .chain(ELSEWHERE)
        .chain(crate::initialisation::POINTS)
        .chain(crate::remount::POINTS);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(found, known);
}

/// The names in `fault::point("…")` below a directory.
fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for rest in text.split("fault::point(\"").skip(1) {
                found.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
}

#[test]
fn nothing_is_lost_whatever_the_point_of_the_crash() {
    let mut postgres = Postgres::start();
    prepare(&postgres);
    for point in CHAINS.concat() {
        postgres = crash(postgres, point, &[]);
    }
}

#[test]
fn nothing_is_lost_where_the_recovery_crashes_too() {
    let mut postgres = Postgres::start();
    prepare(&postgres);
    for (first, second) in recoveries() {
        postgres = crash(postgres, first, &[second]);
    }
}

/// Pairs of a point at which the server crashed, and a point that its recovery passes.
fn recoveries() -> Vec<(&'static str, &'static str)> {
    let mut pairs = Vec::new();
    for lost in ["issue.after_intent", "issue.after_create"] {
        for revoked in ["revoke.after_provider", "revoke.after_commit"] {
            pairs.push((lost, revoked));
        }
    }
    for (mark, chain) in [("revoke.after_mark", 2), ("rotate.after_open", 3)] {
        let points = CHAINS[chain];
        pairs.extend(points[1..].iter().map(|point| (mark, *point)));
    }
    // Work that was not committed is done once more.
    for again in [
        "revoke.after_provider",
        "rotate.after_provider",
        "rotate-account.after_provider",
        "task.after_claimed",
        "task.after_work",
    ] {
        pairs.push((again, again));
    }
    pairs.push(("rotate.after_provider", "rotate.after_staged"));
    pairs.push(("rotate.after_staged", "rotate.after_proven"));
    pairs.push(("rotate.after_proven", "rotate.after_promoted"));
    pairs.push(("rotate-account.after_open", "rotate-account.after_provider"));
    pairs.push((
        "rotate-account.after_provider",
        "rotate-account.after_stored",
    ));
    pairs.push(("task.after_queued", "issue.after_create"));
    pairs.push(("task.after_claimed", "task.after_finished"));
    pairs.push(("cascade.after_role", "revoke.after_provider"));
    pairs.push(("cascade.after_mount", "revoke.after_provider"));
    pairs.push(("revoke-prefix.after_order", "revoke.after_provider"));
    pairs
}

fn prepare(postgres: &Postgres) {
    postgres.sql(
        "create table harness_table (value text); create role harness_readers; \
         grant select on harness_table to harness_readers",
    );
}

/// One life of the server: it dies at `point` during that point's operation, each restart but
/// the last dies at the next point of `again`, and then the three things must hold.
fn crash(postgres: Postgres, point: &str, again: &[&str]) -> Postgres {
    let story = format!("{point} {again:?}");
    let root = fresh_root(&postgres);
    let setup = Server::setup().fault(point);
    let mut fixture = Fixture::on(postgres, setup, root);
    let kept = begin(&fixture, point);
    fixture.server.await_death();
    // Each life has a fresh clock, which must pass the moments that the former life, whose
    // clock was moved, has stored.
    let mut passed = 0;
    for next in again {
        passed += GIVEN_UP_SECONDS;
        fixture.server.restart_with_fault(next);
        // The server dies while it recovers, perhaps before it can answer this.
        fixture.server.advance_clock_to_the_death(passed);
        fixture.server.await_death();
    }
    fixture.server.restart();
    fixture.server.advance_clock(passed + GIVEN_UP_SECONDS);
    settled(&fixture, &story);

    for lease in &kept {
        assert!(fixture.works(lease), "{story}: {lease:?}");
        assert_eq!(
            fixture.server.lookup(&lease.id).data()["state"],
            json!("active"),
            "{story}"
        );
    }
    one_root_works(&fixture, point, &story);
    if point.starts_with("rotate-account") {
        let shown = fixture.server.http.get("db/static-creds/app").data();
        let password = shown["password"].as_str().unwrap();
        assert!(fixture.postgres.accepts("harness_app", password), "{story}");
    }

    let http = &fixture.server.http;
    http.delete("sys/mounts/db");
    eventually_true(&format!("{story}: upstream is empty again"), || {
        fixture.postgres.leased_roles().is_empty()
    });
    fixture.server.kill();
    fixture
        .postgres
        .sql("drop role if exists harness_app; drop role harness_root");
    let Fixture { postgres, .. } = fixture;
    postgres
}

fn fresh_root(postgres: &Postgres) -> Root {
    let root = Root {
        username: "harness_root".into(),
        password: "first-password".into(),
    };
    postgres.sql(&format!(
        "create role {} login superuser password '{}'",
        root.username, root.password
    ));
    root
}

/// Starts the operation that dies at `point`; returns the leases that were handed out before.
fn begin(fixture: &Fixture, point: &str) -> Vec<Lease> {
    let http = &fixture.server.http;
    let (operation, _) = point.split_once('.').unwrap();
    match operation {
        "issue" => {
            http.post_to_the_death("db/creds/reader", &json!({}));
            vec![]
        }
        "renew" => {
            let lease = fixture.issue("reader");
            let body = json!({"lease_id": lease.id, "increment": 7200});
            http.post_to_the_death("sys/leases/renew", &body);
            vec![lease]
        }
        "revoke" => {
            let (gone, kept) = (fixture.issue("reader"), fixture.issue("reader"));
            http.post_to_the_death("sys/leases/revoke", &json!({"lease_id": gone.id}));
            vec![kept]
        }
        "rotate" => {
            let kept = fixture.issue("reader");
            http.post_to_the_death("db/rotate-root", &json!({}));
            vec![kept]
        }
        "rotate-account" => {
            let kept = fixture.issue("reader");
            fixture
                .postgres
                .sql("create role harness_app login password 'former'");
            let body = json!({"username": "harness_app", "manual": true});
            http.post_to_the_death("db/static-roles/app", &body);
            vec![kept]
        }
        "task" => {
            let kept = fixture.issue("reader");
            // The request may be answered before the worker dies.
            let _ = http.try_send(
                "POST",
                "db/creds/reader",
                &[("Content-Type", "application/json")],
                Some(b"{\"async\": true}"),
            );
            vec![kept]
        }
        "revoke-prefix" => {
            fixture.write_role("other", &json!({})).ok();
            let (kept, _gone) = (fixture.issue("reader"), fixture.issue("other"));
            let died = http.try_send("PUT", "sys/leases/revoke-prefix/db/creds/other", &[], None);
            assert!(died.is_err(), "{died:?}");
            vec![kept]
        }
        "config" => {
            let kept = fixture.issue("reader");
            let died = match point {
                "config.after_settled" => {
                    http.try_send("DELETE", "db/config?force=true", &[], None)
                }
                _ => http.try_send(
                    "POST",
                    "db/config",
                    &[("Content-Type", "application/json")],
                    Some(fixture.config().to_string().as_bytes()),
                ),
            };
            assert!(died.is_err(), "{died:?}");
            vec![kept]
        }
        "cascade" => {
            fixture.write_role("other", &json!({})).ok();
            let (kept, _gone) = (fixture.issue("reader"), fixture.issue("other"));
            let path = match point {
                "cascade.after_role" => "db/roles/other?revoke=true",
                _ => "sys/mounts/db",
            };
            let died = http.try_send("DELETE", path, &[], None);
            assert!(died.is_err(), "{died:?}");
            match point {
                "cascade.after_role" => vec![kept],
                _ => vec![],
            }
        }
        other => panic!("no operation reaches {other}"),
    }
}

/// Waits until nothing is under way, and upstream has exactly the credentials of the leases.
fn settled(fixture: &Fixture, story: &str) {
    eventually_true(&format!("{story}: upstream has the leases' roles"), || {
        let states = fixture.server.http.get("sys/leases/count").data();
        let tasks = fixture.server.http.list("sys/tasks").json();
        let open = tasks.to_string();
        let idle = states["states"]
            .as_object()
            .is_some_and(|states| states.keys().all(|state| state == "active"))
            && !open.contains("\"queued\"")
            && !open.contains("\"processing\"");
        idle && fixture.postgres.leased_roles() == leased(fixture)
    });
}

/// The upstream names of all leases.
fn leased(fixture: &Fixture) -> BTreeSet<String> {
    let ids = fixture.server.leases("db/creds");
    let names = ids.iter().map(|id| {
        let answer = fixture.server.lookup(id);
        let view: Value = answer.json();
        view["data"]["credential_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    names.collect()
}

/// The root that is known works, and is the only one.
fn one_root_works(fixture: &Fixture, point: &str, story: &str) {
    if point == "cascade.after_mount" {
        return;
    }
    let http = &fixture.server.http;
    eventually_true(&format!("{story}: no rotation is open"), || {
        fixture.config_view()["rotation"].is_null()
    });
    let rotated = fixture.config_view()["version"] != json!(1);
    let root = &fixture.root;
    let former = fixture.postgres.accepts(&root.username, &root.password);
    if point.starts_with("config.") {
        assert!(former, "{story}: the root as written");
    } else {
        assert_eq!(former, !rotated, "{story}: the former root");
        assert_eq!(rotated, point.starts_with("rotate."), "{story}");
    }
    let lease = fixture.issue("reader");
    assert!(fixture.works(&lease), "{story}");
    http.post("db/rotate-root", &json!({})).ok();
    fixture.revoke(&lease).ok();
}
