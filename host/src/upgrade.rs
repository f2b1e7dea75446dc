//! Moves mounts to another version of a plugin: all that name one in one call. Configs and roles
//! that do not fit the new version are named beforehand.
//!
//! A mount that names no version follows the newest as long as its config and roles
//! fit that. Where they do not fit, the mount stays at the version that it ran, and names it
//! from then on: the schemas of a version must never be the reason why its leases cannot be
//! ended.
//!
//! Calls under way end on the provider that they began with; the next one of each
//! mount runs the new one. A lease remembers the digest that made it.

use std::sync::Arc;

use lessor_model::{
    event::Event,
    id::{Digest, MountPath},
    refusal::Refusal,
    schema::Checker,
    secret::Secret,
};
use serde_json::Value;

use crate::{
    catalog::{Catalog, Examined, PinSpec, Plugin},
    mount::{Mount, Mounts},
    role::Roles,
};

/// Moves mounts between the versions of a plugin.
#[derive(Debug)]
pub struct Upgrades {
    catalog: Arc<Catalog>,
    mounts: Arc<Mounts>,
    roles: Arc<Roles>,
}

/// The checks that a new pin may skip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// The pin may replace other bytes of the same version, and may give a version other than
    /// the provider's own.
    pub replace: bool,
    /// Also where configs and roles of the mounts that run that version do not fit it.
    pub force: bool,
}

/// The outcome of pinning.
#[derive(Debug)]
pub struct Pinned {
    /// The pin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Warnings for the operator, a sentence each.
    pub warnings: Vec<String>,
}

/// The outcome of an upgrade.
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
    /// Configs and roles that must be written anew, a sentence each.
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

    /// Pins a plugin. Mounts that follow the newest go over to the new version where they fit
    /// it, and stay where they are otherwise.
    ///
    /// # Errors
    /// A sentence where it cannot be pinned at all; `Conflict` where it would replace the bytes
    /// that mounts run, and is not allowed to or does not fit these mounts.
    pub async fn pin(&self, spec: PinSpec, change: Change) -> Result<Pinned, Refusal> {
        let examined = self.catalog.examine(spec, change.replace).await?;
        let (name, version) = (&examined.pin.name, &examined.pin.version);
        let mut warnings = Vec::new();
        if let Some(own) = examined.is_mislabelled() {
            warnings.push(format!(
                "{name} is pinned as version {version}, and the provider says that it is version {own}"
            ));
        }
        let (replaced, held) = self.misfitting(&examined).await?;
        if let Some(first) = replaced.first().filter(|_| !change.force) {
            return Err(Refusal::Conflict(format!(
                "the bytes do not fit what runs version {version} of plugin {name:?}: {first}; nothing was \
                 changed (pin them as another version; force=true replaces them all the same)"
            )));
        }
        warnings.extend(replaced);
        // First, so that no call runs a version that does not fit.
        for (mount, former, misfit) in held {
            self.mounts
                .name_version(&[Arc::clone(&mount)], &former)
                .await?;
            Event::MountVersionKept {
                mount: mount.path().clone(),
                plugin: name.clone(),
                version: former.clone(),
                newest: version.clone(),
                reason: misfit.clone(),
            }
            .record();
            warnings.push(format!(
                "mount {path} stays at version {former}, which it names from now on, because it does not fit \
                 {version}: {misfit}; `lessor plugin upgrade {name} --force` moves it, and you write that anew \
                 afterwards",
                path = mount.path()
            ));
        }
        let pin = self.catalog.record(examined).await?;
        Ok(Pinned {
            name: pin.name,
            version: pin.version,
            warnings,
        })
    }

    /// The misfits of a version that is about to be pinned. First, sentences about the mounts
    /// whose bytes it replaces; second, the mounts that would follow it and do not fit, with
    /// the version that they run and the reason.
    async fn misfitting(
        &self,
        examined: &Examined,
    ) -> Result<(Vec<String>, Vec<(Arc<Mount>, String, String)>), Refusal> {
        let pin = &examined.pin;
        let (mut replaced, mut held) = (Vec::new(), Vec::new());
        for mount in self.users(&pin.name) {
            let named = mount.spec.plugin_version.as_deref();
            let Some(running) = self.catalog.running(&pin.name, named) else {
                continue;
            };
            let replaces = running.version == pin.version;
            let comes = match replaces {
                true => running.sha256 != pin.sha256,
                false => named.is_none() && examined.is_newer_than(&running),
            };
            if !comes {
                continue;
            }
            let misfits = self.misfits_of(&mount, &examined.plugin).await?;
            match misfits.into_iter().next() {
                None => {}
                Some(misfit) if replaces => replaced.push(misfit),
                Some(misfit) => held.push((mount, running.version, misfit)),
            }
        }
        Ok((replaced, held))
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
            Event::MountUpgraded {
                mount: mount.clone(),
                plugin: plugin.to_owned(),
                version: pin.version.clone(),
                sha256: pin.sha256,
            }
            .record();
        }
        Ok(Upgrade {
            version: pin.version,
            sha256: pin.sha256,
            changed,
            following: paths(following),
            misfits,
        })
    }

    /// The parts of a mount that do not fit the version that it runs, a sentence each. Empty
    /// where that version cannot run.
    ///
    /// # Errors
    /// `NotFound`, or where storage fails.
    pub async fn misfits(&self, path: &MountPath) -> Result<Vec<String>, Refusal> {
        let mount = self.mounts.open(path)?;
        let spec = &mount.spec;
        let version = spec.plugin_version.as_deref();
        match self.catalog.plugin(&spec.plugin, version).await {
            Ok((_, plugin)) => self.misfits_of(&mount, &plugin).await,
            Err(_) => Ok(Vec::new()),
        }
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
        for connection in self.mounts.connections_of(mount) {
            if let Some(config) = self.mounts.config(&connection).await? {
                let misfit = misfit(&plugin.config, "config", &config);
                let title = connection.title();
                misfits
                    .extend(misfit.map(|reason| format!("the config of mount {title}: {reason}")));
            }
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

/// The reason why a stored document does not fit a schema.
fn misfit(checker: &Checker, root: &str, document: &Secret<String>) -> Option<String> {
    match serde_json::from_str::<Value>(document.expose()) {
        Ok(mut parsed) => checker.check(root, &mut parsed).err(),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use lessor_model::mount::TunePatch;
    use lessor_store::PinSource;

    use super::*;
    use crate::{
        engine::Engine,
        testing::{Heard, House, db},
    };

    /// The fake's successor, which does not fit the config and role of the mount.
    fn successor(version: Option<&str>) -> PinSpec {
        PinSpec {
            name: "fake".into(),
            version: version.map(str::to_owned),
            file: "successor.wasm".into(),
            sha256: Digest::of(b"successor"),
            source: PinSource::Api,
        }
    }

    async fn running(engine: &Engine) -> Option<String> {
        let view = engine.mounts.view(&db()).await.unwrap();
        view.running_version
    }

    async fn tune(engine: &Engine, version: &str) {
        let patch = TunePatch {
            plugin_version: Some(version.into()),
            ..TunePatch::default()
        };
        engine.mounts.tune(&db(), patch).await.unwrap();
    }

    /// A successor that does not fit what is stored: nothing changes, unless that
    /// is wanted.
    #[tokio::test]
    async fn a_version_that_does_not_fit_is_told_and_changes_nothing() {
        let house = House::new();
        let engine = house.open(false).await;
        tune(&engine, "1.0").await;
        let pinned = engine
            .upgrades
            .pin(successor(None), Change::default())
            .await;
        let pinned = pinned.unwrap();
        assert_eq!(pinned.version, "v2.0.0");
        assert_eq!(pinned.warnings, [""; 0], "no mount follows it");

        let refused = engine.upgrades.upgrade("fake", None, false).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains("the config of mount db"), "{sentence}");
        assert!(sentence.contains("region"), "{sentence}");
        assert_eq!(running(&engine).await.as_deref(), Some("v1.0.0"));

        let upgrade = engine.upgrades.upgrade("fake", None, true).await.unwrap();
        assert_eq!(upgrade.changed, [db()]);
        assert_eq!(upgrade.misfits.len(), 2, "{:?}", upgrade.misfits);
        assert_eq!(running(&engine).await.as_deref(), Some("v2.0.0"));

        tune(&engine, "").await;
        assert_eq!(engine.upgrades.misfits(&db()).await.unwrap().len(), 2);
        let again = engine.upgrades.upgrade("fake", None, false).await.unwrap();
        assert_eq!((again.changed.len(), again.following), (0, vec![db()]));
    }

    /// Leases of a mount that went over to a version whose schemas its role did not
    /// fit could not be ended for a day.
    #[tokio::test]
    async fn a_mount_does_not_follow_a_version_that_it_does_not_fit() {
        let heard = Heard::from_here();
        let house = House::new();
        let engine = house.open(false).await;
        let pinned = engine
            .upgrades
            .pin(successor(None), Change::default())
            .await;
        let warnings = pinned.unwrap().warnings.join("\n");
        for part in [
            "mount db stays at version v1.0.0",
            "region",
            "upgrade fake --force",
        ] {
            assert!(warnings.contains(part), "{warnings}");
        }
        assert_eq!(running(&engine).await.as_deref(), Some("v1.0.0"));
        assert_eq!(heard.count("mount.version_kept"), 1);
        engine.issue().await.unwrap();
    }

    #[tokio::test]
    async fn other_bytes_take_the_place_of_a_version_only_where_they_may_and_fit() {
        let house = House::new();
        let engine = house.open(false).await;
        let pin = |replace, force| {
            engine
                .upgrades
                .pin(successor(Some("v1")), Change { replace, force })
        };
        for (replace, says) in [(false, "--replace"), (true, "the config of mount db")] {
            match pin(replace, false).await {
                Err(Refusal::Conflict(sentence)) => {
                    assert!(sentence.contains(says), "{sentence}");
                }
                other => panic!("{other:?}"),
            }
            let digest = engine.mounts.view(&db()).await.unwrap().running_sha256;
            assert_eq!(digest, Some(Digest::of(b"fake")));
        }
        let warnings = pin(true, true).await.unwrap().warnings.join("\n");
        assert!(
            warnings.contains("says that it is version 2.0.0"),
            "{warnings}"
        );
        assert!(warnings.contains("the config of mount db"), "{warnings}");
        let digest = engine.mounts.view(&db()).await.unwrap().running_sha256;
        assert_eq!(digest, Some(Digest::of(b"successor")));
    }
}
