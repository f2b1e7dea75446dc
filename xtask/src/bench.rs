//! `cargo xtask bench`: the workloads of `tests/bench`, in the release build, side by
//! side with OpenBao.
//!
//! This module builds and installs what the bench needs; the measuring itself is in
//! `tests/bench`.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::scratch::Scratch;
use crate::workspace::{Workspace, beside, run};
use crate::{plugins, say, servers};

use self::options::{Options, USAGE};

mod options;

/// `cargo xtask bench`.
pub(crate) fn run_command(arguments: &[&str]) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let known = workloads(&workspace)?;
    if arguments.iter().any(|word| ["--help", "-h"].contains(word)) {
        say::data(&format!("{USAGE}{}\n", known.join(", ")));
        return Ok(ExitCode::SUCCESS);
    }
    let options = match Options::parse(arguments, &known) {
        Ok(options) => options,
        Err(sentence) => {
            say::failure(&sentence);
            return Ok(ExitCode::from(2));
        }
    };
    servers::ensure_postgres()?;
    servers::ensure_openssl()?;
    if !options.alone
        && let Err(error) = servers::ensure_openbao(&workspace)
    {
        say::failure(&format!(
            "OpenBao cannot be had, so its columns stay empty: {error:#}"
        ));
    }
    let providers = || {
        plugins::build(&workspace)?;
        plugins::build_test_guests(&workspace)
    };
    let program = || {
        say::step("Building lessor and its workloads for release");
        let build = [
            "build",
            "--release",
            "--package=lessor",
            "--package=lessor-bench",
        ];
        run(&mut workspace.cargo(&build))
    };
    beside(providers, program)?;

    say::step("Measuring; whatever else runs here shows in the figures");
    let scratch = Scratch::new("lessor-bench-")?;
    let mut command = Command::new(workspace.released("lessor-bench"));
    command
        .current_dir(workspace.root())
        .env("LESSOR_BIN", workspace.released("lessor"))
        .env("LESSOR_TEST_PLUGINS", workspace.plugin_dir())
        .arg(options.seconds.to_string())
        .arg(if options.save { RESULTS } else { "" })
        .arg(if options.alone { "alone" } else { "peer" })
        .args(&options.workloads)
        // All files are removed with the scratch directory, and all processes can be ended with
        // it.
        .env("TMPDIR", scratch.directory())
        .process_group(0)
        .stdin(Stdio::null());
    if let Some(directory) = servers::postgres() {
        command.env("LESSOR_TEST_POSTGRES", directory);
    }
    let mut child = command.spawn().context("cannot start lessor-bench")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(interrupted) = scratch.wait(LOOK) {
            kill_process_group(Pid::from_child(&child), Signal::INT)?;
            child.wait()?;
            return Err(interrupted);
        }
    };
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The pause between two looks whether the bench has ended.
const LOOK: Duration = Duration::from_millis(200);

/// The file that `--save` writes.
const RESULTS: &str = "tests/bench/RESULTS.md";

/// The names of all workloads: those of their files.
fn workloads(workspace: &Workspace) -> Result<Vec<String>> {
    let directory = workspace.root().join("tests/bench/src/workloads");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.path();
        names.extend(file.file_stem().map(|name| name.to_string_lossy().into()));
    }
    names.sort();
    Ok(names)
}
