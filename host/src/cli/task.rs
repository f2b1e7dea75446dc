//! `lessor task`: the work that callers asked for without waiting.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::Value;

use super::Session;
use super::values::trimmed;

/// The commands on tasks.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the tasks of the last day, the newest first
    List,
    /// Show a task; a credential that it made is handed out here, once
    Show {
        /// The task's id
        #[arg(value_parser = trimmed)]
        id: String,
    },
    /// Cancel a task that has not begun, or the making of a credential
    Cancel {
        /// The task's id
        #[arg(value_parser = trimmed)]
        id: String,
    },
}

impl Session<'_, '_> {
    pub(super) fn task(&mut self, verb: &Verb) -> Result<()> {
        match verb {
            Verb::List => {
                let answer = self.client.list("sys/tasks")?;
                let infos = answer.data().get("key_info").cloned().unwrap_or_default();
                let names = answer.names();
                let rows: Vec<Value> = names
                    .iter()
                    .filter_map(|name| infos.get(name).cloned())
                    .collect();
                let columns = ["id", "kind", "target", "state", "creation_time"];
                self.show_rows(&answer, &columns, &rows)
            }
            Verb::Show { id } => {
                let answer = self.client.get(&format!("sys/tasks/{id}"))?;
                let shown = self.show_fields(&answer, answer.data());
                match answer.body.get("lease_id").and_then(Value::as_str) {
                    Some(lease) if !lease.is_empty() => shown.with_context(|| {
                        format!(
                            "the credential of lease {lease} could not be printed, and is given \
                             out once; `lessor lease revoke {lease}` ends it"
                        )
                    }),
                    _ => shown,
                }
            }
            Verb::Cancel { id } => {
                self.client.delete(&format!("sys/tasks/{id}"), "")?;
                self.console.note(&format!("task {id} is cancelled"));
                Ok(())
            }
        }
    }
}
