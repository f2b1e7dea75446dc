//! The compiled-code cache from outside: what it leaves on disk, and that it is
//! used. That nothing else is ever accepted is tested beside its code.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lessor_model::{clock::Clock, secret::Secret};
use lessor_sandbox::{CodeCacheSettings, Limits, Sandbox, SandboxSettings};

use crate::harness::guest;

async fn load(dir: &Path, key: u8) {
    let sandbox = Sandbox::new(SandboxSettings {
        clock: Clock::system(),
        code_cache: Some(CodeCacheSettings {
            dir: dir.to_path_buf(),
            key: Secret::new([key; 32]),
        }),
        limits: Limits {
            calls: 4,
            ..Limits::default()
        },
    })
    .unwrap();
    sandbox.load(guest()).await.unwrap();
}

fn entry(dir: &Path) -> PathBuf {
    let mut entries = fs::read_dir(dir).unwrap();
    let entry = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    entry
}

#[tokio::test]
async fn an_entry_is_kept_privately_and_used_again() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("code");
    load(&cache, 1).await;
    let metadata = fs::metadata(entry(&cache)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
    load(&cache, 1).await;
    // A miss would have replaced the file.
    assert_eq!(fs::metadata(entry(&cache)).unwrap().ino(), metadata.ino());
}
