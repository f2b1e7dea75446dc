//! Finds PostgreSQL's programs, and chooses the user that they run as.

use std::{
    env, fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

/// A program of PostgreSQL, run as somebody whom it accepts: it refuses root.
///
/// # Panics
/// Where PostgreSQL is not installed.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(installed(program));
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group).current_dir("/");
    }
    command
}

/// The program, from the directory that `cargo xtask test` names; else from
/// where Debian puts it, newest version first; else from the search path.
fn installed(program: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    env::var_os("LESSOR_TEST_POSTGRES")
        .map(PathBuf::from)
        .into_iter()
        .chain(versions.into_iter().rev())
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed; run `cargo xtask test`"))
}

/// User and group `postgres`, where the tests run as root.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let line = passwd
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"))
        .expect("PostgreSQL refuses to run as root, and there is no user postgres");
    let mut fields = line.split(':').skip(1);
    let mut number = || fields.next()?.parse().ok();
    number().zip(number())
}

/// Gives a file to whoever runs the programs.
///
/// # Panics
/// Where that is refused.
pub fn own(path: &Path) {
    if let Some((user, group)) = unprivileged() {
        chown(path, Some(user), Some(group)).expect("chown");
    }
}
