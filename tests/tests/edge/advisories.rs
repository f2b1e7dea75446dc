//! `docs/security.md` names for each advisory the test that would fail if lessor had the fault.

use std::{collections::BTreeSet, fs, path::Path};

use lessor_tests::server::workspace;

/// The names of all functions in the sources below a directory.
fn functions(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| {
                let (name, _) = rest.split_once('(')?;
                Some(name.to_owned())
            });
            found.extend(names);
        }
    }
}

#[test]
fn every_advisory_names_tests_that_are_there() {
    let text = fs::read_to_string(workspace().join("docs/security.md")).unwrap();
    let mut known = BTreeSet::new();
    for directory in ["host", "tests/tests", "plugins"] {
        functions(&workspace().join(directory), &mut known);
    }
    let mut rows = 0;
    for row in text
        .lines()
        .filter(|line| line.starts_with("| CVE-") || line.starts_with("| GHSA-"))
    {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            // The name of a file stands for all its tests.
            let is_there = name.ends_with(".rs") || known.contains(name);
            assert!(is_there, "no test {name}: {row}");
        }
        rows += 1;
    }
    assert!(rows > 30, "{rows}");
}
