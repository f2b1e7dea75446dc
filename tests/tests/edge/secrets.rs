//! No secret is found where it does not belong: in the server's output, the audit log,
//! refusals, and files.

use std::{fs, path::Path};

use lessor_tests::{
    fixture::{Fixture, changed},
    postgres::Postgres,
    server::Server,
};
use serde_json::json;

/// Every file under `directory` with its bytes.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

#[test]
fn no_secret_reaches_the_log_the_audit_a_refusal_or_the_disk() {
    let setup = Server::setup().argument("--log-level").argument("debug");
    let mut fixture = Fixture::with(setup, Postgres::superuser);
    let http = fixture.server.http.clone();
    let mut secrets = vec![
        ("the root password", fixture.root.password.clone()),
        ("the token", http.token().to_owned()),
    ];
    let mut refusals = Vec::new();

    let kept = fixture.issue("reader");
    let ended = fixture.issue("reader");
    secrets.push(("a leased password", kept.password.clone()));
    secrets.push(("a revoked password", ended.password.clone()));
    fixture.renew(&kept, 7200).ok();
    fixture.revoke(&ended).ok();

    // A secret in the wrong place: as another type, under a wrong name, with a
    // wrong value, in a broken body, in a path.
    let mistake = "canary-of-a-typing-error-7f3a9c";
    secrets.push(("a mistyped secret", mistake.to_owned()));
    let mut config = fixture.config();
    config["password"] = json!({"value": mistake});
    refusals.push(http.post("db/config", &config));
    config["password"] = json!(mistake);
    refusals.push(http.post("db/config", &config));
    config["pasword"] = json!(mistake);
    refusals.push(http.post("db/config", &config));
    config["port"] = json!(mistake);
    refusals.push(http.post("db/config", &config));
    let broken = format!(r#"{{"password": "{mistake}", "#);
    refusals.push(http.send("POST", "db/config", &[], Some(broken.as_bytes())));
    refusals.push(http.with_token(mistake).get("db/config"));
    let broken_sql = json!({
        "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD {{password}}"],
    });
    refusals.push(http.post("db/roles/broken", &broken_sql));
    for answer in &refusals {
        assert!(answer.status >= 400, "{answer:?}");
    }

    http.post("db/config/rotate-root", &json!({})).ok();
    fixture.issue("reader");
    fixture.postgres.stop();
    refusals.push(http.get("db/creds/reader"));
    fixture.postgres.start_again();
    let shown = [
        http.get("db/config").text(),
        http.get("db/roles/reader").text(),
    ];

    let (log, audit) = (fixture.server.log(), fixture.server.audit());
    assert!(
        audit.contains("db/creds/reader"),
        "the audit log tells of requests"
    );
    assert!(log.len() > 200, "the log tells something: {log}");
    let data = files(&fixture.server.data());
    assert!(data.len() > 1, "there are files: {data:?}");
    for (what, secret) in &secrets {
        assert!(!log.contains(secret), "{what} is in the log");
        assert!(!audit.contains(secret), "{what} is in the audit log");
        for answer in &refusals {
            assert!(!answer.text().contains(secret), "{what}: {answer:?}");
        }
        for text in &shown {
            assert!(!text.contains(secret), "{what}: {text}");
        }
        for (file, bytes) in &data {
            assert!(!contains(bytes, secret), "{what} is in {file}");
        }
    }
    // Proof that the search finds a text that is there.
    let (_, bytes) = data
        .iter()
        .max_by_key(|(file, bytes)| {
            (
                file.ends_with(".db") || file.contains("sqlite"),
                bytes.len(),
            )
        })
        .unwrap();
    assert!(
        contains(bytes, "harness_superuser")
            || data
                .iter()
                .any(|(_, bytes)| contains(bytes, &kept.username)),
        "names of upstream roles are kept, so the search would find them"
    );
}

/// Whether a text holds a key of a verifier, in Base64 or hex, or a hash by MD5.
fn shows_a_key(text: &str) -> bool {
    let of_base64 =
        |character: &char| character.is_ascii_alphanumeric() || "+/".contains(*character);
    // 32 bytes.
    let mut padded = text.match_indices('=').map(|(at, _)| &text[..at]);
    let key = padded.any(|before| before.chars().rev().take_while(of_base64).count() >= 43);
    let mut runs = text.split(|character: char| !character.is_ascii_hexdigit());
    key || runs.any(|run| run.len() >= 32)
}

/// The error of an operator's own statement held the keys of a rehearsal's verifier, on which
/// passwords can be tried.
#[test]
fn no_error_shows_what_a_server_keeps_of_a_password() {
    let fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    let http = &fixture.server.http;
    let verifier = "'{{password}}'";
    let keys = "split_part('{{password}}', '$', 3)";
    let stored = format!("split_part({keys}, ':', 1)");
    let server_key = format!("split_part({keys}, ':', 2)");
    let in_hex = format!("encode(decode({stored}, 'base64'), 'hex')");
    let of_root = "(select rolpassword from pg_authid where rolname = current_user)";
    let hash = "md5('{{password}}' || '{{name}}')";
    let marked_hash = format!("'md5' || {hash}");
    let raise = |level: &str, what: &str| {
        format!("DO $do$ BEGIN RAISE {level} 'this: %', {what}; END $do$")
    };
    // Forms of the verifier that the provider does not look for and the host must mask.
    let told = |what: &str, text: &str| {
        assert!(text.contains("this: ****"), "{what}: {text}");
        assert!(!shows_a_key(text), "{what}: {text}");
    };
    let make = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    for (authentication, cases) in [
        (
            "scram-sha-256",
            vec![verifier, keys, &stored, &server_key, &in_hex, of_root],
        ),
        ("password", vec![verifier, hash, &marked_hash, of_root]),
    ] {
        let config = changed(
            fixture.config(),
            &json!({"password_authentication": authentication}),
        );
        http.post("db/config", &config).ok();
        for what in cases {
            let statements =
                json!({"member_of": null, "creation_statements": [make, raise("EXCEPTION", what)]});
            told(
                what,
                &fixture.write_role("raising", &statements).refused(400),
            );

            let warning =
                json!({"member_of": null, "creation_statements": [make, raise("WARNING", what)]});
            let warned = fixture.write_role("warning", &warning).ok();
            told(what, &warned.json()["warnings"].to_string());

            // The rehearsal passes, the operation does not.
            let later = raise("EXCEPTION", what).replace(
                "RAISE",
                "IF '{{name}}' NOT LIKE 'lessor-check-%' THEN RAISE",
            );
            let later = later.replace("; END", "; END IF; END");
            let failing = json!({"member_of": null, "creation_statements": [make, later]});
            fixture.write_role("failing", &failing).ok();
            told(what, &http.get("db/creds/failing").refused(400));

            let rotating = json!({
                "username": "harness_app", "manual": true, "rotation_statements": [
                    "ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'", raise("EXCEPTION", what),
                ],
            });
            told(
                what,
                &http.post("db/static-roles/app", &rotating).refused(400),
            );
        }
    }
}

#[test]
fn the_data_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data()), 0o700);
    for (file, _) in files(&server.data()) {
        assert_eq!(mode(Path::new(&file)) & 0o077, 0, "{file}");
    }
}

#[test]
fn the_audit_log_has_a_line_for_every_request_with_its_id() {
    let fixture = Fixture::start();
    let answers = [
        fixture.server.http.get("db/creds/reader"),
        fixture.server.http.get("db/roles/nosuch"),
        fixture.server.http.without_token().get("db/creds/reader"),
    ];
    let audit = fixture.server.audit();
    for line in audit.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert!(line.is_object());
    }
    let first = answers[0].json();
    let id = first["request_id"].as_str().unwrap();
    assert!(audit.lines().any(|line| line.contains(id)), "{id}");
    let lease = first["lease_id"].as_str().unwrap();
    assert!(audit.contains(lease), "an issue is recorded with its lease");
    assert!(
        audit.contains("db/roles/nosuch"),
        "so is what was not found"
    );
    let told = audit
        .lines()
        .filter(|line| line.contains("db/creds/reader"))
        .count();
    assert!(told >= 2, "so is what was denied");
}
