//! `lessor plugin check`: whether a provider keeps the contract, before anybody
//! pins it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use lessor_model::{duration, grants::Grants};
use serde_json::{Value, json};

use crate::cli::Console;
use crate::cli::output::{self, Format};
use crate::conformance::{self, Outcome, Report, Trial};

/// The provider that is tried, and the documents that it is tried with.
#[derive(Debug, Args)]
pub struct Check {
    /// The provider's component
    file: PathBuf,
    /// The config of a mount, its root credential included: a file of JSON, - for
    /// standard input, or the JSON itself, which every process of this machine can
    /// see. Without it, only the rules that need no upstream system are tried
    #[arg(long, value_name = "FILE|JSON")]
    config: Option<Document>,
    /// A role, likewise; {} where it is not given
    #[arg(long, value_name = "FILE|JSON", requires = "config")]
    role: Option<Document>,
    /// A request, likewise; {} where it is not given
    #[arg(long, value_name = "FILE|JSON", requires = "config")]
    request: Option<Document>,
    /// Host that the provider may connect to, as scheme://host[:port]; see `lessor mount
    /// add --help`. Repeat for more
    #[arg(long = "allow-host", value_name = "GRANT")]
    allowed_hosts: Vec<String>,
    /// PEM file of the authorities that may vouch for upstream servers, beside the
    /// public ones
    #[arg(long, value_name = "FILE")]
    extra_roots: Option<PathBuf>,
    /// Longest time that one call of the provider may take
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    timeout: String,
    /// Try the rotation too: the root credential upstream is replaced, and the new
    /// config goes to this file, which must not exist yet and only you can read
    #[arg(long, value_name = "NEW_CONFIG", requires = "config")]
    rotate: Option<PathBuf>,
}

/// The source of a JSON object.
#[derive(Clone, Debug)]
enum Document {
    Text(String),
    File(PathBuf),
    Input,
}

impl FromStr for Document {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Input,
            text if text.trim_start().starts_with('{') => Self::Text(text.to_owned()),
            file => Self::File(file.into()),
        })
    }
}

impl Document {
    fn read(&self, name: &str, console: &mut Console<'_>) -> Result<Value> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(file) => std::fs::read_to_string(file)
                .with_context(|| format!("{name}: cannot read {}", file.display()))?,
            Self::Input => console.read_input()?,
        };
        // serde_json names line and column, and does not quote the text, which may be a secret.
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))?;
        if !value.is_object() {
            bail!("{name} is JSON, but no object");
        }
        Ok(value)
    }
}

/// Performs the check and prints its findings.
pub(in crate::cli) fn check(
    check: Check,
    format: Format,
    console: &mut Console<'_>,
) -> Result<ExitCode> {
    let inputs = [&check.config, &check.role, &check.request];
    let from_input = |document: &&&Option<Document>| matches!(document, Some(Document::Input));
    if inputs.iter().filter(from_input).count() > 1 {
        bail!("standard input can be taken for one document only");
    }
    let read = |document: Option<Document>, name, console: &mut Console<'_>| {
        document
            .map(|document| document.read(name, console))
            .transpose()
    };
    let config = read(check.config, "config", console)?;
    let role = read(check.role, "role", console)?;
    let request = read(check.request, "request", console)?;
    let extra_roots = match &check.extra_roots {
        Some(file) => authorities(file)?,
        None => Vec::new(),
    };
    let trial = Trial {
        config,
        role: role.unwrap_or_else(|| json!({})),
        request: request.unwrap_or_else(|| json!({})),
        grants: Grants::parse(&check.allowed_hosts)?,
        extra_roots,
        timeout: timeout(&check.timeout)?,
        rotate: check.rotate.as_deref().map(private_file).transpose()?,
    };
    super::announce_compiling(&check.file, console);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let report = runtime.block_on(conformance::check(&check.file, trial));
    if let Some(file) = &check.rotate {
        remove_if_empty(file)?;
    }
    let report = report?;
    show(&report, format, console)?;
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(report: &Report, format: Format, console: &mut Console<'_>) -> Result<()> {
    let findings = serde_json::to_value(&report.findings)?;
    match format {
        Format::Json => console.data(&output::json(&json!({
            "holds": report.holds(),
            "findings": findings,
        })))?,
        Format::Table => console.data(&output::rows(
            &["check", "result", "detail"],
            findings.as_array().into_iter().flatten(),
        ))?,
    }
    if !report.holds() && !report.said.is_empty() {
        console.note(&format!(
            "what the provider said:\n{}",
            report.said.trim_end()
        ));
    }
    console.note(&format!(
        "{} passed, {} failed, {} skipped",
        report.count(Outcome::Passed),
        report.count(Outcome::Failed),
        report.count(Outcome::Skipped)
    ));
    Ok(())
}

fn timeout(text: &str) -> Result<Duration> {
    let timeout = duration::of_text("timeout", text).map_err(|sentence| anyhow!(sentence))?;
    if timeout.is_zero() {
        bail!("timeout must be more than 0");
    }
    Ok(timeout)
}

fn authorities(file: &Path) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>> {
    let pem =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    conformance::authorities(&pem).map_err(|problem| anyhow!("{} {problem}", file.display()))
}

/// A new file for a root credential. A file that exists may hold one that is still needed.
fn private_file(file: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot make {} for the new config", file.display()))
}

/// Removes the file again if nothing was rotated, for there is no new config.
fn remove_if_empty(file: &Path) -> Result<()> {
    let metadata = std::fs::metadata(file);
    if metadata.is_ok_and(|metadata| metadata.len() == 0) {
        std::fs::remove_file(file)
            .with_context(|| format!("cannot remove {}, which is empty", file.display()))?;
    }
    Ok(())
}
