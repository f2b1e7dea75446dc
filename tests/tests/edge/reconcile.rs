//! PostgreSQL's roles compared with the leases: orphans and vanished credentials are found,
//! nothing else is taken for one, and only named orphans are ended.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use lessor_tests::{
    fixture::{Fixture, Lease},
    http::Answer,
    server::{Server, binary},
};
use serde_json::{Value, json};

/// A role as the provider makes it, without a lease: one that a crash of some
/// other kind, or a restored backup, left behind.
fn orphan(fixture: &Fixture, name: &str) {
    marked(fixture, name, "db");
}

fn marked(fixture: &Fixture, name: &str, mount: &str) {
    let operation = "0".repeat(26);
    fixture.postgres.sql(&format!(
        "create role {name} login password 'x'; grant harness_readers to {name}; \
         comment on role {name} is 'lessor:{mount}:{operation}'"
    ));
}

fn dry_run(fixture: &Fixture) -> Value {
    fixture.server.http.post("db/reconcile", &json!({})).data()
}

fn revoke(fixture: &Fixture, ids: &[&str]) -> Answer {
    let body = json!({"dry_run": false, "revoke": ids});
    fixture.server.http.post("db/reconcile", &body)
}

#[test]
fn an_orphan_is_listed_and_ended_only_where_it_is_named() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    orphan(&fixture, "orphan_one");
    orphan(&fixture, "orphan_two");
    // Roles of others: of another mount, of a mount whose path begins alike, and of no lessor
    // at all.
    marked(&fixture, "stranger_other", "other");
    marked(&fixture, "stranger_alike", "db:x");
    fixture.postgres.sql("create role stranger_plain login");
    let before = fixture.postgres.leased_roles();

    let found = dry_run(&fixture);
    assert_eq!(found["dry_run"], true);
    assert_eq!(found["upstream_count"], 3);
    assert_eq!(found["lease_count"], 1);
    assert_eq!(found["orphan_count"], 2);
    assert_eq!(found["orphans"], json!(["orphan_one", "orphan_two"]));
    assert_eq!(found["vanished_count"], 0);
    assert_eq!(found["undecided_count"], 0);
    assert_eq!(found["revoked"], json!([]));

    // Bad requests change nothing.
    for (body, says) in [
        (json!({"dry_run": false}), "revoke is required"),
        (
            json!({"dry_run": false, "revoke": []}),
            "revoke is required",
        ),
        (json!({"revoke": ["orphan_one"]}), "dry_run"),
        (json!({"dry_run": "perhaps"}), "dry_run"),
        (json!({"dry_run": false, "revoke": [1]}), "revoke"),
        (
            json!({"dry_run": false, "revoke": ["orphan_one", lease.username]}),
            lease.username.as_str(),
        ),
        (
            json!({"dry_run": false, "revoke": ["orphan_one", "stranger_other"]}),
            "stranger_other",
        ),
    ] {
        let sentence = fixture.server.http.post("db/reconcile", &body).refused(400);
        assert!(sentence.contains(says), "{body}: {sentence}");
    }
    // A misspelt field is warned of and has no effect: nothing is ended.
    let misspelt = json!({"dry_rum": false});
    let answer = fixture.server.http.post("db/reconcile", &misspelt).ok();
    let answer = answer.json();
    assert_eq!(answer["data"]["dry_run"], true);
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("dry_run"), "{warnings}");
    assert_eq!(fixture.postgres.leased_roles(), before);
    assert!(fixture.works(&lease));

    let ended = revoke(&fixture, &["orphan_one"]).data();
    assert_eq!(ended["revoked"], json!(["orphan_one"]));
    assert_eq!(ended["failed"], json!([]));
    let mut left = before;
    left.remove("orphan_one");
    assert_eq!(fixture.postgres.leased_roles(), left);
    assert!(fixture.works(&lease));
    assert_eq!(dry_run(&fixture)["orphans"], json!(["orphan_two"]));
    let audit = fixture.server.audit();
    assert!(audit.contains("revoked an orphan") && audit.contains("orphan_one"));
}

#[test]
fn more_orphans_than_one_answer_names_are_counted_in_full() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    // Over two pages of the provider's inventory, and more than an answer names.
    fixture.postgres.sql(
        "do $$ begin for i in 1..1005 loop \
           execute format('create role orphan_%s', lpad(i::text, 4, '0')); \
           execute format('comment on role orphan_%s is %L', lpad(i::text, 4, '0'), \
             'lessor:db:' || lpad(i::text, 26, '0')); \
         end loop; end $$",
    );
    let found = dry_run(&fixture);
    assert_eq!(found["upstream_count"], 1006);
    assert_eq!(found["orphan_count"], 1005);
    let named: Vec<&str> = found["orphans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!(named.len(), 1000);
    assert_eq!(named[0], "orphan_0001");
    assert!(!named.contains(&lease.username.as_str()));
}

#[test]
fn a_lease_whose_role_is_gone_is_reported_and_can_be_revoked() {
    let fixture = Fixture::start();
    let (kept, lost) = (fixture.issue("reader"), fixture.issue("reader"));
    let drop = format!("drop owned by \"{0}\"; drop role \"{0}\"", lost.username);
    fixture.postgres.sql(&drop);
    let found = dry_run(&fixture);
    assert_eq!(found["vanished_count"], 1);
    assert_eq!(
        found["vanished"],
        json!([{"lease_id": lost.id, "credential_id": lost.username}])
    );
    assert_eq!(found["orphan_count"], 0);
    // Only reported: the lease stands until its end or until somebody ends it.
    fixture.server.lookup(&lost.id).ok();
    assert_eq!(fixture.revoke(&lost).status, 204);
    fixture.await_exactly(&[kept]);
    assert_eq!(dry_run(&fixture)["vanished_count"], 0);
}

/// Leases come and go as fast as they can, and not one of them is ever taken for
/// an orphan or for vanished.
#[test]
fn what_is_being_made_or_ended_is_neither_orphan_nor_vanished() {
    let fixture = Fixture::start();
    orphan(&fixture, "orphan_real");
    let stop = AtomicBool::new(false);
    let turns = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let answer = fixture.server.http.get("db/creds/reader");
                    let lease = Lease::of(&answer);
                    fixture.revoke(&lease).ok();
                }
            });
        }
        let mut wrong = Vec::new();
        for _ in 0..40 {
            let found = dry_run(&fixture);
            // While the first credentials of a mount are being made, the real orphan may first
            // count as undecided; no other role is ever reported.
            let told = found["orphan_count"].as_u64().unwrap()
                + found["undecided_count"].as_u64().unwrap();
            let real = found["orphans"] == json!(["orphan_real"]) || found["orphan_count"] == 0;
            if told != 1 || !real || found["vanished_count"] != 0 {
                wrong.push(found);
            }
        }
        stop.store(true, Ordering::Relaxed);
        wrong
    });
    assert_eq!(turns, Vec::<Value>::new());
    assert_eq!(dry_run(&fixture)["orphans"], json!(["orphan_real"]));
}

#[test]
fn a_role_that_a_crash_left_in_the_making_is_no_orphan() {
    let mut fixture = Fixture::with_fault("issue.after_create");
    let http = fixture.server.http.clone();
    http.post_to_the_death("db/creds/reader", &json!({}));
    fixture.server.await_death();
    fixture.server.restart();
    // Its call might still take effect, so the lease is not revoked yet.
    assert_eq!(fixture.postgres.leased_roles().len(), 1);
    let found = dry_run(&fixture);
    assert_eq!(found["upstream_count"], 1);
    assert_eq!(found["lease_count"], 1);
    assert_eq!(found["orphan_count"], 0);
    assert_eq!(found["undecided_count"], 0);
}

/// As long as a former mount at a path has leases, the next mount there has another name
/// upstream: so it sees only its own roles.
#[test]
fn leases_of_an_unmounted_mount_are_no_orphans_of_the_next_at_its_path() {
    let mut fixture = Fixture::start();
    let lease = fixture.issue("reader");
    // The former mount can no longer log in, so its leases stay.
    fixture.postgres.sql(&format!(
        "alter role {} password 'changed'; select pg_terminate_backend(pid) \
         from pg_stat_activity where usename = '{0}'",
        fixture.root.username
    ));
    fixture.server.http.delete("sys/mounts/db").ok();
    fixture.root.password = "changed".to_owned();
    fixture.mount("db").ok();
    fixture.configure("db").ok();
    fixture.write_role("reader", &json!({})).ok();
    let own = fixture.issue("reader");
    let found = dry_run(&fixture);
    assert_eq!(found["upstream_count"], 1, "{found}");
    assert_eq!(found["lease_count"], 1);
    assert_eq!(found["orphans"], json!([]));
    assert!(
        revoke(&fixture, &[&lease.username])
            .refused(400)
            .contains("no orphan")
    );
    assert!(fixture.works(&lease) && fixture.works(&own));
}

#[test]
fn a_provider_without_an_inventory_is_said_to_have_none() {
    let server = Server::start();
    let body = json!({"type": "certificate"});
    server.http.post("sys/mounts/pki", &body).ok();
    let sentence = server.http.post("pki/reconcile", &json!({})).refused(501);
    assert!(sentence.contains("pki"), "{sentence}");
    assert_eq!(server.http.get("pki/reconcile").status, 405);
    let stranger = server.http.without_token();
    stranger.post("pki/reconcile", &json!({})).refused(403);
}

#[test]
fn the_command_line_lists_and_revokes() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    orphan(&fixture, "orphan_one");
    orphan(&fixture, "orphan_two");
    let lessor = |line: &str, input: Stdio| {
        let server = &fixture.server;
        Command::new(binary())
            .args(line.split_whitespace())
            .env("LESSOR_ADDR", server.http.base())
            .env("LESSOR_TOKEN", server.http.token())
            .stdin(input)
            .output()
            .expect("run lessor")
    };
    let listed = lessor("reconcile db", Stdio::null());
    let (out, err) = (
        String::from_utf8(listed.stdout).unwrap(),
        String::from_utf8(listed.stderr).unwrap(),
    );
    assert!(listed.status.success(), "{err}");
    assert!(
        out.contains("orphan_one") && out.contains("orphan_two"),
        "{out}"
    );
    assert!(!out.contains(&lease.username), "{out}");
    assert!(err.contains("2 orphans, 0 vanished"), "{err}");

    let ids = fixture.server.data().join("../ids");
    std::fs::write(&ids, "orphan_one\norphan_two\n").unwrap();
    let line = format!("reconcile db --revoke @{}", ids.display());
    let ended = lessor(&line, Stdio::null());
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(
        fixture.postgres.leased_roles(),
        BTreeSet::from([lease.username])
    );
    let refused = lessor("reconcile db --revoke orphan_one", Stdio::null());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no orphan"));
}
