//! The table, on the screen and in the file that is kept.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};

use crate::{
    row::{Goal, Outcome, Row},
    system,
};

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<[String; 7]>,
    notes: Vec<String>,
    failed: bool,
}

impl Report {
    pub(crate) fn add(&mut self, workload: &str, outcome: Outcome) {
        for row in outcome.rows {
            self.rows.push(cells(workload, &row));
        }
        for note in outcome.notes {
            self.notes.push(format!("{workload}: {note}"));
        }
    }

    /// A workload that could not be run.
    pub(crate) fn fail(&mut self, workload: &str, error: &anyhow::Error) {
        self.failed = true;
        self.notes.push(format!("{workload}: not run: {error:#}"));
    }

    /// Whether every workload ran.
    pub(crate) fn is_whole(&self) -> bool {
        !self.failed
    }

    pub(crate) fn print(&self) {
        println!("{}", self.table());
        for note in &self.notes {
            println!("- {note}");
        }
    }

    /// Writes table, notes and what they were measured on.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn save(&self, file: &Path, length: Duration) -> Result<()> {
        let facts = system::facts()?;
        let notes = self
            .notes
            .iter()
            .fold(String::new(), |text, note| text + "- " + note + "\n");
        let text = format!(
            "# Results of `cargo xtask bench`\n\n\
             Written by `cargo xtask bench --save` in {} min; not edited. A figure is the median of three \
             rounds, with the least and the greatest behind it; both sides ran by turns in the same run, \
             with the client that asks them on the same processors. “×” says how many times better than \
             OpenBao, “of limit” which share of what the part below does by itself.\n\n\
             {facts}\n{}\n\n{notes}",
            length.as_secs().div_ceil(60),
            self.table(),
        );
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "workload", "case", "lessor", "OpenBao", "×", "of limit", "goal",
        ]);
        for row in &self.rows {
            table.add_row(row);
        }
        table
    }
}

fn cells(workload: &str, row: &Row) -> [String; 7] {
    let none = || "–".to_owned();
    [
        workload.to_owned(),
        row.case.clone(),
        row.ours.to_string(),
        row.peer.as_ref().map_or_else(none, ToString::to_string),
        row.peer
            .as_ref()
            .map_or_else(none, |peer| format!("{:.1}", row.ours.times_better(peer))),
        row.limit.as_ref().map_or_else(none, |(name, limit)| {
            let share = row.ours.times_better(limit) * 100.0;
            format!("{share:.0} % of {name}: {limit}")
        }),
        goals(&row.goals),
    ]
}

fn goals(goals: &[Goal]) -> String {
    let goals: Vec<String> = goals
        .iter()
        .map(|goal| format!("{}: {}", goal.text, if goal.met { "met" } else { "MISSED" }))
        .collect();
    goals.join("; ")
}
