//! A temporary directory, and programs that are run in it: the demo, the chaos and the bench
//! each have one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use tempfile::TempDir;

/// The longest wait for anything here, unless the caller sets another.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(25);

/// A scratch directory, the environment of the programs that run in it, and whether the person
/// has pressed Ctrl-C.
pub(crate) struct Scratch {
    directory: TempDir,
    environment: BTreeMap<&'static str, OsString>,
    patience: Duration,
    interrupted: Arc<AtomicBool>,
}

impl Scratch {
    /// A fresh directory whose name begins with `prefix`. From now on Ctrl-C
    /// ends no process, but fails the next wait here.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("cannot listen for Ctrl-C")?;
        }
        let directory = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .context("cannot make a temporary directory")?;
        // PostgreSQL runs as another user where we are root, in a directory
        // below this one.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        Ok(Self {
            directory,
            environment: BTreeMap::new(),
            patience: PATIENCE,
            interrupted,
        })
    }

    /// The directory in which the commands run.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sets a variable for all commands that follow.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.insert(name, value.into());
    }

    /// Waits longer than usual for anything.
    pub(crate) fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Finds programs here before anywhere else.
    pub(crate) fn put_on_path(&mut self, directory: &Path) -> Result<()> {
        let path = match self.environment.get("PATH") {
            Some(path) => path.clone(),
            None => std::env::var_os("PATH").unwrap_or_default(),
        };
        let directories = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
        let path =
            std::env::join_paths(directories).context("the search path cannot be extended")?;
        self.set("PATH", path);
        Ok(())
    }

    /// A command, ready to be started in these surroundings.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // A variable of the person's own must not lead a command elsewhere.
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["LESSOR_", "VAULT_", "BAO_", "PG"]
                .iter()
                .any(|prefix| name_text.starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        command
            .current_dir(self.directory())
            .envs(&self.environment)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    /// A server, ready to be started. Ctrl-C does not reach it: it is asked to
    /// end when we do.
    pub(crate) fn server(&self, program: &str) -> Command {
        let mut command = self.command(program);
        // Files that the server leaves in its temporary directory are removed with the scratch
        // directory.
        command.process_group(0).env("TMPDIR", self.directory());
        command
    }

    /// Waits a while; fails where the person interrupts it.
    pub(crate) fn wait(&self, moment: Duration) -> Result<()> {
        let end = Instant::now() + moment;
        loop {
            self.go_on()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(PAUSE));
        }
    }

    /// Fails where the person has interrupted it.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Waits until `look` gives something.
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("waited {:?} in vain until {what}", self.patience);
            }
            self.wait(PAUSE)?;
        }
    }

    /// Removes the directory.
    pub(crate) fn clear_away(self) -> Result<()> {
        let path = self.directory.path().to_owned();
        self.directory
            .close()
            .with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Leaves the directory where it is, for a person to look into.
    pub(crate) fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}

/// Asks a process to end and waits until it has.
pub(crate) fn end(process: &mut Child, signal: Signal) {
    if matches!(process.try_wait(), Ok(None)) {
        let _ = kill_process(Pid::from_child(process), signal);
    }
    let _ = process.wait();
}
