//! `lessor creds`: leases a credential and hands it over, once.
//!
//! With `--save` a field goes into a file that only its owner reads, and is not
//! printed. The files are opened before the request: a credential that could
//! not be written anywhere is not asked for.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use lessor_model::duration;
use serde_json::{Map, Value};

use super::client::ClientError;
use super::output::Format;
use super::values::Body;
use super::{Session, output};

/// The role to lease from, and the destination of the credential.
#[derive(Debug, Args)]
pub struct Creds {
    /// The mount's path
    mount: String,
    /// The role's name
    role: String,
    #[command(flatten)]
    body: Body,
    /// Time that the lease is to live (1h30m, 90s); the role limits it
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// Have the answer wait until the upstream system honours the credential, for at most
    /// as long as a call of the mount may take
    #[arg(long)]
    wait: bool,
    /// Longest time to wait for the answer (300, 90s, 5m); a lease that is made later than
    /// that is among those of `lessor lease list`
    #[arg(long, value_name = "DURATION", value_parser = patience, default_value = "10m")]
    timeout: Duration,
    /// Write a field of the credential, or lease_id, into a file that only you can
    /// read, instead of printing it; repeat for more
    #[arg(long, value_name = "FIELD=FILE")]
    save: Vec<Save>,
}

/// One `--save`.
#[derive(Clone, Debug)]
struct Save {
    field: String,
    file: PathBuf,
}

impl FromStr for Save {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((field, file)) if !field.is_empty() && !file.is_empty() => Ok(Self {
                field: field.to_owned(),
                file: file.into(),
            }),
            _ => Err("write FIELD=FILE".to_owned()),
        }
    }
}

/// A time to wait.
fn patience(text: &str) -> Result<Duration, String> {
    match duration::of_text("timeout", text)? {
        Duration::ZERO => Err("timeout must be more than 0".to_owned()),
        patience => Ok(patience),
    }
}

impl Session<'_, '_> {
    pub(super) fn creds(&mut self, creds: Creds) -> Result<()> {
        let Creds {
            mount,
            role,
            body,
            ttl,
            wait,
            timeout,
            save,
        } = creds;
        self.client.wait_at_most(timeout);
        let mut request = body.read(self.console)?;
        if let Some(ttl) = ttl
            && request.insert("ttl".to_owned(), ttl.into()).is_some()
        {
            bail!("ttl is given twice");
        }
        if wait {
            request.insert("wait".to_owned(), true.into());
        }
        let mut files = Vec::with_capacity(save.len());
        for Save { field, file } in save {
            let opened =
                private_file(&file).with_context(|| format!("cannot write {}", file.display()))?;
            files.push((field, file, opened));
        }

        let path = format!("{mount}/creds/{role}");
        let answer = if request.is_empty() {
            self.client.get(&path)
        } else {
            self.client.post(&path, &request.into())
        };
        let mut answer = answer.map_err(|error| match error {
            lost @ ClientError::Unanswered { .. } => anyhow::Error::new(lost).context(format!(
                "a lease may have been made; `lessor lease list {path}` shows those that there are"
            )),
            other => other.where_missing(format!("there is no role {role} at mount {mount}")),
        })?;
        self.warnings(&answer);

        let lease = answer
            .body
            .get("lease_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let lease = lease.to_owned();
        for (field, file, opened) in files {
            save_field(&mut answer.body, &field, opened).with_context(|| {
                format!(
                    "lease {lease} was made, but {field} could not be written to {}; \
                     `lessor lease revoke {lease}` ends it",
                    file.display()
                )
            })?;
            self.console
                .note(&format!("{field} is in {}", file.display()));
        }
        let shown = match self.format {
            Format::Json => output::json(&answer.body),
            Format::Table => output::fields(&handed_over(&answer.body)),
        };
        self.console.data(&shown).with_context(|| {
            format!(
                "lease {lease} was made, but its credential could not be printed; \
                 `lessor lease revoke {lease}` ends it"
            )
        })
    }
}

/// Moves a field out of the answer into its file.
fn save_field(answer: &mut Value, field: &str, mut file: File) -> Result<()> {
    let text = match answer
        .pointer_mut("/data")
        .and_then(|data| data.as_object_mut()?.shift_remove(field))
    {
        Some(value) => text(&value),
        None if field == "lease_id" => answer.get(field).map(text).unwrap_or_default(),
        None => {
            let names: Vec<&str> = answer
                .get("data")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            bail!(
                "the credential has no field of that name, but {}",
                names.join(", ")
            );
        }
    };
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// A value as a file holds it: text as it is, a list of texts one below another.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .map(|item| format!("{}\n", item.trim_end()))
            .collect(),
        other => other.to_string(),
    }
}

/// The lease and the credential, as one list of fields.
fn handed_over(answer: &Value) -> Value {
    let mut fields = Map::new();
    for name in ["lease_id", "lease_duration", "renewable"] {
        if let Some(value) = answer.get(name) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    for (name, value) in answer
        .get("data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        fields.insert(name.clone(), value.clone());
    }
    Value::Object(fields)
}

/// An empty file that nobody else can read, whatever stood there before.
fn private_file(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // The mode above counts for new files only.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
