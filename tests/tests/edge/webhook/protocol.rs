//! The three endpoints: what goes out, what comes back, and who knows what of it.

use std::{
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use lessor_tests::{
    http::Http,
    jwt::Signer,
    server::{Server, binary},
    wait::eventually_true,
    webhook::Webhook,
};
use serde_json::{Value, json};

use super::{HOUR, ISSUER, Leased, Stage};

#[test]
fn akl_01_02_04_07_a_webhook_makes_and_ends_with_nothing_but_its_payload() {
    let stage = Stage::start();
    let (one, two) = (stage.issue(), stage.issue());
    assert_eq!(stage.webhook.ids(), ["tmp-1", "tmp-2"]);
    assert_eq!([&one.username, &two.username], ["tmp-1", "tmp-2"]);
    let made = &stage.webhook.state()["credentials"]["tmp-1"];
    assert_eq!(made["password"], one.password);
    assert_eq!(stage.lookup(&one.lease)["credential_id"], "tmp-1");

    stage.revoke(&one.lease).ok();
    assert_eq!(stage.webhook.ids(), ["tmp-2"]);
    for endpoint in ["create", "revoke"] {
        for body in stage.webhook.sent(endpoint) {
            assert_eq!(body["payload"], Webhook::payload(), "as it was written");
        }
    }
    let revoked = stage.webhook.sent("revoke");
    let expected = json!([{"payload": Webhook::payload(), "ids": ["tmp-1"]}]);
    assert_eq!(json!(revoked), expected);
    let told = stage.told();
    for secret in [&one.password, &two.password, &"first-root".to_owned()] {
        assert!(!told.contains(secret.as_str()), "a secret was told");
    }
}

#[test]
fn akl_03_who_leases_sees_neither_payload_nor_config() {
    let stage = Stage::start();
    let http = &stage.server.http;
    let policy = json!({"policy": r#"path "hook/creds/app" { capabilities = ["read"] }"#});
    http.put("sys/policies/acl/app", &policy).ok();
    let token = http.post("auth/token/create", &json!({"policies": ["app"]}));
    let token = token.ok().json();
    let caller = http.with_token(token["auth"]["client_token"].as_str().unwrap());
    let answer = caller.get("hook/creds/app").ok();
    assert!(!answer.text().contains("first-root"));
    caller.get("hook/config").refused(403);
    caller.get("hook/roles/app").refused(403);
    // Not even root reads the payload again.
    let shown = http.get("hook/config").ok().text();
    assert!(!shown.contains("first-root"), "{shown}");
}

#[test]
fn akl_05_08_the_host_ends_at_the_end_and_again_until_the_webhook_says_so() {
    let stage = Stage::start();
    let leased = stage.issue();
    stage.webhook.next("revoke", &["refuses", "plain-500"]);
    stage.server.advance_clock(HOUR + 60);
    eventually_true("the first attempt is told", || {
        let error = stage.lookup(&leased.lease)["last_error"].clone();
        error.as_str().is_some_and(|error| {
            error.contains("did not revoke \"tmp-1\": still in use") || error.contains("on fire")
        })
    });
    for _ in 0..6 {
        stage.server.advance_clock(HOUR);
    }
    eventually_true("it is ended", || stage.webhook.ids().is_empty());
    stage.server.await_no_leases("hook/creds");
    assert!(stage.webhook.sent("revoke").len() >= 3);
}

/// A webhook may end all and report fewer; where it does not report one, it is asked again.
#[test]
fn akl_05_a_partial_answer_counts_for_those_that_it_names() {
    let stage = Stage::start();
    stage.webhook.control(&json!({"reports_one": true}));
    for _ in 0..3 {
        stage.issue();
    }
    let prefix = json!({});
    let http = &stage.server.http;
    http.put("sys/leases/revoke-prefix/hook", &prefix).ok();
    stage.server.await_no_leases("hook/creds");
    assert_eq!(stage.webhook.ids(), Vec::<String>::new());
    for body in stage.webhook.sent("revoke") {
        assert_eq!(body["ids"].as_array().unwrap().len(), 1, "{body}");
    }
}

#[test]
fn akl_09_callers_give_the_input_that_the_role_lets_them_give() {
    let stage = Stage::start();
    let http = &stage.server.http;
    let ask = |role: &str, input: Value| {
        http.post(&format!("hook/creds/{role}"), &json!({"input": input}))
    };
    let refused = ask("app", json!({"db": "orders"})).refused(400);
    assert!(refused.contains("input.db"), "{refused}");
    assert!(refused.contains("caller_input"), "{refused}");
    let role = json!({"input": {"region": "eu"}, "caller_input": ["db"]});
    http.post("hook/roles/some", &role).ok();
    let refused = ask("some", json!({"region": "us"})).refused(400);
    assert!(refused.contains("input.region"), "{refused}");
    let refused = ask("some", json!({"admin": true})).refused(400);
    assert!(refused.contains("callers give db"), "{refused}");
    assert_eq!(stage.webhook.ids(), Vec::<String>::new());
    assert_eq!(stage.server.leases("hook/creds"), Vec::<String>::new());

    ask("some", json!({"db": {"name": "orders"}})).ok();
    http.post("hook/roles/any", &json!({"caller_input": ["*"]}))
        .ok();
    ask("any", json!({"a": 1, "b": [2]})).ok();
    stage.issue();
    let inputs: Vec<Value> = stage
        .webhook
        .sent("create")
        .iter()
        .filter(|body| body["client_info"]["access_id"] != "p-custom")
        .map(|body| body["input"].clone())
        .collect();
    let expected = [
        json!({"region": "eu", "db": {"name": "orders"}}),
        json!({"a": 1, "b": [2]}),
        // Where there is nothing, as the system has it that webhooks are written for.
        json!(""),
    ];
    assert_eq!(inputs, expected);
    let both = json!({"input": {"db": 1}, "caller_input": ["db"]});
    let refused = http.post("hook/roles/both", &both).refused(400);
    assert!(refused.contains("caller_input"), "{refused}");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an identity provider has a clock of its own"
)]
fn akl_10_the_webhook_is_told_who_asks_by_a_lasting_name_and_lists_of_claims() {
    let stage = Stage::start();
    stage.webhook.control(&json!({"needs_claim": "groups"}));
    let http = &stage.server.http;
    let refused = http.get("hook/creds/app").text();
    assert!(refused.contains("missing sub-claim groups"), "{refused}");
    // A webhook that refuses has made nothing, and nothing is looked for.
    stage.server.await_no_leases("hook/creds");

    let policy = json!({"policy": r#"path "hook/creds/app" { capabilities = ["read"] }"#});
    http.put("sys/policies/acl/app", &policy).ok();
    let signer = Signer::new("k1");
    http.post("sys/auth/id", &json!({"type": "jwt"})).ok();
    let config = json!({"jwt_validation_pubkeys": [signer.pem()]});
    http.post("auth/id/config", &config).ok();
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "groups_claim": "groups",
        "bound_audiences": "lessor", "token_policies": "app",
    });
    http.post("auth/id/role/dev", &role).ok();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let log_in = |user: &str| -> Http {
        let claims = json!({
            "sub": user, "aud": "lessor", "iat": now.as_secs(), "exp": now.as_secs() + 3600,
            "groups": ["ops", "dev"],
        });
        let asked = json!({"role": "dev", "jwt": signer.sign(&claims)});
        let answer = http.without_token().post("auth/id/login", &asked);
        let body = answer.ok().json();
        http.with_token(body["auth"]["client_token"].as_str().unwrap())
    };
    let mut told = Vec::new();
    for user in ["ada", "ada", "eve"] {
        let leased = Leased::of(&log_in(user).get("hook/creds/app"));
        let state = stage.webhook.state();
        told.push(state["credentials"][&leased.username]["info"].clone());
    }
    assert_eq!(told[0], told[1], "one person has one name");
    assert_ne!(told[0]["access_id"], told[2]["access_id"]);
    assert_eq!(told[0]["sub_claims"]["groups"], json!(["ops", "dev"]));
    for info in &told {
        assert_eq!(info["access_id"].as_str().unwrap().len(), 32, "{info}");
        let claims = info["sub_claims"].as_object().unwrap();
        assert!(claims.values().all(Value::is_array), "{info}");
    }
}

#[test]
fn akl_11_config_and_roles_are_tried_out_by_a_dry_run() {
    let stage = Stage::start();
    let http = &stage.server.http;
    http.post("hook/roles/other", &json!({"input": {"db": "orders"}}))
        .ok();
    let sent = stage.webhook.sent("create");
    assert!(!sent.is_empty());
    for body in &sent {
        let nobody = json!({"access_id": "p-custom", "sub_claims": {}});
        assert_eq!(body["client_info"], nobody);
    }
    assert_eq!(sent.last().unwrap()["input"], json!({"db": "orders"}));
    assert_eq!(stage.webhook.state()["made"], 0);

    // A payload that the webhook does not take is not kept.
    let wrong = json!({"payload": json!({"password": "canary-of-the-test"}).to_string()});
    let refused = stage
        .webhook
        .configure(&stage.server, "hook", &wrong)
        .text();
    assert!(refused.contains("401"), "{refused}");
    assert!(refused.contains("login of root"), "{refused}");
    assert!(!refused.contains("canary-of-the-test"), "{refused}");
    assert!(!stage.told().contains("canary-of-the-test"));
    stage.issue();
}

#[test]
fn akl_11_a_webhook_that_knows_no_dry_run_is_told_of_and_left_with_nothing() {
    let stage = Stage::start();
    stage.webhook.control(&json!({"knows_dry_runs": false}));
    let answer = stage.webhook.configure(&stage.server, "hook", &json!({}));
    let warnings = answer.ok().json()["warnings"].to_string();
    assert!(warnings.contains("was ended again"), "{warnings}");
    assert_eq!(stage.webhook.ids(), Vec::<String>::new());

    stage.webhook.next("revoke", &["plain-500"]);
    let answer = stage.webhook.configure(&stage.server, "hook", &json!({}));
    let warnings = answer.ok().json()["warnings"].to_string();
    let left = stage.webhook.ids();
    assert!(warnings.contains(&left[0]), "{warnings}");

    stage.webhook.control(&json!({"refuses_dry_runs": true}));
    let refused = stage
        .webhook
        .configure(&stage.server, "hook", &json!({}))
        .text();
    assert!(refused.contains("p-custom is not allowed"), "{refused}");
    let without = json!({"dry_run": false});
    let answer = stage.webhook.configure(&stage.server, "hook", &without);
    let warnings = answer.ok().json()["warnings"].to_string();
    assert!(warnings.contains("was not tried out"), "{warnings}");
    stage.issue();
}

#[test]
fn akl_12_the_webhook_verifies_who_calls_by_what_the_host_publishes() {
    let stage = Stage::start();
    let http = &stage.server.http;
    let verify = |header: &str| {
        json!({"verify": {
            "base": http.base(), "issuer": ISSUER, "audience": "hooks", "path": "hook", "header": header,
        }})
    };
    stage.webhook.control(&verify("AkeylessCreds"));
    // Nothing shows it who calls.
    let refused = http.get("hook/creds/app").text();
    assert!(refused.contains("invalid credentials"), "{refused}");
    let named = json!({"audience": "hooks"});
    let refused = stage.webhook.configure(&stage.server, "hook", &named);
    let refused = refused.refused(400);
    assert!(refused.contains("identity_audiences"), "{refused}");

    let allowed = json!({"identity_audiences": ["hooks", "others"]});
    http.post("sys/mounts/hook/tune", &allowed).ok();
    stage.webhook.configure(&stage.server, "hook", &named).ok();
    let leased = stage.issue();
    stage.revoke(&leased.lease).ok();
    assert_eq!(stage.webhook.ids(), Vec::<String>::new());

    // A token for somebody else is none here, nor is one of another mount.
    let other = json!({"audience": "others"});
    let refused = stage
        .webhook
        .configure(&stage.server, "hook", &other)
        .text();
    assert!(refused.contains("invalid credentials"), "{refused}");
    stage.webhook.mount(&stage.server, "stranger");
    http.post("sys/mounts/stranger/tune", &allowed).ok();
    let refused = stage
        .webhook
        .configure(&stage.server, "stranger", &named)
        .text();
    assert!(refused.contains("invalid credentials"), "{refused}");

    stage.webhook.control(&verify("X-Caller"));
    let renamed = json!({"audience": "hooks", "caller_header": "X-Caller"});
    stage
        .webhook
        .configure(&stage.server, "hook", &renamed)
        .ok();
    stage.issue();
}

#[test]
fn akl_12_a_webhook_may_want_a_header_of_its_own() {
    let stage = Stage::with(&json!({"authorization": "Bearer canary-of-the-hook\n"}));
    let wanted = json!({"authorization": "Bearer canary-of-the-hook"});
    stage.webhook.control(&wanted);
    let leased = stage.issue();
    stage.revoke(&leased.lease).ok();
    assert!(!stage.told().contains("canary-of-the-hook"));
}

/// The time of a call belongs to the mount, and a call with its own arguments is one of the
/// command line.
#[test]
fn akl_13_15_a_call_has_a_minute_and_a_caller_gives_arguments() {
    let stage = Stage::start();
    let http = &stage.server.http;
    let tune = http.get("sys/mounts/hook/tune").data();
    assert_eq!(tune["timeout"], 60, "{tune}");
    http.post("hook/roles/app", &json!({"caller_input": ["*"]}))
        .ok();
    let done = lessor(
        &stage.server,
        &["creds", "hook", "app", r#"input={"db": "orders"}"#],
    );
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(printed.contains("tmp-1"), "{printed}");
    let made = &stage.webhook.state()["credentials"]["tmp-1"];
    assert_eq!(made["input"], json!({"db": "orders"}));
}

/// Some producers make what nobody can end, and answer revoke all the same.
#[test]
fn akl_17_a_webhook_that_only_echoes_ids_ends_its_leases() {
    let stage = Stage::start();
    stage.webhook.control(&json!({"only_echoes": true}));
    let leased = stage.issue();
    stage.revoke(&leased.lease).ok();
    stage.server.await_no_leases("hook/creds");
    assert_eq!(stage.webhook.ids(), ["tmp-1"]);
}

/// BT-17: delays are told.
#[test]
fn a_credential_that_takes_effect_later_says_when() {
    let stage = Stage::start();
    let http = &stage.server.http;
    http.post("hook/roles/app", &json!({"effective_in": 120}))
        .ok();
    let answer = http.get("hook/creds/app").ok();
    assert!(answer.text().contains("effective_after"), "{answer:?}");
}

/// Runs the command line.
pub(super) fn lessor(server: &Server, arguments: &[&str]) -> std::process::Output {
    let done = Command::new(binary())
        .args(arguments)
        .env("LESSOR_ADDR", server.http.base())
        .env("LESSOR_TOKEN", server.http.token())
        .stdin(Stdio::null())
        .output()
        .expect("run lessor");
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    done
}
