//! `lessor role`: what a leased credential of a mount may do.

use anyhow::Result;
use clap::Subcommand;

use super::Session;
use super::session::Removed;
use super::values::Body;

/// What can be done with roles.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create or replace a role; leases that exist keep what they have
    Write {
        /// The mount's path
        mount: String,
        /// The role's name
        name: String,
        #[command(flatten)]
        body: Body,
    },
    /// Show a role
    Show {
        /// The mount's path
        mount: String,
        /// The role's name
        name: String,
    },
    /// List the roles of a mount
    List {
        /// The mount's path
        mount: String,
    },
    /// Remove a role; its leases are revoked
    Remove {
        /// The mount's path
        mount: String,
        /// The role's name
        name: String,
    },
}

impl Session<'_, '_> {
    pub(super) fn role(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::Write { mount, name, body } => {
                let body = body.read(self.console)?;
                self.write(&path(&mount, &name), &body.into())?;
                self.console
                    .note(&format!("role {name} of mount {mount} is written"));
            }
            Verb::Show { mount, name } => {
                let answer = self.client.get(&path(&mount, &name)).map_err(|error| {
                    error.where_missing(format!("there is no role {name} at mount {mount}"))
                })?;
                self.show_fields(&answer, answer.data())?;
            }
            Verb::List { mount } => {
                let answer = self.client.list(&format!("{mount}/roles"))?;
                self.show_names(&answer)?;
            }
            Verb::Remove { mount, name } => {
                let what = format!("role {name} at mount {mount}");
                if self.remove(&path(&mount, &name), "", &what)? == Removed::Now {
                    self.console.note(&format!(
                        "role {name} of mount {mount} is removed; its leases are being revoked"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn path(mount: &str, name: &str) -> String {
    format!("{}/roles/{name}", mount.trim_end_matches('/'))
}
