//! No secret leaves by a side door.

use lessor::{provider::FailureClass, secret::Secret};
use serde_json::json;

use crate::harness::{Harness, ROOT};

fn assert_clean(text: &str) {
    for canary in [ROOT, "canary-password"] {
        assert!(!text.contains(canary), "{text}");
    }
}

#[tokio::test]
async fn a_panic_with_a_secret_is_scrubbed() {
    let harness = Harness::start().await;
    let failure = harness.act("panic").await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.class),
        ("trap", FailureClass::Internal)
    );
    assert_clean(&failure.message);
    let logged = harness.logged();
    assert!(logged.contains("could not log in as ****"), "{logged}");
    assert_clean(&logged);
    harness.still_behaves().await;
}

#[tokio::test]
async fn log_events_are_scrubbed_of_root_credential_and_derived_bytes() {
    let harness = Harness::start().await;
    let derived = harness.note("derive", "key", 16).await;
    harness.act("log").await.unwrap();
    let logged = harness.logged();
    assert_clean(&logged);
    assert!(!logged.contains(&derived), "{logged}");
    assert!(logged.contains("root **** next line"), "{logged}");
    assert!(logged.contains("made ****"), "{logged}");
    assert!(logged.contains("mount=\"db\""), "{logged}");
    assert!(logged.contains(&harness.operation.to_string()), "{logged}");
    assert!(
        logged.contains(&harness.provider.digest().to_string()),
        "{logged}"
    );
    harness.still_behaves().await;
}

#[tokio::test]
async fn standard_output_and_error_are_scrubbed() {
    let harness = Harness::start().await;
    harness.act("print").await.unwrap();
    let logged = harness.logged();
    assert_clean(&logged);
    assert!(
        logged.contains("stdout") && logged.contains("stderr"),
        "{logged}"
    );
}

#[tokio::test]
async fn metadata_is_scrubbed() {
    let harness = Harness::start().await;
    let credential = harness.act("metadata").await.unwrap();
    assert_eq!(
        credential.metadata,
        json!({"note": "**** and ****", "kept": "plain"})
    );
}

#[tokio::test]
async fn a_failure_message_is_scrubbed() {
    let harness = Harness::start().await;
    let role = Secret::new(json!({"act": "fail"}).to_string());
    let failure = harness
        .provider
        .validate_config(&harness.call(), &harness.config(), Some(&role))
        .await
        .unwrap_err();
    assert_eq!(failure.message, "upstream refused ****");
    assert_eq!(failure.code, "bad_login");
    assert_eq!(failure.class, FailureClass::Denied);
}
