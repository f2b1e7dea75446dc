//! The command line against a scripted server: what it sends, what it prints
//! where, and how it ends.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use serde_json::{Value, json};

use super::Cli;
use super::stub::{Outcome, lessor, lessor_into, lessor_with};

const NO_CONTENT: (u16, &str) = (204, "");

/// The answer to reading something that is there, as a list or by itself.
const THERE: (u16, &str) = (200, r#"{"data": {"keys": ["1"]}}"#);

fn split(words: &str) -> Vec<&str> {
    words.split(' ').collect()
}

/// Whether a command looks up the thing that it ends first.
fn removes(words: &str) -> bool {
    words.contains(" remove ") || words.starts_with("lease revoke ")
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_argument_has_help() {
    fn missing(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for argument in command.get_arguments() {
            if argument.get_help().is_none() {
                found.push(format!("{path} {}", argument.get_id()));
            }
        }
        for verb in command.get_subcommands() {
            let path = format!("{path} {}", verb.get_name());
            if verb.get_about().is_none() {
                found.push(path.clone());
            }
            missing(verb, &path, found);
        }
    }
    let mut found = Vec::new();
    missing(&Cli::command(), "lessor", &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn mistakes_in_the_words_typed_are_usage_errors() {
    for words in [
        "lessor mount add db",
        "lessor config write db username",
        "lessor config write db =x",
        "lessor creds db",
        "lessor lease revoke",
        "lessor lease revoke a --prefix b",
        "lessor lease list --output yaml",
        "lessor nonsense",
    ] {
        let error = Cli::try_parse_from(words.split(' ')).expect_err(words);
        assert_eq!(error.exit_code(), 2, "{words}");
    }
}

/// Each command that only writes: what it sends, and that standard output stays
/// empty.
#[test]
fn a_write_sends_the_fields_of_the_api_and_tells_only_standard_error() {
    let cases: [(&str, &str, Value); 24] = [
        (
            "plugin pin db db.wasm --sha256 ABC --version 1.2.0",
            "POST /v1/sys/plugins/catalog/secret/db",
            json!({ "command": "db.wasm", "sha256": "ABC", "version": "1.2.0" }),
        ),
        (
            "mount add team/db --plugin postgres --allow-host tcp://db:5432 --allow-host https://x --default-ttl 1h --max-leases 5 --description hers",
            "POST /v1/sys/mounts/team/db",
            json!({
                "type": "postgres",
                "description": "hers",
                "config": {
                    "allowed_hosts": ["tcp://db:5432", "https://x"],
                    "default_lease_ttl": "1h",
                    "max_leases": 5,
                },
            }),
        ),
        (
            "mount tune team/db --max-ttl 2h --timeout 5s --plugin-version 2",
            "POST /v1/sys/mounts/team/db/tune",
            json!({ "plugin_version": "2", "max_lease_ttl": "2h", "timeout": "5s" }),
        ),
        (
            "mount remove team/db",
            "DELETE /v1/sys/mounts/team/db?sync=true",
            Value::Null,
        ),
        (
            "config write team/db port=5432 username=root",
            "POST /v1/team/db/config",
            json!({ "port": 5432, "username": "root" }),
        ),
        ("config remove db", "DELETE /v1/db/config", Value::Null),
        (
            "role write db app default_ttl=1h",
            "POST /v1/db/roles/app",
            json!({ "default_ttl": "1h" }),
        ),
        (
            "role write db app --replace default_ttl=1h",
            "POST /v1/db/roles/app",
            json!({ "default_ttl": "1h", "replace": true }),
        ),
        (
            "role remove db app",
            "DELETE /v1/db/roles/app?sync=true",
            Value::Null,
        ),
        (
            "role remove db app --revoke --no-wait",
            "DELETE /v1/db/roles/app?revoke=true&async=true",
            Value::Null,
        ),
        (
            "lease revoke db/creds/app/1",
            "POST /v1/sys/leases/revoke",
            json!({ "lease_id": "db/creds/app/1", "sync": true }),
        ),
        (
            "lease revoke --prefix db/creds/ --wait",
            "POST /v1/sys/leases/revoke-prefix/db/creds",
            json!({ "sync": true }),
        ),
        (
            "lease revoke --prefix db --no-wait",
            "POST /v1/sys/leases/revoke-prefix/db",
            json!({ "async": true }),
        ),
        (
            "lease revoke db/creds/app/1 --no-wait",
            "POST /v1/sys/leases/revoke",
            json!({ "lease_id": "db/creds/app/1", "async": true }),
        ),
        (
            "lease revoke db/creds/app/1 --force gone",
            "POST /v1/sys/leases/revoke",
            json!({ "lease_id": "db/creds/app/1", "force": true, "reason": "gone" }),
        ),
        (
            "lease revoke --prefix db/ --force gone",
            "POST /v1/sys/leases/revoke-force/db",
            json!({ "reason": "gone" }),
        ),
        ("task cancel 01", "DELETE /v1/sys/tasks/01", Value::Null),
        (
            "lease quarantine --forget 7",
            "DELETE /v1/sys/leases/quarantine/7",
            Value::Null,
        ),
        (
            "rotate team/db --abort",
            "POST /v1/team/db/rotate-root/abort",
            json!({}),
        ),
        (
            "rotate team/db --connection eu",
            "POST /v1/team/db/rotate-root/eu",
            json!({}),
        ),
        (
            "rotate team/db --connection eu --retry",
            "POST /v1/team/db/rotate-root/eu/retry",
            json!({}),
        ),
        (
            "config write db --connection eu host=a",
            "POST /v1/db/config/eu",
            json!({ "host": "a" }),
        ),
        (
            "config remove db --connection eu --force",
            "DELETE /v1/db/config/eu?force=true",
            Value::Null,
        ),
        (
            "plugin remove db --version 1.0+a",
            "DELETE /v1/sys/plugins/catalog/secret/db?version=1%2E0%2Ba",
            Value::Null,
        ),
    ];
    for (words, line, body) in cases {
        let Outcome {
            code,
            out,
            err,
            asked,
        } = match removes(words) {
            true => lessor(&split(words), "", &[THERE, NO_CONTENT]),
            false => lessor(&split(words), "", &[NO_CONTENT]),
        };
        assert_eq!(code, ExitCode::SUCCESS, "{words}: {err}");
        assert_eq!(out, "", "{words}");
        assert!(!err.is_empty(), "{words}");
        let write = asked.last().unwrap();
        assert_eq!(write.line, line, "{words}");
        assert_eq!(write.token.as_deref(), Some("the-token"), "{words}");
        let sent: Value = serde_json::from_str(&write.body).unwrap_or_default();
        assert_eq!(sent, body, "{words}");
    }
}

#[test]
fn a_pin_without_a_digest_takes_that_of_the_local_copy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("db.wasm");
    std::fs::write(&file, "abc").unwrap();
    let outcome = lessor(
        &["plugin", "pin", "db", file.to_str().unwrap()],
        "",
        &[NO_CONTENT],
    );
    let sent: Value = serde_json::from_str(&outcome.asked[0].body).unwrap();
    // The SHA-256 of "abc", from FIPS 180-4's own examples.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sent, json!({ "command": "db.wasm", "sha256": digest }));
}

#[test]
fn a_secret_given_to_a_config_is_never_shown() {
    let answer = r#"{"warnings": ["the role is a superuser"]}"#;
    let words = ["config", "write", "db", "username=root", "password=-"];
    let outcome = lessor(&words, "canary\n", &[(200, answer)]);
    assert_eq!(
        outcome.asked[0].body,
        r#"{"username":"root","password":"canary"}"#
    );
    assert!(outcome.err.contains("warning: the role is a superuser"));
    assert!(!format!("{}{}", outcome.out, outcome.err).contains("canary"));

    let error = Cli::try_parse_from(["lessor", "config", "write", "db", "canary"]).unwrap_err();
    assert!(!error.to_string().contains("canary"));
}

const LEASED: &str = r#"{
    "request_id": "r", "lease_id": "db/creds/app/1", "lease_duration": 3600, "renewable": true,
    "data": {"username": "app-1", "password": "pw"}, "warnings": null
}"#;

#[test]
fn a_credential_is_printed_with_its_lease() {
    let outcome = lessor(&["creds", "db", "app"], "", &[(200, LEASED)]);
    assert_eq!(outcome.asked[0].line, "GET /v1/db/creds/app");
    let expected = "\
lease_id        db/creds/app/1
lease_duration  1h
renewable       true
username        app-1
password        pw
";
    assert_eq!(outcome.out, expected);

    let outcome = lessor(
        &["creds", "db", "app", "--output", "json"],
        "",
        &[(200, LEASED)],
    );
    let shown: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(shown, serde_json::from_str::<Value>(LEASED).unwrap());
}

#[test]
fn a_request_with_values_or_a_ttl_is_a_write() {
    let words = [
        "creds",
        "pki",
        "web",
        "common_name=a.example",
        "--ttl",
        "5m",
    ];
    let outcome = lessor(&words, "", &[(200, LEASED)]);
    assert_eq!(outcome.asked[0].line, "POST /v1/pki/creds/web");
    assert_eq!(
        outcome.asked[0].body,
        r#"{"common_name":"a.example","ttl":"5m"}"#
    );
}

/// AKL-15: fields of the request, and a limit of the time that the caller waits.
#[test]
fn a_credential_is_waited_for_as_long_as_the_caller_says() {
    let words = ["creds", "cloud", "app", "size=2", "--timeout", "300"];
    let outcome = lessor(&words, "", &[(200, LEASED)]);
    assert_eq!(outcome.asked[0].line, "POST /v1/cloud/creds/app");
    assert_eq!(outcome.asked[0].body, r#"{"size":2}"#);
    assert!(outcome.out.contains("app-1"));

    let outcome = lessor(&["creds", "db", "app", "--timeout", "1s"], "", &[(1, "")]);
    assert_eq!(outcome.code, ExitCode::FAILURE);
    assert_eq!(outcome.out, "");
    for part in [
        "a lease may have been made; `lessor lease list db/creds/app` shows those that there are",
        "did not answer within 1s; whether it did what it was asked is not known",
    ] {
        assert!(outcome.err.contains(part), "{}", outcome.err);
    }

    for wrong in ["0", "10ms", "soon", ""] {
        let words = ["lessor", "creds", "db", "app", "--timeout", wrong];
        let error = Cli::try_parse_from(words).unwrap_err();
        let says = "write a time of at least one second, such as 90s, 5m or 300";
        assert!(error.to_string().contains(says), "{wrong}: {error}");
    }
}

#[test]
fn saved_fields_go_into_private_files_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    // A file that others can read.
    std::fs::write(file("password"), "something longer than the password").unwrap();
    std::fs::set_permissions(file("password"), PermissionsExt::from_mode(0o644)).unwrap();
    let save = |field: &str| format!("{field}={}", file(field).display());
    let (password, lease) = (save("password"), save("lease_id"));
    let words = ["creds", "db", "app", "--save", &password, "--save", &lease];
    let outcome = lessor(&words, "", &[(200, LEASED)]);
    assert_eq!(outcome.code, ExitCode::SUCCESS, "{}", outcome.err);
    assert_eq!(std::fs::read_to_string(file("password")).unwrap(), "pw");
    assert_eq!(
        std::fs::read_to_string(file("lease_id")).unwrap(),
        "db/creds/app/1"
    );
    let mode = std::fs::metadata(file("password"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        outcome.out.contains("app-1") && !outcome.out.contains("pw"),
        "{}",
        outcome.out
    );

    let words = ["creds", "db", "app", "--save", "password=/nowhere/at/all"];
    let outcome = lessor(&words, "", &[]);
    assert_eq!(
        outcome.code,
        ExitCode::FAILURE,
        "no credential is asked for in vain"
    );

    let key = format!("private_key={}", file("key").display());
    let outcome = lessor(
        &["creds", "db", "app", "--save", &key],
        "",
        &[(200, LEASED)],
    );
    assert_eq!(outcome.code, ExitCode::FAILURE);
    assert!(
        outcome.err.contains("lessor lease revoke db/creds/app/1"),
        "{}",
        outcome.err
    );
    assert!(
        outcome
            .err
            .contains("no field of that name, but username, password")
    );
}

#[test]
fn a_refusal_is_one_sentence_and_exit_code_1() {
    let cases = [
        (
            400,
            r#"{"errors": ["port: a number was expected"]}"#,
            "port: a number was expected",
        ),
        (502, r#"{"errors": ["a", "b"]}"#, "a; b"),
        (404, r#"{"errors": []}"#, "there is no config at mount db"),
        (
            500,
            r#"{"errors": []}"#,
            "the server answered db/config with status 500",
        ),
        (502, "<html>", "is not JSON; is it a lessor server?"),
    ];
    for (status, body, told) in cases {
        let outcome = lessor(&["config", "show", "db"], "", &[(status, body)]);
        assert_eq!(outcome.code, ExitCode::FAILURE);
        assert_eq!(outcome.out, "");
        assert!(
            outcome.err.starts_with("error: ") && outcome.err.contains(told),
            "{}",
            outcome.err
        );
        assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
    }
}

#[test]
fn a_server_that_is_not_there_is_told_with_the_way_out() {
    // Port 1 of loopback: nothing listens there without being root.
    let words = ["status", "--address", "http://127.0.0.1:1"];
    let outcome = lessor(&words, "", &[]);
    assert_eq!(outcome.code, ExitCode::FAILURE);
    assert!(
        outcome.err.contains("cannot reach http://127.0.0.1:1"),
        "{}",
        outcome.err
    );

    let outcome = lessor(&["status", "--address", "localhost"], "", &[]);
    assert!(
        outcome.err.contains("no address of a server"),
        "{}",
        outcome.err
    );
}

#[test]
fn a_list_of_leases_goes_down_to_every_id() {
    let outcome = lessor(
        &["lease", "list"],
        "",
        &[
            (200, r#"{"data": {"keys": ["db/", "pki/"]}}"#),
            (200, r#"{"data": {"keys": ["creds/"]}}"#),
            (200, r#"{"data": {"keys": ["1", "2"]}}"#),
            (404, r#"{"errors": []}"#),
        ],
    );
    assert_eq!(outcome.out, "db/creds/1\ndb/creds/2\n", "{}", outcome.err);
    let asked: Vec<&str> = outcome
        .asked
        .iter()
        .map(|asked| asked.line.as_str())
        .collect();
    assert_eq!(
        asked,
        [
            "GET /v1/sys/leases/lookup?list=true",
            "GET /v1/sys/leases/lookup/db?list=true",
            "GET /v1/sys/leases/lookup/db/creds?list=true",
            "GET /v1/sys/leases/lookup/pki?list=true",
        ]
    );
}

#[test]
fn quarantined_leases_are_shown_one_a_row() {
    let answer = r#"{"data": {"count": 1, "leases": [{
        "number": 7, "operation": "01m8", "mount": "db", "role": null, "principal": "db-app-1",
        "credential_id": "db-app-1", "reason": "attempts", "quarantined_at": "2026-11-21T00:00:00.000Z"
    }]}}"#;
    let outcome = lessor(&["lease", "quarantine"], "", &[(200, answer)]);
    assert_eq!(outcome.asked[0].line, "GET /v1/sys/leases/quarantine");
    let expected = "\
NUMBER  OPERATION  MOUNT  ROLE  PRINCIPAL  REASON
7       01m8       db     -     db-app-1   attempts
";
    assert_eq!(outcome.out, expected, "{}", outcome.err);
}

#[test]
fn reconcile_sends_what_is_named_and_tells_what_does_not_match() {
    let answer = r#"{"data": {
        "dry_run": false, "upstream_count": 3, "lease_count": 2, "orphan_count": 2, "orphans": ["a", "b"],
        "undecided_count": 0, "vanished_count": 1,
        "vanished": [{"lease_id": "db/creds/app/1", "credential_id": "c"}], "revoked": ["a"], "failed": []
    }}"#;
    let words = ["reconcile", "db", "--revoke", "a", "--revoke", "-"];
    let outcome = lessor(&words, " b \n\n", &[(200, answer)]);
    assert_eq!(outcome.code, ExitCode::SUCCESS, "{}", outcome.err);
    assert_eq!(outcome.asked[0].line, "POST /v1/db/reconcile");
    assert_eq!(
        outcome.asked[0].body,
        r#"{"dry_run":false,"revoke":["a","b"]}"#
    );
    let expected = "\
WHAT      CREDENTIAL  LEASE
revoked   a           -
orphan    b           -
vanished  c           db/creds/app/1
";
    assert_eq!(outcome.out, expected);
    assert!(
        outcome.err.contains("3 credentials of db"),
        "{}",
        outcome.err
    );
    let words = ["reconcile", "db", "--connection", "eu"];
    let outcome = lessor(&words, "", &[(200, answer)]);
    assert_eq!(outcome.asked[0].body, r#"{"connection":"eu"}"#);

    let failed = r#"{"data": {"failed": [{"credential_id": "a", "error": "no"}]}}"#;
    let outcome = lessor(&["reconcile", "db", "--revoke", "a"], "", &[(200, failed)]);
    assert_eq!(outcome.code, ExitCode::FAILURE);
    let outcome = lessor(&["reconcile", "db", "--revoke", "-"], "\n", &[]);
    assert_eq!(
        outcome.code,
        ExitCode::FAILURE,
        "an empty list asks nothing"
    );
    let outcome = lessor(&["reconcile", "db"], "", &[(200, r#"{"data": {}}"#)]);
    assert_eq!(outcome.asked[0].body, "{}");
}

#[test]
fn status_tells_why_a_server_does_not_serve() {
    for (status, body, state, code) in [
        (
            200,
            r#"{"initialized": true, "sealed": false}"#,
            "ready",
            ExitCode::SUCCESS,
        ),
        (
            501,
            r#"{"initialized": false, "sealed": true}"#,
            "lessor init",
            ExitCode::FAILURE,
        ),
        (
            503,
            r#"{"initialized": true, "sealed": true}"#,
            "sealed",
            ExitCode::FAILURE,
        ),
    ] {
        let outcome = lessor(&["status"], "", &[(status, body)]);
        assert!(outcome.out.contains(state), "{}", outcome.out);
        assert_eq!(outcome.code, code);
    }
}

#[test]
fn a_root_token_is_printed_once_by_init_and_never_by_token_lookup() {
    let outcome = lessor(
        &["init"],
        "",
        &[(200, r#"{"root_token": "root-1", "keys": []}"#)],
    );
    assert_eq!(outcome.out, "root_token  root-1\n");

    let answer = r#"{"data": {"id": "root-1", "policies": ["root"], "ttl": 0}}"#;
    let outcome = lessor(&["token", "lookup"], "", &[(200, answer)]);
    assert_eq!(outcome.out, "policies  root\nttl       0s\n");
}

/// A name that clears the screen, sets the terminal's title, shows its end first
/// and forges a line.
const FOREIGN: &str = r"x\u001b[2J\u001b]0;t\u0007\u202etxt\u200b\u009b\nforged";

/// Characters that a terminal acts on, or does not show as they are.
fn hidden(text: &str) -> Option<char> {
    text.chars()
        .find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{200b}' | '\u{202e}'))
}

#[test]
fn foreign_text_is_made_visible_before_a_terminal_shows_it() {
    let named = |template: &str| template.replace('$', FOREIGN);
    for (words, status, body) in [
        (
            "lease lookup db/creds/app/1",
            200,
            r#"{"data": {"id": "$", "metadata": {"$": "$"}, "last_error": "$"}}"#,
        ),
        (
            "creds db app",
            200,
            r#"{"lease_id": "db/creds/app/1", "data": {"username": "$", "$": ["$", "$"]}, "warnings": ["$"]}"#,
        ),
        (
            "plugin list",
            200,
            r#"{"data": {"pins": [{"name": "$", "state": "$", "mounts": [{"$": "$"}]}]}}"#,
        ),
        ("role list db", 200, r#"{"data": {"keys": ["$"]}}"#),
        (
            "plugin pin db db.wasm --sha256 00",
            200,
            r#"{"warnings": ["$"]}"#,
        ),
        (
            "plugin pin db db.wasm --sha256 00",
            400,
            r#"{"errors": ["$"]}"#,
        ),
        ("status", 200, r#"{"initialized": true, "version": "$"}"#),
    ] {
        let body = named(body);
        for format in ["table", "json"] {
            let mut words: Vec<&str> = words.split(' ').collect();
            words.extend(["-o", format]);
            let outcome = lessor(&words, "", &[(status, &body)]);
            let shown = format!("{}{}", outcome.out, outcome.err);
            assert_eq!(hidden(&shown), None, "{words:?}: {shown:?}");
            assert!(shown.contains("202e"), "{words:?}: {shown:?}");
            if format == "table" {
                assert!(
                    !outcome.out.lines().any(|line| line.starts_with("forged")),
                    "{shown}"
                );
            } else if !outcome.out.is_empty() {
                let exact: Value = serde_json::from_str(&outcome.out).unwrap();
                assert_eq!(exact, serde_json::from_str::<Value>(&body).unwrap());
            }
        }
    }
}

#[test]
fn a_saved_field_is_exactly_what_the_provider_gave() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let save = format!("password={}", file.display());
    let body = r#"{"lease_id": "db/creds/app/1", "data": {"password": "$"}}"#.replace('$', FOREIGN);
    let outcome = lessor(
        &["creds", "db", "app", "--save", &save],
        "",
        &[(200, &body)],
    );
    assert_eq!(outcome.code, ExitCode::SUCCESS, "{}", outcome.err);
    let given: String = serde_json::from_str(&format!("\"{FOREIGN}\"")).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), given);
}

#[test]
fn what_is_not_there_is_not_reported_as_removed() {
    const MISSING: (u16, &str) = (404, r#"{"errors": []}"#);
    const NO_LEASE: (u16, &str) = (400, r#"{"errors": ["invalid lease"]}"#);
    const DENIED: (u16, &str) = (403, r#"{"errors": ["permission denied"]}"#);
    for (words, looked, told) in [
        (
            "mount remove databse",
            MISSING,
            "there is no mount at databse",
        ),
        (
            "mount remove databse",
            (404, r#"{"errors": ["nothing is mounted there"]}"#),
            "there is no mount at databse",
        ),
        (
            "role remove pki nope",
            MISSING,
            "there is no role nope at mount pki",
        ),
        (
            "config remove pki",
            MISSING,
            "there is no config at mount pki",
        ),
        (
            "plugin remove nope",
            MISSING,
            "there is no pin of a plugin nope",
        ),
        (
            "lease revoke pki/creds/w/1",
            NO_LEASE,
            "there is no lease pki/creds/w/1",
        ),
        (
            "lease revoke --prefix nope",
            MISSING,
            "there is no lease below nope",
        ),
        (
            "lease revoke --prefix nope --force gone",
            MISSING,
            "there is no lease below nope",
        ),
        (
            "mount remove db",
            DENIED,
            "if there was one, which this token may not see",
        ),
        (
            "lease revoke pki/creds/w/1",
            DENIED,
            "if there was one, which this token may not see",
        ),
    ] {
        let outcome = lessor(&split(words), "", &[looked, NO_CONTENT]);
        assert_eq!(outcome.code, ExitCode::SUCCESS, "{words}: {}", outcome.err);
        assert!(outcome.err.contains(told), "{words}: {}", outcome.err);
        assert!(
            !outcome.err.contains("is removed") && !outcome.err.contains("is revoked"),
            "{words}: {}",
            outcome.err
        );
        assert_eq!(outcome.err.lines().count(), 1, "{words}: {}", outcome.err);
    }
}

#[test]
fn a_change_of_nothing_is_not_reported_as_a_change() {
    let outcome = lessor(&["mount", "tune", "db"], "", &[]);
    assert_eq!(outcome.code, ExitCode::FAILURE);
    assert!(
        outcome.err.contains("nothing is named to be changed"),
        "{}",
        outcome.err
    );

    let outcome = lessor(
        &["rotate", "db"],
        "",
        &[(202, r#"{"data": {"task_id": "1"}}"#)],
    );
    assert!(
        outcome.err.contains("goes on") && !outcome.err.contains("replaced"),
        "{}",
        outcome.err
    );
}

/// A pipe whose reader has gone, or a device that is full.
struct Unwritable(std::io::ErrorKind);

impl std::io::Write for Unwritable {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_given_out_once_and_could_not_be_printed_is_told() {
    use std::io::ErrorKind::{BrokenPipe, StorageFull};
    let lease = "`lessor lease revoke db/creds/app/1` ends it";
    for (words, answer, kind, told) in [
        ("creds db app", LEASED, StorageFull, lease),
        ("creds db app", LEASED, BrokenPipe, lease),
        ("creds db app -o json", LEASED, StorageFull, lease),
        ("task show 01", LEASED, BrokenPipe, lease),
        (
            "init",
            r#"{"root_token": "root-1"}"#,
            BrokenPipe,
            "`lessor init` gives another",
        ),
        (
            "role list db",
            r#"{"data": {"keys": ["a"]}}"#,
            StorageFull,
            "cannot write to standard output",
        ),
        ("status", r#"{"initialized": true}"#, BrokenPipe, ""),
        (
            "role list db",
            r#"{"data": {"keys": ["a"]}}"#,
            BrokenPipe,
            "",
        ),
        ("mount list -o json", "{}", BrokenPipe, ""),
    ] {
        let outcome = lessor_into(&mut Unwritable(kind), &split(words), &[(200, answer)]);
        assert!(
            outcome.err.contains(told),
            "{words} {kind}: {}",
            outcome.err
        );
        assert_eq!(
            outcome.err.is_empty(),
            told.is_empty(),
            "{words} {kind}: {}",
            outcome.err
        );
        assert!(
            !outcome.err.contains("root-1") && !outcome.err.contains("pw"),
            "{}",
            outcome.err
        );
        assert_ne!(outcome.code, ExitCode::SUCCESS, "{words} {kind}");
    }
}

#[test]
fn an_answer_that_never_came_is_not_called_a_server_that_is_not_there() {
    // The stub closes the connection where it should answer.
    let outcome = lessor(&["creds", "db", "app"], "", &[(0, "")]);
    assert_eq!(outcome.code, ExitCode::FAILURE);
    for told in ["`lessor lease list db/creds/app`", "is not known"] {
        assert!(outcome.err.contains(told), "{}", outcome.err);
    }
    assert!(!outcome.err.contains("cannot reach"), "{}", outcome.err);
}

#[test]
fn white_space_around_a_token_or_an_id_is_no_part_of_it() {
    let outcome = lessor_with(
        "LESSOR_TOKEN",
        " a-token\r\n",
        &["role", "list", "db"],
        &[NO_CONTENT],
    );
    assert_eq!(outcome.code, ExitCode::SUCCESS, "{}", outcome.err);
    assert_eq!(outcome.asked[0].token.as_deref(), Some("a-token"));

    let outcome = lessor_with(
        "LESSOR_TOKEN",
        " \n",
        &["role", "list", "db"],
        &[NO_CONTENT],
    );
    assert_eq!(
        outcome.asked[0].token.as_deref(),
        Some("the-token"),
        "blank is not set"
    );

    let outcome = lessor_with("LESSOR_TOKEN", "two\nlines", &["role", "list", "db"], &[]);
    assert_eq!(outcome.code, ExitCode::FAILURE);
    assert!(
        outcome.err.contains("the token in $LESSOR_TOKEN") && !outcome.err.contains("two"),
        "{}",
        outcome.err
    );

    let outcome = lessor(
        &["lease", "lookup", " db/creds/app/1\n"],
        "",
        &[(200, LEASED)],
    );
    assert_eq!(outcome.asked[0].body, r#"{"lease_id":"db/creds/app/1"}"#);
}
