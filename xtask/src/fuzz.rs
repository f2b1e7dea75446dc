//! `cargo xtask fuzz`: the fuzz targets of the host, driven by coverage.
//!
//! The targets are unit tests (`host/src/testing/fuzz.rs`). Here the same tests
//! are built once more with coverage and with libFuzzer, in a directory of their
//! own, and each target runs in a process of its own for as long as was asked.
//! At the end the inputs that together reach most are copied beside the others
//! in `host/fuzz`, from where every test run begins.

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};

use crate::say;
use crate::workspace::Workspace;

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
        "Fuzzing {} targets for {} min; logs and inputs are in {}",
        options.targets.len(),
        options.minutes,
        run::scratch(&workspace).display()
    ));
    let length = Duration::from_secs(options.minutes * 60);
    let begin = Instant::now();
    let started: Result<Vec<Run>> = options
        .targets
        .iter()
        .map(|target| Run::start(&workspace, &program, target, length))
        .collect();
    let tallies: Result<Vec<Tally>> = started?.into_iter().map(Run::wait).collect();
    let tallies = tallies?;

    say::step("Choosing the inputs that are kept");
    let mut kept = Vec::new();
    for tally in &tallies {
        kept.push(corpus::keep(&workspace, &program, &tally.target)?);
    }
    say::data(&table(&tallies, &kept));
    say::line(&format!("in {} s", begin.elapsed().as_secs()));
    for crash in tallies.iter().flat_map(|tally| &tally.crashes) {
        say::failure(&format!(
            "crashed by {}: copy it to host/fuzz/<target> under a name that tells its story, \
             and the tests show it",
            crash.display()
        ));
    }
    let crashed = tallies.iter().any(|tally| !tally.crashes.is_empty());
    Ok(if crashed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The names of all targets: those of their corpora.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let directory = corpus::directory(workspace);
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// What was done and found, a line a target.
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
