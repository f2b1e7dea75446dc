//! `cargo xtask test`: everything the tests need, then the tests.
//!
//! One build serves all: the same features for the program that tests start and
//! for the tests themselves. cargo-nextest runs them where it is installed,
//! `cargo test` elsewhere; the last lines printed are the runner's own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::workspace::{TEST_FEATURES, Workspace, beside, on_path, run, stand_back};
use crate::{plugins, say, servers};

/// Sets up, builds and runs; `arguments` go to the runner. With any, the
/// examples in the documentation are left out: a filter means a few tests.
pub(crate) fn run_tests(workspace: &Workspace, arguments: &[&str]) -> Result<ExitCode> {
    servers::ensure_postgres()?;
    servers::ensure_openssl()?;
    servers::ensure_venv()?;
    let beside_it = || {
        stand_back();
        servers::ensure_python(workspace)?;
        servers::ensure_node_packages(workspace)?;
        plugins::build(workspace)?;
        plugins::build_test_guests(workspace)?;
        plugins::build_example(workspace)
    };
    beside(beside_it, || build_program(workspace))?;

    if arguments.is_empty() {
        say::step("Running the examples in the documentation");
        let examples = [
            "test",
            "--doc",
            "--workspace",
            "--features",
            TEST_FEATURES,
            "--quiet",
        ];
        run(&mut prepared(workspace, &examples))?;
    }

    let clusters = directory_of_clusters()?;
    let prepared = |workspace: &Workspace, arguments: &[&str]| {
        let mut command = prepared(workspace, arguments);
        command.env("LESSOR_TEST_CLUSTERS", clusters.path());
        command
    };

    say::step("Running the tests");
    let selection = ["--workspace", "--features", TEST_FEATURES];
    if on_path("cargo-nextest").is_some() {
        let mut command = prepared(workspace, &["nextest", "run"]);
        command.args(selection).args(arguments);
        if arguments.is_empty() {
            command.args(["--no-fail-fast", "--test-threads"]);
            command.arg(threads().to_string());
        }
        let status = command
            .stdin(Stdio::null())
            .status()
            .context("cannot start cargo nextest")?;
        return Ok(code(status.code()));
    }
    let mut command = prepared(workspace, &["test", "--all-targets", "--no-fail-fast"]);
    command.args(selection).args(arguments);
    plain_runner(&mut command)
}

/// Builds the program and its tests. With the tests left out, cargo would choose
/// other features for what both depend on, and compile wasmtime once more.
pub(crate) fn build_program(workspace: &Workspace) -> Result<()> {
    say::step("Building the program and its tests");
    let build = [
        "build",
        "--workspace",
        "--bin",
        "lessor",
        "--tests",
        "--features",
        TEST_FEATURES,
    ];
    run(&mut workspace.cargo(&build))
}

/// Where the tests' PostgreSQL clusters are, which is removed with all of them: in
/// memory where there is room, since making and removing a thousand small files on
/// a disk is a quarter of what a test with a cluster costs. Outside the workspace:
/// PostgreSQL runs as somebody who may not look into it.
fn directory_of_clusters() -> Result<tempfile::TempDir> {
    const MEMORY: &str = "/dev/shm";
    /// Twenty clusters' worth of bytes; a few run at once.
    const ROOM: u64 = 1 << 30;
    let room = rustix::fs::statvfs(MEMORY).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
    let place = if room >= ROOM {
        PathBuf::from(MEMORY)
    } else {
        std::env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("lessor-pg-")
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir_in(place)
        .context("cannot make a directory for the clusters' data")
}

/// Tests that run at once: half as many again as there are processors, because
/// tests of servers wait for them much of their time.
fn threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors + processors.div_ceil(2)
}

/// `cargo xtask test`.
pub(crate) fn run_command(arguments: &[&str]) -> Result<ExitCode> {
    run_tests(&Workspace::to_build()?, arguments)
}

/// A cargo command that tells tests where the built program and providers are.
fn prepared(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = workspace.cargo(arguments);
    command
        .env("LESSOR_BIN", workspace.lessor())
        .env("LESSOR_TEST_PLUGINS", workspace.plugin_dir());
    if let Some(directory) = servers::postgres() {
        command.env("LESSOR_TEST_POSTGRES", directory);
    }
    command
}

/// `cargo test` closes each of its many binaries with a line of its own; they
/// are added up so that the last line tells the whole result.
fn plain_runner(command: &mut Command) -> Result<ExitCode> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let mut total = Total::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what cargo test printed")?;
            total.add(&line);
            say::data(&format!("{line}\n"));
        }
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    let Total {
        binaries,
        passed,
        failed,
        ignored,
    } = total;
    say::data(&format!(
        "\ntest result: {passed} passed; {failed} failed; {ignored} ignored; in {binaries} binaries\n"
    ));
    Ok(code(status.code()))
}

/// The sum of the lines `test result: …`.
#[derive(Default, Debug, PartialEq)]
struct Total {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        self.binaries += 1;
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (
                words.next().and_then(|number| number.parse::<u64>().ok()),
                words.next(),
            ) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                (Some(number), Some("ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// The runner's own exit code; one that was ended by a signal has none.
fn code(code: Option<i32>) -> ExitCode {
    let code = code.and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::Total;

    #[test]
    fn the_results_of_all_test_binaries_are_added_up() {
        let mut total = Total::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 2.50s",
        ] {
            total.add(line);
        }
        assert_eq!(
            total,
            Total {
                binaries: 2,
                passed: 4,
                failed: 2,
                ignored: 1
            }
        );
    }
}
