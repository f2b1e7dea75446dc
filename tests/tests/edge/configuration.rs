//! The configuration file, seen from outside.

use std::{
    fs,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use lessor_tests::{
    openssl::{Authority, Desk},
    server::{Server, binary, built_plugins},
    wait::{eventually, eventually_true},
};
use serde_json::json;

/// Runs a server that must end of itself, and gives what it printed to standard
/// error. A server that starts after all is killed.
fn refuses_to_start(command: &mut Command) -> String {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start lessor");
    let deadline = Instant::now() + Duration::from_secs(20);
    let ended = eventually("the server ends", || {
        if Instant::now() > deadline {
            process.kill().expect("kill the server");
        }
        process.try_wait().expect("look at the server")
    });
    let done = process.wait_with_output().expect("its output");
    assert_eq!(
        ended.code(),
        Some(1),
        "{command:?} started after all: {done:?}"
    );
    String::from_utf8(done.stderr).expect("text")
}

/// Runs `lessor` against a server, with or without an authority to trust.
fn lessor(server: &Server, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .args(["--address", server.http.base()])
        .env("LESSOR_TOKEN", "none")
        .env_remove("LESSOR_CACERT")
        .env_remove("VAULT_CACERT")
        .stdin(Stdio::null())
        .output()
        .expect("run lessor")
}

#[test]
fn a_server_with_a_certificate_is_reached_over_tls_and_only_by_who_trusts_it() {
    let authority = Authority::new("Server Authority");
    let certificate = authority.server_certificate();
    let desk = Desk::new();
    let cert = desk.put("server.pem", &certificate.certificate);
    let key = desk.put("server.key", &certificate.key);
    let trusted = desk.put("ca.pem", &authority.certificate);
    let server = Server::setup()
        .config(&format!("[tls]\ncert = {cert:?}\nkey = {key:?}"))
        .start_uninitialised();
    assert!(server.http.base().starts_with("https://"), "{server:?}");

    let known = lessor(&server, &["init", "--ca-cert", trusted.to_str().unwrap()]);
    assert!(known.status.success(), "{known:?}");
    let unknown = lessor(&server, &["status"]);
    let said = String::from_utf8_lossy(&unknown.stderr).to_lowercase();
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(said.contains("certificate"), "{said}");
}

#[test]
fn a_declared_pin_is_there_from_the_start_and_only_with_the_right_digest() {
    let bytes = fs::read(built_plugins().join("certificate.wasm")).unwrap();
    let right = lessor_tests::sha256(&bytes);
    let wrong = lessor_tests::sha256(b"other bytes");
    let pin = |digest: &str| {
        format!(
            "[[plugin]]\nname = \"declared\"\nfile = \"certificate.wasm\"\nsha256 = \"{digest}\""
        )
    };
    let mut server = Server::setup().config(&pin(&right)).start_uninitialised();
    server.initialise();
    for _ in 0..2 {
        eventually_true("the declared plugin is pinned", || {
            let entry = server.http.get("sys/plugins/catalog/secret/declared");
            entry.status == 200
                && entry.clone().data()["source"] == "config"
                && entry.data()["state"] == "ready"
        });
        server.kill();
        server.restart();
    }
    server
        .http
        .post("sys/mounts/ca", &json!({"type": "declared"}))
        .ok();

    // A wrong digest costs that plugin, never the server.
    let server = Server::setup().config(&pin(&wrong)).start();
    let refused = server
        .http
        .post("sys/mounts/ca", &json!({"type": "declared"}))
        .refused(400);
    assert!(
        refused.contains("plugin not found in the catalog"),
        "{refused}"
    );
    eventually_true("the log says why", || {
        let log = server.log();
        log.contains("certificate.wasm") && log.contains(&wrong)
    });
    server
        .http
        .post("sys/mounts/ca", &json!({"type": "certificate"}))
        .ok();
}

#[test]
fn a_server_that_cannot_start_says_in_one_sentence_why() {
    let desk = Desk::new();
    let data = desk.put("a file", "").display().to_string();
    let unused = data.replace("a file", "unused");
    let start = |config: &str, arguments: &[&str]| {
        let file = desk.put("lessor.toml", config);
        refuses_to_start(
            Command::new(binary())
                .args(["server", "--config", file.to_str().unwrap()])
                .args(arguments),
        )
    };
    for (config, arguments, says) in [
        ("listn = \"127.0.0.1:0\"", &[][..], vec!["listn", "listen"]),
        ("[audit]\nfil = \"x\"", &[], vec!["fil", "file"]),
        ("listen = \"nowhere\"", &[], vec!["listen"]),
        ("listen = 5", &[], vec!["listen"]),
        ("data_dir = ", &[], vec!["lessor.toml"]),
        // Without TLS, only this machine is served.
        (
            "listen = \"0.0.0.0:0\"",
            &["--data-dir", &unused],
            vec!["tls"],
        ),
        (
            "[tls]\ncert = \"/nowhere/cert.pem\"\nkey = \"/nowhere/key.pem\"",
            &["--data-dir", &unused],
            vec!["/nowhere/cert.pem"],
        ),
        (
            "listen = \"127.0.0.1:0\"",
            &["--data-dir", &data],
            vec!["a file"],
        ),
    ] {
        let error = start(config, arguments).to_lowercase();
        for word in says {
            assert!(
                error.contains(&word.to_lowercase()),
                "{config}: no {word} in {error}"
            );
        }
        assert!(!error.contains("panicked"), "{config}: {error}");
    }
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused() {
    let server = Server::start();
    let said = refuses_to_start(
        Command::new(binary())
            .args(["server", "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(server.data())
            .arg("--plugin-dir")
            .arg(server.plugins()),
    );
    let directory = server.data().display().to_string();
    assert!(said.contains(&directory), "{said}");
    server.http.get("sys/mounts").ok();
}
