//! Clients that others wrote for Vault, unchanged.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use lessor_tests::{
    fixture::{Fixture, Lease},
    server::workspace,
};
use serde_json::Value;

/// A Python with hvac, in a virtual environment that is made once and kept.
fn python_with_hvac() -> PathBuf {
    let environment = workspace().join("target/python");
    let python = environment.join("bin/python");
    let has_hvac = || {
        Command::new(&python)
            .args(["-c", "import hvac"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !has_hvac() {
        let run = |command: &mut Command| {
            let done = command.output().expect("run python3: it must be installed");
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{command:?}: {said}");
        };
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "hvac==2.4.0"]));
    }
    python
}

#[test]
fn hvac_reads_renews_lists_and_revokes() {
    let fixture = Fixture::start();
    let mut client = Command::new(python_with_hvac())
        .args(["-c", include_str!("clients/read_renew_revoke.py")])
        .args([fixture.server.http.base(), fixture.server.http.token()])
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
    let mut client = Command::new(python_with_hvac())
        .args(["-c", include_str!("clients/static_roles.py")])
        .args([fixture.server.http.base(), fixture.server.http.token()])
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
