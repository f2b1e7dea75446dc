//! The tally: a table with a column per system, and a line per system.

use comfy_table::{CellAlignment, Table, presets};

use super::trial::Outcome;

/// A column: a run, or why there is none.
pub(super) type Column = Result<Outcome, (String, String)>;

/// A row: what it counts, and how it is found in a run.
type Row = (&'static str, fn(&Outcome) -> u64);

const DONE: &[Row] = &[
    ("killed", |it| it.damage.kills),
    ("… while it was starting", |it| it.damage.early),
    ("PostgreSQL restarted", |it| it.damage.restarts),
    ("PostgreSQL paused", |it| it.damage.pauses),
    ("credentials issued", |it| it.counts.issued),
    ("renewed", |it| it.counts.renewed),
    ("logged in meanwhile", |it| it.counts.logins),
    ("revoked", |it| it.counts.revoked),
    ("root credential rotated", |it| it.counts.rotated),
    ("requests refused or failed", |it| {
        it.counts.refused.values().sum()
    }),
    ("requests never answered", |it| it.counts.unanswered),
    ("leases at the end", |it| number(it.leases)),
    ("leased roles at the end", |it| number(it.roles)),
];

const LOST: &[Row] = &[
    ("ORPHANS: roles without a lease", |it| it.losses.orphans),
    ("LOST: acknowledged, without lease or role", |it| {
        it.losses.lost
    }),
    ("leases without a role", |it| it.losses.hollow),
    ("revoked, and still there", |it| it.losses.undead),
    ("acknowledged, and refused at login", |it| {
        it.losses.rejected
    }),
    ("ROOTS LOST", |it| it.losses.roots),
    ("roles left after all was revoked", |it| it.losses.left),
    ("not at rest in the end", |it| it.losses.unrest),
];

/// The table, and below it what it does not tell.
pub(super) fn table(columns: &[Column]) -> String {
    let title = |column: &Column| match column {
        Ok(outcome) => outcome.title.clone(),
        Err((title, _)) => title.clone(),
    };
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(std::iter::once(String::new()).chain(columns.iter().map(title)));
    for (name, count) in DONE.iter().chain(LOST) {
        let counts = columns.iter().map(|column| match column {
            Ok(outcome) => count(outcome).to_string(),
            Err(_) => "-".to_owned(),
        });
        table.add_row(std::iter::once((*name).to_owned()).chain(counts));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    for column in columns {
        match column {
            Ok(outcome) => {
                for note in &outcome.notes {
                    text.push_str(&format!("{}: {note}\n", outcome.title));
                }
                let mut refused: Vec<_> = outcome.counts.refused.iter().collect();
                refused.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
                for (said, times) in refused.into_iter().take(MOST_SAID) {
                    text.push_str(&format!(
                        "{}: {times} requests failed with: {said}\n",
                        outcome.title
                    ));
                }
            }
            Err((title, reason)) => {
                text.push_str(&format!("{title} did not take part: {reason}\n"))
            }
        }
    }
    text
}

/// The largest number of kinds of refusals that are shown.
const MOST_SAID: usize = 5;

/// A run in one line.
pub(super) fn line(outcome: &Outcome) -> String {
    let Outcome {
        title,
        damage,
        counts,
        losses,
        took,
        ..
    } = outcome;
    let more: String = [
        (losses.hollow, "leases without a role"),
        (losses.undead, "revoked and still there"),
        (losses.left, "roles left after all was revoked"),
        (losses.unrest, "not at rest"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!(", {count} {what}"))
    .collect();
    format!(
        "{title}: {} kills, {} restarts and {} pauses of the database; {} issued, {} revoked, \
         {} rotations; {} orphans, {} lost leases, {} lost roots, {} dead credentials{more}; {} s\n",
        damage.kills,
        damage.restarts,
        damage.pauses,
        counts.issued,
        counts.revoked,
        counts.rotated,
        losses.orphans,
        losses.lost,
        losses.roots,
        losses.rejected,
        took.as_secs()
    )
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Counts;
    use super::super::storm::Damage;
    use super::super::verdict::Losses;
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            title: "lessor".to_owned(),
            damage: Damage {
                kills: 15,
                early: 2,
                restarts: 1,
                pauses: 3,
            },
            counts: Counts {
                issued: 100,
                revoked: 40,
                rotated: 9,
                refused: [("502 away".to_owned(), 7)].into(),
                ..Counts::default()
            },
            leases: 60,
            roles: 62,
            losses: Losses {
                orphans: 2,
                hollow: 3,
                roots: 1,
                ..Losses::default()
            },
            notes: vec!["nothing can be issued any more".to_owned()],
            took: std::time::Duration::from_secs(50),
        }
    }

    #[test]
    fn the_table_has_every_loss_and_says_why_there_is_no_peer() {
        let absent = ("OpenBao 2.7.2".to_owned(), "no network".to_owned());
        let text = table(&[Ok(outcome()), Err(absent)]);
        let row = |name: &str| {
            let line = text.lines().find(|line| line.contains(name)).unwrap();
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[2].to_owned(), cells[3].to_owned())
        };
        let dash = |count: &str| (count.to_owned(), "-".to_owned());
        assert_eq!(row("ORPHANS"), dash("2"));
        assert_eq!(row("ROOTS LOST"), dash("1"));
        assert_eq!(row("requests refused or failed"), dash("7"));
        assert!(text.contains("lessor: nothing can be issued any more\n"));
        assert!(text.contains("lessor: 7 requests failed with: 502 away\n"));
        assert!(text.contains("OpenBao 2.7.2 did not take part: no network\n"));
    }

    #[test]
    fn a_run_is_one_line() {
        assert_eq!(
            line(&outcome()),
            "lessor: 15 kills, 1 restarts and 3 pauses of the database; 100 issued, 40 revoked, 9 rotations; \
             2 orphans, 0 lost leases, 1 lost roots, 0 dead credentials, 3 leases without a role; 50 s\n"
        );
    }
}
