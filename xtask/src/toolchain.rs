//! The Rust toolchain: the target that providers are built for, and the marks by which outputs
//! of two toolchains differ.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::say;
use crate::workspace::{output, run};

/// The target of providers.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// Adds the wasm target where it is missing.
pub(crate) fn ensure_wasm_target() -> Result<()> {
    if wasm_std()?.is_some() {
        return Ok(());
    }
    say::step(&format!("Adding the Rust target {WASM_TARGET}"));
    let added = run(Command::new("rustup").args(["target", "add", WASM_TARGET]));
    if wasm_std()?.is_none() {
        added.with_context(|| {
            format!(
                "providers need the Rust target {WASM_TARGET}, which is not installed; \
                 install it with `rustup target add {WASM_TARGET}`"
            )
        })?;
        bail!(
            "rustup reports {WASM_TARGET} as installed, but this rustc does not find it; \
             check that `rustc` on your PATH is the one rustup manages"
        );
    }
    Ok(())
}

/// The compiler and the standard library that providers are built with. Two
/// machines with the same line build the same bytes.
pub(crate) fn identity() -> Result<String> {
    let rustc = output(Command::new("rustc").arg("--version"))?;
    let std = wasm_std()?.context("the wasm target is not installed")?;
    Ok(format!("{rustc}, {std}"))
}

/// The directory of the compiler's own files.
pub(crate) fn sysroot() -> Result<PathBuf> {
    Ok(output(Command::new("rustc").args(["--print", "sysroot"]))?.into())
}

/// The commit that this compiler was built from: release builds of its library
/// name their sources as `/rustc/<commit>`.
pub(crate) fn commit() -> Result<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "))
        .map(str::to_owned)
        .context("rustc -vV names no commit")
}

/// The stem of the wasm target's std, `libstd-<hash>`, where it is installed.
fn wasm_std() -> Result<Option<String>> {
    let directory = sysroot()?.join("lib/rustlib").join(WASM_TARGET).join("lib");
    let Ok(entries) = directory.read_dir() else {
        return Ok(None);
    };
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| name.starts_with("libstd-") && has_extension(name, "rlib"))
        .map(|name| name.trim_end_matches(".rlib").to_owned()))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}
