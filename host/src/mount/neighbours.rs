//! Connections whose config names the same upstream system as another's: an account there
//! has one owner, whichever connection of whichever mount it is.
//!
//! A system is told by the endpoints that a config fills in. The names of this machine
//! and the spellings of an address are one; that two names of DNS lead to one host is not
//! known here, nor what an endpoint tells that is the same for every config.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use lessor_model::refusal::Refusal;
use serde_json::Value;

use super::{Connection, Mounts, endpoints};
use crate::catalog::Plugin;

/// Another connection with a root credential of the same system.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// The connection.
    pub connection: Arc<Connection>,
    root: RootAccount,
}

/// Whose credential a root is.
#[derive(Clone, Debug, Default)]
struct RootAccount {
    /// As the config names it.
    username: Option<String>,
    /// As the provider told when it was proven.
    identity: Option<String>,
}

impl Neighbour {
    /// Whether an account is that of the connection's root credential.
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
    /// The other connections whose config names the system that `config` names, with those
    /// of mounts that are being removed. One whose provider cannot be loaded is left out.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn neighbours(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        config: &Value,
    ) -> Result<Vec<Neighbour>, Refusal> {
        let Some(own) = system(&plugin.provider.descriptor().endpoints, config) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for other in self.every_connection() {
            if other.id == connection.id {
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
                found.push(Neighbour {
                    connection: other,
                    root,
                });
            }
        }
        Ok(found)
    }

    /// Whether an account is that of a connection's own root credential.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn is_root(&self, connection: &Connection, account: &str) -> Result<bool, Refusal> {
        let own = self.opened(connection).await?;
        Ok(own.is_some_and(|(config, identity)| RootAccount::of(&config, identity).is(account)))
    }

    /// The neighbours that have the same root account as a connection: to rotate it would
    /// lock them out.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn sharing_root(
        &self,
        connection: &Connection,
        plugin: &Plugin,
    ) -> Result<Option<(String, Neighbour)>, Refusal> {
        let Some((config, identity)) = self.opened(connection).await? else {
            return Ok(None);
        };
        let Some(account) = account_of(&config, identity.as_deref()) else {
            return Ok(None);
        };
        let neighbours = self.neighbours(connection, plugin, &config).await?;
        let sharing = neighbours.into_iter().find(|other| other.is_root(&account));
        Ok(sharing.map(|other| (account, other)))
    }

    /// A connection's config in use, and whose credential it is.
    async fn opened(
        &self,
        connection: &Connection,
    ) -> Result<Option<(Value, Option<String>)>, Refusal> {
        let Some(config) = self.config(connection).await? else {
            return Ok(None);
        };
        let row = self.storage.current_config(connection.id).await?;
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
        .map(|endpoint| in_one_form(endpoint))
        .collect();
    let is_told = !filled.is_empty() && filled.iter().all(|endpoint| !endpoint.contains('{'));
    is_told.then_some(filled)
}

/// An endpoint whose host is in one form: lower case, without the dot of a name that is
/// whole, an address in its shortest spelling, and this machine under one name.
fn in_one_form(endpoint: &str) -> String {
    let lower = endpoint.trim_end_matches('/').to_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return lower;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // The colons of an address of IPv6 stand in brackets, or there is no port.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port),
        _ => (authority, ""),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.');
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    let host = match address {
        Ok(IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST)) => {
            "localhost".to_owned()
        }
        Ok(address) => address.to_string(),
        Err(_) => host.to_owned(),
    };
    format!("{scheme}://{host} {port}{path}")
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
    fn one_host_in_several_spellings_is_one_system() {
        for (one, other, same) in [
            ("tcp://127.0.0.1:5432", "tcp://localhost:5432", true),
            ("tcp://LOCALHOST.:5432", "tcp://localhost:5432", true),
            ("tcp://[::1]:5432", "tcp://127.0.0.1:5432", true),
            ("tcp://::ffff:127.0.0.1:5432", "tcp://[::1]:5432", false),
            ("tcp://[::ffff:10.0.0.7]:5432", "tcp://10.0.0.7:5432", true),
            (
                "tcp://[2001:db8:0:0::1]:5432",
                "tcp://[2001:DB8::1]:5432",
                true,
            ),
            (
                "tcp://db.example.com.:5432",
                "tcp://DB.example.com:5432",
                true,
            ),
            (
                "https://db.example.com/a/",
                "https://db.example.com/a",
                true,
            ),
            ("tcp://127.0.0.1:5432", "tcp://localhost:5433", false),
            ("tcp://127.0.0.2:5432", "tcp://127.0.0.1:5432", false),
            (
                "https://db.example.com/a",
                "https://db.example.com/b",
                false,
            ),
        ] {
            assert_eq!(
                in_one_form(one) == in_one_form(other),
                same,
                "{one} {other}"
            );
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
