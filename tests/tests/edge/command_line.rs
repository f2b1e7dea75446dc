//! The command line against a real server: a newcomer's whole way, and its sentences about
//! mistakes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use lessor_tests::{
    fixture::Lease,
    postgres::Postgres,
    server::{Server, binary},
};
use serde_json::{Value, json};

/// Runs `lessor` with the words of `line`, which hold no blanks of their own.
fn lessor(server: &Server, line: &str) -> Output {
    Command::new(binary())
        .args(line.split_whitespace())
        .env("LESSOR_ADDR", server.http.base())
        .env("LESSOR_TOKEN", server.http.token())
        .stdin(Stdio::null())
        .output()
        .expect("run lessor")
}

/// The standard output of a command that succeeds.
#[track_caller]
fn said(server: &Server, line: &str) -> String {
    let done = lessor(server, line);
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "lessor {line}: {error}");
    String::from_utf8(done.stdout).unwrap()
}

/// The same with `--output json`, parsed.
#[track_caller]
fn json_of(server: &Server, line: &str) -> Value {
    let text = said(server, &format!("{line} --output json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("lessor {line}: {error}: {text}"))
}

/// The standard error of a command that fails.
#[track_caller]
fn complained(server: &Server, line: &str) -> String {
    let done = lessor(server, line);
    assert_eq!(done.status.code(), Some(1), "lessor {line}: {done:?}");
    assert!(done.stdout.is_empty(), "lessor {line}: {done:?}");
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn the_whole_way_from_a_fresh_server_to_a_revoked_lease_can_be_typed() {
    let postgres = Postgres::start();
    let root = postgres.superuser();
    let mut server = Server::setup().start_uninitialised();
    server.http = server.http.with_token("none");
    let status = lessor(&server, "status");
    assert!(!status.status.success(), "{status:?}");
    let token = json_of(&server, "init")["root_token"]
        .as_str()
        .unwrap()
        .to_owned();
    server.http = server.http.with_token(&token);
    let status = said(&server, "status");
    assert!(status.contains("ready"), "{status}");
    // Its own version, not that of the Vault whose API it serves.
    assert!(status.contains(env!("CARGO_PKG_VERSION")), "{status}");
    assert!(!status.contains("1.21."), "{status}");

    let file = server.plugins().join("postgres.wasm").display().to_string();
    said(&server, &format!("plugin pin postgres {file}"));
    assert!(said(&server, "plugin list").contains("postgres"));
    let shown = json_of(&server, "plugin show postgres");
    assert!(
        shown.to_string().contains(&server.digest("postgres.wasm")),
        "{shown}"
    );

    let grant = postgres.grant();
    said(
        &server,
        &format!("mount add db --plugin postgres --allow-host {grant}"),
    );
    assert!(said(&server, "mount list").contains(&grant));
    let password = server.data().join("../password");
    fs::write(&password, &root.password).unwrap();
    said(
        &server,
        &format!(
            "config write db host=127.0.0.1 port={} username={} password=@{} sslmode=disable",
            postgres.port(),
            root.username,
            password.display(),
        ),
    );
    assert!(!said(&server, "config show db").contains(&root.password));
    said(
        &server,
        "role write db reader member_of=[\"pg_read_all_data\"] default_ttl=1h",
    );
    assert!(said(&server, "role list db").contains("reader"));

    let issued = json_of(&server, "creds db reader --ttl 30m");
    let lease = Lease {
        id: issued["lease_id"].as_str().unwrap().to_owned(),
        username: issued["data"]["username"].as_str().unwrap().to_owned(),
        password: issued["data"]["password"].as_str().unwrap().to_owned(),
        seconds: issued["lease_duration"].as_u64().unwrap(),
    };
    assert_eq!(lease.seconds, 1800);
    assert!(postgres.accepts(&lease.username, &lease.password));
    assert_eq!(said(&server, "lease list").trim(), lease.id);
    assert_eq!(json_of(&server, "lease list db"), json!([lease.id]));
    assert!(said(&server, &format!("lease lookup {}", lease.id)).contains("active"));
    said(
        &server,
        &format!("lease renew {} --increment 50m", lease.id),
    );
    said(&server, "rotate db");
    assert!(!postgres.accepts(&root.username, &root.password));
    said(&server, &format!("lease revoke {}", lease.id));
    assert!(!postgres.accepts(&lease.username, &lease.password));
    assert!(postgres.leased_roles().is_empty());
    assert_eq!(said(&server, "lease list"), "");

    // A password can go to a file that nobody else reads, and not to the screen.
    let saved = server.data().join("../saved");
    let line = format!("creds db reader --save password={}", saved.display());
    let printed = said(&server, &line);
    let password = fs::read_to_string(&saved).unwrap();
    assert!(!password.is_empty() && !printed.contains(&password));
    assert_eq!(
        fs::metadata(&saved).unwrap().permissions().mode() & 0o777,
        0o600
    );
    said(&server, "lease revoke --prefix db");
    server.await_no_leases("db");
    said(&server, "mount remove db");
    assert!(!said(&server, "mount list").contains(&grant));
}

#[test]
fn what_is_wrong_is_said_in_one_sentence_on_standard_error() {
    let server = Server::start();
    for (line, says) in [
        ("mount add db --plugin postgers", "postgres"),
        ("config show nowhere", "nowhere"),
        ("creds nowhere reader", "nowhere"),
        ("role show nowhere reader", "nowhere"),
        ("lease lookup x", "invalid lease"),
        ("plugin show nosuch", "nosuch"),
        (
            "plugin pin x postgres.wasm --sha256 00",
            "64 hexadecimal digits",
        ),
        ("mount add a/../b --plugin postgres", ".."),
    ] {
        let sentence = complained(&server, line);
        assert!(sentence.starts_with("error: "), "lessor {line}: {sentence}");
        assert!(sentence.contains(says), "lessor {line}: {sentence}");
        assert_eq!(
            sentence.trim().lines().count(),
            1,
            "lessor {line}: {sentence}"
        );
    }
    let stranger = Command::new(binary())
        .args(["mount", "list", "--address", server.http.base()])
        .env_remove("LESSOR_TOKEN")
        .env_remove("VAULT_TOKEN")
        .output()
        .unwrap();
    let sentence = String::from_utf8(stranger.stderr).unwrap();
    assert_eq!(stranger.status.code(), Some(1));
    assert!(
        sentence.to_lowercase().contains("token") || sentence.contains("permission denied"),
        "{sentence}"
    );
}

/// A server with an authority at `pki` and a role that leases any certificate.
fn with_certificates() -> Server {
    let server = Server::start();
    for (path, body) in [
        ("sys/mounts/pki", json!({"type": "certificate"})),
        ("pki/config", json!({"common_name": "an authority"})),
        ("pki/rotate-root", json!({})),
        (
            "pki/roles/any",
            json!({"allow_any_name": true, "default_ttl": "1h"}),
        ),
    ] {
        server.http.post(path, &body).ok();
    }
    server
}

fn into(server: &Server, line: &str, out: Stdio) -> Output {
    Command::new(binary())
        .args(line.split_whitespace())
        .env("LESSOR_ADDR", server.http.base())
        .env("LESSOR_TOKEN", server.http.token())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::piped())
        .output()
        .expect("run lessor")
}

/// A pipe whose reader has gone.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_lease_whose_credential_could_not_be_printed_is_named() {
    let server = with_certificates();
    let line = "creds pki any common_name=a.example.com";
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    for out in [full(), closed_pipe()] {
        let done = into(&server, line, out);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{said}");
        let [lease] = &server.leases("pki/creds")[..] else {
            panic!("one lease was made: {said}");
        };
        assert!(
            said.contains(&format!("`lessor lease revoke {lease}`")),
            "{said}"
        );
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        let revoked = lessor(&server, &format!("lease revoke {lease}"));
        assert!(revoked.status.success(), "{revoked:?}");
    }
}

#[test]
fn a_reader_that_has_gone_is_a_quiet_end() {
    let server = Server::start();
    for line in [
        "plugin list",
        "status",
        "mount list -o json",
        "lease list",
        "token lookup",
    ] {
        let done = into(&server, line, closed_pipe());
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(said, "", "lessor {line}");
    }
}

#[test]
fn what_is_not_there_is_not_said_to_be_removed() {
    let server = with_certificates();
    for (line, says) in [
        ("mount remove databse", "there is no mount at databse"),
        ("role remove pki nope", "there is no role nope at mount pki"),
        ("role remove nowhere any", "nothing is mounted at"),
        ("plugin remove nope", "there is no pin of a plugin nope"),
        ("config remove pki2", "nothing is mounted at"),
        (
            "lease revoke pki/creds/any/01aaaaaaaaaaaaaaaaaaaaaaaa",
            "there is no lease pki/creds/any/01aaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            "lease revoke --prefix databse",
            "there is no lease below databse",
        ),
    ] {
        let done = lessor(&server, line);
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(says), "lessor {line}: {said}");
        for claim in ["is removed", "is revoked", "being revoked", "no longer"] {
            assert!(!said.contains(claim), "lessor {line}: {said}");
        }
    }
    let done = lessor(&server, "role remove pki any");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("is removed"), "{said}");
}

#[test]
fn a_token_with_a_line_end_is_the_same_token() {
    let server = Server::start();
    let done = Command::new(binary())
        .args(["mount", "list", "--address", server.http.base()])
        .env("LESSOR_TOKEN", format!(" {}\r\n", server.http.token()))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// An operator could see what a provider wants to reach only after pinning it.
#[test]
fn a_provider_can_be_looked_at_before_it_is_pinned_and_without_a_server() {
    let inspect = |more: &[&str]| {
        let file = lessor_tests::server::built_plugins().join("postgres.wasm");
        let done = Command::new(binary())
            .args(["plugin", "inspect"])
            .arg(&file)
            .args(more)
            .env("LESSOR_ADDR", "http://127.0.0.1:1")
            .stdin(Stdio::null())
            .output()
            .expect("run lessor");
        assert!(done.status.success(), "{done:?}");
        let digest = lessor_tests::sha256(&fs::read(file).unwrap());
        (String::from_utf8(done.stdout).unwrap(), digest)
    };
    let (table, digest) = inspect(&[]);
    for shown in [
        digest.as_str(),
        "tcp://{host}:{port}",
        "lessor:plugin/network@1.0.0",
        "lessor:plugin/provider@1.0.0",
        "host*",
        "deletes: the credential ends",
        "revoke: CREATEROLE, INHERIT",
        "0.1.0",
    ] {
        assert!(table.contains(shown), "{shown}: {table}");
    }
    let (text, digest) = inspect(&["--output", "json"]);
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["sha256"], json!(digest));
    assert_eq!(shown["contract"], "1.0.0");
    assert_eq!(
        shown["descriptor"]["endpoints"],
        json!(["tcp://{host}:{port}"])
    );
    let begins = &shown["component"]["begins_with"];
    assert!(begins["memory"].as_u64() > Some(0), "{shown}");
}
