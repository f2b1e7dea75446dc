//! A `lessor` server for trying out: started as a person would, on a port that the
//! system chooses.

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::say;
use crate::scratch::end;
use crate::stage::Stage;

/// A running server; dropping it ends the process.
pub(crate) struct DevServer {
    process: Child,
}

impl DevServer {
    /// Starts it by `command`, which makes `demo` its root token, and shows the
    /// command as `shown`.
    pub(crate) fn start(stage: &mut Stage, shown: &str, command: &str) -> Result<Self> {
        say::line(&format!(
            "Everything it keeps is in a temporary directory.\n  $ {shown} &"
        ));
        let log = stage.scratch.directory().join("server.log");
        let output = File::create(&log)?;
        let process = stage
            .scratch
            .server("sh")
            .args(["-c", &format!("exec {command}")])
            .current_dir(stage.directory())
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

    /// The address that it serves on, once it prints it.
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

impl Drop for DevServer {
    fn drop(&mut self) {
        // It removes its temporary directory when asked to end, not when killed.
        end(&mut self.process, Signal::TERM);
    }
}
