//! The interface of a system under test.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use super::api::{Api, Reply};
use crate::scratch::Scratch;

/// The leases of a system: ids, each with the credential's name where the
/// system tells it.
pub(super) type Leases = BTreeMap<String, Option<String>>;

/// A system that leases roles of PostgreSQL. Everything is asked over HTTP,
/// as a client of Vault would, and nothing is read behind the system's back.
pub(super) trait System: Sync {
    /// Its name and the build that is tested.
    fn title(&self) -> String;

    /// The server, ready to be started; it listens on a port of its own.
    fn command(&self, scratch: &Scratch) -> Command;

    /// The port that it listens on, on loopback.
    fn port(&self) -> u16;

    /// Makes the started server's keys, once; gives a client with the root token.
    fn initialise(&mut self, api: Api) -> Result<Api>;

    /// Whether the started server serves; helps it where it needs a hand.
    fn serves(&self, api: &Api) -> bool;

    /// Points it at the database, once, as `lessor` with this password, and makes
    /// the role that is leased.
    fn furnish(&self, api: &Api, database: u16, password: &str) -> Result<()>;

    /// Path at which a credential is issued.
    fn creds(&self) -> &'static str;

    /// Path at which the root credential is rotated.
    fn rotate(&self) -> &'static str;

    /// Whether it has nothing left to do.
    fn rest(&self, api: &Api) -> Result<Rest>;

    /// Its leases.
    fn leases(&self, api: &Api) -> Result<Leases>;

    /// The prefix of all its lease ids.
    fn prefix(&self) -> &'static str;
}

/// A system's own word on whether it has work left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It has nothing left to do.
    Reached,
    /// It has work left; the text says which.
    Ahead(String),
    /// It does not say.
    Untold,
}

/// The largest number of leases. The end of a run looks at each of them, and it is well below the
/// 10,000 that one list answers.
pub(super) const FULL: usize = 600;

/// The keys of a list; empty where there is nothing.
pub(super) fn list(api: &Api, path: &str) -> Result<Vec<String>> {
    let said = match api.ask("GET", &format!("{path}?list=true"), None) {
        Reply::Answered(404, _) => return Ok(Vec::new()),
        Reply::Answered(200, said) => said,
        other => bail!("the list of {path} was answered by {other:?}"),
    };
    let keys = said.pointer("/data/keys").and_then(Value::as_array);
    Ok(keys
        .into_iter()
        .flatten()
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect())
}
