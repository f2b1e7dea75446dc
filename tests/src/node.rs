//! Packages from npm: the Vault client node-vault.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
};

use crate::server::workspace;

/// A script of Node.js, which finds the packages that `tests/clients/node.py` puts
/// into `target` once.
///
/// # Panics
/// Where there is no Node.js, or the packages cannot be installed.
pub fn script(path: &str) -> Command {
    static PACKAGES: LazyLock<PathBuf> = LazyLock::new(packages);
    let mut command = Command::new(node());
    command
        .arg(workspace().join(path))
        // `require` looks here for packages that are not beside the script.
        .env("NODE_PATH", PACKAGES.join("node_modules"));
    command
}

/// The directory in which `cargo xtask` puts a Node.js on a machine that has none.
fn private() -> PathBuf {
    workspace().join("target/languages/node/bin")
}

fn node() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([private()])
        .map(|directory| directory.join("node"))
        .find(|program| program.is_file())
        .expect("Node.js: type `sudo apt-get install nodejs npm`, or run `cargo xtask test`")
}

fn packages() -> PathBuf {
    let directory = workspace().join("target/node");
    let mut install = Command::new("python3");
    install
        .arg(workspace().join("tests/clients/node.py"))
        .arg(&directory)
        .stdin(Stdio::null());
    if private().is_dir() {
        install.arg(private());
    }
    let made = install.output().expect("run python3: it must be installed");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "tests/clients/node.py: {said}");
    directory
}
