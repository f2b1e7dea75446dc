//! The calls of a provider that behaves, and the functions that the host lends to it.

use lessor_model::{
    clock::Timestamp,
    provider::{FailureClass, Requester, Revocation, Rotation, Trigger},
    secret::Secret,
};
use serde_json::{Value, json};

use crate::harness::{Harness, guest, note};

#[tokio::test]
async fn a_guest_is_told_why_it_is_called_and_for_whom() {
    let mut harness = Harness::start().await;
    for (trigger, name) in [
        (Trigger::Request, "Request"),
        (Trigger::Configuration, "Configuration"),
        (Trigger::Schedule, "Schedule"),
        (Trigger::Expiry, "Expiry"),
        (Trigger::Operator, "Operator"),
        (Trigger::Cascade, "Cascade"),
        (Trigger::Recovery, "Recovery"),
    ] {
        harness.trigger = trigger;
        let told = harness.note("occasion", "", 0).await;
        assert_eq!(told, format!("{name} by nobody"));
    }
    harness.requester = Some(Requester {
        display_name: "bob".into(),
        accessor: "a".into(),
        metadata: vec![("groups".into(), r#"["ops", "dev"]"#.into())],
        entity: "e1".into(),
    });
    let told = harness.note("occasion", "", 0).await;
    assert_eq!(told, r#"Recovery by e1: ["ops", "dev"]"#);
}

#[tokio::test]
async fn concurrent_loads_of_one_digest_give_one_provider() {
    let harness = Harness::start().await;
    let (one, two) = tokio::join!(harness.sandbox.load(guest()), harness.sandbox.load(guest()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &two));
}

#[tokio::test]
async fn a_credential_comes_with_its_id_and_data() {
    let harness = Harness::start().await;
    let credential = harness.act("behave").await.unwrap();
    assert_eq!(credential.id, "db-app-x");
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
    harness.operation = lessor_model::id::OperationId::new(Timestamp(1)).unwrap();
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
    let none = harness.act_on("pbkdf2", "", 0).await.unwrap_err();
    assert!(none.message.contains("0 iterations"), "{}", none.message);
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
        Revocation::Credential(String::from("db-app-x")),
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
    assert!(rotated.secret.expose().contains("canary-password"));
    // Upstream may have changed already: it is kept, with what is wrong with it.
    let rotated = provider
        .rotate(&call, &config, &account("property_missing"))
        .await
        .unwrap();
    assert_eq!(rotated.defect.unwrap().code, "rotated");
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
async fn more_calls_than_slots_wait_for_their_turn() {
    let harness = Harness::start().await;
    let calls = (0..40).map(|_| harness.act("behave"));
    for credential in futures_util::future::join_all(calls).await {
        assert_eq!(note(&credential.unwrap()), "behaved");
    }
}

/// BT-27, VIC-09: who must act is told what the root credential lacks.
#[tokio::test]
async fn what_upstream_denied_names_the_privileges_that_the_provider_declares() {
    let harness = Harness::start().await;
    let role = Secret::new(json!({"act": "fail"}).to_string());
    let (call, config) = (harness.call(), harness.config());
    let validated = harness
        .provider
        .validate_config(&call, &config, Some(&role));
    let failure = validated.await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    let needs = "; to validate, the root credential needs principals:read, roles:read";
    assert!(failure.message.ends_with(needs), "{}", failure.message);
}

#[tokio::test]
async fn when_a_credential_takes_effect_is_bounded_to_a_day() {
    let harness = Harness::start().await;
    for (told, seconds) in [(0, None), (90, Some(90)), (u32::MAX, Some(24 * 3600))] {
        let made = harness.act_on("late", "", told).await.unwrap();
        assert_eq!(made.effective_in.map(|wait| wait.as_secs()), seconds);
    }
}
