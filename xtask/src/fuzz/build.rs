//! The fuzz targets and the host, built for libFuzzer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::say;
use crate::workspace::{TEST_FEATURES, Workspace, on_path, shown};

/// Flags of rustc for the crates of this workspace alone: to count which edges were taken and
/// to tell which values were compared. The libraries below them stay as they are, so that
/// coverage is about the host, and most of a build is shared.
const COVERAGE: [&str; 6] = [
    "-Copt-level=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Libraries that take most of the time of a case, where they are not optimised.
/// The first one looks at every counter after every case. serde_json is not among them:
/// the parser of WIT is made with it, so wasmtime would be compiled anew.
const HOT: [&str; 5] = [
    "libfuzzer-sys",
    "idna",
    "jiff",
    "jsonschema",
    "regex-automata",
];

/// Builds the program of the targets.
pub(super) fn build(workspace: &Workspace) -> Result<PathBuf> {
    if std::env::var_os("CXX").is_none() && on_path("c++").is_none() {
        bail!(
            "libFuzzer is built from C++, and there is no compiler `c++`: install one, or name it in CXX"
        );
    }
    say::step("Building the targets with coverage");
    // Of the whole workspace, so that it shares the libraries of the tests' build.
    let mut cargo = workspace.cargo(&["build", "--workspace", "--bin", "lessor-fuzz"]);
    cargo
        .args(["--features", TEST_FEATURES])
        .args(["--features", "lessor-fuzz/libfuzzer", "--profile", "test"])
        .env("RUSTC_WORKSPACE_WRAPPER", compiler(workspace)?)
        .args(["--message-format", "json-render-diagnostics"]);
    for library in HOT {
        let setting = format!("profile.test.package.{library}.opt-level=2");
        cargo.args(["--config", &setting]);
    }
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(&cargo)))?;
    if !output.status.success() {
        bail!("`{}` ended with {}", shown(&cargo), output.status);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .context("cargo named no program that it built")
}

/// A compiler that adds coverage: a script, since cargo knows no flags for some crates
/// alone. Its name holds its digest: with other flags, cargo builds anew.
fn compiler(workspace: &Workspace) -> Result<PathBuf> {
    let text = format!(
        "#!/bin/sh\n# Written by `cargo xtask fuzz`.\nexec \"$@\" {}\n",
        COVERAGE.join(" ")
    );
    let digest = Sha256::digest(&text);
    let name: String = digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let directory = workspace.target().join("fuzz");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let script = directory.join(format!("rustc-{name}"));
    fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}
