//! `lessor plugin`: pins the provider files that may run, by their digest; and checks whether a
//! file keeps the contract.

mod check;
mod inspect;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(super) use self::{check::check, inspect::inspect};
use super::Session;
use super::client::Answer;
use super::console::Console;
use super::session::Removed;

/// Size of a file from which on the command tells its user that compiling takes a while: a
/// second or two for a component from Rust, fifteen for an interpreter.
const LARGE: u64 = 2 << 20;

/// The commands on plugins.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Allow a file of the server's plugin directory to run under a name
    Pin {
        /// The name that mounts refer to
        name: String,
        /// The file; its digest is taken from your copy, and it is looked for by the
        /// same name in the server's plugin directory
        file: PathBuf,
        /// The SHA-256 that is expected, in hex; then no copy is read
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
        /// The version to pin it as [default: the provider's own]
        #[arg(long)]
        version: Option<String>,
        /// Pin it even if other bytes are pinned as that version, or if the provider says that
        /// it is another version
        #[arg(long)]
        replace: bool,
        /// With --replace: pin it even if a config or role of the mounts that run that
        /// version does not fit these bytes
        #[arg(long, requires = "replace")]
        force: bool,
    },
    /// Show the hosts that a provider wants to reach, the fields that it takes, and the parts
    /// that it is made of; needs no server, and pins nothing
    ///
    /// It is compiled and describes itself in the real sandbox, where it can reach
    /// nothing.
    Inspect {
        /// The provider's component
        file: PathBuf,
        /// The file is one of the server's plugin directory, and the server looks
        #[arg(long)]
        on_server: bool,
    },
    /// Try whether a provider keeps its contract; needs no server
    ///
    /// The provider runs in the real sandbox. The check leases credentials from the upstream
    /// system, repeats and revokes as a server does that crashes, and says of each rule
    /// whether it holds. Every credential is revoked at the end. The exit code is 1 if
    /// a rule is broken.
    Check(check::Check),
    /// List the pins and whether each can run
    List,
    /// Show a plugin: state, digest, mounts, and the provider's description of itself
    Show {
        /// The plugin's name
        name: String,
    },
    /// List files in the plugin directory that no pin names
    Unpinned,
    /// Let every mount that names a version of a plugin run another one. Mounts that
    /// name none run the newest anyway
    Upgrade {
        /// The plugin's name
        name: String,
        /// The version [default: the newest]
        #[arg(long)]
        version: Option<String>,
        /// Move mounts even if a config or role does not fit it: you write those anew afterwards
        #[arg(long)]
        force: bool,
    },
    /// Remove a pin; refused while a mount uses it
    Remove {
        /// The plugin's name
        name: String,
        /// The version to remove, where several are pinned
        #[arg(long)]
        version: Option<String>,
    },
}

impl Session<'_, '_> {
    pub(super) fn plugin(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::Pin {
                name,
                file,
                sha256,
                version,
                replace,
                force,
            } => {
                let sha256 = match sha256 {
                    Some(sha256) => sha256,
                    None => digest(&file)?,
                };
                let mut body = json!({ "command": file_name(&file)?, "sha256": sha256 });
                if let Some(body) = body.as_object_mut() {
                    let given = [
                        ("version", version.map(Value::from)),
                        ("replace", replace.then_some(Value::Bool(true))),
                        ("force", force.then_some(Value::Bool(true))),
                    ];
                    for (field, value) in given {
                        if let Some(value) = value {
                            body.insert(field.into(), value);
                        }
                    }
                }
                announce_compiling(&file, self.console);
                self.write(&catalog(&name), &body)?;
                self.console
                    .note(&format!("plugin {name} is pinned to sha256 {sha256}"));
            }
            Verb::Inspect {
                file,
                on_server: true,
            } => {
                let Some(name) = file.to_str().filter(|name| !name.contains('/')) else {
                    bail!(
                        "{} is no name in the server's plugin directory: with --on-server, name the file alone",
                        file.display()
                    );
                };
                let answer = self.client.get(&format!("sys/plugins/inspect/{name}"))?;
                self.warnings(&answer);
                inspect::show(answer.data(), self.format, self.console)?;
            }
            Verb::Check(_) | Verb::Inspect { .. } => bail!("this is no request to a server"),
            Verb::List => {
                let answer = self.client.get("sys/plugins/pins")?;
                let columns = ["name", "version", "state", "file", "sha256", "mounts"];
                self.show_rows(&answer, &columns, records(&answer, "pins"))?;
            }
            Verb::Show { name } => {
                let answer = self
                    .client
                    .get(&catalog(&name))
                    .map_err(|error| error.where_missing(format!("no plugin {name} is pinned")))?;
                self.show_fields(&answer, answer.data())?;
            }
            Verb::Unpinned => {
                let answer = self.client.get("sys/plugins/unpinned")?;
                let columns = ["file", "size", "sha256", "reason"];
                self.show_rows(&answer, &columns, records(&answer, "unpinned"))?;
            }
            Verb::Upgrade {
                name,
                version,
                force,
            } => {
                let mut body = json!({ "plugin": name, "force": force });
                if let (Some(version), Some(body)) = (version, body.as_object_mut()) {
                    body.insert("version".into(), version.into());
                }
                let answer = self.client.post("sys/plugins/upgrade", &body)?;
                self.show_fields(&answer, answer.data())?;
            }
            Verb::Remove { name, version } => {
                let query = version.map_or_else(String::new, |version| {
                    format!(
                        "?version={}",
                        percent_encoding::utf8_percent_encode(
                            &version,
                            percent_encoding::NON_ALPHANUMERIC
                        )
                    )
                });
                let what = format!("pin of a plugin {name}");
                let (removed, _) = self.remove(&catalog(&name), &query, &query, &what)?;
                if removed == Removed::Now {
                    self.console
                        .note(&format!("plugin {name} is no longer pinned"));
                }
            }
        }
        Ok(())
    }
}

/// Tells the user why a large component takes a while.
fn announce_compiling(file: &Path, console: &mut Console<'_>) {
    let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    if size >= LARGE {
        console.note(&format!(
            "compiling {}, which takes some seconds: it has {} MB",
            file.display(),
            size >> 20
        ));
    }
}

/// The list that an answer holds under a name.
fn records<'a>(answer: &'a Answer, name: &str) -> &'a [Value] {
    answer
        .data()
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn catalog(name: &str) -> String {
    format!("sys/plugins/catalog/secret/{name}")
}

fn file_name(file: &Path) -> Result<&str> {
    match file.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name),
        None => bail!("{} names no file", file.display()),
    }
}

fn digest(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| {
        format!(
            "cannot read {} here, where its digest is taken: the file that the server runs lies in the \
             server's plugin directory, and what is pinned is the digest of your copy; give the path of \
             a copy, or the digest with --sha256",
            file.display()
        )
    })?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}
