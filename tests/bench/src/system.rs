//! The kernel's figures: processor time, memory, disk; and a description of the machine that was
//! measured.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

/// Processor time that a process has used.
pub(crate) fn processor_time(id: u32) -> Result<Duration> {
    /// Of a second; `USER_HZ`, which Linux shows everywhere.
    const TICKS: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no process name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> { Ok(fields[index].parse()?) };
    // Fields 14 and 15, of which the first two are cut off.
    let ticks = ticks(11)? + ticks(12)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Memory of a process that lies in RAM, in megabytes.
pub(crate) fn resident(id: u32) -> Result<f64> {
    let kilobytes: f64 = field(&format!("/proc/{id}/status"), "VmRSS:")?
        .trim_end_matches("kB")
        .trim()
        .parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// Bytes that are free on the disk of a directory.
pub(crate) fn free(directory: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// Machine, versions, date and commit, as lines of Markdown.
pub(crate) fn facts() -> Result<String> {
    let mut text = String::new();
    let processors = std::thread::available_parallelism()?;
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|_| "unknown".to_owned());
    let memory: f64 = field("/proc/meminfo", "MemTotal:")?
        .trim_end_matches("kB")
        .trim()
        .parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let _ = writeln!(
        text,
        "- machine: {processors} processors ({}), {:.0} GiB of memory, Linux {}",
        model.trim_start_matches([':', ' ', '\t']),
        memory / f64::from(1 << 20),
        kernel.trim(),
    );
    let _ = writeln!(text, "- date: {}", jiff::Zoned::now().date());
    let commit = output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]));
    let changed =
        output(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]));
    let _ = writeln!(
        text,
        "- commit: {}{}",
        commit.as_deref().unwrap_or("unknown"),
        match changed.as_deref() {
            Some("") | None => "",
            Some(_) => ", with changes",
        }
    );
    let _ = writeln!(
        text,
        "- versions: lessor {}, OpenBao {}, {}, SQLite {}",
        env!("CARGO_PKG_VERSION"),
        output(Command::new(lessor_tests::python::program("bao")).arg("version"))
            .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .unwrap_or_else(|| "not there".to_owned()),
        lessor_tests::postgres::version(),
        rusqlite::version(),
    );
    Ok(text)
}

fn field(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line
        .with_context(|| format!("no {name} in {file}"))?
        .trim()
        .to_owned())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
