//! Keeps the SDK's bindings, which are made from the contract in `wit/v1` and
//! checked in under `sdk/src/host/bindings/`.
//!
//! The generator stands outside the workspace, because the crates that read WIT are heavy and
//! no other build needs them: it is compiled only here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::say;
use crate::workspace::{Workspace, run};

/// The version of the contract that providers in Rust are built for.
const CONTRACT: &str = "wit/v1";
const BINDINGS: &str = "sdk/src/host/bindings";
const GENERATOR: &str = "sdk/bindings-generator/Cargo.toml";

/// `cargo xtask bindings`: writes them.
pub(crate) fn write() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let directory = workspace.root().join(BINDINGS);
    let made = made(&workspace)?;
    for (name, content) in &made {
        let file = directory.join(name);
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    for name in files(&directory)?.keys() {
        if !made.contains_key(name) {
            let file = directory.join(name);
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    say::line(&format!("{BINDINGS} is made from {CONTRACT}"));
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask bindings --check`: makes them anew and compares.
pub(crate) fn check() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    if made(&workspace)? != files(&workspace.root().join(BINDINGS))? {
        bail!(
            "{BINDINGS} does not match {CONTRACT}; run `cargo xtask bindings` and commit the files"
        );
    }
    say::line(&format!("{BINDINGS} matches {CONTRACT}"));
    Ok(ExitCode::SUCCESS)
}

/// Compiles the generator and takes what it writes: name and content.
fn made(workspace: &Workspace) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let scratch = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut command = workspace.cargo(&["run", "--quiet", "--locked"]);
    command
        .arg("--manifest-path")
        .arg(workspace.root().join(GENERATOR))
        .arg("--target-dir")
        .arg(workspace.target().join("bindings"))
        .arg("--")
        .arg(workspace.root().join(CONTRACT))
        .arg(scratch.path());
    run(&mut command)?;
    files(scratch.path())
}

/// The files of a directory: name and content.
fn files(directory: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let entries = directory
        .read_dir()
        .with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        let content = fs::read(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        files.insert(entry.file_name(), content);
    }
    Ok(files)
}
