//! A rotated config before it is used: whether it may be used unseen, and what the
//! operator is shown of one that may not.

use lessor_model::{provider::Failure, refusal::Refusal, schema, secret::Secret};
use lessor_store::RotationRow;
use serde_json::Value;

use super::Rotations;
use crate::{catalog::Plugin, mount::Connection};

/// The config to be staged, and why it waits for the operator, where it does. One that
/// fits its schema gets the defaults; any other stays as the provider answered it.
pub(super) fn judge(
    plugin: &Plugin,
    former: &Secret<String>,
    rotated: Secret<String>,
    defect: Option<Failure>,
) -> (Secret<String>, Option<String>) {
    if let Some(defect) = defect {
        return (rotated, Some(defect.to_string()));
    }
    let Ok(mut document) = serde_json::from_str::<Value>(rotated.expose()) else {
        return (rotated, Some("the rotated config is no JSON".into()));
    };
    if let Err(sentence) = plugin.config.check("config", &mut document) {
        let reason = format!("the rotated config does not fit the provider's schema: {sentence}");
        return (rotated, Some(reason));
    }
    let changes = changes(plugin, former, &document);
    let held = (!changes.is_empty()).then(|| format!("it {}", self::changed(&changes)));
    (Secret::new(document.to_string()), held)
}

/// The fields of a config in use that a rotation changes, beyond secrets and the fields that the
/// provider announces.
fn changes(plugin: &Plugin, former: &Secret<String>, document: &Value) -> Vec<String> {
    let Ok(mut former) = serde_json::from_str::<Value>(former.expose()) else {
        return Vec::new();
    };
    // A default of a newer version is no change; one that does not fit any more is
    // compared as it is.
    let _ = plugin.config.check("config", &mut former);
    let schema = &plugin.provider.descriptor().config_schema;
    schema::changes(schema, "config", &former, document)
}

/// As a sentence goes on: what is changed, and that somebody must look at it.
pub(super) fn changed(changes: &[String]) -> String {
    format!(
        "changes {}, which is no secret and which the provider does not announce",
        changes.join(", ")
    )
}

impl Rotations {
    /// The fields that the staged config of a rotation changes, beyond secrets and the fields that
    /// the provider announces.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn staged_changes(
        &self,
        connection: &Connection,
        rotation: &RotationRow,
    ) -> Result<Vec<String>, Refusal> {
        let Some(version) = rotation.new_version else {
            return Ok(Vec::new());
        };
        let Some(row) = self.storage.config(connection.id, version).await? else {
            return Ok(Vec::new());
        };
        let plugin = self.mounts.plugin(connection).await?;
        let root = self.mounts.root(connection, &plugin).await?;
        let former = self.mounts.unseal(&root)?;
        let staged = self
            .mounts
            .unseal(&*self.mounts.root_of(connection, &plugin, &row)?)?;
        let staged = serde_json::from_str::<Value>(staged.expose());
        Ok(staged.map_or_else(
            |_| Vec::new(),
            |document| changes(&plugin, &former, &document),
        ))
    }
}
