//! `cargo xtask deny`: checks the dependencies by `deny.toml`.
//!
//! Licences, duplicates and sources follow from Cargo.lock and are always checked.
//! Advisories need a database from GitHub: without a network, the command says so and does not
//! fail, since missing news makes no dependency bad.

use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::workspace::{Workspace, run};
use crate::{say, servers};

/// The time that the database may take to come: it has a few megabytes.
const PATIENCE: Duration = Duration::from_secs(120);

/// `cargo xtask deny`.
pub(crate) fn perform() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let program = servers::ensure_cargo_deny(&workspace)?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(workspace.root()).args(arguments);
        command
    };

    say::step("Checking licences, duplicates and sources");
    run(&mut deny(&["check", "licenses", "bans", "sources"]))?;

    say::step("Fetching the database of advisories");
    let mut fetch = deny(&["fetch", "db"]);
    let child = fetch
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start cargo-deny")?;
    if !within(child, PATIENCE)?.is_some_and(|status| status.success()) {
        say::line(
            "ADVISORIES WERE NOT CHECKED: the database, https://github.com/RustSec/advisory-db, \
             cannot be had here",
        );
        return Ok(ExitCode::SUCCESS);
    }
    say::step("Checking advisories");
    run(&mut deny(&["check", "--disable-fetch", "advisories"]))?;
    Ok(ExitCode::SUCCESS)
}

/// The exit status of a program; none where it took too long, and was ended.
fn within(mut child: Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    let waiting = thread::spawn(move || ended.send(child.wait()));
    let status = match end.recv_timeout(limit) {
        Ok(status) => Some(status.context("cannot wait for cargo-deny")?),
        Err(_) => {
            // Nobody but that thread waits for it, so the number is still its own.
            let _ = kill_process(pid, Signal::KILL);
            None
        }
    };
    let _ = waiting.join();
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_ended() {
        let start = |program: &str, argument: &str| Command::new(program).arg(argument).spawn();
        let quick = within(start("true", "").unwrap(), Duration::from_secs(60)).unwrap();
        assert!(quick.unwrap().success());
        let slow = within(start("sleep", "60").unwrap(), Duration::from_millis(1)).unwrap();
        assert_eq!(slow, None);
    }
}
