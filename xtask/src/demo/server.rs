//! The demo's server, and the first requests to it.

use anyhow::{Context, Result};

use crate::dev_server::DevServer;
use crate::stage::{Claim, Stage, Step};
use crate::workspace::Workspace;

/// Starts the server, from the top of the workspace.
pub(super) const COMMAND: &str =
    "lessor server --dev --dev-root-token-id demo --plugin-dir target/plugins";

/// The first requests to it.
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

/// Starts it.
pub(super) fn start(workspace: &Workspace, stage: &mut Stage) -> Result<DevServer> {
    // A target directory elsewhere has its providers elsewhere.
    let plugins = workspace.plugin_dir();
    let plugins = plugins
        .to_str()
        .context("the target directory's path is no text")?;
    let command = COMMAND.replace("target/plugins", &format!("'{plugins}'"));
    DevServer::start(stage, COMMAND, &command)
}
