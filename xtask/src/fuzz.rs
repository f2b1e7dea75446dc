//! `cargo xtask fuzz`: the fuzz targets of the host, driven by coverage.
//!
//! The targets are a crate of their own (`tests/fuzz`), whose tests play its corpora.
//! Here it is built once more with coverage and with libFuzzer, and each target runs in
//! a process of its own until it has used the processor time that was asked for, as many
//! at once as there are processors.
//! At the end the inputs that together reach most are packed with the others into
//! the target's corpus, from where every test run begins.

use std::fs;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use comfy_table::{CellAlignment, Table, presets};

use crate::say;
use crate::workspace::{Workspace, output};

use self::options::{Options, USAGE};
use self::run::{Run, Tally};

mod build;
mod corpus;
mod options;
mod run;

/// `cargo xtask fuzz`.
pub(crate) fn run_command(arguments: &[&str]) -> Result<ExitCode> {
    if let ["--help" | "-h"] = arguments {
        say::data(USAGE);
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = Workspace::find()?;
    let known = targets(&workspace)?;
    let options = match Options::parse(arguments, &known) {
        Ok(options) => options,
        Err(sentence) => {
            say::failure(&sentence);
            return Ok(ExitCode::from(2));
        }
    };
    let program = build::build(&workspace)?;

    say::step(&format!(
        "Fuzzing {} targets for {} min of a processor each; logs and inputs are in {}",
        options.targets.len(),
        options.minutes,
        run::scratch(&workspace).display()
    ));
    let length = Duration::from_secs(options.minutes * 60);
    let begin = Instant::now();
    let tallies = side_by_side(&options.targets, |target| {
        let tally = Run::start(&workspace, &program, target, length)?.wait()?;
        say::line(&format!("{target}: {} executions", tally.executions));
        Ok(tally)
    })?;

    say::step("Choosing the inputs that are kept");
    let mut kept = Vec::new();
    for tally in &tallies {
        kept.push(corpus::keep(&workspace, &program, &tally.target)?);
    }
    say::data(&table(&tallies, &kept));
    say::line(&format!("in {} s", begin.elapsed().as_secs()));
    for tally in &tallies {
        for crash in &tally.crashes {
            say::failure(&format!(
                "crashed by {}: put this line into tests/fuzz/corpus/{}.txt, under a name that \
                 tells its story, and the tests show it:\nNAME {}",
                crash.display(),
                tally.target,
                output(Command::new(&program).arg("line").arg(crash))?
            ));
        }
    }
    let crashed = tallies.iter().any(|tally| !tally.crashes.is_empty());
    Ok(if crashed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs all targets, as many at once as there are processors. Returns their outcomes, in order.
///
/// # Errors
/// The first target's failure; the others run to their end.
fn side_by_side(
    targets: &[String],
    run: impl Fn(&str) -> Result<Tally> + Sync,
) -> Result<Vec<Tally>> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || -> Vec<(usize, Result<Tally>)> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = targets.get(index) else {
                return done;
            };
            done.push((index, run(target)));
        }
    };
    let mut tallies = thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.collect::<Result<Vec<_>, _>>()
    })
    .map_err(|_| anyhow!("a target's watch panicked"))?
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    tallies.sort_by_key(|(index, _)| *index);
    tallies.into_iter().map(|(_, tally)| tally).collect()
}

/// The names of all targets: those of their corpora.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let directory = corpus::directory(workspace);
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The tally, a line a target.
fn table(tallies: &[Tally], kept: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "target",
        "executions",
        "CPU s",
        "per CPU s",
        "edges",
        "features",
        "inputs found",
        "inputs kept",
        "crashes",
    ]);
    for (tally, kept) in tallies.iter().zip(kept) {
        table.add_row([
            tally.target.clone(),
            tally.executions.to_string(),
            tally.cpu.to_string(),
            (tally.executions / tally.cpu.max(1)).to_string(),
            tally.edges.to_string(),
            tally.features.to_string(),
            tally.inputs.to_string(),
            kept.to_string(),
            tally.crashes.len().to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
