//! A file that is no provider is refused, and the sentence names its fault.

use lessor_model::{clock::Clock, id::Digest};
use lessor_sandbox::{
    Limits, Sandbox, SandboxSettings,
    plugin_store::{PluginError, PluginStore},
};

/// The bytes of `wit/provider.wit`, which is version 0.1.
const RELEASED_0_1: &str = "89c17d6ea08f5e42bfbb3dcb16d71334ae31a57404aea50e2703dc3104f56d87";

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

fn contract(path: &str) -> String {
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    std::fs::read_to_string(format!("{wit}/{path}")).unwrap()
}

/// Somebody has built for it: what a released contract lacks is a new interface or a new
/// version.
#[test]
fn a_released_contract_is_not_edited() {
    let digest = Digest::of(contract("provider.wit").as_bytes());
    assert_eq!(digest.to_string(), RELEASED_0_1);
}

/// Where an item is later than its package, whoever builds for it must see since when.
#[test]
fn every_item_says_since_when_it_is_there() {
    let kinds = [
        "interface ",
        "world ",
        "enum ",
        "record ",
        "variant ",
        "resource ",
        "type ",
        "use ",
        "import ",
        "export ",
        "include ",
    ];
    let mut items = 0;
    for file in [
        "crypto", "host", "identity", "memo", "network", "occasion", "provider", "types", "worlds",
    ] {
        let text = contract(&format!("v1/{file}.wit"));
        let mut before = "";
        for line in text.lines().map(str::trim) {
            let is_function = line.contains(": func(") || line.contains(": static func(");
            if is_function || kinds.iter().any(|kind| line.starts_with(kind)) {
                assert!(before.starts_with("@since("), "{file}: {line}");
                items += 1;
            }
            before = line;
        }
    }
    assert!(items > 60, "{items}");
}
