//! `lessor config`: the config of a mount, its root credential included.

use anyhow::Result;
use clap::Subcommand;

use super::Session;
use super::session::Removed;
use super::values::Body;

/// The commands on the configs of a mount's connections.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Prove a config with the upstream system, then keep it
    Write {
        /// The mount's path
        mount: String,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        body: Body,
    },
    /// Show the config, its secrets redacted, and the state of its rotation
    Show {
        /// The mount's path
        mount: String,
        #[command(flatten)]
        of: Of,
    },
    /// List the connections that have a config
    List {
        /// The mount's path
        mount: String,
    },
    /// Remove the config; nothing can be leased or ended until there is a new one
    Remove {
        /// The mount's path
        mount: String,
        #[command(flatten)]
        of: Of,
        /// End the leases that need it first
        #[arg(long)]
        revoke: bool,
        /// Remove it even if leases, or a root credential that a rotation made or replaced, are
        /// not ended upstream; they are ended once there is a config again
        #[arg(long)]
        force: bool,
    },
}

/// One of a mount's connections.
#[derive(Debug, clap::Args)]
pub struct Of {
    /// The connection; the default one where none is named
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

impl Of {
    /// A path of the connection, below its mount.
    pub(super) fn path(&self, mount: &str, what: &str) -> String {
        match &self.connection {
            None => format!("{mount}/{what}"),
            Some(name) => format!("{mount}/{what}/{name}"),
        }
    }

    /// The connection in a sentence.
    pub(super) fn title(&self, mount: &str) -> String {
        match &self.connection {
            None => mount.to_owned(),
            Some(name) => format!("{mount} (connection {name})"),
        }
    }
}

impl Session<'_, '_> {
    pub(super) fn config(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::Write { mount, of, body } => {
                let body = body.read(self.console)?;
                self.write(&of.path(&mount, "config"), &body.into())?;
                self.console.note(&format!(
                    "the config of {} is proven and kept",
                    of.title(&mount)
                ));
            }
            Verb::Show { mount, of } => {
                let answer = self
                    .client
                    .get(&of.path(&mount, "config"))
                    .map_err(|error| {
                        let title = of.title(&mount);
                        error.where_missing(format!("there is no config at mount {title}"))
                    })?;
                self.show_fields(&answer, answer.data())?;
            }
            Verb::List { mount } => {
                let answer = self.client.list(&format!("{mount}/config"))?;
                self.show_names(&answer)?;
            }
            Verb::Remove {
                mount,
                of,
                revoke,
                force,
            } => {
                let query = match (revoke, force) {
                    (false, false) => "",
                    (true, false) => "?revoke=true",
                    (false, true) => "?force=true",
                    (true, true) => "?revoke=true&force=true",
                };
                let title = of.title(&mount);
                let what = format!("config at mount {title}");
                let (removed, _) = self.remove(&of.path(&mount, "config"), "", query, &what)?;
                if removed == Removed::Now {
                    self.console
                        .note(&format!("the config of {title} is removed"));
                }
            }
        }
        Ok(())
    }
}
