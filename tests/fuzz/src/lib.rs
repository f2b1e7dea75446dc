//! Fuzz targets of the host: each takes any bytes and checks what must hold for them.
//!
//! Two things drive a target. In an ordinary test run [`Target::replay`] gives it its
//! corpus and mutations of that, the same ones in every run. `cargo xtask fuzz` builds
//! this crate and the host with coverage and the feature `libfuzzer`; then libFuzzer
//! drives it and finds its own way (`docs/fuzzing.md`).
//!
//! # Layout
//!
//! | module | idea |
//! |---|---|
//! | [`targets`] | the targets, a file each |
//! | `target` | what a target is; its corpus and mutations of it |
//! | [`corpus`] | a corpus as one file, and as the directory that libFuzzer works in |
//! | `chance` | the same choices for the same bytes |
//! | `text` | inputs as text; sentences |
//! | `libfuzzer` | the long run |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target fails by panicking, with a message that says what was expected"
)]

pub mod corpus;
pub mod targets;

mod chance;
#[cfg(feature = "libfuzzer")]
pub mod libfuzzer;
mod target;
mod text;

pub use self::target::{Check, Target};

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    targets::ALL.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use crate::{corpus, targets};

    #[test]
    fn every_target_has_a_corpus_and_every_corpus_a_target() {
        let files = fs::read_dir(corpus::directory()).unwrap();
        let corpora: BTreeSet<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let named = targets::ALL
            .iter()
            .map(|target| format!("{}.txt", target.name));
        assert_eq!(corpora, named.collect());
    }
}
