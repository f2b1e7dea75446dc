//! `lessor plugin check`: a provider that keeps the contract passes, and each rule
//! that another one breaks is named. Either way nothing is left upstream.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use lessor_tests::{
    postgres::Postgres,
    server::{binary, built_plugins},
    toy::{TOKEN, Toy},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// `lessor plugin check FILE …`, in the test's own surroundings.
fn command(file: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["plugin", "check"])
        .arg(file)
        .args(arguments)
        .env(
            "LESSOR_TEST_CODE_CACHE",
            binary().with_file_name("test-code-cache"),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn check(file: &Path, arguments: &[&str]) -> Output {
    command(file, arguments).output().expect("run lessor")
}

/// The findings of a check: exit code, and `result` and `detail` of each rule.
pub(crate) struct Found {
    code: Option<i32>,
    findings: Value,
    pub(crate) printed: String,
}

impl Found {
    pub(crate) fn by(file: &Path, arguments: &[&str]) -> Self {
        let done = check(file, &[arguments, &["--output", "json"]].concat());
        let printed = format!("{done:?}");
        let answer: Value = serde_json::from_slice(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {printed}"));
        assert_eq!(answer["holds"], done.status.success(), "{printed}");
        Self {
            code: done.status.code(),
            findings: answer["findings"].clone(),
            printed,
        }
    }

    /// The rules with this result.
    pub(crate) fn with(&self, result: &str) -> Vec<&str> {
        let findings = self.findings.as_array().expect("findings").iter();
        findings
            .filter(|finding| finding["result"] == result)
            .map(|finding| finding["check"].as_str().expect("a rule's name"))
            .collect()
    }

    pub(crate) fn detail(&self, rule: &str) -> &str {
        let findings = self.findings.as_array().expect("findings");
        let finding = findings.iter().find(|finding| finding["check"] == rule);
        finding.expect("every rule is there")["detail"]
            .as_str()
            .expect("a sentence")
    }
}

#[test]
fn the_example_passes_and_leaves_nothing_upstream() {
    let toy = Toy::start();
    let config = json!({"url": toy.accounts_url(), "token": TOKEN}).to_string();
    let accounts = built_plugins().join("test/accounts.wasm");
    let arguments = ["--config", &config, "--allow-host", toy.origin()];
    let found = Found::by(&accounts, &arguments);
    assert_eq!(found.code, Some(0), "{}", found.printed);
    assert_eq!(found.with("failed"), Vec::<&str>::new());
    assert_eq!(found.with("skipped"), ["renew", "inventory", "rotate"]);
    assert_eq!(toy.accounts(), Vec::<String>::new());

    let done = check(&accounts, &arguments);
    let table = String::from_utf8(done.stdout).unwrap();
    assert!(table.starts_with("CHECK"), "{table}");
    assert!(
        table.contains("two-creates-differ  passed   two operations share no secret"),
        "{table}"
    );
    let note = String::from_utf8(done.stderr).unwrap();
    assert_eq!(note, "14 passed, 0 failed, 3 skipped\n");
}

#[test]
fn without_a_config_only_what_needs_no_upstream_is_tried() {
    let found = Found::by(&built_plugins().join("postgres.wasm"), &[]);
    assert_eq!(found.code, Some(0), "{}", found.printed);
    assert_eq!(
        found.with("passed"),
        ["load", "describe", "schemas", "secret-fields"]
    );
    assert!(found.detail("create").contains("give a config"));
}

#[test]
fn the_postgres_provider_keeps_every_rule_with_its_rotation() {
    let postgres = Postgres::start();
    let root = postgres.superuser();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.json");
    let new_config = directory.path().join("new.json");
    let text = json!({
        "host": "127.0.0.1", "port": postgres.port(), "sslmode": "disable",
        "username": root.username, "password": root.password,
    });
    fs::write(&config, text.to_string()).unwrap();
    let found = Found::by(
        &built_plugins().join("postgres.wasm"),
        &[
            "--config",
            config.to_str().unwrap(),
            "--role",
            r#"{"member_of": ["pg_monitor"]}"#,
            "--allow-host",
            &postgres.grant(),
            "--rotate",
            new_config.to_str().unwrap(),
        ],
    );
    assert_eq!(
        found.with("failed"),
        Vec::<&str>::new(),
        "{}",
        found.printed
    );
    assert_eq!(found.with("skipped"), Vec::<&str>::new());
    let left = postgres.sql("select rolname from pg_roles where rolname like 'check-%'");
    assert_eq!(left.trim(), "");

    // The new root credential is in the file, and nowhere else.
    let text = fs::read_to_string(&new_config).unwrap();
    let new: Value = serde_json::from_str(&text).unwrap();
    let password = new["password"].as_str().unwrap();
    assert_ne!(password, root.password);
    assert!(!found.printed.contains(password), "{}", found.printed);
    let mode = fs::metadata(&new_config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn each_broken_rule_is_named_and_nothing_is_left_upstream() {
    let cases: [(&str, &[&str], &str); 10] = [
        ("refuses its role", &["validate-config"], "no such role"),
        (
            "names by chance",
            &["repeat", "inventory"],
            "the same operation made",
        ),
        ("same password", &["two-creates-differ"], "in password"),
        ("logs the password", &["no-secret-told"], "logs or prints"),
        (
            "tells the password",
            &["no-secret-told"],
            "metadata of create",
        ),
        ("leaves out the password", &["create"], "does not fit"),
        (
            "takes gone for a failure",
            &["revoke-again", "revoke-unknown"],
            "404",
        ),
        (
            "needs an id",
            &["revoke-lost-answer", "revoke-unknown"],
            "which one?",
        ),
        ("forgets", &["inventory"], "is still listed"),
        ("does not renew", &["renew"], "come back tomorrow"),
    ];
    let toy = Toy::start();
    let config = json!({"url": toy.origin(), "token": TOKEN}).to_string();
    let provider = built_plugins().join("test/nonconforming.wasm");
    for (flaw, broken, sentence) in cases {
        let role = json!({ "flaw": flaw }).to_string();
        let found = Found::by(
            &provider,
            &[
                "--config",
                &config,
                "--role",
                &role,
                "--allow-host",
                toy.origin(),
            ],
        );
        assert_eq!(found.code, Some(1), "{flaw}");
        assert_eq!(found.with("failed"), broken, "{flaw}: {}", found.printed);
        let detail = found.detail(broken[0]);
        assert!(detail.contains(sentence), "{flaw}: {detail}");
        assert_eq!(toy.accounts(), Vec::<String>::new(), "{flaw}");
    }
}

#[test]
fn what_cannot_be_ended_is_named_so_that_somebody_ends_it() {
    let toy = Toy::start();
    let config = json!({"url": toy.origin(), "token": TOKEN}).to_string();
    let found = Found::by(
        &built_plugins().join("test/nonconforming.wasm"),
        &[
            "--config",
            &config,
            "--role",
            r#"{"flaw": "never ends"}"#,
            "--allow-host",
            toy.origin(),
        ],
    );
    assert_eq!(found.with("failed"), ["revoke", "clean-up"]);
    let left = toy.accounts();
    assert_eq!(left.len(), 2, "{left:?}");
    for name in left {
        assert!(
            found.detail("clean-up").contains(&name),
            "{}",
            found.printed
        );
    }
}

#[test]
fn a_rotation_must_arrive_at_the_same_when_it_is_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let provider = built_plugins().join("test/nonconforming.wasm");
    for (flaw, failed) in [("", Vec::new()), ("rotates by chance", vec!["rotate"])] {
        let toy = Toy::start();
        let config = json!({"url": toy.origin(), "token": TOKEN, "flaw": flaw}).to_string();
        let new_config = directory.path().join(format!("{flaw}.json"));
        let arguments = [
            "--config",
            &config,
            "--allow-host",
            toy.origin(),
            "--rotate",
            new_config.to_str().unwrap(),
        ];
        let found = Found::by(&provider, &arguments);
        assert_eq!(found.with("failed"), failed, "{}", found.printed);
        assert_eq!(toy.accounts_by(TOKEN), None, "the root token is replaced");
        let new: Value = serde_json::from_str(&fs::read_to_string(&new_config).unwrap()).unwrap();
        let token = new["token"].as_str().unwrap();
        assert_eq!(toy.accounts_by(token), Some(Vec::new()), "{flaw}");
        // A file that may hold the only working root credential is not overwritten.
        let again = check(&provider, &arguments);
        assert_eq!(again.status.code(), Some(1));
        let complaint = String::from_utf8(again.stderr).unwrap();
        assert!(complaint.contains("for the new config"), "{complaint}");
    }
}

#[test]
fn an_inventory_that_misses_what_was_made_is_found_out() {
    let toy = Toy::start();
    let config = json!({"url": toy.origin(), "token": TOKEN, "flaw": "lists nothing"}).to_string();
    let found = Found::by(
        &built_plugins().join("test/nonconforming.wasm"),
        &["--config", &config, "--allow-host", toy.origin()],
    );
    assert_eq!(found.with("failed"), ["inventory"]);
    assert!(found.detail("inventory").contains("is not listed"));
}

#[test]
fn who_interrupts_a_check_leaves_nothing_upstream() {
    let toy = Toy::start();
    let config = json!({"url": toy.origin(), "token": TOKEN}).to_string();
    let process = command(
        &built_plugins().join("test/nonconforming.wasm"),
        &[
            "--config",
            &config,
            "--role",
            r#"{"flaw": "hangs"}"#,
            "--allow-host",
            toy.origin(),
        ],
    )
    .spawn()
    .expect("run lessor");
    eventually_true("an account is made", || toy.accounts().len() == 1);
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("SIGINT");
    let done = process.wait_with_output().expect("its end");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let complaint = String::from_utf8(done.stderr).unwrap();
    assert!(
        complaint.contains("interrupted; everything that was made upstream is revoked"),
        "{complaint}"
    );
    assert_eq!(toy.accounts(), Vec::<String>::new());
}

#[test]
fn what_is_no_provider_or_no_config_is_said_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script.wasm");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let found = Found::by(&script, &[]);
    assert_eq!(found.with("failed"), ["load"]);
    assert!(
        found.detail("load").contains("does not begin"),
        "{}",
        found.printed
    );

    let provider = built_plugins().join("test/nonconforming.wasm");
    for (arguments, sentence) in [
        (&["--config", r#"{"url": "http://x"}"#][..], "config.token"),
        (&["--config", r#"{"token": "canary""#], "config is not JSON"),
        (&["--config", "[]"], "cannot read []"),
        (&["--config", "{}", "--allow-host", "x"], "scheme://host"),
        (&["--timeout", "0"], "more than 0"),
    ] {
        let done = check(&provider, arguments);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let complaint = String::from_utf8(done.stderr).unwrap();
        assert!(complaint.contains(sentence), "{arguments:?}: {complaint}");
        assert!(!complaint.contains("canary"), "{complaint}");
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn a_missing_grant_is_named() {
    let toy = Toy::start();
    let config = json!({"url": toy.origin(), "token": TOKEN}).to_string();
    let found = Found::by(
        &built_plugins().join("test/nonconforming.wasm"),
        &["--config", &config],
    );
    assert_eq!(found.with("failed"), ["validate-config"]);
    let detail = found.detail("validate-config");
    assert!(detail.contains(toy.origin()), "{detail}");
}
