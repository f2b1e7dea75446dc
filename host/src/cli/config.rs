//! `lessor config`: the config of a mount, its root credential included.

use anyhow::Result;
use clap::Subcommand;

use super::Session;
use super::session::Removed;
use super::values::Body;

/// What can be done with the config of a mount.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Prove a config with the upstream system, then keep it
    Write {
        /// The mount's path
        mount: String,
        #[command(flatten)]
        body: Body,
    },
    /// Show the config, its secrets redacted, and how its rotation stands
    Show {
        /// The mount's path
        mount: String,
    },
    /// Remove the config; nothing can be leased or ended until there is a new one
    Remove {
        /// The mount's path
        mount: String,
        /// End the mount's leases first
        #[arg(long)]
        revoke: bool,
        /// Also where leases, or a root credential that a rotation made or replaced, are
        /// not ended upstream; they are, once there is a config again
        #[arg(long)]
        force: bool,
    },
}

impl Session<'_, '_> {
    pub(super) fn config(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::Write { mount, body } => {
                let body = body.read(self.console)?;
                self.write(&format!("{mount}/config"), &body.into())?;
                self.console
                    .note(&format!("the config of {mount} is proven and kept"));
            }
            Verb::Show { mount } => {
                let answer = self
                    .client
                    .get(&format!("{mount}/config"))
                    .map_err(|error| {
                        error.where_missing(format!("there is no config at mount {mount}"))
                    })?;
                self.show_fields(&answer, answer.data())?;
            }
            Verb::Remove {
                mount,
                revoke,
                force,
            } => {
                let query = match (revoke, force) {
                    (false, false) => "",
                    (true, false) => "?revoke=true",
                    (false, true) => "?force=true",
                    (true, true) => "?revoke=true&force=true",
                };
                let what = format!("config at mount {mount}");
                let (removed, _) = self.remove(&format!("{mount}/config"), "", query, &what)?;
                if removed == Removed::Now {
                    self.console
                        .note(&format!("the config of {mount} is removed"));
                }
            }
        }
        Ok(())
    }
}
