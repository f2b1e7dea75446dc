//! A resolver of the test's own: names that end in `.test` lead where the test
//! says, and another way the next time if it says so.

use std::{fs, path::PathBuf};

use lessor_tests::{server::Setup, shim::shim};
use tempfile::TempDir;

/// Names and their addresses.
pub(super) struct Resolver {
    home: TempDir,
    library: PathBuf,
}

impl Resolver {
    /// Each name with its addresses: the first for the first look-up, and so
    /// on; the last stays.
    pub(super) fn new(names: &[(&str, &[&str])]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let library = shim("guests/resolver/shim.c", home.path());
        let lines: String = names
            .iter()
            .map(|(name, addresses)| format!("{name} {}\n", addresses.join(" ")))
            .collect();
        fs::write(home.path().join("names"), lines).expect("the names are written");
        Self { home, library }
    }

    /// A server that asks this resolver.
    pub(super) fn below(&self, setup: Setup) -> Setup {
        setup
            .environment("LD_PRELOAD", &self.library.display().to_string())
            .environment("RESOLVER", &self.home.path().display().to_string())
    }

    /// The names that were looked up, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.home.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}
