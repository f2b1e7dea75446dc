//! The audit file: appended to, and followed where its path comes to name another
//! one, as it does when a log is rotated.
//!
//! A line is written and the file is changed under one lock, so every line stands
//! whole in one of the two files, and in no other.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::fs::OFlags;

/// See the file's header.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Nothing names the file any more: a line written to it would be read by
    /// nobody.
    nameless: bool,
}

impl AuditFile {
    /// Opens the file, and makes it for its owner only where it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = appended(path, OFlags::empty())?;
        Ok(Self {
            // Links are followed once, here: a link that later takes the place of the file
            // could lead to a key.
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            open: Mutex::new(Open {
                file,
                nameless: false,
            }),
        })
    }

    /// Writes `line` with one call.
    pub(super) fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.nameless {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the audit file was removed and cannot be made anew",
            ));
        }
        open.file.write_all(line)
    }

    /// Goes on in the file that the path names at present, and makes it where there is none.
    /// Returns whether it is another file. Where it cannot be opened, the former file is kept
    /// as long as a name leads to it.
    pub(super) fn follow(&self) -> io::Result<bool> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.file.metadata()?;
        if fs::metadata(&self.path).is_ok_and(|named| is_same(&held, &named)) {
            open.nameless = false;
            return Ok(false);
        }
        match appended(&self.path, OFlags::NOFOLLOW) {
            Ok(file) => {
                *open = Open {
                    file,
                    nameless: false,
                };
                Ok(true)
            }
            Err(error) => {
                open.nameless = held.nlink() == 0;
                Err(error)
            }
        }
    }
}

fn appended(path: &Path, flags: OFlags) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lines_follow_the_path_and_none_is_lost_or_written_twice() {
        const WRITERS: usize = 4;
        const LINES: usize = 500;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let file = AuditFile::open(&path).unwrap();
        let moved = |number: usize| directory.path().join(format!("audit.{number}"));
        let mut rotations = 0;
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let file = &file;
                    scope.spawn(move || {
                        for line in 0..LINES {
                            file.append(format!("{writer} {line}\n").as_bytes())
                                .unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(|writer| writer.is_finished()) {
                fs::rename(&path, moved(rotations)).unwrap();
                rotations += 1;
                assert!(file.follow().unwrap());
                assert!(!file.follow().unwrap());
            }
        });
        let mut files: Vec<PathBuf> = (0..rotations).map(moved).collect();
        files.push(path);
        let text: String = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        assert_eq!(text.lines().count(), WRITERS * LINES);
        let distinct: HashSet<&str> = text.lines().collect();
        assert_eq!(distinct.len(), WRITERS * LINES);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let [path, key] = ["audit.jsonl", "root.key"].map(|name| directory.path().join(name));
        fs::write(&key, "the key").unwrap();
        let file = AuditFile::open(&path).unwrap();
        fs::rename(&path, directory.path().join("audit.1")).unwrap();
        std::os::unix::fs::symlink(&key, &path).unwrap();
        assert!(file.follow().is_err());
        file.append(b"a line\n").unwrap();
        assert_eq!(fs::read_to_string(&key).unwrap(), "the key");
        let moved = fs::read_to_string(directory.path().join("audit.1"));
        assert_eq!(moved.unwrap(), "a line\n");
    }

    #[test]
    fn a_file_that_is_removed_is_made_anew_or_takes_no_lines() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("below");
        fs::create_dir(&below).unwrap();
        let path = below.join("audit.jsonl");
        let file = AuditFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(file.follow().unwrap());
        file.append(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        // The file is moved, and none can be made in its place: lines go on into the moved one.
        let elsewhere = directory.path().join("elsewhere");
        fs::rename(&below, &elsewhere).unwrap();
        file.follow().unwrap_err();
        file.append(b"two\n").unwrap();
        assert_eq!(
            fs::read_to_string(elsewhere.join("audit.jsonl")).unwrap(),
            "one\ntwo\n"
        );

        // The moved file is removed too: nobody would read a line.
        fs::remove_file(elsewhere.join("audit.jsonl")).unwrap();
        file.follow().unwrap_err();
        file.append(b"three\n").unwrap_err();
        fs::rename(&elsewhere, &below).unwrap();
        assert!(file.follow().unwrap());
        file.append(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
    }
}
