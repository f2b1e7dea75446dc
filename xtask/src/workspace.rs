//! The paths of the workspace, and functions that run programs in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::first_build;

/// Features of a build for tests. Tests and the binary they start are built
/// with the same ones, so that wasmtime is compiled once.
pub(crate) const TEST_FEATURES: &str = "lessor/test-hooks";

/// The workspace that this xtask was built from.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    incremental: bool,
}

impl Workspace {
    /// The workspace around xtask's own manifest.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .parent()
            .context("xtask does not stand in a workspace")?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => root.join(directory),
            None => root.join("target"),
        };
        Ok(Self {
            root,
            target,
            incremental: true,
        })
    }

    /// The same, for a command that builds the program.
    pub(crate) fn to_build() -> Result<Self> {
        let workspace = Self::find()?;
        let incremental = first_build::incremental(&workspace.target)?;
        Ok(Self {
            incremental,
            ..workspace
        })
    }

    /// The top level of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The directory of the built providers.
    pub(crate) fn plugin_dir(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The `lessor` program as a plain `cargo build` leaves it.
    pub(crate) fn lessor(&self) -> PathBuf {
        self.target.join("debug").join("lessor")
    }

    /// A program of the release build; `lessor` as it is shipped.
    pub(crate) fn released(&self, program: &str) -> PathBuf {
        self.target.join("release").join(program)
    }

    /// A cargo command run at the top level, by the cargo that runs xtask.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments);
        if !self.incremental {
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    }
}

/// Does two things beside each other, and waits for both. Of two builds that
/// share no directory this fills the cores: linking a provider takes one.
///
/// # Errors
/// The first one's failure, else the second one's.
pub(crate) fn beside(
    one: impl FnOnce() -> Result<()> + Send,
    other: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join(), other)
    });
    one.unwrap_or_else(|_| bail!("a build panicked"))?;
    other
}

/// Lowers the priority of this thread and of the programs that it starts from here on, so that
/// they fill the gaps of a build that waits for one crate. Only on Linux: elsewhere this would
/// lower the whole process, so nothing is done.
pub(crate) fn stand_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}

/// Runs a command to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and gives what it printed on standard output, trimmed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}: {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is no text", shown(command)))?;
    Ok(text.trim().to_owned())
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Whether a program of this name is on the search path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
