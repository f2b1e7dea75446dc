//! The servers that tests and the demo start: where they are, and how they get
//! onto a machine that lacks them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::say;
use crate::workspace::{on_path, run};

/// The one package that brings a PostgreSQL server and its client.
const PACKAGE: &str = "postgresql";

/// The directory of PostgreSQL's programs (`initdb`, `postgres`, `psql`).
///
/// Distributions keep the server's programs off the search path, one directory
/// per version; then the newest is taken.
pub(crate) fn postgres() -> Option<PathBuf> {
    if let Some(initdb) = on_path("initdb") {
        // What stands on the search path may be a link to where the rest is.
        return initdb.canonicalize().ok()?.parent().map(PathBuf::from);
    }
    let versions = PathBuf::from("/usr/lib/postgresql").read_dir().ok()?;
    versions
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_string_lossy().parse().ok()?;
            let directory = entry.path().join("bin");
            directory
                .join("initdb")
                .is_file()
                .then_some((version, directory))
        })
        .max()
        .map(|(_, directory)| directory)
}

/// How a person installs PostgreSQL here.
pub(crate) fn how_to_install_postgres() -> String {
    if on_path("apt-get").is_some() {
        format!("sudo apt-get install {PACKAGE}")
    } else if on_path("dnf").is_some() {
        "sudo dnf install postgresql-server".to_owned()
    } else if on_path("brew").is_some() {
        "brew install postgresql".to_owned()
    } else {
        "install PostgreSQL 13 or newer so that `initdb` is on your PATH".to_owned()
    }
}

/// Sees to it that PostgreSQL is there: installs it with apt where that needs
/// no password, and says so before; otherwise fails with the command to type.
pub(crate) fn ensure_postgres() -> Result<()> {
    if postgres().is_some() {
        return Ok(());
    }
    let Some(apt) = apt_without_password() else {
        bail!(
            "the tests need PostgreSQL, which is not installed; type this, then try again:\n\n  {}\n",
            how_to_install_postgres()
        );
    };
    say::step(&format!(
        "Installing {PACKAGE} with apt, which the tests need"
    ));
    let get = |arguments: &[&str]| {
        let mut command = Command::new(apt.first().map_or("apt-get", |program| program));
        command
            .args(apt.iter().skip(1))
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    let install = ["install", "--yes", "--no-install-recommends", PACKAGE];
    if get(&install).is_err() {
        // A fresh machine has no package lists, an old one has stale ones.
        get(&["update"])?;
        get(&install)?;
    }
    postgres()
        .map(drop)
        .context("PostgreSQL was installed, yet there is no `initdb`")
}

/// The words that run apt-get as root without asking for a password.
fn apt_without_password() -> Option<Vec<&'static str>> {
    on_path("apt-get")?;
    if rustix::process::geteuid().is_root() {
        return Some(vec!["apt-get"]);
    }
    on_path("sudo")?;
    let free = Command::new("sudo")
        .args(["-n", "true"])
        .output()
        .ok()?
        .status
        .success();
    free.then(|| vec!["sudo", "-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
}
