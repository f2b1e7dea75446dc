//! Storage that fails: full, read-only, or with a row in it that cannot be read.
//! Acknowledged work stays, requests that cannot be carried out are refused, and everything
//! goes on by itself once the disk works.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS, Lease},
    http::Answer,
    server::Server,
    wait::{eventually, eventually_true},
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Sets a fault of the disk.
fn fault(server: &Server, wanted: &Value) {
    server.http.put("sys/test/storage", wanted).ok();
}

/// Issues until storage refuses; returns the credentials handed out before.
fn fill(fixture: &Fixture) -> Vec<Lease> {
    let mut leases = Vec::new();
    for _ in 0..5_000 {
        let answer = fixture.server.http.get("db/creds/reader");
        if answer.status == 503 {
            let sentence = answer.refused(503);
            assert!(sentence.contains("storage refuses writes"), "{sentence}");
            return leases;
        }
        leases.push(Lease::of(&answer));
    }
    panic!("storage took everything");
}

/// Everything that writes is refused with one sentence; everything that reads
/// answers.
fn refuses_writes_and_reads_on(fixture: &Fixture, lease: &Lease) {
    let http = &fixture.server.http;
    let writes = [
        http.get("db/creds/reader"),
        fixture.revoke(lease),
        fixture.renew(lease, 7200),
        http.put("sys/leases/revoke-prefix/db", &json!({})),
        fixture.write_role("other", &json!({})),
        fixture.configure("db"),
        http.post("db/config/rotate-root", &json!({})),
        fixture.mount("another"),
        http.delete("db/roles/reader"),
        http.delete("sys/mounts/db"),
    ];
    for answer in writes {
        let sentence = answer.refused(503);
        assert!(sentence.contains("storage refuses writes"), "{sentence}");
    }
    for read in [
        "db/config",
        "db/roles/reader",
        "sys/mounts",
        "sys/leases/count",
        "sys/health",
    ] {
        http.get(read).ok();
    }
    fixture.server.lookup(&lease.id).ok();
    http.post("db/reconcile", &json!({})).ok();
    assert!(fixture.server.leases("db/creds").contains(&lease.id));
    assert!(fixture.works(lease));
    http.get("db/roles/other").nothing_here();
    assert_eq!(fixture.config_view()["version"], 1);
}

#[test]
fn a_disk_that_takes_nothing_refuses_writes_and_loses_nothing() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    fault(&fixture.server, &json!({"writes": 0}));
    refuses_writes_and_reads_on(&fixture, &lease);
    fault(&fixture.server, &json!({}));
    fixture.await_exactly(std::slice::from_ref(&lease));
    fixture.renew(&lease, 7200).ok();
    fixture
        .server
        .http
        .post("db/config/rotate-root", &json!({}))
        .ok();
    let next = fixture.issue("reader");
    fixture.revoke(&lease).ok();
    fixture.await_exactly(&[next]);
}

/// The intent is stored, the credential made, and then the disk takes no more:
/// nobody gets it, and it is ended.
#[test]
fn a_credential_that_cannot_be_recorded_is_handed_to_nobody_and_ended() {
    let fixture = Fixture::start();
    let kept = fixture.issue("reader");
    fault(&fixture.server, &json!({"writes": 1}));
    let sentence = fixture.server.http.get("db/creds/reader").refused(503);
    assert!(sentence.contains("is revoked"), "{sentence}");
    assert_eq!(fixture.postgres.leased_roles().len(), 2);
    // While storage fails, the credential's end cannot begin, and stays due.
    fixture.server.advance_clock(GIVEN_UP_SECONDS);
    eventually_true("the scheduler has met the failing storage", || {
        fixture
            .server
            .log()
            .contains("the scheduler could not read or claim due work")
    });
    assert_eq!(fixture.postgres.leased_roles().len(), 2);
    fault(&fixture.server, &json!({}));
    fixture.server.advance_clock(60);
    fixture.await_exactly(&[kept]);
}

/// A task has done its work, and the disk takes no record of that: the outcome is recorded once
/// the disk works, without a restart.
#[test]
fn a_task_whose_end_cannot_be_recorded_ends_all_the_same() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    // The task, its claim, the intent, the lease; then nothing.
    fault(&fixture.server, &json!({"writes": 4}));
    let body = json!({"async": true});
    let answer = http.post("db/creds/reader", &body);
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.data()["task_id"].as_str().unwrap().to_owned();
    eventually_true("the end was tried", || {
        fixture
            .server
            .log()
            .contains("could not record how a task went")
    });
    fault(&fixture.server, &json!({}));
    let task = eventually("the task is over", || {
        let task = http.get(&format!("sys/tasks/{id}")).data();
        (task["state"] == "succeeded").then_some(task)
    });
    assert!(task.to_string().contains("password"), "{task}");
    assert_eq!(fixture.server.leases("db/creds").len(), 1);
    assert_eq!(fixture.postgres.leased_roles().len(), 1);
}

#[test]
fn a_task_that_cannot_be_read_is_set_aside_and_stops_no_other() {
    let mut fixture = Fixture::start();
    fixture.server.kill();
    damage(
        &fixture.server,
        &[
            "INSERT INTO tasks (id, kind, target, mount, requester, state, input, errors, created_at, deadline_at)
           VALUES (zeroblob(16), 'issue', 'db/creds/reader', 'db', 'no json', 'queued', x'00', '[]', 1, 1)",
        ],
    );
    fixture.server.restart();
    let http = &fixture.server.http;
    let answer = http.post("db/creds/reader", &json!({"async": true}));
    let id = answer.data()["task_id"].as_str().unwrap().to_owned();
    eventually_true("the task is over", || {
        http.get(&format!("sys/tasks/{id}")).data()["state"] == "succeeded"
    });
    let shown = http.get("sys/leases/quarantine").data();
    assert_eq!(shown["count"], 1, "{shown}");
    let reason = shown["leases"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("a task") && reason.contains("requester"),
        "{reason}"
    );
}

/// The credential is ended upstream, and the disk takes no record of that.
#[test]
fn a_revocation_that_cannot_be_recorded_is_done_again() {
    let fixture = Fixture::start();
    let (lease, kept) = (fixture.issue("reader"), fixture.issue("reader"));
    // The mark and the claim are one write; the second is the end.
    fault(&fixture.server, &json!({"writes": 1}));
    let answer = fixture.revoke(&lease);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(!fixture.works(&lease));
    assert_eq!(fixture.server.lookup(&lease.id).data()["state"], "revoking");
    fault(&fixture.server, &json!({}));
    fixture.server.advance_clock(600);
    fixture.await_exactly(&[kept]);
}

/// A rotation meets a failing disk at each of its steps in turn, upstream's
/// change among them; in the end there is one root credential, and it works.
#[test]
fn a_rotation_that_cannot_be_recorded_goes_on_and_loses_no_root() {
    for writes in 0..6 {
        let fixture = Fixture::start();
        let lease = fixture.issue("reader");
        fault(&fixture.server, &json!({"writes": writes}));
        let answer = fixture
            .server
            .http
            .post("db/config/rotate-root", &json!({}));
        assert!(matches!(answer.status, 200 | 503), "{writes}: {answer:?}");
        fault(&fixture.server, &json!({}));
        fixture.server.advance_clock(600);
        eventually_true("no rotation is open", || {
            fixture.config_view()["rotation"].is_null()
        });
        let version = fixture.config_view()["version"].as_u64().unwrap();
        if answer.status == 200 {
            assert_eq!(version, 2, "{writes}");
        }
        let next = fixture.issue("reader");
        fixture.await_exactly(&[lease, next]);
        fixture
            .server
            .http
            .post("db/config/rotate-root", &json!({}))
            .ok();
        assert_eq!(fixture.config_view()["version"], version + 1);
    }
}

#[test]
fn a_database_that_may_not_grow_refuses_and_goes_on_when_it_may() {
    let fixture = Fixture::start();
    let first = fixture.issue("reader");
    fault(&fixture.server, &json!({"max_pages": 1}));
    let mut handed_out = fill(&fixture);
    handed_out.push(first);
    for lease in &handed_out {
        fixture.server.lookup(&lease.id).ok();
        assert!(fixture.works(lease));
    }
    fault(&fixture.server, &json!({"max_pages": 0}));
    let after = fixture.issue("reader");
    handed_out.push(after);
    // Only the credential that was being made when the disk was full is ended.
    fixture.server.advance_clock(GIVEN_UP_SECONDS);
    fixture.await_exactly(&handed_out);
    fixture.server.advance_clock(3601);
    fixture.await_exactly(&[]);
}

/// A tmpfs of this test's own. Only root may mount one.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={kilobytes}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path)
            .output();
        match mounted {
            Ok(done) if done.status.success() => Some(Self {
                path: path.to_owned(),
            }),
            other => {
                eprintln!(
                    "left out: a real full disk, since this user may not mount one: {other:?}"
                );
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}

#[test]
fn a_disk_that_is_really_full_refuses_writes_and_loses_nothing() {
    // Until the server is gone: declared first, dropped last.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let Some(disk) = SmallDisk::mount(&path, 8192) else {
        return;
    };
    let argument = path.join("data").display().to_string();
    let setup = Server::setup().argument("--data-dir").argument(&argument);
    let mut fixture = Fixture::with(setup, |postgres| postgres.superuser());
    let mut handed_out = vec![fixture.issue("reader")];

    let ballast = path.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    handed_out.extend(fill(&fixture));
    let lease = handed_out[0].clone();
    for read in ["db/config", "sys/mounts", "sys/leases/count"] {
        fixture.server.http.get(read).ok();
    }
    assert!(fixture.works(&lease));
    // A backup needs space, too, and leaves no partial copy behind.
    fixture.server.http.get("sys/storage/backup").refused(503);
    let left = fs::read_dir(path.join("data")).unwrap().flatten();
    assert!(
        !left
            .into_iter()
            .any(|entry| entry.file_name().to_string_lossy().contains("backup"))
    );
    fs::remove_file(&ballast).unwrap();
    handed_out.push(fixture.issue("reader"));
    fixture.server.advance_clock(GIVEN_UP_SECONDS);
    fixture.await_exactly(&handed_out);
    fixture.server.kill();
    fixture.server.restart();
    fixture.await_exactly(&handed_out);
    drop(fixture);
    drop(disk);
}

/// Without an audit line nothing is done.
#[test]
fn an_audit_log_on_a_full_disk_stops_all_but_monitors_until_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let Some(disk) = SmallDisk::mount(&path, 512) else {
        return;
    };
    let audit = path.join("audit.jsonl").display().to_string();
    let setup = Server::setup().environment("LESSOR_AUDIT_FILE", &audit);
    let fixture = Fixture::with(setup, |postgres| postgres.superuser());
    let kept = fixture.issue("reader");
    let ballast = path.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    drop(file);
    let http = &fixture.server.http;
    // The rest of the log's last page may take a few lines more.
    let full = |answer: &Answer| {
        answer.status == 503 && answer.text().contains("audit log takes no lines")
    };
    eventually_true("the audit log is full", || {
        full(&http.get("db/creds/reader"))
    });
    // A short line may still find room where a long one found none; then its request was done.
    for (answer, done) in [
        (http.get("sys/mounts"), true),
        (fixture.revoke(&kept), !fixture.works(&kept)),
    ] {
        assert!(full(&answer), "{answer:?}");
        assert!(
            answer.text().contains("nothing was done") || done,
            "{answer:?}"
        );
    }
    http.get("sys/health").ok();
    fs::remove_file(&ballast).unwrap();
    fixture.revoke(&kept).ok();
    // A credential made when the log was full reached nobody and is gone already; earlier ones
    // end at their time.
    fixture.server.advance_clock(3601);
    fixture.await_exactly(&[]);
    // A line that found no room leaves no other unreadable.
    let log = fs::read_to_string(&audit).unwrap();
    let unreadable = log
        .lines()
        .filter(|line| !line.is_empty() && serde_json::from_str::<Value>(line).is_err())
        .count();
    let torn = log.lines().filter(|line| !line.ends_with('}')).count();
    assert!(unreadable <= torn, "{unreadable} {torn}");
    assert!(log.contains("\"resumed\""), "{log}");
    drop(fixture);
    drop(disk);
}

/// One row of the table, damaged behind the server's back.
fn damage(server: &Server, statements: &[&str]) {
    let connection = Connection::open(server.data().join("lessor.db")).unwrap();
    connection
        .execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
        .unwrap();
    for statement in statements {
        let changed = connection.execute(statement, []).unwrap();
        assert_eq!(changed, 1, "{statement}");
    }
}

#[test]
fn leases_that_cannot_be_read_are_set_aside_and_stop_nothing() {
    let mut fixture = Fixture::start();
    let leases: Vec<Lease> = (0..8).map(|_| fixture.issue("reader")).collect();
    fixture.mount("broken").ok();
    let operation = |lease: &Lease| lease.id.rsplit('/').next().unwrap().to_owned();
    fixture.server.kill();
    let damages = [
        "metadata = 'no json'",
        "requester = '{}'",
        "attempts = -1",
        "state = 'odd'",
        "plugin_sha256 = x'00'",
        "role_id = 999999",
    ];
    let statements: Vec<String> = leases
        .iter()
        .zip(damages)
        .map(|(lease, damage)| {
            format!(
                "UPDATE leases SET {damage} WHERE principal = '{}'",
                lease.username
            )
        })
        .collect();
    let mut statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    // A damaged mount, or a damaged rotation that is due, stops nothing else either.
    statements.push("UPDATE mounts SET tune = 'no json' WHERE path = 'broken'");
    statements.push(
        "INSERT INTO rotations (operation, connection_id, state, former_version, attempts, due_at, opened_at)
         SELECT zeroblob(16), c.id, 'rotating', 1, -1, 1, 1
           FROM connections c JOIN mounts m ON m.id = c.mount_id WHERE path = 'broken'",
    );
    damage(&fixture.server, &statements);
    fixture.server.restart();

    // The others are there, and can be looked at, renewed and revoked.
    let (bad, good) = leases.split_at(damages.len());
    let http = fixture.server.http.clone();
    for lease in good {
        assert_eq!(fixture.server.lookup(&lease.id).data()["state"], "active");
        fixture.renew(lease, 3600).ok();
    }
    assert_eq!(fixture.revoke(&good[0]).status, 204);
    // A request for a damaged lease is told so, and the row is set aside.
    let sentence = fixture.server.lookup(&bad[0].id).refused(409);
    assert!(sentence.contains("quarantine"), "{sentence}");
    assert_eq!(http.get("sys/leases/count").data()["quarantined"], 1);
    // The other damaged rows are found when they are due.
    fixture.server.advance_clock(3601);
    fixture.server.await_no_leases("db/creds");
    eventually_true("all that is damaged is set aside", || {
        http.get("sys/leases/count").data()["quarantined"] == json!(bad.len())
    });
    assert!(!fixture.works(&good[1]));
    let next = fixture.issue("reader");

    let shown = http.get("sys/leases/quarantine").data();
    assert_eq!(shown["count"], json!(bad.len()));
    let log = fixture.server.log();
    for lease in bad {
        let found = shown["leases"]
            .as_array()
            .unwrap()
            .iter()
            .find(|shown| shown["operation"] == json!(operation(lease)))
            .unwrap_or_else(|| panic!("{lease:?} in {shown}"));
        assert_eq!(found["mount"], "db");
        assert_eq!(found["principal"], json!(lease.username));
        assert_eq!(found["credential_id"], json!(lease.username));
        assert!(!found["reason"].as_str().unwrap().is_empty());
        assert!(log.contains(&operation(lease)), "the log names it");
    }
    // Their credentials live on upstream as orphans, and are ended as such.
    let names: BTreeSet<String> = bad.iter().map(|lease| lease.username.clone()).collect();
    let found = http.post("db/reconcile", &json!({})).data();
    assert_eq!(found["orphans"], json!(names));
    let body = json!({"dry_run": false, "revoke": names});
    http.post("db/reconcile", &body).ok();
    fixture.await_exactly(&[next]);
    for lease in shown["leases"].as_array().unwrap() {
        let path = format!("sys/leases/quarantine/{}", lease["number"]);
        assert_eq!(http.delete(&path).status, 204);
        http.delete(&path).refused(404);
    }
    assert_eq!(http.get("sys/leases/count").data()["quarantined"], 0);
    http.delete("sys/leases/quarantine/x").refused(400);
    let audit = fixture.server.audit();
    for (event, times) in [
        ("lease.quarantined", bad.len()),
        ("lease.quarantine_forgotten", bad.len()),
        ("rotation.set_aside", 1),
    ] {
        let told = audit.matches(&format!("\"event\":\"{event}\"")).count();
        assert_eq!(told, times, "{event}");
    }
}
