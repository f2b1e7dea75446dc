//! `lessor lease`: shows leases, and ends them.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{ACCEPTED, Answer, ClientError};
use super::output::Format;
use super::session::{Presence, Removed};
use super::values::trimmed;
use super::{Session, output};

/// The commands on leases.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the leases that exist, by id
    List {
        /// Only those below this path, such as database/creds/app
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Show a lease: its state, its times, and the last error
    Lookup {
        /// The lease's id
        #[arg(value_parser = trimmed)]
        id: String,
    },
    /// Extend a lease from now, as far as its role allows
    Renew {
        /// The lease's id
        #[arg(value_parser = trimmed)]
        id: String,
        /// Time that the lease is to live from now (1h30m, 90s)
        #[arg(long, value_name = "DURATION")]
        increment: Option<String>,
    },
    /// End leases before their time
    Revoke(Revoke),
    /// Show the leases that upstream has not ended yet, and why
    Stuck,
    /// Show the leases that cannot be read and were set aside
    Quarantine {
        /// Forget the lease of this number, once its credential has been ended by hand
        #[arg(long, value_name = "NUMBER")]
        forget: Option<u64>,
    },
}

/// One lease or all below a path.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The lease's id
    #[arg(required_unless_present = "prefix", conflicts_with = "prefix", value_parser = trimmed)]
    id: Option<String>,
    /// End every lease below this path, such as database/creds/app
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Do not wait until the upstream systems have ended them
    #[arg(long, conflicts_with = "force")]
    no_wait: bool,
    /// The former name of the default, to wait
    #[arg(long, hide = true, conflicts_with_all = ["force", "no_wait"])]
    wait: bool,
    /// Drop leases that the upstream system does not end, for this reason: the
    /// credential may go on working, and the audit log names it
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
}

impl Session<'_, '_> {
    pub(super) fn lease(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::List { prefix } => {
                let mut ids = Vec::new();
                self.leases_below(prefix.trim_matches('/'), &mut ids)?;
                let shown = match self.format {
                    Format::Json => output::json(&json!(ids)),
                    Format::Table => output::lines(&ids),
                };
                self.console.data(&shown)
            }
            Verb::Lookup { id } => {
                let answer = self
                    .client
                    .post("sys/leases/lookup", &json!({ "lease_id": id }))?;
                self.show_fields(&answer, answer.data())
            }
            Verb::Renew { id, increment } => {
                let mut body = Map::from_iter([("lease_id".to_owned(), Value::from(id))]);
                if let Some(increment) = increment {
                    body.insert("increment".to_owned(), increment.into());
                }
                let answer = self.client.post("sys/leases/renew", &body.into())?;
                let mut lease = Map::new();
                for name in ["lease_id", "lease_duration", "renewable"] {
                    lease.insert(
                        name.to_owned(),
                        answer.body.get(name).cloned().unwrap_or_default(),
                    );
                }
                self.show_fields(&answer, &lease.into())
            }
            Verb::Quarantine { forget: None } => {
                let answer = self.client.get("sys/leases/quarantine")?;
                let leases = answer.data().get("leases").and_then(Value::as_array);
                let rows: Vec<Value> = leases.cloned().unwrap_or_default();
                let columns = [
                    "number",
                    "operation",
                    "mount",
                    "role",
                    "principal",
                    "reason",
                ];
                self.show_rows(&answer, &columns, &rows)
            }
            Verb::Quarantine {
                forget: Some(number),
            } => {
                self.client
                    .delete(&format!("sys/leases/quarantine/{number}"), "")?;
                self.console
                    .note(&format!("quarantined lease {number} is forgotten"));
                Ok(())
            }
            Verb::Stuck => {
                let answer = self.client.get("sys/leases")?;
                let leases = answer.data().get("leases").and_then(Value::as_array);
                let rows = leases.cloned().unwrap_or_default();
                let columns = [
                    "lease_id",
                    "state",
                    "since",
                    "attempts",
                    "next_attempt",
                    "last_error",
                ];
                self.show_rows(&answer, &columns, &rows)
            }
            Verb::Revoke(Revoke {
                prefix: Some(prefix),
                force: Some(reason),
                ..
            }) => {
                let path = format!("sys/leases/revoke-force/{}", prefix.trim_matches('/'));
                let presence = self.presence_below(&prefix);
                let answer = self.client.post(&path, &json!({ "reason": reason }))?;
                self.warnings(&answer);
                if self.removed(presence, &format!("lease below {prefix}")) == Removed::Now {
                    let count = |name| answer.data().get(name).and_then(Value::as_u64).unwrap_or(0);
                    self.console.note(&format!(
                        "below {prefix}, {} leases are dropped that upstream failed to end, and {} others are being revoked",
                        count("purged"),
                        count("marked"),
                    ));
                }
                Ok(())
            }
            Verb::Revoke(Revoke {
                id: Some(id),
                no_wait,
                force,
                ..
            }) => {
                let body = match force {
                    Some(reason) => json!({ "lease_id": id, "force": true, "reason": reason }),
                    None => json!({ "lease_id": id, how_long(no_wait): true }),
                };
                let presence = self.presence_of_lease(&id);
                let answer = self.client.post("sys/leases/revoke", &body)?;
                self.warnings(&answer);
                if answer.status == ACCEPTED {
                    self.console.note(&format!(
                        "lease {id} is marked, and revoked as soon as the upstream system lets it"
                    ));
                } else if self.removed(presence, &format!("lease {id}")) == Removed::Now {
                    self.console.note(&format!("lease {id} is revoked"));
                }
                Ok(())
            }
            Verb::Revoke(Revoke {
                prefix, no_wait, ..
            }) => {
                let prefix = prefix.unwrap_or_default();
                let path = format!("sys/leases/revoke-prefix/{}", prefix.trim_matches('/'));
                let presence = self.presence_below(&prefix);
                let body = json!({ how_long(no_wait): true });
                let mut answer = self.client.post(&path, &body)?;
                // The server does not let a caller wait for ever; asked again, it waits on.
                while answer.status == ACCEPTED && !no_wait {
                    self.console
                        .note(&format!("leases below {prefix} are still being revoked"));
                    answer = self.client.post(&path, &body)?;
                }
                self.warnings(&answer);
                if self.removed(presence, &format!("lease below {prefix}")) == Removed::Now {
                    let outcome = match no_wait || answer.status == ACCEPTED {
                        true => "is marked and being revoked",
                        false => "is revoked",
                    };
                    self.console
                        .note(&format!("every lease below {prefix} {outcome}"));
                }
                Ok(())
            }
        }
    }

    fn presence_of_lease(&self, id: &str) -> Presence {
        let body = json!({ "lease_id": id });
        match self.client.post("sys/leases/lookup", &body) {
            // The server answers so for a lease that it does not have, as Vault does.
            Err(ClientError::Refused { status: 400, .. }) => Presence::Absent,
            other => Presence::of(&other),
        }
    }

    fn presence_below(&self, prefix: &str) -> Presence {
        let path = format!("sys/leases/lookup/{}", prefix.trim_matches('/'));
        match self.client.list(&path) {
            Ok(answer) if answer.names().is_empty() => Presence::Absent,
            other => Presence::of(&other),
        }
    }

    /// Adds the ids below a path: names that end in a slash lead further down.
    fn leases_below(&mut self, prefix: &str, ids: &mut Vec<String>) -> Result<()> {
        let answer = self.client.list(&format!("sys/leases/lookup/{prefix}"))?;
        for name in answer.names() {
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            match path.strip_suffix('/') {
                Some(below) => self.leases_below(below, ids)?,
                None => ids.push(path),
            }
        }
        Ok(())
    }
}

/// The field by which a request says whether it waits for leases to end.
pub(super) fn how_long(no_wait: bool) -> &'static str {
    if no_wait { "async" } else { "sync" }
}

impl Session<'_, '_> {
    /// The sentence about the leases of something that was removed.
    pub(super) fn fate(answer: &Answer) -> String {
        let marked = answer.data().get("marked").and_then(Value::as_u64);
        let task = answer.data().get("task_id").and_then(Value::as_str);
        match (marked, task) {
            (None, _) => String::new(),
            (Some(leases), Some(task)) => {
                format!("; {leases} leases are being revoked (`lessor task show {task}`)")
            }
            (Some(leases), None) => format!("; its {leases} leases are revoked"),
        }
    }
}
