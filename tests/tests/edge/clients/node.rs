//! node-vault, the client of Node.js: its documented examples, a script a subject,
//! beside this file.

use std::process::Stdio;

use lessor_tests::{fixture::Fixture, node};

/// Runs a script against a server that leases, with its root token.
#[track_caller]
fn succeeds(name: &str) {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let script = format!("tests/tests/edge/clients/node/{name}.js");
    let done = node::script(&script)
        .env("VAULT_ADDR", http.base())
        .env("VAULT_TOKEN", http.token())
        .stdin(Stdio::null())
        .output()
        .expect("run node");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{name}.js: {said}");
    fixture.await_exactly(&[]);
}

#[test]
fn node_vault_asks_the_server_and_mounts() {
    succeeds("system");
}

#[test]
fn node_vault_writes_policies_and_makes_tokens() {
    succeeds("access");
}

#[test]
fn node_vault_logs_in() {
    succeeds("logins");
}

#[test]
fn node_vault_leases_and_unwraps() {
    succeeds("leases");
}
