//! OpenBao with its own storage (raft, one node) and its own database engine,
//! set up as its documentation says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::api::{Api, Reply};
use super::system::{Leases, Rest, System, list};
use crate::scratch::Scratch;
use crate::servers::OPENBAO;

/// See the file's header.
pub(super) struct OpenBao {
    program: PathBuf,
    port: u16,
    unseal_key: String,
}

impl OpenBao {
    /// A server whose files are all below the scratch directory.
    pub(super) fn new(
        program: PathBuf,
        scratch: &Scratch,
        port: u16,
        cluster_port: u16,
    ) -> Result<Self> {
        let data = scratch.directory().join("data");
        fs::create_dir(&data)?;
        let config = format!(
            "storage \"raft\" {{\n  path = {data:?}\n  node_id = \"chaos\"\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://127.0.0.1:{port}\"\n\
             cluster_addr = \"https://127.0.0.1:{cluster_port}\"\n"
        );
        fs::write(scratch.directory().join("bao.hcl"), config)?;
        Ok(Self {
            program,
            port,
            unseal_key: String::new(),
        })
    }
}

impl System for OpenBao {
    fn title(&self) -> String {
        format!("OpenBao {OPENBAO}")
    }

    fn command(&self, scratch: &Scratch) -> Command {
        let mut command = scratch.server(&self.program.to_string_lossy());
        command.args(["server", "-config=bao.hcl"]);
        command
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn initialise(&mut self, api: Api) -> Result<Api> {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = api.demand("PUT", "sys/init", Some(&shares))?;
        let text = |pointer: &str| {
            let text = made.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
                .with_context(|| format!("sys/init gave no {pointer}"))
        };
        self.unseal_key = text("/keys/0")?;
        Ok(api.with_token(text("/root_token")?))
    }

    fn serves(&self, api: &Api) -> bool {
        match api.ask("GET", "sys/health", None) {
            Reply::Answered(200, _) => true,
            // Sealed, as it is after every start.
            Reply::Answered(503, _) => {
                api.ask(
                    "PUT",
                    "sys/unseal",
                    Some(&json!({ "key": self.unseal_key })),
                );
                false
            }
            _ => false,
        }
    }

    fn furnish(&self, api: &Api, database: u16, password: &str) -> Result<()> {
        let ttls = json!({ "default_lease_ttl": "10h", "max_lease_ttl": "20h" });
        let mount = json!({ "type": "database", "config": ttls });
        api.demand("POST", "sys/mounts/db", Some(&mount))?;
        let config = json!({
            "plugin_name": "postgresql-database-plugin",
            "connection_url": format!(
                "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{database}/postgres?sslmode=disable"
            ),
            "username": "lessor",
            "password": password,
            "password_authentication": "scram-sha-256",
            "allowed_roles": ["r"],
        });
        api.demand("POST", "db/config/pg", Some(&config))?;
        let role = json!({
            "db_name": "pg",
            "creation_statements": [
                "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE readers"
            ],
            "revocation_statements": ["DROP ROLE IF EXISTS \"{{name}}\""],
            "default_ttl": "10h",
            "max_ttl": "20h",
        });
        api.demand("POST", "db/roles/r", Some(&role))?;
        Ok(())
    }

    fn creds(&self) -> &'static str {
        "db/creds/r"
    }

    fn rotate(&self) -> &'static str {
        "db/rotate-root/pg"
    }

    fn rest(&self, _api: &Api) -> Result<Rest> {
        Ok(Rest::Untold)
    }

    fn leases(&self, api: &Api) -> Result<Leases> {
        let keys = list(api, "sys/leases/lookup/db/creds/r")?;
        // OpenBao tells only the caller that issued a lease which role it is for.
        Ok(keys
            .into_iter()
            .map(|key| (format!("db/creds/r/{key}"), None))
            .collect())
    }

    fn prefix(&self) -> &'static str {
        "db"
    }
}
