//! Backups: consistent while the server writes, without keys or secrets in clear, and of use
//! when they are put back later.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use lessor_tests::{
    fixture::{Fixture, Lease},
    server::{Server, binary},
    wait::eventually_true,
};
use serde_json::json;

/// Runs `lessor` with these words, against this server.
fn lessor(server: &Server, words: &[&str]) -> Output {
    Command::new(binary())
        .args(words)
        .env("LESSOR_ADDR", server.http.base())
        .env("LESSOR_TOKEN", server.http.token())
        .stdin(Stdio::null())
        .output()
        .expect("run lessor")
}

/// The output of a command that succeeds.
#[track_caller]
fn told(server: &Server, words: &[&str]) -> String {
    let done = lessor(server, words);
    let error = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "lessor {words:?}: {error}");
    assert!(done.stdout.is_empty());
    error
}

/// The one sentence of a command that fails.
#[track_caller]
fn complained(server: &Server, words: &[&str]) -> String {
    let done = lessor(server, words);
    let error = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "lessor {words:?}: {error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
    error
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file beside the data directory, that goes with it.
fn beside(server: &Server, name: &str) -> PathBuf {
    server.data().parent().unwrap().join(name)
}

#[track_caller]
fn back_up(server: &Server, name: &str) -> PathBuf {
    let file = beside(server, name);
    let note = told(server, &["backup", text(&file)]);
    assert!(note.contains("root key is not in it"), "{note}");
    file
}

/// Loses all of the data directory except the root key, and goes on from a backup.
fn restore(server: &mut Server, backup: &Path) {
    server.kill();
    let lost = beside(server, "lost");
    fs::rename(server.data(), &lost).unwrap();
    let data = server.data();
    let note = told(
        server,
        &["restore", text(backup), "--data-dir", text(&data)],
    );
    assert!(
        ["root.key", "reconcile", "lessor release"]
            .iter()
            .all(|word| note.contains(word)),
        "{note}"
    );
    fs::copy(lost.join("root.key"), data.join("root.key")).unwrap();
    server.restart();
}

/// Lets a restored server go on.
fn release(server: &Server) {
    let note = told(server, &["release"]);
    assert!(note.contains("mount db goes on"), "{note}");
}

#[test]
fn a_restored_backup_knows_its_leases_and_reconcile_finds_those_made_since() {
    let mut fixture = Fixture::start();
    let (kept, ended) = (fixture.issue("reader"), fixture.issue("reader"));
    let backup = back_up(&fixture.server, "backup");
    let since = fixture.issue("reader");
    fixture.revoke(&ended).ok();
    restore(&mut fixture.server, &backup);

    let mut known = fixture.server.leases("db/creds");
    known.sort();
    assert_eq!(known, [kept.id.clone(), ended.id.clone()]);
    assert!(fixture.works(&kept) && fixture.works(&since));
    let found = fixture.server.http.post("db/reconcile", &json!({})).data();
    assert_eq!(found["orphans"], json!([since.username]));
    assert_eq!(found["vanished"][0]["lease_id"], json!(ended.id));
    assert_eq!(found["vanished_count"], 1);

    let body = json!({"dry_run": false, "revoke": [since.username]});
    let done = fixture.server.http.post("db/reconcile", &body).data();
    assert_eq!(done["revoked"], json!([since.username]));
    assert!(!fixture.works(&since));
    // Gone upstream already: revoked all the same.
    assert_eq!(fixture.revoke(&ended).status, 204);
    release(&fixture.server);
    fixture.await_exactly(std::slice::from_ref(&kept));
    let renewed = fixture.renew(&kept, 7200);
    renewed.ok();
    let next = fixture.issue("reader");
    fixture.await_exactly(&[kept, next]);
}

/// Upstream no longer takes the root credential in the backup. Nothing is lost: leases stay,
/// and the refusal names the way out.
#[test]
fn after_a_rotation_a_restored_server_asks_for_the_root_credential_and_loses_nothing() {
    let mut fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let backup = back_up(&fixture.server, "backup");
    let http = fixture.server.http.clone();
    http.post("db/config/rotate-root", &json!({})).ok();
    restore(&mut fixture.server, &backup);

    let http = fixture.server.http.clone();
    let sentence = http.get("db/creds/reader").refused(502);
    assert!(sentence.contains("mount's config"), "{sentence}");
    let sentence = http.post("db/reconcile", &json!({})).refused(502);
    assert!(sentence.contains("mount's config"), "{sentence}");
    let sentence = http.post("db/config/rotate-root", &json!({}));
    assert!(sentence.refused(409).contains("lessor release db"));
    release(&fixture.server);
    let sentence = http.post("db/config/rotate-root", &json!({}));
    assert!(sentence.refused(502).contains("mount's config"));
    assert_eq!(fixture.revoke(&lease).status, 202);
    let shown = fixture.server.lookup(&lease.id).data();
    assert_eq!(shown["state"], "revoking");
    assert!(fixture.works(&lease));

    fixture.postgres.sql(&format!(
        "alter role {} password 'given by hand'",
        fixture.root.username
    ));
    fixture.root.password = "given by hand".to_owned();
    fixture.configure("db").ok();
    // The failed revocation goes on by itself, and everything else works again.
    fixture.await_exactly(&[]);
    let next = fixture.issue("reader");
    fixture
        .server
        .http
        .post("db/config/rotate-root", &json!({}))
        .ok();
    fixture.await_exactly(&[next]);
}

#[test]
fn a_backup_is_private_holds_no_secret_in_clear_and_replaces_nothing() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let server = &fixture.server;
    let backup = back_up(server, "backup");
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&backup).unwrap();
    let key = fs::read_to_string(server.data().join("root.key")).unwrap();
    for secret in [
        fixture.root.password.as_str(),
        lease.password.as_str(),
        server.http.token(),
        key.trim(),
    ] {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "a secret stands in the backup");
    }
    let sentence = complained(server, &["backup", text(&backup)]);
    assert!(sentence.contains("exists already"), "{sentence}");
    assert_eq!(fs::read(&backup).unwrap(), bytes);

    // No part of the copy is left in the data directory.
    let left = fs::read_dir(server.data()).unwrap().flatten();
    let left: Vec<_> = left
        .filter(|entry| entry.file_name().to_string_lossy().contains("backup"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    server
        .http
        .without_token()
        .get("sys/storage/backup")
        .refused(403);
    assert_eq!(
        server.http.post("sys/storage/backup", &json!({})).status,
        405
    );
    let answer = server.http.get("sys/storage/backup").ok();
    assert!(answer.bytes.starts_with(b"SQLite format 3\0"));
    let nowhere = complained(server, &["backup", "/nowhere/at/all/backup"]);
    assert!(nowhere.contains("/nowhere/at/all/backup"), "{nowhere}");
}

#[test]
fn a_backup_is_consistent_while_leases_come_and_go() {
    let mut fixture = Fixture::start();
    let stop = AtomicBool::new(false);
    let (backups, kept) = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut kept = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = fixture.server.http.get("db/creds/reader");
                        kept.push(Lease::of(&answer));
                        let ended = Lease::of(&fixture.server.http.get("db/creds/reader"));
                        fixture.revoke(&ended).ok();
                    }
                    kept
                })
            })
            .collect();
        let backups: Vec<_> = (0..8)
            .map(|index| {
                let first = fixture.issue("reader");
                (first, back_up(&fixture.server, &format!("backup{index}")))
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        let kept: usize = writers
            .into_iter()
            .map(|writer| writer.join().unwrap().len())
            .sum();
        (backups, kept)
    });
    assert!(kept > 0, "nothing was written meanwhile");
    // Each backup was checked when it was made; the last one is put back.
    let (first, last) = &backups[backups.len() - 1];
    restore(&mut fixture.server, last);
    let known = fixture.server.leases("db/creds");
    assert!(known.contains(&first.id), "made before the backup");
    assert!(known.len() >= backups.len());
    let found = fixture.server.http.post("db/reconcile", &json!({})).data();
    let orphans = usize::try_from(found["orphan_count"].as_u64().unwrap()).unwrap();
    let vanished = usize::try_from(found["vanished_count"].as_u64().unwrap()).unwrap();
    // Leases in the snapshot whose credential upstream does not have: active ones, and those
    // that were being made or ended at that moment.
    let gone = known.len() + orphans - fixture.postgres.leased_roles().len();
    assert!(vanished <= gone, "{vanished} {gone} {found}");
}

#[test]
fn a_stopped_server_is_backed_up_from_its_directory_and_a_running_one_is_not() {
    let mut fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let (file, data) = (beside(&fixture.server, "backup"), fixture.server.data());
    let words = ["backup", text(&file), "--data-dir", text(&data)];
    let sentence = complained(&fixture.server, &words);
    assert!(sentence.contains("in use"), "{sentence}");
    assert!(!file.exists());
    // The server is killed, so that the last commits stand in the write-ahead log only.
    fixture.server.kill();
    let note = told(&fixture.server, &words);
    assert!(note.contains("root key is not in it"), "{note}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let nothing = beside(&fixture.server, "nothing");
    let sentence = complained(
        &fixture.server,
        &["backup", text(&nothing), "--data-dir", text(&nothing)],
    );
    assert!(sentence.contains("there is no file"), "{sentence}");
    assert!(!nothing.exists());

    fixture.server.restart();
    restore(&mut fixture.server, &file);
    fixture.await_exactly(std::slice::from_ref(&lease));
    assert!(fixture.works(&lease));
}

#[test]
fn what_is_no_sound_backup_is_not_restored() {
    let fixture = Fixture::start();
    let server = &fixture.server;
    let backup = back_up(server, "backup");
    let bytes = fs::read(&backup).unwrap();
    let made = |name: &str, bytes: &[u8]| {
        let file = beside(server, name);
        fs::write(&file, bytes).unwrap();
        file
    };
    let patched = |at: usize, with: &[u8]| {
        let mut patched = bytes.clone();
        patched[at..at + with.len()].copy_from_slice(with);
        patched
    };
    // The number of migrations stands at byte 60 of the file (`user_version`).
    let half = bytes.len() / 2;
    for (file, says) in [
        (made("empty", b""), "no backup"),
        (
            made("text", &b"something else entirely\n".repeat(99)),
            "no backup",
        ),
        (made("never", &patched(60, &[0, 0, 0, 0])), "no backup"),
        (made("newer", &patched(60, &[0, 0, 0, 99])), "newer lessor"),
        (made("cut", &bytes[..half]), "damaged"),
        (
            made("scratched", &patched(4096 * 3, &[0xa5; 4096 * 4])),
            "damaged",
        ),
        (beside(server, "missing"), "there is no file"),
    ] {
        let fresh = beside(server, "fresh");
        let words = ["restore", text(&file), "--data-dir", text(&fresh)];
        let sentence = complained(server, &words);
        assert!(sentence.contains(says), "{file:?}: {sentence}");
        assert!(!fresh.exists(), "{file:?} left a directory");
    }
    let data = server.data();
    let words = ["restore", text(&backup), "--data-dir", text(&data)];
    let sentence = complained(server, &words);
    assert!(sentence.contains("not empty"), "{sentence}");
    fixture.issue("reader");
}

/// The ends in a backup are old: a lease may have been renewed since, an account rotated, and
/// the server that the backup was taken from may still run.
#[test]
fn a_restored_copy_ends_and_rotates_nothing_until_it_is_released() {
    let mut fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    let mut config = fixture.config();
    config["rotation_period"] = json!("1h");
    let http = fixture.server.http.clone();
    http.post("db/config", &config).ok();
    let body = json!({"username": "harness_app", "rotation_period": "1h"});
    http.post("db/static-roles/app", &body).ok();
    let held = [fixture.issue("reader"), fixture.issue("reader")];
    let account = http.get("db/static-creds/app").data()["password"].clone();
    let backup = back_up(&fixture.server, "backup");
    restore(&mut fixture.server, &backup);

    // A restart does not release it.
    fixture.server.advance_clock(2 * 3600);
    fixture.server.kill();
    fixture.server.restart();
    let http = fixture.server.http.clone();
    fixture.server.advance_clock(2 * 3600);
    assert_eq!(http.get("sys/health").json()["held"], json!(true));
    let status = lessor(&fixture.server, &["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("lessor release"), "{status}");
    let found = http.get("sys/hold").data();
    assert_eq!(
        found["mounts"][0]["overdue"],
        json!({"lease": 2, "rotation": 0, "root": 1, "static_role": 1})
    );
    let first = http.get("sys/hold?limit=3").data();
    let next = first["next"].as_str().unwrap();
    let rest = http.get(&format!("sys/hold?limit=3&after={next}")).data();
    let mut names: Vec<String> = [&first, &rest]
        .iter()
        .flat_map(|page| page["overdue"].as_array().unwrap())
        .map(|row| format!("{} {}", row["kind"], row["name"]))
        .collect();
    names.sort();
    let mut expected: Vec<String> = held
        .iter()
        .map(|lease| format!("\"lease\" \"{}\"", lease.id))
        .collect();
    expected.push("\"root\" \"\"".into());
    expected.push("\"static-role\" \"app\"".into());
    expected.sort();
    assert_eq!(names, expected);

    // Requests go on while the scheduler leaves the mount alone: a lease is issued and revoked.
    let since = http.get("db/creds/reader").ok();
    let warning = since.json()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("is held"), "{warning}");
    assert_eq!(fixture.revoke(&Lease::of(&since)).status, 204);
    for (path, body) in [
        ("db/rotate-root", json!({})),
        ("db/rotate-role/app", json!({})),
        (
            "db/static-roles/other",
            json!({"username": "harness_readers", "rotation_period": "1h"}),
        ),
    ] {
        let sentence = http.post(path, &body).refused(409);
        assert!(sentence.contains("lessor release db"), "{sentence}");
    }
    // Its holder knows of a later end than the backup.
    fixture.renew(&held[0], 3600).ok();
    assert!(held.iter().all(|lease| fixture.works(lease)));
    let password = account.as_str().unwrap();
    assert!(fixture.postgres.accepts("harness_app", password));
    let root = &fixture.root;
    assert!(fixture.postgres.accepts(&root.username, &root.password));
    http.post("sys/hold/release", &json!({"mount": "dbb"}))
        .refused(404);

    release(&fixture.server);
    fixture.await_exactly(&held[..1]);
    eventually_true("the account is rotated", || {
        !fixture.postgres.accepts("harness_app", password)
    });
    eventually_true("the root is rotated", || {
        let root = &fixture.root;
        !fixture.postgres.accepts(&root.username, &root.password)
    });
    assert_eq!(http.get("sys/health").json()["held"], json!(false));
    let found = http.get("sys/hold").data();
    assert_eq!(
        (&found["held"], &found["overdue"]),
        (&json!(false), &json!([]))
    );
    let again = http.post("sys/hold/release", &json!({"mount": "db"})).ok();
    assert!(again.text().contains("was not held"));
}
