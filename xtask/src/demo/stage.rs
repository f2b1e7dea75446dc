//! Where the demo plays: a scratch directory and an environment in which each
//! command is shown, run, and held against what was claimed of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use tempfile::TempDir;

use crate::say;
use crate::workspace::Workspace;

/// One command of the demo.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// What happens, in plain words.
    pub(super) story: &'static str,
    /// What a person would type.
    pub(super) command: &'static str,
    /// What must come of it.
    pub(super) claim: Claim,
}

/// What must come of a command.
#[derive(Clone, Copy)]
pub(super) enum Claim {
    /// It succeeds and prints each of these, among other things.
    Prints(&'static [&'static str]),
    /// It succeeds and prints exactly this line.
    Answers(&'static str),
    /// It fails and prints this, among other things.
    Fails(&'static str),
    /// It comes to succeed and print exactly this line within the time, as seen
    /// by asking again and again.
    Becomes(&'static str, Duration),
}

impl Claim {
    /// Whether it holds; if not, what is wrong with the command.
    fn judge(&self, succeeded: bool, printed: &str) -> Result<(), String> {
        match (self, succeeded) {
            (Self::Fails(_), true) => Err("was to fail, and succeeded".to_owned()),
            (Self::Fails(expected), false) if printed.contains(expected) => Ok(()),
            (Self::Fails(expected), false) => {
                Err(format!("failed, but without saying \"{expected}\""))
            }
            (_, false) => Err("failed".to_owned()),
            (Self::Prints(expected), true) => {
                match expected.iter().find(|text| !printed.contains(**text)) {
                    Some(missing) => Err(format!("did not print \"{missing}\"")),
                    None => Ok(()),
                }
            }
            (Self::Answers(expected) | Self::Becomes(expected, _), true) => {
                if printed.trim() == *expected {
                    Ok(())
                } else {
                    Err(format!("was to print \"{expected}\""))
                }
            }
        }
    }
}

/// No command of the demo takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is looked at that is being waited for.
const PAUSE: Duration = Duration::from_millis(25);

/// See the file's header.
pub(super) struct Stage {
    directory: TempDir,
    environment: BTreeMap<&'static str, OsString>,
    interrupted: Arc<AtomicBool>,
    claims: usize,
}

impl Stage {
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("cannot listen for Ctrl-C")?;
        }
        let directory = tempfile::Builder::new()
            .prefix("lessor-demo-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        // PostgreSQL runs as another user where we are root, in a directory
        // below this one.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        let mut stage = Self {
            directory,
            environment: BTreeMap::new(),
            interrupted,
            claims: 0,
        };
        let lessor = workspace.lessor();
        stage.put_on_path(lessor.parent().context("lessor stands nowhere")?)?;
        Ok(stage)
    }

    /// Where the commands run.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How many claims have held.
    pub(super) fn claims(&self) -> usize {
        self.claims
    }

    /// Sets a variable for all commands that follow.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.insert(name, value.into());
    }

    /// Finds programs here before anywhere else.
    pub(super) fn put_on_path(&mut self, directory: &Path) -> Result<()> {
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

    /// Performs steps one after another.
    pub(super) fn perform(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            self.step(step)?;
        }
        Ok(())
    }

    /// Performs one step and gives what its command printed.
    pub(super) fn step(&mut self, step: &Step) -> Result<String> {
        let Step {
            story,
            command,
            claim,
        } = step;
        say::line(&format!("\n{story}\n  $ {command}"));
        let patience = match claim {
            Claim::Becomes(_, patience) => *patience,
            _ => Duration::ZERO,
        };
        let deadline = Instant::now() + patience;
        let printed = loop {
            let (succeeded, printed) = self.run(command)?;
            let verdict = claim.judge(succeeded, &printed);
            if verdict.is_ok() || Instant::now() >= deadline {
                show(&printed);
                verdict.map_err(|problem| anyhow!("`{command}` {problem}"))?;
                break printed;
            }
            self.wait(PAUSE * 10)?;
        };
        self.claims += 1;
        Ok(printed)
    }

    /// Counts a claim that the story checks by itself.
    pub(super) fn claim(&mut self, holds: bool, claim: &str) -> Result<()> {
        if !holds {
            bail!("not so: {claim}");
        }
        say::line(&format!("    = {claim}"));
        self.claims += 1;
        Ok(())
    }

    /// A command of the demo, ready to be started in its surroundings.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // A variable of the person's own must not lead a command elsewhere.
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["LESSOR_", "VAULT_", "PG"]
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

    /// A server of the demo, ready to be started. Ctrl-C does not reach it: it is
    /// asked to end when the demo does.
    pub(super) fn server(&self, program: &str) -> Command {
        let mut command = self.command(program);
        // What it leaves in a temporary directory goes with the scratch directory.
        command.process_group(0).env("TMPDIR", self.directory());
        command
    }

    /// Waits a moment; fails where the demo was interrupted.
    fn wait(&self, moment: Duration) -> Result<()> {
        self.go_on()?;
        sleep(moment);
        Ok(())
    }

    /// Fails where the demo was interrupted.
    fn go_on(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Waits until `look` gives something.
    pub(super) fn wait_for<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("waited {PATIENCE:?} in vain until {what}");
            }
            self.wait(PAUSE)?;
        }
    }

    /// Removes the scratch directory.
    pub(super) fn clear_away(self) -> Result<()> {
        let path = self.directory.path().to_owned();
        self.directory
            .close()
            .with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Runs a shell command to its end; what it prints goes through a file, so
    /// that it can be waited for with an eye on Ctrl-C.
    fn run(&self, command: &str) -> Result<(bool, String)> {
        let log = self.directory().join("command.log");
        let output = File::create(&log)?;
        let mut child = self
            .command("sh")
            .args(["-c", command])
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start a shell")?;
        let ended = self.wait_for(&format!("`{command}` ended"), || Ok(child.try_wait()?));
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Ctrl-C reaches the command as well; that it failed says nothing then.
        self.go_on()?;
        let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok((ended?.success(), printed))
    }
}

fn show(printed: &str) {
    for line in printed.lines() {
        say::line(&format!("    {line}"));
    }
}
