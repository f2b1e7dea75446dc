//! hvac, the Python client: one script a subject, beside this file.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use lessor_tests::{
    fixture::{Fixture, Lease},
    jwt::Signer,
    python,
    server::{Server, workspace},
};
use serde_json::{Value, json};

/// A script with the address and the root token of a server.
fn script(name: &str, server: &Server) -> Command {
    let scripts = workspace().join("tests/tests/edge/clients/hvac");
    let mut command = Command::new(python::program("python"));
    command
        // Scripts leave nothing in the source tree.
        .arg("-B")
        .arg(scripts.join(format!("{name}.py")))
        .args([server.http.base(), server.http.token()]);
    command
}

/// Runs a script to its end, which must be a good one.
#[track_caller]
pub(crate) fn succeeds(name: &str, server: &Server, arguments: &[&str]) {
    let done = script(name, server)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run python");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{name}.py: {said}");
}

#[test]
fn hvac_asks_the_server_and_mounts_and_moves_and_ends_leases() {
    let fixture = Fixture::start();
    succeeds("system", &fixture.server, &[&fixture.postgres.grant()]);
    fixture.await_exactly(&[]);
}

#[test]
fn hvac_uses_what_mounts_share_with_the_database_engine() {
    let fixture = Fixture::start();
    succeeds("database", &fixture.server, &[]);
}

#[test]
fn hvac_speaks_the_words_of_the_engine_for_aws() {
    let mut server = Server::setup().start_uninitialised();
    server.initialise();
    server.bring_and_pin("aws", "test/dialect.wasm");
    succeeds(
        "aws",
        &server,
        &[
            "AKIAIOSFODNN7EXAMPLE",
            "canary-root",
            "https://aws.example",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ],
    );
}

#[test]
fn hvac_writes_policies_and_sees_what_they_come_to() {
    let fixture = Fixture::start();
    succeeds("policies", &fixture.server, &[]);
}

#[test]
fn hvac_makes_tokens_and_wraps_answers() {
    let fixture = Fixture::start();
    succeeds("tokens", &fixture.server, &[]);
}

#[test]
fn hvac_logs_in() {
    let fixture = Fixture::start();
    succeeds("auth_methods", &fixture.server, &[]);
    succeeds("approle", &fixture.server, &[]);
    succeeds("userpass", &fixture.server, &[]);
    let signer = Signer::new("1");
    let signed = signer.sign(&json!({
        "iss": "harness", "sub": "app", "aud": "lessor", "team": "red",
        "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
    }));
    succeeds("jwt", &fixture.server, &[&signer.pem(), &signed]);
}

#[test]
fn hvac_reads_renews_lists_and_revokes() {
    let fixture = Fixture::start();
    let mut client = script("read_renew_revoke", &fixture.server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start python");
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut next = || lines.next().and_then(Result::ok).unwrap_or_default();
    let (credential, renewed) = (next(), next());
    if renewed != "renewed" {
        let done = client.wait_with_output().unwrap();
        panic!("{credential}\n{}", String::from_utf8_lossy(&done.stderr));
    }
    let credential: Value = serde_json::from_str(&credential).unwrap();
    let text = |name: &str| credential[name].as_str().unwrap().to_owned();
    let lease = Lease {
        id: text("lease_id"),
        username: text("username"),
        password: text("password"),
        seconds: 7200,
    };
    assert!(fixture.works(&lease));

    client.stdin.take().unwrap().write_all(b"\n").unwrap();
    let done = client.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    fixture.await_exactly(&[]);
    assert!(!fixture.works(&lease));
}

#[test]
fn hvac_takes_an_account_over_and_rotates_it() {
    let fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    let mut client = script("static_roles", &fixture.server)
        .arg("harness_app")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start python");
    let lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let passwords: Vec<String> = lines
        .take(2)
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .map(|credential| credential["password"].as_str().unwrap().to_owned())
        .collect();
    let [first, second] = passwords.as_slice() else {
        let done = client.wait_with_output().unwrap();
        panic!("{}", String::from_utf8_lossy(&done.stderr));
    };
    let accepts = |password| fixture.postgres.accepts("harness_app", password);
    assert!(!accepts("former") && !accepts(first) && accepts(second));

    client.stdin.take().unwrap().write_all(b"\n").unwrap();
    let done = client.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(accepts(second));
}
