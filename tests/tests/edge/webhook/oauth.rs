//! A webhook behind OAuth 2.0: one access token serves many leases.

use lessor_tests::{server::Server, webhook::CLIENT};
use serde_json::json;

use super::{HOUR, Stage};

fn protected() -> Stage {
    let stage = Stage::on(Server::setup(), &json!({}));
    stage.webhook.control(&json!({"oauth": true}));
    let client = json!({
        "token_url": format!("{}/token", stage.webhook.origin()),
        "client_id": CLIENT.0,
        "client_secret": format!("{}\n", CLIENT.1),
    });
    stage.webhook.configure(&stage.server, "hook", &client).ok();
    stage
}

/// VIC-19: asked for once, and again five minutes before its end.
#[test]
fn vic_19_one_access_token_serves_many_leases() {
    let stage = protected();
    let given = || stage.webhook.state()["tokens"].as_u64().unwrap();
    // The new config has no token of the former one's.
    stage.issue();
    let first = given();
    let leases: Vec<_> = (0..20).map(|_| stage.issue()).collect();
    for leased in leases {
        stage.revoke(&leased.lease).ok();
    }
    assert_eq!(given(), first, "one token for all");
    stage.server.advance_clock(HOUR - 299);
    stage.issue();
    assert_eq!(given(), first + 1, "a new one five minutes before the end");

    // A token that its giver has forgotten is not insisted on.
    stage.webhook.control(&json!({"forget_tokens": true}));
    stage.issue();
    assert_eq!(given(), first + 2);
    assert!(!stage.told().contains("access-token-"), "a token was told");
}

#[test]
fn a_client_that_is_unknown_is_one_sentence() {
    let stage = protected();
    for authentication in ["client_secret_basic", "client_secret_post"] {
        let client = |secret: &str| {
            json!({
                "token_url": format!("{}/token", stage.webhook.origin()),
                "client_id": CLIENT.0,
                "client_secret": secret,
                "client_authentication": authentication,
            })
        };
        let wrong = client("canary-of-the-client");
        let refused = stage
            .webhook
            .configure(&stage.server, "hook", &wrong)
            .text();
        assert!(
            refused.contains("invalid_client (unknown client)"),
            "{refused}"
        );
        assert!(!refused.contains("canary-of-the-client"), "{refused}");
        let right = client(CLIENT.1);
        stage.webhook.configure(&stage.server, "hook", &right).ok();
        stage.issue();
    }
}
