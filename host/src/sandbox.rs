//! stub
pub(crate) mod address;
pub mod grants;
/// stub
#[derive(Debug, Clone)]
pub struct Sandbox;
impl Sandbox {
    /// stub
    pub async fn load(
        &self,
        _plugin: crate::plugin_store::VerifiedPlugin,
    ) -> Result<std::sync::Arc<dyn crate::provider::Provider>, crate::plugin_store::PluginError>
    {
        Err(crate::plugin_store::PluginError::Prepare {
            reason: "stub".into(),
        })
    }
    /// stub
    pub fn drop_parked(&self, _mount: i64) {}
}

/// What a sandbox is made with.
#[derive(Debug)]
pub struct SandboxSettings {
    /// The clock that guests see.
    pub clock: crate::clock::Clock,
    /// Where compiled code is kept.
    pub code_cache: Option<CodeCacheSettings>,
    /// Limits of every call.
    pub limits: Limits,
}

/// Where compiled code is kept.
#[derive(Debug)]
pub struct CodeCacheSettings {
    /// A directory of its own.
    pub dir: std::path::PathBuf,
    /// The key that authenticates entries.
    pub key: crate::secret::Secret<[u8; 32]>,
}

/// Limits of every call.
#[derive(Debug, Default)]
pub struct Limits {}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {}

impl Sandbox {
    /// stub
    ///
    /// # Errors
    /// None.
    pub fn new(_: SandboxSettings) -> Result<Self, SandboxError> {
        Ok(Self)
    }
}
