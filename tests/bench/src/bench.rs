//! The inputs of a workload.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Rounds of every comparison.
const ROUNDS: u32 = 3;

/// The run that a workload is part of.
pub(crate) struct Bench {
    /// The time for which a load lasts.
    pub(crate) length: Duration,
    /// Whether OpenBao is measured too.
    pub(crate) with_peer: bool,
    progress: ProgressBar,
    workload: &'static str,
}

impl Bench {
    pub(crate) fn new(length: Duration, with_peer: bool, workloads: usize) -> Self {
        let progress = ProgressBar::new(workloads as u64 * u64::from(ROUNDS));
        let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}");
        progress.set_style(style.expect("a template").progress_chars("=> "));
        progress.enable_steady_tick(Duration::from_millis(250));
        Self {
            length,
            with_peer,
            progress,
            workload: "",
        }
    }

    /// Says which workload begins.
    pub(crate) fn begin(&mut self, workload: &'static str) {
        self.workload = workload;
        self.say("setting up");
        if self.progress.is_hidden() {
            // No terminal: a line a workload.
            eprintln!("{workload}");
        }
    }

    /// Says what is being done.
    pub(crate) fn say(&self, what: &str) {
        self.progress
            .set_message(format!("{}: {what}", self.workload));
    }

    /// The rounds, with progress.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = u32> + use<> {
        let progress = self.progress.clone();
        (1..=ROUNDS).inspect(move |round| {
            if *round > 1 {
                progress.inc(1);
            }
        })
    }

    /// Tells what came of a workload, above the progress.
    pub(crate) fn tell(&self, line: &str) {
        self.progress.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn end(&self) {
        self.progress.finish_and_clear();
    }
}
