//! The provider against a scripted upstream: no server, no sandbox, no wait.

use lessor_sdk::serde_json::json;
use lessor_sdk::testing::{Harness, Route, repeats_are_the_same, two_creates_differ};

use super::*;

const URL: &str = "https://accounts.example";

fn harness() -> Harness<Accounts> {
    let mut harness = Harness::new().config(json!({"url": URL, "token": "root"}));
    for operation in 1..=2 {
        let account = format!("{URL}/test-tester-{operation}");
        harness.upstream(Route::put(&account).answer(201, json!({})));
        harness.upstream(
            Route::delete(&account)
                .answer(204, json!(null))
                .answer(404, json!({})),
        );
    }
    harness
}

#[test]
fn an_account_is_made_and_ended_and_ending_it_again_is_success() {
    let mut harness = harness();
    let issued = harness.create().unwrap();
    assert_eq!(harness.received()[0].json(), issued.data);
    assert_eq!(
        harness.received()[0].header("authorization"),
        Some("Bearer root")
    );
    harness.revoke_issued(&issued).unwrap();
    harness.revoke_issued(&issued).unwrap();
    harness.revoke(&Revocation::UnknownCredential).unwrap();
}

#[test]
fn two_operations_make_two_accounts_and_a_repeat_makes_one() {
    two_creates_differ(&mut harness());
    repeats_are_the_same(&mut harness());
}

#[test]
fn a_refused_token_is_a_denial() {
    let mut harness = Harness::<Accounts>::new().config(json!({"url": URL, "token": "wrong"}));
    harness.upstream(Route::get(URL).answer(403, json!({})));
    let failure = harness.validate_config().unwrap_err();
    assert_eq!(failure.class(), FailureClass::Denied);
}
