//! A data directory that is initialised, with the first-party providers pinned
//! and compiled: made once for a build of the server and the providers, copied
//! for every test. Compiling the providers anew in each test would take most of
//! the suite's time and show nothing that one test does not.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::server::{Server, binary, built_plugins, workspace};

/// The providers that every test finds pinned.
const PROVIDERS: [&str; 2] = ["postgres", "certificate"];

/// A data directory to copy, and its root token.
pub(crate) struct Installation {
    data: PathBuf,
    pub(crate) token: String,
}

impl Installation {
    /// Copies the data directory to a place of the test's own.
    pub(crate) fn copy_to(&self, data: &Path) {
        copy(&self.data, data);
    }
}

/// The installation for the present build, made where there is none yet.
pub(crate) fn prepared() -> Installation {
    let all = workspace().join("target/installations");
    fs::create_dir_all(&all).expect("a directory for installations");
    let wanted = all.join(build());
    if !wanted.exists() {
        let lock = File::create(all.join("lock")).expect("a lock file");
        lock.lock().expect("wait for who makes it");
        if !wanted.exists() {
            make(&all, &wanted);
        }
    }
    Installation {
        data: wanted.join("data"),
        token: fs::read_to_string(wanted.join("token")).expect("a root token"),
    }
}

/// Names the build: what the binary and the providers were when last written.
fn build() -> String {
    let mut hash = Sha256::new();
    let providers = PROVIDERS.map(|name| built_plugins().join(format!("{name}.wasm")));
    for file in providers.into_iter().chain([binary()]) {
        let about = fs::metadata(&file)
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask test`", file.display()));
        let (seconds, nanoseconds) = (about.mtime(), about.mtime_nsec());
        hash.update(format!(
            "{} {} {seconds} {nanoseconds};",
            file.display(),
            about.len()
        ));
    }
    hex::encode(hash.finalize())[..16].to_owned()
}

/// Makes it aside and moves it into place, so that nobody copies half of one.
fn make(all: &Path, wanted: &Path) {
    let aside = tempfile::tempdir_in(all).expect("a temporary directory");
    let mut server = Server::setup().start_uninitialised();
    let answer = server.http.put("sys/init", &json!({})).ok().json();
    let token = answer["root_token"].as_str().expect("init gives a token");
    server.http = server.http.with_token(token);
    for name in PROVIDERS {
        let file = format!("{name}.wasm");
        server.pin(name, &file, &server.digest(&file)).ok();
    }
    let ended = server.stop();
    assert!(ended.success(), "SIGTERM is a clean end, not {ended}");
    copy(&server.data(), &aside.path().join("data"));
    fs::write(aside.path().join("token"), token).expect("write the token");
    fs::rename(aside.keep(), wanted).expect("move it into place");
}

/// Copies a directory with all that is in it, permissions included.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("make a directory");
    for entry in fs::read_dir(from).expect("read a directory") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).expect("copy a file");
        }
    }
    let mode = fs::metadata(from).expect("a directory").permissions();
    fs::set_permissions(to, mode).expect("set permissions");
}
