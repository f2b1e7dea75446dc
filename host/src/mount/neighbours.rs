//! Mounts whose config names the same upstream system as another's: an account there
//! has one owner, whichever mount it is.
//!
//! A system is told by the endpoints that a config fills in. Two names of one host, or
//! an endpoint that is the same for every config, tell nothing; then upstream itself is
//! the judge.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{Mount, Mounts, endpoints};
use crate::{catalog::Plugin, refusal::Refusal};

/// Another mount with a root credential of the same system.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// The mount.
    pub mount: Arc<Mount>,
    root: RootAccount,
}

/// Whose credential a mount's root is.
#[derive(Clone, Debug, Default)]
struct RootAccount {
    /// As the config names it.
    username: Option<String>,
    /// As the provider told when it was proven.
    identity: Option<String>,
}

impl Neighbour {
    /// Whether an account is that of the mount's root credential.
    pub fn is_root(&self, account: &str) -> bool {
        self.root.is(account)
    }
}

impl RootAccount {
    fn of(config: &Value, identity: Option<String>) -> Self {
        let username = config.get("username").and_then(Value::as_str);
        Self {
            username: username.map(str::to_owned),
            identity,
        }
    }

    fn is(&self, account: &str) -> bool {
        self.username.as_deref() == Some(account)
            || self
                .identity
                .as_deref()
                .is_some_and(|identity| names(identity, account))
    }
}

impl Mounts {
    /// The other mounts whose config names the system that `config` names, with those
    /// that are being removed. One whose provider cannot be loaded is left out.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn neighbours(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        config: &Value,
    ) -> Result<Vec<Neighbour>, Refusal> {
        let Some(own) = system(&plugin.provider.descriptor().endpoints, config) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for other in self.every() {
            if other.id == mount.id {
                continue;
            }
            let Ok(plugin) = self.plugin(&other).await else {
                continue;
            };
            let Some((config, identity)) = self.opened(&other).await? else {
                continue;
            };
            if system(&plugin.provider.descriptor().endpoints, &config).as_ref() == Some(&own) {
                let root = RootAccount::of(&config, identity);
                found.push(Neighbour { mount: other, root });
            }
        }
        Ok(found)
    }

    /// Whether an account is that of a mount's own root credential.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn is_root(&self, mount: &Mount, account: &str) -> Result<bool, Refusal> {
        let own = self.opened(mount).await?;
        Ok(own.is_some_and(|(config, identity)| RootAccount::of(&config, identity).is(account)))
    }

    /// The neighbours that have the same root account as a mount: to rotate it would
    /// lock them out.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn sharing_root(
        &self,
        mount: &Mount,
        plugin: &Plugin,
    ) -> Result<Option<(String, Neighbour)>, Refusal> {
        let Some((config, identity)) = self.opened(mount).await? else {
            return Ok(None);
        };
        let Some(account) = account_of(&config, identity.as_deref()) else {
            return Ok(None);
        };
        let neighbours = self.neighbours(mount, plugin, &config).await?;
        let sharing = neighbours.into_iter().find(|other| other.is_root(&account));
        Ok(sharing.map(|other| (account, other)))
    }

    /// A mount's config in use, and whose credential it is.
    async fn opened(&self, mount: &Mount) -> Result<Option<(Value, Option<String>)>, Refusal> {
        let Some(config) = self.config(mount).await? else {
            return Ok(None);
        };
        let row = self.storage.current_config(mount.id).await?;
        let config = serde_json::from_str(config.expose()).unwrap_or_default();
        Ok(Some((config, row.and_then(|row| row.identity))))
    }
}

/// The name of a root credential's account, where it has one.
pub fn account_of(config: &Value, identity: Option<&str>) -> Option<String> {
    let username = config.get("username").and_then(Value::as_str);
    let named = identity.and_then(|identity| identity.split(" (").next());
    username.or(named).map(str::to_owned)
}

/// The system that a config names: its endpoints, where it fills any in.
fn system(templates: &[String], config: &Value) -> Option<BTreeSet<String>> {
    let own: Vec<String> = templates
        .iter()
        .filter(|template| template.contains('{'))
        .cloned()
        .collect();
    let filled: BTreeSet<String> = endpoints(&own, config)
        .iter()
        .map(|endpoint| endpoint.trim_end_matches('/').to_lowercase())
        .collect();
    let is_told = !filled.is_empty() && filled.iter().all(|endpoint| !endpoint.contains('{'));
    is_told.then_some(filled)
}

/// Whether a validated identity names an account: it begins with the name, and
/// may tell more behind it, as in `lessor (PostgreSQL 15.4)`.
fn names(identity: &str, account: &str) -> bool {
    identity
        .strip_prefix(account)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_identity_names_the_account_that_it_begins_with() {
        for (identity, account, same) in [
            ("lessor (PostgreSQL 15.4)", "lessor", true),
            ("lessor", "lessor", true),
            ("lessor2 (PostgreSQL 15.4)", "lessor", false),
            ("lessor", "less", false),
            ("root@fake", "root", false),
        ] {
            assert_eq!(names(identity, account), same, "{identity} {account}");
        }
    }

    #[test]
    fn a_system_is_told_by_what_the_config_fills_in() {
        let of = |templates: &[&str], config: Value| {
            let templates: Vec<String> = templates.iter().map(|text| (*text).into()).collect();
            system(&templates, &config)
        };
        let postgres = ["tcp://{host}:{port}"];
        let db = of(&postgres, json!({"host": "DB", "port": 5432}));
        assert!(db.is_some());
        assert_eq!(
            db,
            of(
                &postgres,
                json!({"host": "db", "port": 5432, "database": "x"})
            )
        );
        assert_ne!(db, of(&postgres, json!({"host": "db", "port": 5433})));
        assert_eq!(of(&postgres, json!({"host": "db"})), None);
        assert_eq!(of(&["https://iam.example.com"], json!({})), None);
    }
}
