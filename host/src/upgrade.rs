//! Which version of a plugin mounts run: all that name one are moved to another
//! in one call, and what no longer fits the new version is told beforehand.
//!
//! Calls under way end on the provider that they began with; the next one of each
//! mount runs the new one. A lease remembers the digest that made it.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    catalog::{Catalog, Plugin},
    id::{Digest, MountPath},
    mount::{Mount, Mounts},
    refusal::Refusal,
    role::Roles,
    schema::Checker,
    secret::Secret,
};

/// Moves mounts between the versions of a plugin.
#[derive(Debug)]
pub struct Upgrades {
    catalog: Arc<Catalog>,
    mounts: Arc<Mounts>,
    roles: Arc<Roles>,
}

/// What an upgrade did.
#[derive(Debug)]
pub struct Upgrade {
    /// The version that is run now.
    pub version: String,
    /// Its digest.
    pub sha256: Digest,
    /// Mounts that named another version before.
    pub changed: Vec<MountPath>,
    /// Mounts that name no version: they run the newest anyway.
    pub following: Vec<MountPath>,
    /// What is to be written anew, a sentence each.
    pub misfits: Vec<String>,
}

impl Upgrades {
    /// Upgrades over a table of mounts.
    pub fn new(catalog: Arc<Catalog>, mounts: Arc<Mounts>, roles: Arc<Roles>) -> Self {
        Self {
            catalog,
            mounts,
            roles,
        }
    }

    /// Lets every mount that names a version of `plugin` name `version`, the
    /// newest where none is given. All of them change, or none.
    ///
    /// # Errors
    /// `Invalid` where nothing of that name and version is pinned, or where a
    /// config or role does not fit the version and `force` is not set;
    /// `Unavailable` where it cannot run.
    pub async fn upgrade(
        &self,
        plugin: &str,
        version: Option<&str>,
        force: bool,
    ) -> Result<Upgrade, Refusal> {
        let (pin, provider) = self.catalog.plugin(plugin, version).await?;
        let (naming, following): (Vec<_>, Vec<_>) = self
            .users(plugin)
            .into_iter()
            .partition(|mount| mount.spec.plugin_version.is_some());
        let changed: Vec<_> = naming
            .into_iter()
            .filter(|mount| mount.spec.plugin_version.as_ref() != Some(&pin.version))
            .collect();
        let mut misfits = Vec::new();
        for mount in &changed {
            misfits.extend(self.misfits_of(mount, &provider).await?);
        }
        if let Some(first) = misfits.first().filter(|_| !force) {
            return Err(Refusal::Invalid(format!(
                "version {} of plugin {plugin:?} does not fit: {first}; nothing was changed \
                 (force=true upgrades all the same, and you write it anew afterwards)",
                pin.version
            )));
        }
        self.mounts.name_version(&changed, &pin.version).await?;
        let paths = |mounts: Vec<Arc<Mount>>| -> Vec<MountPath> {
            mounts.iter().map(|mount| mount.path().clone()).collect()
        };
        let changed = paths(changed);
        for mount in &changed {
            tracing::info!(
                %mount, plugin, version = %pin.version, sha256 = %pin.sha256,
                "upgraded a mount"
            );
        }
        Ok(Upgrade {
            version: pin.version,
            sha256: pin.sha256,
            changed,
            following: paths(following),
            misfits,
        })
    }

    /// What of the mounts that follow the newest version of `plugin` does not fit
    /// it, a sentence each. Empty where it cannot run.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn misfits(&self, plugin: &str) -> Result<Vec<String>, Refusal> {
        let Ok((_, provider)) = self.catalog.plugin(plugin, None).await else {
            return Ok(Vec::new());
        };
        let mut misfits = Vec::new();
        for mount in self.users(plugin) {
            if mount.spec.plugin_version.is_none() {
                misfits.extend(self.misfits_of(&mount, &provider).await?);
            }
        }
        Ok(misfits)
    }

    /// The live mounts that run `plugin`, by path.
    fn users(&self, plugin: &str) -> Vec<Arc<Mount>> {
        let mut users = self.mounts.every();
        users.retain(|mount| mount.live && mount.spec.plugin == plugin);
        users.sort_by(|a, b| a.path().cmp(b.path()));
        users
    }

    async fn misfits_of(&self, mount: &Mount, plugin: &Plugin) -> Result<Vec<String>, Refusal> {
        let path = mount.path();
        let mut misfits = Vec::new();
        if let Some(config) = self.mounts.config(mount).await? {
            let misfit = misfit(&plugin.config, "config", &config);
            misfits.extend(misfit.map(|reason| format!("the config of mount {path}: {reason}")));
        }
        for name in self.roles.list(path).await? {
            let row = self.roles.current(mount, &name.parse()?).await?;
            let role = self.roles.open(mount, &row)?;
            let misfit = misfit(&plugin.role, "role", &role);
            misfits
                .extend(misfit.map(|reason| format!("the role {name} of mount {path}: {reason}")));
        }
        Ok(misfits)
    }
}

/// Why a stored document is none of a schema.
fn misfit(checker: &Checker, root: &str, document: &Secret<String>) -> Option<String> {
    match serde_json::from_str::<Value>(document.expose()) {
        Ok(mut parsed) => checker.check(root, &mut parsed).err(),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::PinSpec,
        mount::TunePatch,
        storage::PinSource,
        testing::{House, db},
    };

    /// A successor that does not fit what is stored: nothing changes, unless that
    /// is wanted.
    #[tokio::test]
    async fn a_version_that_does_not_fit_is_told_and_changes_nothing() {
        let house = House::new();
        let engine = house.open(false).await;
        let name_version = TunePatch {
            plugin_version: Some("1.0.0".into()),
            ..TunePatch::default()
        };
        engine.mounts.tune(&db(), name_version).await.unwrap();
        let successor = PinSpec {
            name: "fake".into(),
            version: None,
            file: "successor.wasm".into(),
            sha256: Digest::of(b"successor"),
            source: PinSource::Api,
        };
        engine.catalog.pin(successor).await.unwrap();
        assert_eq!(engine.upgrades.misfits("fake").await.unwrap(), [""; 0]);

        let refused = engine.upgrades.upgrade("fake", None, false).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains("the config of mount db"), "{sentence}");
        assert!(sentence.contains("region"), "{sentence}");
        let view = engine.mounts.view(&db()).await.unwrap();
        assert_eq!(view.running_version.as_deref(), Some("1.0.0"));

        let upgrade = engine.upgrades.upgrade("fake", None, true).await.unwrap();
        assert_eq!(upgrade.changed, [db()]);
        assert_eq!(upgrade.misfits.len(), 2, "{:?}", upgrade.misfits);
        let view = engine.mounts.view(&db()).await.unwrap();
        assert_eq!(view.running_version.as_deref(), Some("2.0.0"));

        // One that follows the newest is told of when that is pinned.
        let follow = TunePatch {
            plugin_version: Some(String::new()),
            ..TunePatch::default()
        };
        engine.mounts.tune(&db(), follow).await.unwrap();
        assert_eq!(engine.upgrades.misfits("fake").await.unwrap().len(), 2);
        let again = engine.upgrades.upgrade("fake", None, false).await.unwrap();
        assert_eq!((again.changed.len(), again.following), (0, vec![db()]));
    }
}
