//! The toy upstream of the examples, as its README starts it, on a free port.

use std::fs::{self, File};
use std::process::Child;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::say;
use crate::scratch::end;
use crate::stage::Stage;

/// A running one; dropping it ends the process.
pub(super) struct Toy {
    process: Child,
    origin: String,
}

impl Toy {
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        let log = stage.scratch.directory().join("upstream.log");
        let output = File::create(&log)?;
        let process = stage
            .scratch
            .server("python3")
            .args(["../upstream.py", "0"])
            .current_dir(stage.directory())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut toy = Self {
            process,
            origin: String::new(),
        };
        toy.origin = stage.scratch.wait_for("the upstream serves", || {
            let printed = fs::read_to_string(&log)?;
            if let Some(status) = toy.process.try_wait()? {
                bail!("it ended with {status}:\n{printed}");
            }
            let origin = printed
                .strip_prefix("listening on ")
                .and_then(|rest| rest.split_once('\n'))
                .map(|(origin, _)| origin.to_owned());
            Ok(origin)
        })?;
        say::line(&format!("  $ export UPSTREAM={}", toy.origin));
        Ok(toy)
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        end(&mut self.process, Signal::TERM);
    }
}
