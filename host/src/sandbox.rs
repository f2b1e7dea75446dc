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
