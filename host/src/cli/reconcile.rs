//! `lessor reconcile`: compares the credentials that upstream holds for a mount with its leases.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::Session;
use super::values::Source;

/// The mount, and the orphans that are to be ended.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// The mount's path
    mount: String,
    /// Revoke this orphan; may be given again. @FILE or - reads their ids, one a
    /// line. Name only credentials that nobody else made: those of another installation with
    /// a mount of this path look like orphans here
    #[arg(long, value_name = "ID")]
    revoke: Vec<String>,
    /// The mount's connection to ask by; the default one where none is named
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

impl Session<'_, '_> {
    pub(super) fn reconcile(&mut self, reconcile: &Reconcile) -> Result<()> {
        let mut named = Vec::new();
        for word in &reconcile.revoke {
            match Source::parse(word) {
                None => named.push(word.clone()),
                Some(source) => {
                    let text = source.read(self.console)?;
                    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                    named.extend(lines.map(str::to_owned));
                }
            }
        }
        if named.is_empty() && !reconcile.revoke.is_empty() {
            bail!("--revoke names no orphan");
        }
        let mut body = Map::new();
        if !named.is_empty() {
            body.insert("dry_run".into(), false.into());
            body.insert("revoke".into(), named.into());
        }
        if let Some(connection) = &reconcile.connection {
            body.insert("connection".into(), connection.as_str().into());
        }
        let path = format!("{}/reconcile", reconcile.mount.trim_end_matches('/'));
        let answer = self.client.post(&path, &body.into())?;
        let data = answer.data();
        let rows = rows_of(data);
        self.show_rows(&answer, &["what", "credential", "lease"], &rows)?;
        let count = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.console.note(&format!(
            "upstream has {} credentials of {}, which has {} leases: {} orphans, {} vanished, {} undecided",
            count("upstream_count"),
            reconcile.mount,
            count("lease_count"),
            count("orphan_count"),
            count("vanished_count"),
            count("undecided_count"),
        ));
        let unrevoked = list(data, "failed").count();
        if unrevoked > 0 {
            bail!("{unrevoked} of the orphans named are not revoked");
        }
        Ok(())
    }
}

/// One row for each credential that does not match.
fn rows_of(data: &Value) -> Vec<Value> {
    let done: Vec<&Value> = list(data, "revoked").collect();
    let orphans = list(data, "orphans").map(|id| {
        let what = if done.contains(&id) {
            "revoked"
        } else {
            "orphan"
        };
        json!({ "what": what, "credential": id })
    });
    let vanished = list(data, "vanished").map(|gone| {
        json!({ "what": "vanished", "credential": gone.get("credential_id"), "lease": gone.get("lease_id") })
    });
    orphans.chain(vanished).collect()
}

fn list<'v>(data: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    data.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
