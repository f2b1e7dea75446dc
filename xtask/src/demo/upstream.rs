//! Upstreams that are programs of Python, as the tests have them in `tests/upstreams`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::scratch::end;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// A running upstream; dropping it ends the process.
pub(super) struct Upstream(Child);

impl Upstream {
    /// Starts `tests/upstreams/FILE` with the `python` of an environment, and gives the first
    /// line that it prints.
    pub(super) fn start(
        workspace: &Workspace,
        stage: &Stage,
        python: &Path,
        file: &str,
    ) -> Result<(Self, String)> {
        let mut process = stage
            .scratch
            .server(&python.display().to_string())
            .arg(workspace.root().join("tests/upstreams").join(file))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{file} does not start"))?;
        let output = process.stdout.take();
        let upstream = Self(process);
        let mut line = String::new();
        BufReader::new(output.context("it has no output")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "{file} ended at once");
        Ok((upstream, line.trim().to_owned()))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        end(&mut self.0, Signal::TERM);
    }
}
