//! The data of a fresh cluster. Making it takes PostgreSQL a second, and every
//! cluster begins with the same: so it is made once where `cargo xtask test` names
//! a directory for it, and copied.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    OBSERVER_PASSWORD,
    programs::{command, own},
};

/// The directory of all clusters that `cargo xtask test` names and removes.
fn named() -> Option<PathBuf> {
    env::var_os("LESSOR_TEST_CLUSTERS").map(PathBuf::from)
}

/// The directory in which clusters are made.
pub fn place() -> PathBuf {
    named().unwrap_or_else(env::temp_dir)
}

/// Makes the directory `data` in `home`, which is [`own`]ed: with UTF-8, no locale,
/// and the superuser `postgres`, who logs in with [`OBSERVER_PASSWORD`].
///
/// # Panics
/// Where it cannot be made.
pub fn make_data(home: &Path) {
    match named() {
        Some(directory) => {
            let template = template(&directory);
            // Owners and modes are part of what PostgreSQL insists on.
            let copied = Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .args([template, home.join("data")])
                .status()
                .expect("run cp");
            assert!(copied.success(), "the cluster's data is copied");
        }
        None => initialise(home),
    }
}

/// The data that every cluster begins with, made by the first that asks.
fn template(directory: &Path) -> PathBuf {
    let lock = File::create(directory.join("lock")).expect("the template's lock");
    lock.lock().expect("the template is ours to make or take");
    let home = directory.join("cluster");
    let made = directory.join("made");
    if !made.exists() {
        // A test that was ended half way left half a cluster.
        let _ = fs::remove_dir_all(&home);
        fs::create_dir(&home).expect("the template's directory");
        own(&home);
        initialise(&home);
        File::create(&made).expect("the template is made");
    }
    home.join("data")
}

fn initialise(home: &Path) {
    let password_file = home.join("password");
    fs::write(&password_file, OBSERVER_PASSWORD).expect("password file");
    own(&password_file);
    let made = command("initdb")
        .arg("-D")
        .arg(home.join("data"))
        .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
        .args(["--username=postgres", "--auth=scram-sha-256"])
        .arg(format!("--pwfile={}", password_file.display()))
        .output()
        .expect("run initdb");
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}
