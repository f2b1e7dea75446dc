//! Commands about the server itself and about whole mounts: `status`, `init`,
//! `token`, `rotate`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Session;
use super::client::ACCEPTED;
use super::config::Of;

/// The mount whose root credential is replaced.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The mount's path
    mount: String,
    #[command(flatten)]
    of: Of,
    /// Take up a rotation again that has failed
    #[arg(long, conflicts_with = "abort")]
    retry: bool,
    /// Take it into use even if fields that are no secret change; `lessor config show` lists
    /// them
    #[arg(long, requires = "retry")]
    accept: bool,
    /// Give up a rotation that has failed; the former root credential stays
    #[arg(long)]
    abort: bool,
}

/// The commands on the token in use.
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Show the token: its policies, times and origin
    Lookup,
}

impl Session<'_, '_> {
    /// Succeeds if the server serves; otherwise the printed state says why it does not.
    pub(super) fn status(&mut self) -> Result<ExitCode> {
        let health = self.client.probe("sys/health")?;
        let flag = |name: &str| health.body.get(name).and_then(Value::as_bool);
        let state = match (flag("initialized"), flag("sealed")) {
            (Some(false), _) => "not initialised: `lessor init` does it",
            (_, Some(true)) => "sealed",
            _ if health.status < 300 && flag("held") == Some(true) => {
                "ready; held since a restore: `lessor hold` tells what is overdue, `lessor release` lets it go on"
            }
            _ if health.status < 300 => "ready",
            _ => "not ready",
        };
        let mut shown = Map::new();
        shown.insert("state".to_owned(), state.into());
        shown.insert("address".to_owned(), self.client.address().into());
        // `version` is the Vault whose API is served; an older server has no `lessor_version`
        // and tells its own there.
        for (shown_as, names) in [
            ("version", ["lessor_version", "version"].as_slice()),
            ("initialized", &["initialized"]),
            ("sealed", &["sealed"]),
        ] {
            if let Some(value) = names.iter().find_map(|name| health.body.get(*name)) {
                shown.insert(shown_as.to_owned(), value.clone());
            }
        }
        self.show_fields(&health, &shown.into())?;
        Ok(if health.status < 300 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    pub(super) fn init(&mut self) -> Result<()> {
        let answer = self.client.post("sys/init", &json!({}))?;
        let mut shown = Map::new();
        shown.insert(
            "root_token".to_owned(),
            answer.body.get("root_token").cloned().unwrap_or_default(),
        );
        self.show_fields(&answer, &shown.into())
            .context("the server is initialised, but its root token could not be printed; `lessor init` gives another as long as none was used")?;
        self.console
            .note("the root token is shown this once; keep it safe");
        Ok(())
    }

    pub(super) fn token(&mut self, verb: &TokenVerb) -> Result<()> {
        let TokenVerb::Lookup = verb;
        let answer = self.client.get("auth/token/lookup-self")?;
        let mut shown = answer.data().clone();
        // The token itself is left out: its caller has it already, and a screen is no place for
        // it.
        if let Some(fields) = shown.as_object_mut() {
            fields.shift_remove("id");
        }
        self.show_fields(&answer, &shown)
    }

    pub(super) fn rotate(&mut self, rotate: &Rotate) -> Result<()> {
        let Rotate {
            mount,
            of,
            retry,
            accept,
            abort,
        } = rotate;
        if *abort {
            let path = of.path(mount, "rotate-root");
            self.write(&format!("{path}/abort"), &json!({}))?;
            self.console
                .note(&format!("the rotation of {} is given up", of.title(mount)));
            return Ok(());
        }
        let again = if *retry { "/retry" } else { "" };
        let body = match accept {
            true => json!({ "accept": true }),
            false => json!({}),
        };
        let path = of.path(mount, "rotate-root");
        let answer = self.client.post(&format!("{path}{again}"), &body)?;
        self.show_fields(&answer, answer.data())?;
        self.console.note(&match answer.status {
            ACCEPTED => format!(
                "the rotation of {mount} goes on; `lessor config show {mount}` tells how it stands"
            ),
            _ => format!("the root credential of {} is replaced", of.title(mount)),
        });
        Ok(())
    }
}
