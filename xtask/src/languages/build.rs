//! Builds an example by the commands of its README, and reports the outcome.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::life::Language;
use crate::say;

/// Performs each command below `directory`. They run beside those of another
/// language: their output is shown only where one fails.
pub(super) fn build(directory: &Path, language: &Language, node: Option<&Path>) -> Result<()> {
    let at = language.directory(directory);
    let path = search_path(node)?;
    for command in language.build.iter().chain(language.beside) {
        let started = Instant::now();
        let done = Command::new("sh")
            .args(["-c", command])
            .current_dir(&at)
            .env("PATH", &path)
            // A virtual environment of the person's own is not the one meant.
            .env_remove("VIRTUAL_ENV")
            .env("npm_config_fund", "false")
            .env("npm_config_audit", "false")
            .output()
            .context("cannot start a shell")?;
        if !done.status.success() {
            bail!(
                "`{command}` ended with {}:\n{}{}",
                done.status,
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            );
        }
        say::line(&format!(
            "  $ {command}\n    {:.1} s",
            started.elapsed().as_secs_f64()
        ));
    }
    let component = at.join(language.component);
    let bytes = fs::metadata(&component)
        .with_context(|| format!("there is no {}", component.display()))?
        .len();
    say::line(&format!("    {}: {bytes} bytes", language.component));
    Ok(())
}

/// The search path, with a private Node.js first where there is one.
fn search_path(node: Option<&Path>) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = node
        .map(Path::to_owned)
        .into_iter()
        .chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("the search path cannot be extended")
}
