//! A sandbox with the misbehaving guest in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lessor_model::{
    clock::Clock,
    grants::Grants,
    id::{ConnectionId, ConnectionName, MountPath, OperationId},
    provider::{Call, Credential, Failure, Identity, Provider, Requester, Scope, Trigger},
    secret::Secret,
};
use lessor_sandbox::{
    CodeCacheSettings, Limits, Sandbox, SandboxError, SandboxSettings, plugin_store::PluginStore,
};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

/// The root credential.
const ROOT: &str = "canary-root-credential";

/// Calls at once: few, so that a test can use them up.
pub(crate) const CALLS: u32 = 8;

pub(crate) struct Harness {
    pub(crate) sandbox: Sandbox,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) clock: Clock,
    pub(crate) connection: i64,
    pub(crate) config_version: u32,
    pub(crate) timeout: Duration,
    pub(crate) trigger: Trigger,
    pub(crate) requester: Option<Requester>,
    pub(crate) identity: Option<Arc<dyn Identity>>,
    pub(crate) operation: OperationId,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    grants: Vec<String>,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::made(limits, Sandbox::new).await
    }

    /// With a sandbox that is made some other way.
    pub(crate) async fn made(
        limits: Limits,
        make: impl FnOnce(SandboxSettings) -> Result<Sandbox, SandboxError>,
    ) -> Self {
        let clock = Clock::system();
        let sandbox = make(SandboxSettings {
            clock: clock.clone(),
            code_cache: Some(CodeCacheSettings {
                // Shared by the tests, each of which is a process of its own.
                dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache"),
                key: Secret::new([7; 32]),
            }),
            limits: Limits {
                calls: CALLS,
                ..limits
            },
        })
        .unwrap();
        let provider = sandbox.load(guest()).await.unwrap();
        Self {
            sandbox,
            provider,
            operation: OperationId::new(clock.now()).unwrap(),
            clock,
            connection: 1,
            config_version: 1,
            timeout: Duration::from_secs(20),
            trigger: Trigger::Request,
            requester: None,
            identity: None,
            roots: Vec::new(),
            grants: Vec::new(),
        }
    }

    pub(crate) fn grant(mut self, grants: &[String]) -> Self {
        self.grants.extend_from_slice(grants);
        self
    }

    pub(crate) fn call(&self) -> Call {
        Call {
            operation: self.operation,
            attempt: 1,
            trigger: self.trigger,
            role_name: Some("app".parse().unwrap()),
            principal_name: String::from("db-app-x"),
            requester: self.requester.clone(),
            timeout: self.timeout,
            scope: Arc::new(Scope {
                known_as: "db".into(),
                connection: ConnectionId(self.connection),
                connection_name: ConnectionName::DEFAULT,
                mount: "db".parse::<MountPath>().unwrap(),
                config_version: self.config_version,
                grants: Arc::new(Grants::parse(&self.grants).unwrap()),
                extra_roots: self.roots.clone().into(),
                proxy: None,
                derivation_key: Arc::new(Secret::new([9; 32])),
                identity: self.identity.clone(),
            }),
        }
    }

    pub(crate) fn config(&self) -> Secret<String> {
        Secret::new(json!({"root": ROOT}).to_string())
    }

    /// The same provider and sandbox, with another timeout.
    pub(crate) fn within(&self, timeout: Duration) -> Self {
        Self {
            sandbox: self.sandbox.clone(),
            provider: Arc::clone(&self.provider),
            clock: self.clock.clone(),
            requester: self.requester.clone(),
            identity: self.identity.clone(),
            roots: self.roots.clone(),
            grants: self.grants.clone(),
            timeout,
            ..*self
        }
    }

    /// Lets the guest do `act`.
    pub(crate) async fn act(&self, act: &str) -> Result<Credential, Failure> {
        self.act_on(act, "", 0).await
    }

    pub(crate) async fn act_on(
        &self,
        act: &str,
        target: &str,
        number: u32,
    ) -> Result<Credential, Failure> {
        let role = json!({"act": act, "target": target, "number": number}).to_string();
        self.provider
            .create(
                &self.call(),
                &self.config(),
                &Secret::new(role),
                &Secret::new(String::from("{}")),
                None,
            )
            .await
    }

    /// The guest's report of an act that must succeed.
    pub(crate) async fn note(&self, act: &str, target: &str, number: u32) -> String {
        note(&self.act_on(act, target, number).await.unwrap())
    }

    /// The provider still answers.
    pub(crate) async fn still_behaves(&self) {
        assert_eq!(self.note("behave", "", 0).await, "behaved");
    }
}

pub(crate) fn note(credential: &Credential) -> String {
    let data: Value = serde_json::from_str(credential.data.expose()).unwrap();
    data["note"].as_str().unwrap().to_owned()
}

/// The guest as the plugin store verifies it.
pub(crate) fn guest() -> lessor_sandbox::plugin_store::VerifiedPlugin {
    let store = PluginStore::new(guests(), 64 << 20);
    let digest = store
        .digest_of("misbehaving.wasm")
        .expect("run cargo xtask test, which builds it");
    store.verify("misbehaving.wasm", digest).unwrap()
}

fn guests() -> PathBuf {
    std::env::var_os("LESSOR_TEST_PLUGINS")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"),
            PathBuf::from,
        )
        .join("test")
}
