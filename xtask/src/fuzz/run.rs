//! One target, run by libFuzzer in a process of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::fuzz::corpus;
use crate::workspace::{Workspace, run};

/// Bytes of an input at most: the code under test has its own bounds, and short inputs find
/// more in an hour.
const LONGEST: usize = 4096;

/// Seconds that one case may take: by the clock on the wall, on a machine that
/// does something else.
const PATIENCE: u64 = 60;

/// The pause between two looks at the processor time of a target.
const LOOK: Duration = Duration::from_millis(500);

/// The directory of all files of the run, with a directory a target.
pub(super) fn scratch(workspace: &Workspace) -> PathBuf {
    workspace.target().join("fuzz").join("run")
}

/// The program, told to give this target to libFuzzer.
pub(super) fn libfuzzer(
    workspace: &Workspace,
    program: &Path,
    target: &str,
    arguments: &[String],
) -> Result<Command> {
    let directory = scratch(workspace).join(target);
    let mut told = vec![
        format!("-dict={}", directory.join("words").display()),
        format!("-artifact_prefix={}/", directory.join("crashes").display()),
        format!("-max_len={LONGEST}"),
        format!("-timeout={PATIENCE}"),
        format!("-report_slow_units={PATIENCE}"),
    ];
    told.extend_from_slice(arguments);
    let log = directory.join("log");
    let log = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    command
        .args(["run", target])
        .args(told)
        .current_dir(workspace.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command)
}

/// A target that runs.
pub(super) struct Run {
    target: String,
    directory: PathBuf,
    child: Child,
    /// The processor time that it gets.
    length: Duration,
}

/// Its outcome.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) target: String,
    pub(super) executions: u64,
    /// Seconds that it had a core.
    pub(super) cpu: u64,
    /// Edges of the host's code that were taken.
    pub(super) edges: u64,
    /// The same, by how often, and with the values that were compared.
    pub(super) features: u64,
    /// Inputs that reached something new.
    pub(super) inputs: u64,
    pub(super) crashes: Vec<PathBuf>,
}

impl Run {
    /// Starts a target, for so much of a processor's time: on a machine that does
    /// something else an hour on the wall would say little.
    pub(super) fn start(
        workspace: &Workspace,
        program: &Path,
        target: &str,
        length: Duration,
    ) -> Result<Self> {
        let directory = scratch(workspace).join(target);
        let (found, crashes) = (directory.join("found"), directory.join("crashes"));
        for directory in [&found, &crashes] {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        // The log and crashes of the last run are removed; its findings stay.
        for old in crashes.read_dir()?.flatten() {
            fs::remove_file(old.path())?;
        }
        File::create(directory.join("log"))?;
        corpus::unpack(workspace, program, target)?;
        let words = directory.join("words");
        run(Command::new(program).args(["words", target]).arg(words))?;
        let arguments = [
            "-print_final_stats=1".to_owned(),
            found.display().to_string(),
            corpus::unpacked(workspace, target).display().to_string(),
        ];
        let child = libfuzzer(workspace, program, target, &arguments)?
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self {
            target: target.to_owned(),
            directory,
            child,
            length,
        })
    }

    /// Waits for its end, by time or by a crash.
    pub(super) fn wait(mut self) -> Result<Tally> {
        let pid = Pid::from_child(&self.child);
        // An ended process still tells its processor time until it is waited for.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let mut told = false;
        let cpu = loop {
            let over = waitid(WaitId::Pid(pid), ended).context("cannot wait for a target")?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let cpu = cpu_seconds(&stat);
            if over.is_some() {
                break cpu;
            }
            if cpu >= self.length.as_secs() && !told {
                // At this signal libFuzzer ends by itself, and prints its sums.
                kill_process(pid, Signal::INT).context("cannot end a target")?;
                told = true;
            }
            thread::sleep(LOOK);
        };
        self.child.wait().context("cannot wait for a target")?;
        let log = self.directory.join("log");
        let log = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let log = String::from_utf8_lossy(&log);
        let last = log
            .lines()
            .rfind(|line| line.starts_with('#') && line.contains(" cov: "))
            .with_context(|| format!("the target {} did not run:\n{log}", self.target))?;
        let crashes = self.directory.join("crashes").read_dir()?;
        Ok(Tally {
            // In the sums at the end; the last line before them may be old.
            executions: number(&log, "stat::number_of_executed_units:").max(number(last, "#")),
            cpu,
            edges: number(last, " cov: "),
            features: number(last, " ft: "),
            inputs: number(last, " corp: "),
            crashes: crashes.flatten().map(|entry| entry.path()).collect(),
            target: self.target,
        })
    }
}

/// The time in user and kernel mode of a line of `/proc/…/stat`, which counts it
/// in hundredths on every Linux; 0 where there is none.
fn cpu_seconds(stat: &str) -> u64 {
    // The second field, a name in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    times
        .filter_map(|time| time.parse::<u64>().ok())
        .sum::<u64>()
        / 100
}

/// The number that stands behind a word of libFuzzer's; 0 where there is none.
fn number(line: &str, word: &str) -> u64 {
    let after = line.split_once(word).map_or("", |(_, after)| after);
    let digits = after
        .trim_start()
        .split(|c: char| !c.is_ascii_digit())
        .next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, number};

    #[test]
    fn the_numbers_of_a_line_are_found() {
        let line = "#4096\tDONE   cov: 812 ft: 2971 corp: 402/16Kb lim: 80 exec/s: 2048 rss: 61Mb";
        for (word, expected) in [
            ("#", 4096),
            (" cov: ", 812),
            (" ft: ", 2971),
            (" corp: ", 402),
            (" none: ", 0),
        ] {
            assert_eq!(number(line, word), expected, "{word}");
        }
        let sums = "run interrupted\nstat::number_of_executed_units: 88210\nstat::x: 1";
        assert_eq!(number(sums, "stat::number_of_executed_units:"), 88210);
    }

    #[test]
    fn the_time_of_a_process_is_read_behind_its_name() {
        let stat = "42 (a ) b) R 1 2 3 4 5 6 7 8 9 10 250 150 0 0 39 19 1 0 99";
        assert_eq!(cpu_seconds(stat), 4);
        assert_eq!(cpu_seconds(""), 0);
    }
}
