//! The workloads. `cargo xtask bench` knows them by the names of their files.

use anyhow::Result;

use crate::{bench::Bench, row::Outcome};

mod call;
mod certificate;
mod flood;
mod issue;
mod memory;
mod postgres;
mod revoke;
mod scale;
mod start;
mod storm;

/// Measures one thing in rounds.
type Workload = fn(&mut Bench) -> Result<Outcome>;

/// By name, in the order of the table.
pub(crate) const WORKLOADS: [(&str, Workload); 10] = [
    ("call", call::run),
    ("issue", issue::run),
    ("certificate", certificate::run),
    ("postgres", postgres::run),
    ("scale", scale::run),
    ("revoke", revoke::run),
    ("storm", storm::run),
    ("flood", flood::run),
    ("memory", memory::run),
    ("start", start::run),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::WORKLOADS;

    #[test]
    fn every_workload_is_a_file_of_its_name() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/workloads");
        let files: BTreeSet<String> = fs::read_dir(directory)
            .expect("the workloads")
            .map(|entry| entry.expect("a file").path())
            .map(|file| file.file_stem().expect("a name").display().to_string())
            .collect();
        let known = WORKLOADS.map(|(name, _)| name.to_owned());
        assert_eq!(files, BTreeSet::from(known));
    }
}
