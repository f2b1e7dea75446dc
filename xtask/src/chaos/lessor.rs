//! lessor, as it is shipped: a data directory, a pinned provider, and defaults
//! otherwise.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::api::{Api, Reply};
use super::system::{Leases, Rest, System, list};
use crate::plugins;
use crate::scratch::Scratch;

/// See the file's header.
pub(super) struct Lessor {
    /// The program.
    pub(super) program: PathBuf,
    /// The directory of the built providers.
    pub(super) plugins: PathBuf,
    /// The port that it listens on.
    pub(super) port: u16,
}

/// Limit of one call of the provider. A credential that a call may have made at the moment of a
/// kill is revoked only when the call can no longer take effect, so the end of a run takes at
/// least this long. Longer than a database is paused, so that a pause alone fails nothing.
const CALL_TIMEOUT: &str = "10s";

impl System for Lessor {
    fn title(&self) -> String {
        "lessor".to_owned()
    }

    fn command(&self, scratch: &Scratch) -> Command {
        let mut command = scratch.server(&self.program.to_string_lossy());
        command
            .args(["server", "--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--data-dir")
            .arg(scratch.directory().join("data"))
            .arg("--plugin-dir")
            .arg(&self.plugins);
        command
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn initialise(&mut self, api: Api) -> Result<Api> {
        let made = api.demand("PUT", "sys/init", Some(&json!({})))?;
        let token = made.pointer("/root_token").and_then(Value::as_str);
        Ok(api.with_token(token.context("sys/init gave no root token")?.to_owned()))
    }

    fn serves(&self, api: &Api) -> bool {
        matches!(api.ask("GET", "sys/health", None), Reply::Answered(200, _))
    }

    fn furnish(&self, api: &Api, database: u16, password: &str) -> Result<()> {
        let pin = json!({
            "sha256": plugins::digest(&self.plugins.join("postgres.wasm"))?,
            "command": "postgres.wasm",
        });
        api.demand("PUT", "sys/plugins/catalog/secret/postgres", Some(&pin))?;
        let mount = json!({ "type": "postgres", "config": {
            "allowed_hosts": [format!("tcp://127.0.0.1:{database}")],
            "timeout": CALL_TIMEOUT,
        }});
        api.demand("POST", "sys/mounts/db", Some(&mount))?;
        let config = json!({
            "host": "127.0.0.1",
            "port": database,
            "username": "lessor",
            "password": password,
            "sslmode": "disable",
        });
        api.demand("POST", "db/config", Some(&config))?;
        let role = json!({ "member_of": ["readers"], "default_ttl": "10h", "max_ttl": "20h" });
        api.demand("POST", "db/roles/r", Some(&role))?;
        Ok(())
    }

    fn creds(&self) -> &'static str {
        "db/creds/r"
    }

    fn rotate(&self) -> &'static str {
        "db/rotate-root"
    }

    fn rest(&self, api: &Api) -> Result<Rest> {
        let count = api.demand("GET", "sys/leases/count", None)?;
        let states = count.pointer("/data/states").and_then(Value::as_object);
        let mut ahead: Vec<String> = states
            .context("sys/leases/count told no states")?
            .iter()
            .filter(|(state, _)| *state != "active")
            .map(|(state, number)| format!("{number} leases {state}"))
            .collect();
        let config = api.demand("GET", "db/config", None)?;
        if let Some(rotation) = config.pointer("/data/rotation").filter(|it| !it.is_null()) {
            ahead.push(format!("a rotation that is {rotation}"));
        }
        Ok(if ahead.is_empty() {
            Rest::Reached
        } else {
            Rest::Ahead(ahead.join(", "))
        })
    }

    fn leases(&self, api: &Api) -> Result<Leases> {
        let mut leases = Leases::new();
        for key in list(api, "sys/leases/lookup/db/creds/r")? {
            let id = format!("db/creds/r/{key}");
            let lookup = json!({ "lease_id": id });
            let lease = api.demand("PUT", "sys/leases/lookup", Some(&lookup))?;
            let name = lease.pointer("/data/credential_id").and_then(Value::as_str);
            leases.insert(id, name.map(str::to_owned));
        }
        Ok(leases)
    }

    fn prefix(&self) -> &'static str {
        "db"
    }
}
