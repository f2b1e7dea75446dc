//! Shows the progress: a bar on a terminal, a line per phase elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::say;

/// One phase; its bar goes away with it.
pub(super) struct Phase(ProgressBar);

impl Phase {
    /// Begins a phase of so many steps.
    pub(super) fn begin(title: &str, steps: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            say::line(title);
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(steps);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {elapsed} {msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Self(bar)
    }

    /// A step is done.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// The text about the present step.
    pub(super) fn now(&self, text: String) {
        self.0.set_message(text);
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
