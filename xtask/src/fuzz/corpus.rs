//! The corpora in the tree: inputs that a person wrote and named, and, of all inputs that were
//! found, the few that together reach most. A corpus is a packed file there, and a
//! directory while its target runs; the program of the targets knows both forms.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::fuzz::run::{libfuzzer, scratch};
use crate::workspace::{Workspace, run};

/// Inputs of a corpus at most, and bytes of one that was found.
const INPUTS: usize = 40;
const BYTES: u64 = 1024;

/// Characters of the name of a file that was found: the beginning of its SHA-1.
const NAME: usize = 16;

/// The directory of the corpora, a packed file a target.
pub(super) fn directory(workspace: &Workspace) -> PathBuf {
    workspace.root().join("tests").join("fuzz").join("corpus")
}

/// The packed corpus of a target.
fn packed(workspace: &Workspace, target: &str) -> PathBuf {
    directory(workspace).join(format!("{target}.txt"))
}

/// The directory of a corpus while its target runs.
pub(super) fn unpacked(workspace: &Workspace, target: &str) -> PathBuf {
    scratch(workspace).join(target).join("corpus")
}

/// Makes the directory of a target's corpus.
pub(super) fn unpack(workspace: &Workspace, program: &Path, target: &str) -> Result<()> {
    let mut command = Command::new(program);
    command
        .arg("unpack")
        .arg(packed(workspace, target))
        .arg(unpacked(workspace, target));
    run(&mut command)
}

/// Chooses anew which of the inputs that were found stand in the tree, packs them,
/// and gives the number of inputs there.
pub(super) fn keep(workspace: &Workspace, program: &Path, target: &str) -> Result<usize> {
    let corpus = unpacked(workspace, target);
    let (found, written): (Vec<PathBuf>, Vec<PathBuf>) =
        files(&corpus)?.into_iter().partition(|file| is_found(file));
    let mut candidates = found.clone();
    for file in files(&scratch(workspace).join(target).join("found"))? {
        if file.metadata()?.len() <= BYTES {
            candidates.push(file);
        }
    }
    let all: Vec<PathBuf> = written.iter().chain(&candidates).cloned().collect();
    let features = features(workspace, program, target, &all)?;
    let chosen = choose(&features, written.len(), INPUTS);

    let mut kept = written.len();
    let mut names = HashSet::new();
    for index in chosen {
        let Some(from) = all.get(index) else { continue };
        let name = from.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().take(NAME).collect();
        let to = corpus.join(&name);
        if *from != to {
            fs::copy(from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        names.insert(to);
        kept += 1;
    }
    for file in found.iter().filter(|file| !names.contains(*file)) {
        fs::remove_file(file)?;
    }
    let mut command = Command::new(program);
    command
        .arg("pack")
        .arg(&corpus)
        .arg(packed(workspace, target));
    run(&mut command)?;
    Ok(kept)
}

/// Whether libFuzzer named a file, and no person.
fn is_found(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.len() == NAME && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// The features that each file reaches, as the inner step of a merge tells them:
/// it is given names of files and adds a line `FT <index> <feature>…` for each.
fn features(
    workspace: &Workspace,
    program: &Path,
    target: &str,
    files: &[PathBuf],
) -> Result<Vec<HashSet<u64>>> {
    let control = scratch(workspace).join(target).join("features");
    let mut text = format!("{}\n0\n", files.len());
    for file in files {
        text.push_str(&format!("{}\n", file.display()));
    }
    fs::write(&control, text).with_context(|| format!("cannot write {}", control.display()))?;
    let arguments = [
        "-merge_inner=2".to_owned(),
        format!("-merge_control_file={}", control.display()),
    ];
    run(&mut libfuzzer(workspace, program, target, &arguments)?).with_context(|| {
        format!(
            "an input of {target} fails, of those in {}",
            control.display()
        )
    })?;
    let told = fs::read_to_string(&control)?;
    let features = told.lines().filter_map(|line| {
        let (_, numbers) = line.strip_prefix("FT ")?.split_once(' ')?;
        Some(numbers.split(' ').filter_map(|n| n.parse().ok()).collect())
    });
    Ok(features.collect())
}

/// Beside the first `written`, which stay, those that add most, one after the
/// other, until there are `most` or none adds anything.
fn choose(features: &[HashSet<u64>], written: usize, most: usize) -> Vec<usize> {
    let mut reached: HashSet<u64> = features.iter().take(written).flatten().copied().collect();
    let mut chosen = Vec::new();
    while written + chosen.len() < most {
        let added = |features: &HashSet<u64>| features.difference(&reached).count();
        let best = features
            .iter()
            .enumerate()
            .skip(written)
            .map(|(index, features)| (added(features), index))
            .max();
        match best {
            Some((count, index)) if count > 0 => {
                reached.extend(features.get(index).into_iter().flatten());
                chosen.push(index);
            }
            _ => break,
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_chosen_by_what_they_add() {
        let features = [
            HashSet::from([1, 2]),
            HashSet::from([1, 2]),
            HashSet::from([2, 3]),
            HashSet::from([3, 4, 5]),
            HashSet::from([6]),
        ];
        assert_eq!(choose(&features, 1, 40), [3, 4]);
        assert_eq!(choose(&features, 0, 3), [3, 1, 4]);
        assert_eq!(choose(&features, 1, 2), [3]);
    }
}
