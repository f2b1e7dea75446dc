//! A mount shows who it is by a token, and anybody can verify that: judged by PyJWT.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use lessor_tests::{
    python,
    server::{Server, Setup, workspace},
    wait::eventually_true,
};
use serde_json::{Value, json};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

const AUDIENCE: &str = "sts.amazonaws.com";

/// A server with this name as an issuer, and the guest that says what it is told at
/// `cloud`, which may show itself to [`AUDIENCE`].
fn server(setup: Setup) -> Server {
    let server = setup.start();
    server.bring_and_pin("misbehaving", "test/misbehaving.wasm");
    mount(&server, "cloud", &json!([AUDIENCE]));
    server
}

fn mount(server: &Server, path: &str, audiences: &Value) {
    let mount = json!({"type": "misbehaving", "config": {"identity_audiences": audiences}});
    let http = &server.http;
    http.post(&format!("sys/mounts/{path}"), &mount).ok();
    http.post(&format!("{path}/config"), &json!({"root": "canary"}))
        .ok();
    let role = json!({"act": "identity", "target": AUDIENCE});
    http.post(&format!("{path}/roles/who"), &role).ok();
}

/// The token that a mount is given.
#[track_caller]
fn token(server: &Server, path: &str) -> String {
    let data = server.http.get(&format!("{path}/creds/who")).data();
    data["note"].as_str().unwrap().to_owned()
}

/// The claims of a token, once they are verified.
#[track_caller]
fn verified(server: &Server, issuer: &str, token: &str) -> Result<Value, String> {
    verified_at(server.http.base(), issuer, AUDIENCE, token)
}

/// The claims of a token for an audience, once they are verified by the keys of the server
/// at `base`.
#[track_caller]
pub(crate) fn verified_at(
    base: &str,
    issuer: &str,
    audience: &str,
    token: &str,
) -> Result<Value, String> {
    let mut child = Command::new(python::program("python"))
        .arg(workspace().join("tests/clients/verify.py"))
        .args([base, issuer, audience])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run python");
    let mut input = child.stdin.take().unwrap();
    input.write_all(token.as_bytes()).unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    match done.status.success() {
        true => Ok(serde_json::from_slice(&done.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

#[test]
fn a_mount_shows_who_it_is_and_anybody_can_verify_it() {
    // One that verifiers ask at the root, and one that they ask where Vault has it.
    for issuer in [
        "https://lessor.example",
        "https://lessor.example/v1/identity/oidc",
    ] {
        let mut server = server(Server::setup().config(&format!("issuer = {issuer:?}")));
        let shown = token(&server, "cloud");
        let claims = verified(&server, issuer, &shown).unwrap();
        let mounts = server.http.get("sys/mounts").data();
        let uuid = mounts["cloud/"]["uuid"].as_str().unwrap();
        assert_eq!(claims["sub"], format!("mount:{uuid}:cloud"));
        assert_eq!(claims["path"], "cloud");
        assert_eq!(claims["connection"], "default");
        assert_eq!(claims["plugin"], server.digest("misbehaving.wasm"));
        let moment = |name: &str| claims[name].as_u64().unwrap();
        assert_eq!(moment("exp") - moment("iat"), 600);

        // Another one each time, by the same key, also after a restart.
        let again = token(&server, "cloud");
        assert_ne!(again, shown);
        server.stop();
        server.restart();
        verified(&server, issuer, &shown).unwrap();
        verified(&server, issuer, &token(&server, "cloud")).unwrap();
        let keys = server
            .http
            .get("identity/oidc/.well-known/jwks.json")
            .ok()
            .json();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
        assert!(keys["keys"][0].get("d").is_none(), "{keys}");

        // One that is changed is none.
        let (head, signature) = shown.rsplit_once('.').unwrap();
        let (first, rest) = signature.split_at(1);
        let other = if first == "A" { "B" } else { "A" };
        let forged = format!("{head}.{other}{rest}");
        let refused = verified(&server, issuer, &forged).unwrap_err();
        assert!(refused.contains("InvalidSignatureError"), "{refused}");

        let told = server.log() + &server.audit();
        assert!(
            !told.contains(&shown) && !told.contains(signature),
            "a token was told"
        );
        assert!(server.audit().contains("identity.token_issued"));
    }
}

#[test]
fn nobody_is_shown_who_a_mount_is_unless_the_operator_allowed_it() {
    let server = server(Server::setup().config("issuer = \"https://lessor.example\""));
    mount(&server, "other", &json!([]));
    let refused = server.http.get("other/creds/who").refused(400);
    for part in [AUDIENCE, "identity_audiences", "lessor mount tune other"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(server.audit().contains("identity.refused"));
    // Nobody needed a key: that there is none is not to be remembered.
    let http = server.http.without_token();
    let none = http.get("identity/oidc/.well-known/keys").ok().json();
    assert_eq!(none, json!({"keys": []}));

    let allowed = json!({"identity_audiences": [AUDIENCE]});
    server.http.post("sys/mounts/other/tune", &allowed).ok();
    token(&server, "other");
    let keys = http.get("identity/oidc/.well-known/keys").ok().json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    let none = json!({"identity_audiences": []});
    server.http.post("sys/mounts/other/tune", &none).ok();
    server.http.get("other/creds/who").refused(400);

    let wrong = json!({"identity_audiences": ["two words"]});
    let refused = server
        .http
        .post("sys/mounts/other/tune", &wrong)
        .refused(400);
    assert!(refused.contains("identity_audiences"), "{refused}");
}

#[test]
fn a_server_without_a_name_vouches_for_nobody() {
    let server = server(Server::setup());
    let refused = server.http.get("cloud/creds/who").refused(400);
    assert!(refused.contains("`issuer`"), "{refused}");
    let http = server.http.without_token();
    http.get("identity/oidc/.well-known/openid-configuration")
        .nothing_here();
}

/// A key is replaced after a month, and published as long as a token of it may hold.
#[test]
fn the_keys_of_the_issuer_are_replaced_every_month() {
    let issuer = "https://lessor.example";
    let server = server(Server::setup().config(&format!("issuer = {issuer:?}")));
    token(&server, "cloud");
    let published = || {
        let keys = server
            .http
            .get("identity/oidc/.well-known/keys")
            .ok()
            .json();
        let keys = keys["keys"].as_array().unwrap().clone();
        keys.into_iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = published();
    assert_eq!(first.len(), 1);
    server.advance_clock(30 * DAY + 60);
    eventually_true("there is another key beside the first", || {
        let both = published();
        both.len() == 2 && both[0] == first[0]
    });
    let both = published();
    server.advance_clock(3 * HOUR);
    eventually_true("the first key is gone", || published() == both[1..]);
    let audit = server.audit();
    for event in ["identity.key_made", "identity.key_removed"] {
        assert!(audit.contains(event), "no {event}");
    }
}
