//! The audit file is a file of its own: lines are appended to it from the first
//! moment on, so a database, a key or a certificate of that name would be spoilt.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use super::ConfigError;

/// Refuses an audit file that is one of `others` (each with a word for what it is), or that
/// lies in the data directory under a name that is no log's.
pub(super) fn check(
    audit: &Path,
    data_dir: &Path,
    others: &[(&'static str, &Path)],
) -> Result<(), ConfigError> {
    let refuse = |what| {
        Err(ConfigError::AuditFile {
            path: audit.to_owned(),
            what,
        })
    };
    let place = resolved(audit);
    for (what, other) in others {
        if place == resolved(other) || is_same_file(audit, other) {
            return refuse(*what);
        }
    }
    let is_log = place
        .extension()
        .is_some_and(|ending| ending == "jsonl" || ending == "log");
    if place.starts_with(resolved(data_dir)) && !is_log {
        return refuse(
            "in the data directory, where only files that end in .jsonl or .log are not lessor's own",
        );
    }
    Ok(())
}

/// The path with its links followed, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    /// Links in each other, as many as Linux follows.
    const LINKS: usize = 40;
    followed(path, LINKS)
}

fn followed(path: &Path, links: usize) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    // A link whose target does not exist yet: the file will be made at the target.
    if let (Ok(target), Some(left)) = (fs::read_link(path), links.checked_sub(1)) {
        let beside = path
            .parent()
            .map_or_else(|| target.clone(), |parent| parent.join(&target));
        return followed(&beside, left);
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return without_dots(&path);
    };
    match fs::canonicalize(parent) {
        Ok(parent) => parent.join(name),
        Err(_) => without_dots(&path),
    }
}

/// The path as it will be once its directories are made.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Whether both names are of one file, as with hard links.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_file_is_no_file_that_something_else_reads() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        let [key, certificate] = ["root.key", "server.pem"].map(|name| home.path().join(name));
        for file in [&key, &certificate] {
            fs::write(file, "x").unwrap();
        }
        std::os::unix::fs::symlink(&certificate, home.path().join("linked")).unwrap();
        std::os::unix::fs::symlink("data/root.key", home.path().join("dangling")).unwrap();
        fs::hard_link(&key, home.path().join("hard")).unwrap();
        let others = [
            ("the root key", key.as_path()),
            ("the certificate", certificate.as_path()),
        ];
        for (audit, refused) in [
            ("audit.jsonl", None),
            ("data/audit.jsonl", None),
            ("data/some/audit.log", None),
            ("missing/audit", None),
            ("root.key", Some("the root key")),
            ("data/../root.key", Some("the root key")),
            ("nowhere/../root.key", Some("the root key")),
            ("hard", Some("the root key")),
            ("linked", Some("the certificate")),
            ("dangling", Some("in the data directory")),
            ("data/lessor.db", Some("in the data directory")),
            ("data/lessor.db-wal", Some("in the data directory")),
            ("data/code/x", Some("in the data directory")),
            ("missing/../data/lessor.db", Some("in the data directory")),
        ] {
            let outcome = check(&home.path().join(audit), &data, &others);
            let said = outcome.err().map(|error| error.to_string());
            match (&said, refused) {
                (None, None) => {}
                (Some(said), Some(what)) => assert!(said.contains(what), "{audit}: {said}"),
                _ => panic!("{audit}: {said:?}"),
            }
        }
    }
}
