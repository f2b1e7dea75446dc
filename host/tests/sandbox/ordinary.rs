//! What a provider does when it behaves, and what the host lends to it.

use lessor::{
    clock::Timestamp,
    provider::{FailureClass, Revocation, Rotation},
    secret::Secret,
};
use serde_json::{Value, json};

use crate::harness::{Harness, ROOT, guest, note};

#[tokio::test]
async fn a_provider_describes_itself_the_same_at_every_load() {
    let first = Harness::start().await;
    let second = Harness::start().await;
    let descriptor = first.provider.descriptor();
    assert_eq!(descriptor, second.provider.descriptor());
    assert_eq!(descriptor.name, "misbehaving");
    assert!(
        descriptor.summary.ends_with("at 0."),
        "{}",
        descriptor.summary
    );
    assert!(descriptor.abilities.inventory);
    assert!(!descriptor.abilities.renewal);
    assert!(descriptor.abilities.publication.is_empty());
}

#[tokio::test]
async fn concurrent_loads_of_one_digest_give_one_provider() {
    let harness = Harness::start().await;
    let (one, two) = tokio::join!(harness.sandbox.load(guest()), harness.sandbox.load(guest()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &two));
}

#[tokio::test]
async fn nothing_is_left_of_an_earlier_call() {
    let harness = Harness::start().await;
    for _ in 0..3 {
        harness.still_behaves().await;
    }
}

#[tokio::test]
async fn a_credential_comes_with_its_id_and_data() {
    let harness = Harness::start().await;
    let credential = harness.act("behave").await.unwrap();
    assert_eq!(credential.id, "canary-id");
    assert_eq!(credential.metadata, json!({}));
    assert!(!format!("{credential:?}").contains("canary-password"));
    let data: Value = serde_json::from_str(credential.data.expose()).unwrap();
    assert_eq!(data["password"], "canary-password");
}

#[tokio::test]
async fn derived_bytes_belong_to_the_operation_and_the_mount() {
    let mut harness = Harness::start().await;
    let first = harness.note("derive", "password", 32).await;
    assert_eq!(first.len(), 64);
    assert_eq!(harness.note("derive", "password", 32).await, first);
    assert_ne!(harness.note("derive", "other", 32).await, first);
    harness.operation = lessor::id::OperationId::new(Timestamp(1)).unwrap();
    assert_ne!(harness.note("derive", "password", 32).await, first);
}

#[tokio::test]
async fn the_guest_sees_the_hosts_clock() {
    let harness = Harness::start().await;
    let seen = async || harness.note("clock", "", 0).await.parse::<u64>().unwrap();
    let before = harness.clock.now().unix_seconds();
    let shown = seen().await;
    assert!((before..=harness.clock.now().unix_seconds()).contains(&shown));
    #[cfg(feature = "test-hooks")]
    {
        harness
            .clock
            .advance(std::time::Duration::from_secs(86_400));
        assert!(seen().await >= before + 86_400);
    }
}

#[tokio::test]
async fn keys_of_the_host_sign_and_verify() {
    let harness = Harness::start().await;
    assert_eq!(
        harness.note("keys", "", 0).await,
        "[true, true, true, true]"
    );
}

#[tokio::test]
async fn pbkdf2_gives_the_published_bytes() {
    // The vector of RFC 7914, section 11, has other inputs; this one is of the
    // common SHA-256 companion to RFC 6070.
    let harness = Harness::start().await;
    assert_eq!(
        harness.note("pbkdf2", "", 4096).await,
        "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"
    );
}

#[tokio::test]
async fn the_other_functions_reach_the_guest() {
    let harness = Harness::start().await;
    let (call, config) = (harness.call(), harness.config());
    let provider = &harness.provider;

    let validation = provider
        .validate_config(&call, &config, None)
        .await
        .unwrap();
    assert_eq!(validation.identity.as_deref(), Some("user of ****"));
    assert_eq!(validation.warnings, ["weak: ****"]);

    let page = provider
        .list_credentials(&call, &config, Some("x"))
        .await
        .unwrap();
    assert_eq!(page.ids, [r#"after Some("x")"#]);

    for what in [
        Revocation::Credential(String::from("canary-id")),
        Revocation::UnknownCredential,
    ] {
        provider.revoke(&call, &config, None, &what).await.unwrap();
    }
    let former = Revocation::FormerRoot(String::from("x"));
    let failure = provider
        .revoke(&call, &config, None, &former)
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
    assert!(!failure.reached_upstream);

    let rotated = provider
        .rotate(&call, &config, &Rotation::Root)
        .await
        .unwrap();
    let new: Value = serde_json::from_str(rotated.secret.expose()).unwrap();
    assert_eq!(new["root"].as_str().unwrap().len(), 32);
    assert_eq!(rotated.retires.as_deref(), Some("former"));
    assert_eq!(rotated.metadata, json!({"new": "****"}));

    let account = |act: &str| Rotation::Account(Secret::new(json!({"act": act}).to_string()));
    let rotated = provider
        .rotate(&call, &config, &account("behave"))
        .await
        .unwrap();
    assert!(rotated.secret.expose().contains("canary-account"));
    let failure = provider
        .rotate(&call, &config, &account("password missing"))
        .await
        .unwrap_err();
    assert_eq!(failure.code, "rotated");
}

#[tokio::test]
async fn a_function_that_is_not_exported_is_unsupported() {
    let harness = Harness::start().await;
    let role = Secret::new(String::from("{}"));
    let failure = harness
        .provider
        .renew(&harness.call(), &harness.config(), &role, "x", None)
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Unsupported);
    let failure = harness
        .provider
        .publish(&harness.call(), &harness.config(), "ca", &[])
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Unsupported);
}

#[tokio::test]
async fn a_guest_has_no_files_environment_or_arguments() {
    let harness = Harness::start().await;
    let found = harness.note("ambient", "", 0).await;
    assert!(
        found.starts_with("0 variables, 0 arguments, file: refused")
            && found.contains("listing: refused"),
        "{found}"
    );
}

#[tokio::test]
async fn more_calls_than_slots_wait_for_their_turn() {
    let harness = Harness::start().await;
    let calls = (0..40).map(|_| harness.act("behave"));
    for credential in futures_util::future::join_all(calls).await {
        assert_eq!(note(&credential.unwrap()), "calls before: 0");
    }
    assert!(!harness.logged().contains(ROOT));
}
