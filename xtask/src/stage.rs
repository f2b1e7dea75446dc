//! A stage for stories with claims: a scratch directory and an environment in which each
//! command is shown, run, and checked against its claim.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::say;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// One command of a story.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// The step, in plain words.
    pub(crate) story: &'static str,
    /// The command that a person would type.
    pub(crate) command: &'static str,
    /// The claim about it.
    pub(crate) claim: Claim,
}

/// A claim about a command.
#[derive(Clone, Copy)]
pub(crate) enum Claim {
    /// It succeeds and prints each of these, among other things.
    Prints(&'static [&'static str]),
    /// It succeeds and prints exactly this line.
    Answers(&'static str),
    /// It fails and prints this, among other things.
    Fails(&'static str),
    /// Run again and again, it succeeds and prints exactly this line within the time.
    Becomes(&'static str, Duration),
}

impl Claim {
    /// Whether the claim holds; if not, the fault of the command.
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

/// The time until a command is run again that has not come to its claim.
const PAUSE: Duration = Duration::from_millis(250);

/// See the file's header.
pub(crate) struct Stage {
    /// The directory in which the commands run.
    pub(crate) scratch: Scratch,
    directory: PathBuf,
    claims: usize,
    started: Instant,
}

impl Stage {
    /// One with the built `lessor` on its search path, in a scratch directory
    /// whose name begins with `prefix`.
    pub(crate) fn new(workspace: &Workspace, prefix: &str) -> Result<Self> {
        let mut scratch = Scratch::new(prefix)?;
        let lessor = workspace.lessor();
        scratch.put_on_path(lessor.parent().context("lessor stands nowhere")?)?;
        Ok(Self {
            directory: scratch.directory().to_owned(),
            scratch,
            claims: 0,
            started: Instant::now(),
        })
    }

    /// Performs what follows in another directory.
    pub(crate) fn enter(&mut self, directory: &Path) {
        directory.clone_into(&mut self.directory);
    }

    /// The directory in which commands are performed.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Performs steps one after another.
    pub(crate) fn perform(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            self.step(step)?;
        }
        Ok(())
    }

    /// Performs one step and gives what its command printed.
    pub(crate) fn step(&mut self, step: &Step) -> Result<String> {
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
            self.scratch.wait(PAUSE)?;
        };
        self.claims += 1;
        Ok(printed)
    }

    /// Counts a claim that the story checks by itself.
    pub(crate) fn claim(&mut self, holds: bool, claim: &str) -> Result<()> {
        if !holds {
            bail!("not so: {claim}");
        }
        say::line(&format!("    = {claim}"));
        self.claims += 1;
        Ok(())
    }

    /// Ends a play: says, behind `failed`, why it broke off, or that all claims held
    /// and how long they took, and then `afterwards`; removes the scratch directory.
    pub(crate) fn close(
        self,
        played: Result<()>,
        failed: &str,
        afterwards: &str,
    ) -> Result<ExitCode> {
        // Said before the cleaning up, which is silent.
        if let Err(error) = &played {
            say::line(&format!("\n{failed}: {error:#}"));
        }
        self.scratch.clear_away()?;
        if played.is_err() {
            return Ok(ExitCode::FAILURE);
        }
        say::line(&format!(
            "\nAll {} claims held; {} seconds.{afterwards}",
            self.claims,
            self.started.elapsed().as_secs()
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Runs a shell command to its end; what it prints goes through a file, so
    /// that it can be waited for with an eye on Ctrl-C.
    fn run(&self, command: &str) -> Result<(bool, String)> {
        let log = self.scratch.directory().join("command.log");
        let output = File::create(&log)?;
        let mut child = self
            .scratch
            .command("sh")
            .args(["-c", command])
            .current_dir(&self.directory)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start a shell")?;
        let ended = self
            .scratch
            .wait_for(&format!("`{command}` ended"), || Ok(child.try_wait()?));
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Ctrl-C reaches the command as well, so its failure means nothing then.
        self.scratch.go_on()?;
        let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok((ended?.success(), printed))
    }
}

fn show(printed: &str) {
    for line in printed.lines() {
        say::line(&format!("    {line}"));
    }
}
