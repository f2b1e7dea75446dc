//! Small C libraries that stand between the server and the C library, so that
//! a test decides what the operating system answers.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Builds `source`, a file below `tests/edge`, in `directory`; returns the path for
/// `LD_PRELOAD`.
///
/// # Panics
/// Where there is no C compiler, or it refuses the file.
pub fn shim(source: &str, directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/edge")
        .join(source);
    let library = directory.join("shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .output()
        .expect("run cc: a C compiler must be installed");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    library
}
