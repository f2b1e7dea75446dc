//! The first moments of a server: its root token reaches somebody or can be asked for again, no
//! web page can make it, and only the server's user can read its files.

use std::process::{Command, Stdio};

use lessor_tests::{
    http::Http,
    server::{Server, binary},
};
use serde_json::json;

/// The points at which an initialisation may be cut off, in their order.
pub(crate) const POINTS: [&str; 3] = [
    "initialise.before_keys",
    "initialise.after_keys",
    "initialise.after_start",
];

#[test]
fn an_initialisation_whose_answer_was_lost_is_repeated() {
    for point in POINTS {
        let mut server = Server::setup().fault(point).start_uninitialised();
        server.http = server.http.with_token("none yet");
        let json = [("Content-Type", "application/json")];
        let lost = server.http.try_send("PUT", "sys/init", &json, Some(b"{}"));
        assert!(lost.is_err(), "{point}: {lost:?}");
        server.await_death();
        server.restart();
        server.initialise();
        server.http.get("sys/mounts").ok();
        let sentence = server.http.put("sys/init", &json!({})).refused(400);
        assert!(sentence.contains("already initialised"), "{sentence}");
    }
}

#[test]
fn a_root_token_that_nobody_has_used_ends_when_another_is_made() {
    let mut server = Server::setup().start_uninitialised();
    server.initialise();
    let former = server.http.clone();
    server.kill();
    server.restart();
    server.initialise();
    let former = Http::new(server.http.base()).with_token(former.token());
    assert_eq!(former.get("sys/mounts").status, 403);
    server.http.get("sys/mounts").ok();
    server.http.put("sys/init", &json!({})).refused(400);
    // Not after a restart either.
    server.kill();
    server.restart();
    server.http.put("sys/init", &json!({})).refused(400);
    server.http.get("sys/mounts").ok();
}

#[test]
fn no_web_page_initialises_a_server() {
    let mut server = Server::setup().start_uninitialised();
    let json = ("Content-Type", "application/json");
    for headers in [
        &[json, ("Origin", "https://evil.example")][..],
        &[("Content-Type", "text/plain"), ("Origin", "null")],
        &[json, ("Sec-Fetch-Site", "cross-site")],
        &[json, ("Sec-Fetch-Site", "same-origin")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &[("Content-Type", "multipart/form-data; boundary=x")],
    ] {
        for method in ["POST", "PUT"] {
            let answer = server.http.send(method, "sys/init", headers, Some(b"{}"));
            assert_eq!(answer.status, 403, "{headers:?}: {answer:?}");
        }
    }
    assert_eq!(server.http.get("sys/health").status, 501);
    server.initialise();
}

/// The error of a second server on the same data directory.
fn second_server(server: &Server, more: &[(&str, String)]) -> String {
    let done = Command::new(binary())
        .args(["server", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(server.data())
        .arg("--plugin-dir")
        .arg(server.plugins())
        .envs(more.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .output()
        .expect("run lessor");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn one_data_directory_has_one_server_whatever_is_moved_in_it() {
    let server = Server::start();
    assert!(second_server(&server, &[]).contains("in use by another server"));
    for entry in std::fs::read_dir(server.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().contains("lock") {
            std::fs::rename(&path, server.data().join("../moved")).unwrap();
        }
    }
    assert!(second_server(&server, &[]).contains("in use by another server"));
}

#[test]
fn audit_lines_are_written_into_no_file_that_something_else_reads() {
    let server = Server::start();
    for name in [
        "root.key",
        "lessor.db",
        "lessor.db-wal",
        "../plugins/../data/root.key",
    ] {
        let file = server.data().join(name);
        let before = std::fs::read(&file).unwrap_or_default();
        let variable = ("LESSOR_AUDIT_FILE", file.display().to_string());
        let said = second_server(&server, &[variable]);
        assert!(said.contains("audit.file"), "{name}: {said}");
        assert_eq!(std::fs::read(&file).unwrap_or_default(), before, "{name}");
    }
}

#[test]
fn a_token_in_a_path_stands_in_no_log() {
    let server = Server::start();
    let token = server.http.token().to_owned();
    for path in [
        format!("auth/token/lookup/{token}"),
        format!("auth/token/revoke/{token}"),
        format!("nowhere/{token}"),
        format!("{token}/creds/x"),
    ] {
        server.http.get(&path);
        server.http.post(&path, &json!({}));
        server.http.without_token().get(&path);
    }
    for log in [server.audit(), server.log()] {
        assert!(!log.contains(&token), "{log}");
    }
    assert!(server.audit().contains("auth/token/lookup/<token>"));
}
