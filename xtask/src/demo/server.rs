//! The `lessor` server of the demo: started as a person would, on a port that
//! the system chooses.

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::stage::{Claim, Stage, Step};
use crate::say;
use crate::scratch::end;
use crate::workspace::Workspace;

/// Starts the server, from the top of the workspace.
pub(super) const COMMAND: &str =
    "lessor server --dev --dev-root-token-id demo --plugin-dir target/plugins";

/// What is asked of it first.
pub(super) const STEPS: [Step; 2] = [
    Step {
        story: "It serves.",
        command: "lessor status",
        claim: Claim::Prints(&["ready"]),
    },
    Step {
        story: "It runs only providers whose digest is pinned. For trying out (--dev) it has pinned\n\
                what it found; elsewhere `lessor plugin pin` does that.",
        command: "lessor plugin list",
        claim: Claim::Prints(&["certificate", "postgres"]),
    },
];

/// A running server; dropping it ends the process.
pub(super) struct Server {
    process: Child,
}

impl Server {
    pub(super) fn start(workspace: &Workspace, stage: &mut Stage) -> Result<Self> {
        say::line(&format!(
            "Everything it keeps is in a temporary directory.\n  $ {COMMAND} &"
        ));
        let log = stage.scratch.directory().join("server.log");
        let output = File::create(&log)?;
        // A target directory elsewhere has its providers elsewhere.
        let plugins = workspace.plugin_dir();
        let plugins = plugins
            .to_str()
            .context("the target directory's path is no text")?;
        let command = COMMAND.replace("target/plugins", &format!("'{plugins}'"));
        let process = stage
            .scratch
            .server("sh")
            .args(["-c", &format!("exec {command}")])
            .env("LESSOR_LISTEN", "127.0.0.1:0")
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut server = Self { process };
        let address = stage
            .scratch
            .wait_for("the server serves", || server.address(&log))?;
        say::line(&format!(
            "    listening on {address}\n\nThe commands that follow find it by these two:\n  \
             $ export LESSOR_ADDR={address} LESSOR_TOKEN=demo"
        ));
        stage.scratch.set("LESSOR_ADDR", address);
        stage.scratch.set("LESSOR_TOKEN", "demo");
        Ok(server)
    }

    /// Where it serves, once it says so.
    fn address(&mut self, log: &Path) -> Result<Option<String>> {
        let printed = fs::read_to_string(log)?;
        if let Some(status) = self.process.try_wait()? {
            bail!("it ended with {status}:\n{printed}");
        }
        let address = printed
            .split("listening on ")
            .nth(1)
            .filter(|rest| rest.contains(char::is_whitespace))
            .and_then(|rest| rest.split_whitespace().next());
        Ok(address.map(str::to_owned))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It removes its temporary directory when asked to end, not when killed.
        end(&mut self.process, Signal::TERM);
    }
}
