//! What the operator writes once per mount: where the server is and who the
//! root credential is there.

use std::collections::BTreeMap;

use lessor_sdk::prelude::*;

/// How to reach a PostgreSQL server, root credential included.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Host name or address of the server; the primary, where there are
    /// standbys.
    pub host: String,
    /// TCP port of the server.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The database to log in to. Grants are given in it.
    #[serde(default = "default_database")]
    pub database: String,
    /// The role that creates and drops the leased roles.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// `verify-full` (also `require`): TLS, and the certificate is valid for
    /// `host`. `disable`: no TLS.
    #[serde(default)]
    pub sslmode: SslMode,
    /// What `{{password}}` stands for in a role's own statements: the verifier
    /// that PostgreSQL stores (`scram-sha-256`), or the `password` itself.
    #[serde(default)]
    pub password_authentication: PasswordAuthentication,
    /// Further parameters of every session, as libpq's `options` or a
    /// parameter's own name: `application_name`, `statement_timeout`,
    /// `search_path`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Whether and how the connection is protected by TLS. `disable`: not at all,
/// for a server on this machine or behind a tunnel. `verify-full`: TLS, and the
/// certificate must be valid for `host`, by the public roots or those of the
/// mount. `require` is the same: TLS with somebody unknown protects nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "told above: a schema with a text per word names no list of words"
)]
pub enum SslMode {
    Disable,
    Require,
    #[default]
    VerifyFull,
}

/// What `{{password}}` stands for in a role's own statements. `scram-sha-256`:
/// the verifier, which `CREATE ROLE … PASSWORD` stores as it is, so that the
/// password itself never reaches the server or its log. `password`: the
/// password itself, for statements that do something else with it; it may
/// appear in the server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "told above: a schema with a text per word names no list of words"
)]
pub enum PasswordAuthentication {
    #[default]
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "password")]
    Password,
}

impl Config {
    /// Refuses what no server could take, naming the field.
    pub fn check(&self) -> Result<()> {
        for (field, value) in [
            ("host", &self.host),
            ("database", &self.database),
            ("username", &self.username),
        ] {
            if value.is_empty() || value.contains('\0') {
                return Err(Failure::invalid_config(
                    "field_empty",
                    format!("The config's `{field}` must not be empty."),
                ));
            }
        }
        for name in self.options.keys() {
            if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
                return Err(Failure::invalid_config(
                    "option_reserved",
                    format!("The config's `options` must not set `{name}`: {instead}."),
                ));
            }
        }
        Ok(())
    }
}

fn default_port() -> u16 {
    5432
}

fn default_database() -> String {
    "postgres".to_owned()
}

const RESERVED: [(&str, &str); 5] = [
    ("user", "write the config's `username`"),
    ("database", "write the config's `database`"),
    ("replication", "lessor needs an ordinary session"),
    ("client_encoding", "lessor speaks UTF-8"),
    (
        "standard_conforming_strings",
        "lessor's quoting relies on the standard",
    ),
];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> Config {
        serde_json::from_str(
            r#"{"host": "db.example.com", "username": "lessor", "password": "pw"}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_shortest_config_means_port_5432_database_postgres_and_verified_tls() {
        let config = config();
        assert_eq!((config.port, config.database.as_str()), (5432, "postgres"));
        assert_eq!(config.sslmode, SslMode::VerifyFull);
        assert_eq!(
            config.password_authentication,
            PasswordAuthentication::ScramSha256
        );
        assert!(config.check().is_ok());
    }

    #[test]
    fn what_the_provider_sets_itself_is_refused_by_name() {
        for name in [
            "user",
            "database",
            "replication",
            "client_encoding",
            "standard_conforming_strings",
        ] {
            let mut config = config();
            config.options.insert(name.into(), "x".into());
            assert!(config.check().unwrap_err().message().contains(name));
        }
        for field in ["host", "database", "username"] {
            let mut json = serde_json::to_value(config()).unwrap();
            json[field] = "".into();
            let config: Config = serde_json::from_value(json).unwrap();
            assert!(config.check().unwrap_err().message().contains(field));
        }
    }
}
