//! The server that is killed: its process, and how it comes back.

use std::fs::{self, File};
use std::process::Child;

use anyhow::{Context, Result, bail};

use super::api::{Api, Reply};
use super::system::System;
use crate::scratch::Scratch;

/// A server's process; dropping it kills it.
pub(super) struct Server<'a> {
    scratch: &'a Scratch,
    process: Option<Child>,
}

/// The file of the server's output, over all its lives.
const LOG: &str = "server.log";

impl<'a> Server<'a> {
    /// None yet.
    pub(super) fn new(scratch: &'a Scratch) -> Self {
        Self {
            scratch,
            process: None,
        }
    }

    /// Starts it, and does not wait for anything.
    pub(super) fn start(&mut self, system: &dyn System) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.scratch.directory().join(LOG))?;
        let process = system
            .command(self.scratch)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", system.title()))?;
        self.process = Some(process);
        Ok(())
    }

    /// `kill -9`, and nothing of it left.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Waits until it answers, whatever it says.
    pub(super) fn await_answer(&mut self, api: &Api) -> Result<()> {
        self.await_that("the server answers", || {
            matches!(api.ask("GET", "sys/health", None), Reply::Answered(..))
        })
    }

    /// Waits until it serves.
    pub(super) fn await_service(&mut self, system: &dyn System, api: &Api) -> Result<()> {
        self.await_that("the server serves", || system.serves(api))
    }

    fn await_that(&mut self, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
        let (scratch, process) = (self.scratch, &mut self.process);
        scratch.wait_for(what, || {
            if let Some(process) = process
                && let Some(status) = process.try_wait()?
            {
                let log = fs::read_to_string(scratch.directory().join(LOG))?;
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!(
                    "the server ended by itself ({status}) and last said, newest first:\n{}",
                    last.join("\n")
                );
            }
            Ok(holds().then_some(()))
        })
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}
