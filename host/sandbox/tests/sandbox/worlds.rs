//! What is no provider is refused by name of what is wrong.

use lessor_model::clock::Clock;
use lessor_sandbox::{
    Limits, Sandbox, SandboxSettings,
    plugin_store::{PluginError, PluginStore},
};

/// Loads bytes as a plugin; what is not refused would be a bug.
async fn refusal(bytes: &[u8]) -> PluginError {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.wasm"), bytes).unwrap();
    let store = PluginStore::new(dir.path().to_path_buf(), 1 << 20);
    let digest = store.digest_of("x.wasm").unwrap();
    let sandbox = Sandbox::new(SandboxSettings {
        clock: Clock::system(),
        code_cache: None,
        limits: Limits {
            calls: 4,
            ..Limits::default()
        },
    })
    .unwrap();
    let plugin = store.verify("x.wasm", digest).unwrap();
    sandbox.load(plugin).await.unwrap_err()
}

async fn wat(text: &str) -> PluginError {
    refusal(&wat::parse_str(text).unwrap()).await
}

#[tokio::test]
async fn bytes_that_are_no_component() {
    for bytes in [
        b"".as_slice(),
        b"#!/bin/sh\n",
        b"\0asm\x01\0\0\0",
        b"\0asm\x0d\0\x01\0junk",
    ] {
        let error = refusal(bytes).await;
        assert!(
            matches!(error, PluginError::NotAComponent { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_component_that_exports_no_provider() {
    let error = wat("(component)").await;
    let says = "this component is not a provider: \
                it exports neither lessor:plugin/provider@1.0.0 nor lessor:provider/provider@0.1.0";
    assert_eq!(error.to_string(), says);
}

#[tokio::test]
async fn a_component_that_imports_what_the_host_does_not_offer() {
    for import in [
        "other:thing/api@1.0.0",
        "lessor:provider/storage@0.1.0",
        "lessor:provider/occasion@0.1.0",
        "lessor:plugin/storage@1.0.0",
    ] {
        let error = wat(&format!(
            r#"(component
                (import "{import}" (instance))
                (instance $empty)
                (export "lessor:provider/provider@0.1.0" (instance $empty)))"#
        ))
        .await;
        assert!(matches!(error, PluginError::ForeignWorld { .. }), "{error}");
        assert!(error.to_string().contains(import), "{error}");
    }
}

#[tokio::test]
async fn a_component_of_another_version_of_the_contract() {
    let error = wat(r#"(component
            (instance $empty)
            (export "lessor:provider/provider@0.2.0" (instance $empty)))"#)
    .await;
    assert_eq!(
        error.to_string(),
        "this provider was built for lessor:provider/provider@0.2.0, \
         this host speaks lessor:plugin@1.0.0 and lessor:provider@0.1.0"
    );
}

#[tokio::test]
async fn a_provider_whose_functions_are_missing() {
    let error = wat(r#"(component
            (instance $empty)
            (export "lessor:provider/provider@0.1.0" (instance $empty)))"#)
    .await;
    assert!(matches!(error, PluginError::ForeignWorld { .. }), "{error}");
    assert!(error.to_string().contains("describe"), "{error}");
}
