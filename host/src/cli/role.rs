//! `lessor role`: the roles of a mount, which say what a leased credential may do.

use anyhow::Result;
use clap::Subcommand;

use super::Session;
use super::lease::how_long;
use super::session::Removed;
use super::values::Body;

/// The commands on roles.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create or change a role: a field that is not named keeps its value; leases that
    /// exist keep what they have
    Write {
        /// The mount's path
        mount: String,
        /// The role's name
        name: String,
        /// Give every field that is not named its default again
        #[arg(long)]
        replace: bool,
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
    /// Remove a role; its leases live on to their end
    Remove {
        /// The mount's path
        mount: String,
        /// The role's name
        name: String,
        /// Revoke its leases, too
        #[arg(long)]
        revoke: bool,
        /// Do not wait until they are revoked
        #[arg(long, requires = "revoke")]
        no_wait: bool,
    },
}

impl Session<'_, '_> {
    pub(super) fn role(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::Write {
                mount,
                name,
                replace,
                body,
            } => {
                let mut body = body.read(self.console)?;
                if replace {
                    body.insert("replace".to_owned(), true.into());
                }
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
            Verb::Remove {
                mount,
                name,
                revoke,
                no_wait,
            } => {
                let query = match revoke {
                    true => format!("?revoke=true&{}=true", how_long(no_wait)),
                    // Also where the mount has the leases of a role end with it.
                    false => format!("?{}=true", how_long(no_wait)),
                };
                let what = format!("role {name} at mount {mount}");
                let (removed, answer) = self.remove(&path(&mount, &name), "", &query, &what)?;
                if removed == Removed::Now {
                    self.console.note(&format!(
                        "role {name} of mount {mount} is removed{}",
                        Self::fate(&answer)
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
