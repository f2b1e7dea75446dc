//! Whether the program is compiled incrementally.
//!
//! A first build gains nothing from incremental compilation, and pays a third of its time for
//! it. But cargo keeps both kinds of output apart, so the change to incremental builds compiles
//! the workspace again: it waits for the first change to the program, which compiles it anyway.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// Lies in the target directory as long as the program is as first built.
const MARK: &str = "first-build";

/// Whether to leave it to cargo, which compiles incrementally. Remembers its answer in the
/// target directory. A person's own `CARGO_INCREMENTAL` wins.
pub(crate) fn incremental(target: &Path) -> Result<bool> {
    if std::env::var_os("CARGO_INCREMENTAL").is_some() {
        return Ok(true);
    }
    let mark = target.join(MARK);
    let program = target.join("debug/lessor");
    let built = modified(&program);
    let state = State {
        marked: mark.exists(),
        built: built.is_some(),
        changed: built.is_some_and(|built| {
            sources(&program.with_extension("d"))
                .iter()
                .any(|source| modified(source).is_none_or(|modified| modified > built))
        }),
    };
    let first = state.is_first_build();
    if first && !state.marked {
        fs::create_dir_all(target)
            .and_then(|()| fs::write(&mark, ""))
            .with_context(|| format!("cannot write {}", mark.display()))?;
    }
    if !first && state.marked {
        fs::remove_file(&mark).with_context(|| format!("cannot remove {}", mark.display()))?;
    }
    Ok(!first)
}

/// The facts in the target directory.
struct State {
    /// It was a first build when it was last looked at.
    marked: bool,
    /// The program is there.
    built: bool,
    /// One of its sources is newer than it.
    changed: bool,
}

impl State {
    fn is_first_build(&self) -> bool {
        if self.built {
            self.marked && !self.changed
        } else {
            true
        }
    }
}

/// The time when a file was last written, if it is there.
fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|about| about.modified()).ok()
}

/// The sources of the program, from the file that cargo leaves beside it.
fn sources(dep_info: &Path) -> Vec<PathBuf> {
    parse(&fs::read_to_string(dep_info).unwrap_or_default())
}

/// The names behind the colon, separated by spaces; a space in a name has a backslash before
/// it.
fn parse(dep_info: &str) -> Vec<PathBuf> {
    let Some((_, sources)) = dep_info.split_once(": ") else {
        return Vec::new();
    };
    let sources = sources.replace("\\ ", "\0");
    sources
        .split_whitespace()
        .map(|source| source.replace('\0', " ").into())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{State, parse};

    #[test]
    fn a_build_is_the_first_one_until_the_program_changes() {
        // marked, built, changed; first
        let cases = [
            (false, false, false, true),
            (true, false, false, true), // the first one did not end
            (true, true, false, true),  // the tests again
            (true, true, true, false),
            (false, true, false, false), // somebody built it without us, or it changed
            (false, true, true, false),
        ];
        for (marked, built, changed, first) in cases {
            let state = State {
                marked,
                built,
                changed,
            };
            assert_eq!(state.is_first_build(), first, "{marked} {built} {changed}");
        }
    }

    #[test]
    fn the_sources_of_the_program_are_read_from_what_cargo_wrote() {
        assert_eq!(
            parse("/a\\ b/target/debug/lessor: /a\\ b/host/src/lib.rs /a\\ b/host/src/main.rs\n"),
            ["/a b/host/src/lib.rs", "/a b/host/src/main.rs"].map(PathBuf::from)
        );
        assert!(parse("").is_empty());
    }
}
