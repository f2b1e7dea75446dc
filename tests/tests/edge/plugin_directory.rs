//! A directory to drop providers into: a new file is logged, and runs only once it is pinned.
//! Every fault of a file has a name, stops only the mounts that need the file, and ends when
//! the file is back.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use lessor_tests::{
    fixture::{Fixture, Lease},
    http::Answer,
    server::Server,
    sha256,
    wait::{eventually, eventually_true},
};
use serde_json::{Value, json};

/// A component of the same behaviour and another digest: with a custom section.
fn rebuilt(component: &[u8], mark: u8) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.extend_from_slice(&[0, 6, 4, b'm', b'a', b'r', b'k', mark]);
    bytes
}

fn unpinned(server: &Server, file: &str) -> Option<Value> {
    let listed = server.http.get("sys/plugins/unpinned").data();
    let files = listed["unpinned"].as_array().expect("a list").clone();
    files.into_iter().find(|found| found["file"] == file)
}

/// Pins a file as another version than the provider's own.
fn pin_version(server: &Server, name: &str, file: &str, version: &str) {
    let body = json!({
        "command": file, "sha256": server.digest(file), "version": version, "replace": true
    });
    server
        .http
        .put(&format!("sys/plugins/catalog/secret/{name}"), &body)
        .ok();
}

/// Mounts the provider `certificate`, with an authority of its own making and a
/// role `web`.
fn authority(server: &Server, path: &str, mount: &Value) {
    let post = |below: &str, body: &Value| server.http.post(below, body).ok();
    post(&format!("sys/mounts/{path}"), mount);
    post(&format!("{path}/config"), &json!({"common_name": path}));
    post(&format!("{path}/config/rotate-root"), &json!({}));
    post(
        &format!("{path}/roles/web"),
        &json!({"allowed_dns": ["*.example.com"]}),
    );
}

/// Issues a certificate of that role.
fn certify(server: &Server, path: &str) -> Answer {
    server.http.post(
        &format!("{path}/creds/web"),
        &json!({"common_name": "a.example.com"}),
    )
}

#[test]
fn a_file_that_turns_up_is_told_of_and_runs_once_it_is_pinned() {
    let server = Server::start();
    let original = fs::read(server.plugins().join("certificate.wasm")).unwrap();
    let dropped = rebuilt(&original, 1);
    let digest = sha256(&dropped);
    // At first half of the file is there: it has a digest, but the wrong one.
    let file = server.plugins().join("dropped.wasm");
    fs::write(&file, &dropped[..dropped.len() / 2]).unwrap();
    eventually_true("the half is listed", || {
        unpinned(&server, "dropped.wasm").is_some_and(|found| found["sha256"] != digest.as_str())
    });
    let refused = server.pin("dropped", "dropped.wasm", &digest).refused(400);
    assert!(refused.contains("dropped.wasm"), "{refused}");
    fs::write(&file, &dropped).unwrap();
    let found = eventually("the whole is listed", || {
        unpinned(&server, "dropped.wasm").filter(|found| found["sha256"] == digest.as_str())
    });
    assert_eq!(found["size"], json!(dropped.len()), "{found}");
    eventually_true("the log says how to pin it", || {
        let log = server.log();
        log.contains("is not pinned and does not run") && log.contains(&digest)
    });

    let mount = || {
        server
            .http
            .post("sys/mounts/x", &json!({"type": "dropped"}))
    };
    let refused = mount().refused(400);
    assert!(refused.contains("dropped"), "{refused}");
    server.pin("dropped", "dropped.wasm", &digest).ok();
    mount().ok();
    assert_eq!(unpinned(&server, "dropped.wasm"), None);

    let shown = server.http.get("sys/plugins/catalog/secret/dropped").data();
    let component = &shown["component"];
    assert_eq!(component["size"], json!(dropped.len()), "{shown}");
    assert!(component["code_size"].as_u64() > Some(0), "{shown}");
    let names = |field: &str| component[field].to_string();
    assert!(
        names("exports").contains("lessor:plugin/provider@1.0.0"),
        "{shown}"
    );
    assert!(
        names("imports").contains("lessor:plugin/crypto@1.0.0"),
        "{shown}"
    );
    assert!(shown["descriptor"]["endpoints"].is_array(), "{shown}");
}

/// The server used to look at the directory only once it was quiet: while one file was being
/// written, no other was noticed or verified again.
#[test]
fn a_file_that_never_rests_hides_no_other() {
    let server = Server::start();
    let mut writes = 0_u32;
    eventually_true("the log tells of the other file", || {
        writes += 1;
        fs::write(server.plugins().join("restless.wasm"), writes.to_string()).unwrap();
        if writes == 3 {
            fs::write(server.plugins().join("other.wasm"), "other").unwrap();
        }
        server.log().contains("other.wasm")
    });
}

/// A change to a pinned file, the state that the pin then has, and a part of the mount's
/// sentence.
type Misfortune = (&'static str, fn(&Path), &'static str, &'static str);

#[test]
fn whatever_becomes_of_a_file_has_a_name_and_ends_when_the_file_is_back() {
    let room = 4096;
    let size = fs::metadata(lessor_tests::server::built_plugins().join("certificate.wasm"))
        .unwrap()
        .len();
    let postgres = fs::metadata(lessor_tests::server::built_plugins().join("postgres.wasm"))
        .unwrap()
        .len();
    let limit = size.max(postgres) + room;
    let server = Server::setup()
        .config(&format!("[sandbox]\nplugin_size = {limit}"))
        .start();
    let file = server.plugins().join("certificate.wasm");
    let original = fs::read(&file).unwrap();
    authority(&server, "ca", &json!({"type": "certificate"}));
    server
        .http
        .post("sys/mounts/db", &json!({"type": "postgres"}))
        .ok();
    let issue = || certify(&server, "ca");
    let lease = issue().ok().json()["lease_id"].as_str().unwrap().to_owned();

    let misfortunes: [Misfortune; 8] = [
        (
            "removed",
            |file| fs::remove_file(file).unwrap(),
            "missing",
            "holds no file",
        ),
        (
            "cut short",
            |file| {
                let bytes = fs::read(file).unwrap();
                fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
            },
            "digest mismatch",
            "is pinned",
        ),
        (
            "changed",
            |file| {
                let bytes = fs::read(file).unwrap();
                fs::write(file, rebuilt(&bytes, 1)).unwrap();
            },
            "digest mismatch",
            "is pinned",
        ),
        (
            "emptied",
            |file| fs::write(file, b"").unwrap(),
            "digest mismatch",
            "is pinned",
        ),
        (
            "swapped for a link outside",
            |file| {
                let outside = file.parent().unwrap().with_file_name("outside.wasm");
                fs::rename(file, &outside).unwrap();
                symlink(outside, file).unwrap();
            },
            "incompatible",
            "leaves the plugin directory",
        ),
        (
            "swapped for a pipe",
            |file| {
                fs::remove_file(file).unwrap();
                assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
            },
            "incompatible",
            "is not a regular file",
        ),
        (
            "grown over the limit",
            |file| {
                let mut bytes = fs::read(file).unwrap();
                bytes.resize(bytes.len() + (4 << 20), 0);
                fs::write(file, bytes).unwrap();
            },
            "incompatible",
            "sandbox.plugin_size",
        ),
        (
            "swapped for a link to itself",
            |file| {
                fs::remove_file(file).unwrap();
                symlink("certificate.wasm", file).unwrap();
            },
            "incompatible",
            "cannot be read",
        ),
    ];
    for (what, happen, state, says) in misfortunes {
        happen(&file);
        let sentence = eventually(what, || {
            let answer = issue();
            (answer.status == 503).then(|| answer.refused(503))
        });
        assert!(sentence.contains("certificate.wasm"), "{what}: {sentence}");
        assert!(sentence.contains(says), "{what}: {sentence}");
        let shown = server
            .http
            .get("sys/plugins/catalog/secret/certificate")
            .data();
        assert_eq!(shown["state"], state, "{what}: {shown}");
        assert!(
            shown["reason"].to_string().contains(says),
            "{what}: {shown}"
        );
        let mounts = server.http.get("sys/mounts").data();
        assert!(mounts["ca/"].is_object(), "{what}: {mounts}");
        // The rest of the host goes on, and the lease is still known.
        server.http.get("sys/health").ok();
        server.http.get("sys/plugins/catalog/secret/postgres").ok();
        assert_eq!(server.lookup(&lease).ok().data()["id"], lease.as_str());

        let _ = fs::remove_file(&file);
        // Copied beside and renamed, as a careful operator does.
        let beside = file.with_extension("part");
        fs::write(&beside, &original).unwrap();
        fs::rename(&beside, &file).unwrap();
        eventually_true(&format!("{what}, and back"), || issue().status == 200);
    }
    let audit = server.audit();
    assert!(audit.contains("a plugin can run no more"), "{audit}");
    eventually_true("its return is told of", || {
        server.audit().contains("\"event\":\"plugin.enabled\"")
    });
}

/// A change to the plugin directory, the state that the pin then has, and the status of
/// issuing.
type Upheaval = (&'static str, fn(&Path), &'static str, u16);

/// The server used to watch one directory instead of the path: after a release was rolled out
/// by moving a link, it noticed nothing any more.
#[test]
fn the_plugin_directory_is_what_its_path_leads_to() {
    let server = Server::start();
    authority(&server, "ca", &json!({"type": "certificate"}));
    let directory = server.plugins();
    let good = fs::read(directory.join("certificate.wasm")).unwrap();
    for (release, bytes) in [("good", good.clone()), ("bad", rebuilt(&good, 1))] {
        let release = directory.with_file_name(release);
        fs::create_dir(&release).unwrap();
        fs::write(release.join("certificate.wasm"), bytes).unwrap();
    }
    fn link(directory: &Path, to: &str) {
        let new = directory.with_file_name("new");
        symlink(to, &new).unwrap();
        fs::rename(new, directory).unwrap();
    }
    let upheavals: [Upheaval; 6] = [
        (
            "the directory is moved away",
            |directory| fs::rename(directory, directory.with_file_name("old")).unwrap(),
            "missing",
            503,
        ),
        (
            "a link to a release takes its place",
            |directory| link(directory, "good"),
            "ready",
            200,
        ),
        (
            "the link moves to another release",
            |directory| link(directory, "bad"),
            "digest mismatch",
            503,
        ),
        (
            "the link moves back",
            |directory| link(directory, "good"),
            "ready",
            200,
        ),
        (
            "the file goes from where the link leads",
            |directory| fs::remove_file(directory.join("certificate.wasm")).unwrap(),
            "missing",
            503,
        ),
        (
            "a directory takes the place of the link",
            |directory| {
                fs::remove_file(directory).unwrap();
                fs::rename(directory.with_file_name("old"), directory).unwrap();
            },
            "ready",
            200,
        ),
    ];
    for (what, happen, state, status) in upheavals {
        happen(&directory);
        eventually_true(what, || {
            let catalog = "sys/plugins/catalog/secret/certificate";
            certify(&server, "ca").status == status
                && server.http.get(catalog).data()["state"] == state
        });
    }
}

#[test]
fn other_bytes_take_the_place_of_a_pinned_version_only_where_that_is_asked_for() {
    let server = Server::start();
    authority(&server, "ca", &json!({"type": "certificate"}));
    let original = fs::read(server.plugins().join("certificate.wasm")).unwrap();
    fs::write(server.plugins().join("ca-2.wasm"), rebuilt(&original, 1)).unwrap();
    let pin = |changes: &Value| {
        let body = json!({"command": "ca-2.wasm", "sha256": server.digest("ca-2.wasm")});
        let body = lessor_tests::fixture::changed(body, changes);
        server
            .http
            .put("sys/plugins/catalog/secret/certificate", &body)
    };
    let shown = || {
        server
            .http
            .get("sys/plugins/catalog/secret/certificate")
            .data()["sha256"]
            .clone()
    };
    let former = server.digest("certificate.wasm");
    for version in [Value::Null, json!("0.1"), json!("v0.1.0")] {
        let sentence = pin(&json!({"version": version})).refused(409);
        assert!(
            sentence.contains("v0.1.0") && sentence.contains(&former),
            "{sentence}"
        );
        assert!(sentence.contains("replace"), "{sentence}");
        assert_eq!(shown(), json!(former));
    }
    pin(&json!({"replace": true})).ok();
    assert_eq!(shown(), json!(server.digest("ca-2.wasm")));
    assert_eq!(certify(&server, "ca").status, 200);
    // The same bytes again replace nothing.
    pin(&json!({})).ok();
}

/// Any version used to be accepted, and mounts that follow the newest went over to it.
#[test]
fn a_version_that_the_provider_does_not_say_needs_a_word() {
    let server = Server::start();
    authority(&server, "ca", &json!({"type": "certificate"}));
    let at = "sys/plugins/catalog/secret/certificate";
    let digest = server.digest("certificate.wasm");
    let body = |changes: &Value| {
        let body = json!({"command": "certificate.wasm", "sha256": digest, "version": "3.0.0"});
        lessor_tests::fixture::changed(body, changes)
    };
    for changes in [
        json!({}),
        json!({"version": "v0.1.1"}),
        json!({"version": "0.1.0-rc1"}),
        json!({"force": true}),
    ] {
        let body = body(&changes);
        let sentence = server.http.put(at, &body).refused(400);
        let asked = body["version"].as_str().unwrap().trim_start_matches('v');
        for part in [asked, "is version 0.1.0", "replace=true", "certificate"] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
        assert_eq!(server.http.get(at).data()["version"], "v0.1.0");
    }
    let warned = server.http.put(at, &body(&json!({"replace": true}))).ok();
    let warned = warned.json()["warnings"].to_string();
    assert!(
        warned.contains("0.1.0") && warned.contains("v3.0.0"),
        "{warned}"
    );
    // An existing pin is written back without `replace`.
    let shown = server.http.get(at).data();
    assert_eq!(shown["version"], "v3.0.0");
    server.http.put(at, &shown).ok();
    assert_eq!(certify(&server, "ca").status, 200);
}

#[test]
fn versions_stand_side_by_side_and_one_call_upgrades_all_mounts() {
    let server = Server::start();
    let original = fs::read(server.plugins().join("certificate.wasm")).unwrap();
    fs::write(server.plugins().join("ca-2.wasm"), rebuilt(&original, 1)).unwrap();
    let files = ["certificate.wasm", "ca-2.wasm"];
    pin_version(&server, "ca", files[0], "1.0.0");
    let mount = |path: &str, version: Option<&str>| {
        authority(
            &server,
            path,
            &json!({"type": "ca", "plugin_version": version}),
        );
    };
    mount("one", Some("1.0.0"));
    mount("two", Some("1.0.0"));
    mount("newest", None);
    let made_by = |path: &str| -> (String, Value) {
        let answer = certify(&server, path).ok().json();
        let lease = answer["lease_id"].as_str().unwrap().to_owned();
        let sha256 = server.lookup(&lease).ok().data()["plugin_sha256"].clone();
        (lease, sha256)
    };
    let digests = files.map(|file| json!(server.digest(file)));
    let before = made_by("one").0;
    assert_eq!(made_by("newest").1, digests[0]);

    // A newer pin changes the mounts that follow the newest, and no other.
    pin_version(&server, "ca", files[1], "2.0.0");
    assert_eq!(made_by("one").1, digests[0]);
    assert_eq!(made_by("newest").1, digests[1]);

    for (body, status, says) in [
        (json!({"plugin": "ca", "version": "3.0.0"}), 400, "3.0.0"),
        (json!({"plugin": "ac"}), 400, "ac"),
        (json!({"version": "2.0.0"}), 400, "plugin"),
        (json!({"plugin": "ca", "versoin": "2.0.0"}), 400, "versoin"),
    ] {
        let sentence = server
            .http
            .put("sys/plugins/upgrade", &body)
            .refused(status);
        assert!(sentence.contains(says), "{sentence}");
    }
    assert_eq!(made_by("two").1, digests[0], "a refusal changed a mount");
    let upgraded = server
        .http
        .put("sys/plugins/upgrade", &json!({"plugin": "ca"}))
        .data();
    assert_eq!(upgraded["version"], "v2.0.0");
    assert_eq!(upgraded["changed"], json!(["one", "two"]));
    assert_eq!(upgraded["following"], json!(["newest"]));
    for path in ["one", "two"] {
        assert_eq!(made_by(path).1, digests[1], "{path}");
    }
    assert!(server.audit().contains("upgraded a mount"));

    // Leases remember the digest that made them, and the former version may be removed.
    assert_eq!(
        server.lookup(&before).ok().data()["plugin_sha256"],
        digests[0]
    );
    server
        .http
        .delete("sys/plugins/catalog/secret/ca?version=1.0.0")
        .ok();
    server
        .http
        .put("sys/leases/revoke", &json!({"lease_id": before}))
        .ok();
}

/// The provider waits in the middle of a creation while its mount is upgraded.
#[test]
fn a_call_under_way_ends_on_the_version_it_began_with() {
    let fixture = Fixture::start();
    let server = &fixture.server;
    let original = fs::read(server.plugins().join("postgres.wasm")).unwrap();
    fs::write(
        server.plugins().join("postgres-2.wasm"),
        rebuilt(&original, 2),
    )
    .unwrap();
    fixture
        .write_role(
            "slow",
            &json!({
                "member_of": null,
                "creation_statements": [
                    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'",
                    "SELECT pg_advisory_xact_lock(42)",
                ],
            }),
        )
        .ok();
    server
        .http
        .post("sys/mounts/db/tune", &json!({"plugin_version": "0.1.0"}))
        .ok();
    pin_version(server, "postgres", "postgres-2.wasm", "2.0.0");
    // Held by the session of the test's own looks.
    fixture.postgres.sql("select pg_advisory_lock(42)");
    let under_way = std::thread::scope(|scope| {
        let issuing = scope.spawn(|| fixture.server.http.get("db/creds/slow"));
        eventually_true("the creation waits", || {
            fixture
                .postgres
                .sql("select count(*) from pg_locks where locktype = 'advisory' and not granted")
                == "1"
        });
        server
            .http
            .put("sys/plugins/upgrade", &json!({"plugin": "postgres"}))
            .ok();
        let after = fixture.issue("reader");
        assert_eq!(
            server.lookup(&after.id).ok().data()["plugin_sha256"],
            server.digest("postgres-2.wasm")
        );
        fixture.postgres.sql("select pg_advisory_unlock(42)");
        Lease::of(&issuing.join().expect("the issue"))
    });
    assert!(fixture.works(&under_way));
    assert_eq!(
        server.lookup(&under_way.id).ok().data()["plugin_sha256"],
        server.digest("postgres.wasm")
    );
    // The new version ends the former one's leases.
    fixture.revoke(&under_way).ok();
    assert!(!fixture.works(&under_way));
}

#[test]
fn calls_denials_and_times_are_counted_by_plugin_and_mount() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let lease = fixture.issue("reader");
    fixture.revoke(&lease).ok();
    http.post("sys/mounts/db/tune", &json!({"allowed_hosts": []}))
        .ok();
    http.get("db/creds/reader").refused(400);

    let text = http.get("sys/metrics").ok().text();
    let digest = fixture.server.digest("postgres.wasm");
    let count = |family: &str, labels: &str| -> f64 {
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{family}{{plugin=\"postgres\",")))
            .filter(|line| line.contains(&format!("sha256=\"{}\"", &digest[..12])))
            .filter(|line| line.contains("mount=\"db\"") && line.contains(labels))
            .collect();
        assert_eq!(found.len(), 1, "{family} {labels}\n{text}");
        let value = found[0]
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("no number: {}", found[0]))
    };
    let calls = |labels: &str| count("lessor_provider_calls_total", labels);
    assert!((calls("function=\"create\",outcome=\"ok\"") - 1.0).abs() < 0.1);
    assert!((calls("function=\"revoke\",outcome=\"ok\"") - 1.0).abs() < 0.1);
    assert!(calls("function=\"create\",outcome=\"grant_missing\"") >= 1.0);
    assert!(count("lessor_provider_denials_total", "") >= 1.0);
    assert!(count("lessor_provider_call_seconds_sum", "function=\"create\"") > 0.0);
    let all = count("lessor_provider_call_seconds_count", "function=\"create\"");
    let last = count(
        "lessor_provider_call_seconds_bucket",
        "function=\"create\",le=\"+Inf\"",
    );
    assert!(all >= 2.0 && (all - last).abs() < 0.1, "{all} {last}");
}
