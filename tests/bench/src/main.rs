//! `cargo xtask bench`: what a lease costs, measured side by side with OpenBao and
//! with the limits of the parts, in one run on one machine.
//!
//! Each workload is a file of [`workloads`]. It starts its own servers on free
//! loopback ports, repeats its parts in rounds, ours and the peer's by turns, and
//! gives rows of figures: the median of the rounds with the least and the greatest,
//! the ratios, and whether the goal is met. What is compared is equally durable:
//! either server has synced to disk what it has acknowledged. Figures of one row
//! are of one run; those of two runs differ by what the machine did beside.
//!
//! # Layout
//!
//! - [`mod@bench`]: what a workload is given: length of a part, rounds, progress
//! - [`sample`]: figures of the rounds of one thing
//! - [`row`], [`report`]: lines of the table; the table and the file that is kept
//! - [`load`]: connections that ask as fast as they are answered
//! - [`ours`], [`peer`]: the servers, furnished
//! - [`loader`]: leases laid in through the program's storage module
//! - [`system`]: processor time, memory and disk as the kernel tells them
//! - [`workloads`]: one file each
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in the tests: a benchmark that goes wrong ends with what was expected"
)]

mod bench;
mod load;
mod loader;
mod ours;
mod peer;
mod report;
mod row;
mod sample;
mod system;
mod workloads;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::{bench::Bench, report::Report, workloads::WORKLOADS};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what `cargo xtask bench` names; whether all of it ran.
fn run() -> Result<bool> {
    let mut words = env::args().skip(1);
    let seconds = words.next().context("run this by `cargo xtask bench`")?;
    let kept = words.next().unwrap_or_default();
    let kept = (!kept.is_empty()).then(|| PathBuf::from(kept));
    let with_peer = words.next().as_deref() == Some("peer");
    let mut chosen = Vec::new();
    for name in words {
        match WORKLOADS.iter().find(|(known, _)| *known == name) {
            Some(workload) => chosen.push(workload),
            None => bail!("{name} is no workload"),
        }
    }
    if chosen.is_empty() {
        chosen.extend(&WORKLOADS);
    }

    let begin = Instant::now();
    let mut bench = Bench::new(
        Duration::from_secs(seconds.parse()?),
        with_peer,
        chosen.len(),
    );
    let mut report = Report::default();
    for (name, workload) in chosen {
        bench.begin(name);
        // The harness of the tests says by a panic what it expected. One workload
        // that cannot be run does not keep the others from it.
        let outcome = catch_unwind(AssertUnwindSafe(|| workload(&mut bench)))
            .unwrap_or_else(|_| bail!("it ended with the message above"));
        match outcome {
            Ok(outcome) => {
                // Not only in the table: a run that is ended half way told this much.
                for row in &outcome.rows {
                    bench.tell(&format!("  {}: {}", row.case, row.ours));
                }
                report.add(name, outcome);
            }
            Err(error) => {
                bench.tell(&format!("  not run: {error:#}"));
                report.fail(name, &error);
            }
        }
    }
    bench.end();
    report.print();
    eprintln!("in {} s", begin.elapsed().as_secs());
    if let Some(file) = kept {
        report.save(&file, begin.elapsed())?;
        eprintln!("written to {}", file.display());
    }
    Ok(report.is_whole())
}
