//! Programs from PyPI: the Vault client hvac, and OpenBao's `bao`, which is its
//! command line and the server that ours is compared with.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
};

use crate::server::workspace;

/// A program of the environment that `tests/clients/environment.py` makes once:
/// `python`, which has hvac, or `bao`.
///
/// # Panics
/// Where the environment cannot be made.
pub fn program(name: &str) -> PathBuf {
    static ENVIRONMENT: LazyLock<PathBuf> = LazyLock::new(environment);
    ENVIRONMENT.join("bin").join(name)
}

fn environment() -> PathBuf {
    let directory = workspace().join("target/python");
    let made = Command::new("python3")
        .arg(workspace().join("tests/clients/environment.py"))
        .arg(&directory)
        .stdin(Stdio::null())
        .output()
        .expect("run python3: it must be installed");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(
        made.status.success(),
        "tests/clients/environment.py: {said}"
    );
    directory
}
