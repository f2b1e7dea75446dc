//! A provider is told of its caller: the same name over all tokens of one person, and
//! claims that are lists (AKL-10).

use std::time::{SystemTime, UNIX_EPOCH};

use lessor_tests::{http::Http, jwt::Signer, server::Server};
use serde_json::json;

/// A server with a guest at `who` that says what it is told, which everybody with the
/// policy `who` may ask.
fn server() -> Server {
    let server = Server::start();
    server.bring_and_pin("misbehaving", "test/misbehaving.wasm");
    let http = &server.http;
    let mount = json!({"type": "misbehaving"});
    http.post("sys/mounts/who", &mount).ok();
    http.post("who/config", &json!({"root": "canary"})).ok();
    http.post("who/roles/asks", &json!({"act": "occasion"}))
        .ok();
    let policy = r#"
        path "who/creds/asks" { capabilities = ["read"] }
        path "auth/token/create" { capabilities = ["update"] }
    "#;
    let policy = json!({"policy": policy});
    http.put("sys/policies/acl/who", &policy).ok();
    server
}

/// The name of the caller that the guest was told.
#[track_caller]
fn told(http: &Http) -> String {
    let data = http.get("who/creds/asks").data();
    let note = data["note"].as_str().unwrap();
    let caller = note.strip_prefix("Request by ").expect("a caller");
    caller.to_owned()
}

/// Somebody with the token of an answer.
#[track_caller]
fn holder(server: &Server, answer: &lessor_tests::http::Answer) -> Http {
    let body = answer.clone().ok().json();
    let token = body["auth"]["client_token"].as_str().unwrap();
    server.http.with_token(token)
}

#[test]
fn a_person_is_the_same_to_a_provider_over_all_their_tokens() {
    let server = server();
    let http = &server.http;
    for path in ["people", "others"] {
        let method = json!({"type": "userpass"});
        http.post(&format!("sys/auth/{path}"), &method).ok();
        for user in ["alice", "bob"] {
            let user = format!("auth/{path}/users/{user}");
            let fields = json!({"password": "long enough", "token_policies": "who"});
            http.post(&user, &fields).ok();
        }
    }
    let log_in = |at: &str| {
        let password = json!({"password": "long enough"});
        holder(&server, &http.without_token().post(at, &password))
    };
    let bob = log_in("auth/people/login/bob");
    let name = told(&bob);
    assert_eq!(told(&log_in("auth/people/login/bob")), name);
    let child = holder(&server, &bob.post("auth/token/create", &json!({})));
    assert_eq!(told(&child), name);
    let mut known = vec![name];
    for at in ["auth/people/login/alice", "auth/others/login/bob"] {
        let other = told(&log_in(at));
        assert!(!known.contains(&other), "{at}: {other}");
        known.push(other);
    }
    // Root makes tokens for other people, so each of them has another name than root.
    let made = json!({"policies": ["who"]});
    for _ in 0..2 {
        let other = told(&holder(&server, &http.post("auth/token/create", &made)));
        assert!(!known.contains(&other), "{other}");
        known.push(other);
    }
    assert!(!known.contains(&told(http)));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an identity provider has a clock of its own"
)]
fn groups_of_a_login_are_a_list_to_a_provider() {
    let server = server();
    let http = &server.http;
    let signer = Signer::new("k1");
    http.post("sys/auth/id", &json!({"type": "jwt"})).ok();
    let config = json!({"jwt_validation_pubkeys": [signer.pem()]});
    http.post("auth/id/config", &config).ok();
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "groups_claim": "groups",
        "bound_audiences": "lessor", "token_policies": "who",
    });
    http.post("auth/id/role/dev", &role).ok();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since_epoch.unwrap().as_secs();
    let log_in = |user: &str| {
        let claims = json!({
            "sub": user, "aud": "lessor", "iat": now, "exp": now + 3600, "groups": ["ops", "dev"],
        });
        let asked = json!({"role": "dev", "jwt": signer.sign(&claims)});
        let stranger = http.without_token();
        told(&holder(&server, &stranger.post("auth/id/login", &asked)))
    };
    let ada = log_in("ada");
    assert!(ada.ends_with(r#": ["ops", "dev"]"#), "{ada}");
    assert_eq!(log_in("ada"), ada);
    assert_ne!(log_in("eve"), ada, "the role is not the person");
}
