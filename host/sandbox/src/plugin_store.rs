//! The plugin directory: which files it holds and which bytes may run.
//!
//! A [`VerifiedPlugin`] is bytes together with the digest that they were checked
//! against, and [`PluginStore::verify`] is its only constructor: whoever holds
//! one compiles the very bytes that were hashed, whatever happens to the file
//! meanwhile. Nothing here runs or keeps a plugin.

use std::{
    fmt,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use lessor_model::{id::Digest, provider::Failure};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};

/// The plugin directory.
#[derive(Clone, Debug)]
pub struct PluginStore {
    dir: PathBuf,
    max_bytes: u64,
}

/// The bytes of a component whose digest was checked.
pub struct VerifiedPlugin {
    digest: Digest,
    bytes: Vec<u8>,
}

/// What can be seen of the directory without reading its files. Two that differ mean
/// that something changed; two that are equal, that nothing did, unless it was within
/// one tick of the file system's clock.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Of the directory that the path leads to now, then of its files by name.
    all: Vec<(String, Option<Sign>)>,
}

/// The signs of a file: its identity, its length, and the time of its last change.
type Sign = [i128; 5];

/// A file of the plugin directory.
#[derive(Debug)]
pub struct PluginFile {
    /// Its plain name, ending in `.wasm`.
    pub file: String,
    /// Its size in bytes; 0 where it cannot be read.
    pub size: u64,
    /// Its digest, or why it has none.
    pub digest: Result<Digest, PluginError>,
}

/// The reason why a file cannot serve as a provider. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The directory itself cannot be listed.
    #[error("the plugin directory {dir} cannot be read")]
    Directory {
        /// The directory.
        dir: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The name is not that of a file in the directory.
    #[error(
        "{file:?} is not the name of a plugin file: \
         it is one name in the plugin directory, without slashes"
    )]
    BadName {
        /// The name, shortened.
        file: String,
    },
    /// There is no such file.
    #[error("the plugin directory holds no file {file:?}")]
    Missing {
        /// Its name.
        file: String,
    },
    /// A link leads out of the directory.
    #[error(
        "{file:?} is a link that leaves the plugin directory, or an absolute one: \
         copy the file there instead"
    )]
    LeavesDirectory {
        /// Its name.
        file: String,
    },
    /// A directory, device or the like.
    #[error("{file:?} is not a regular file")]
    NotAFile {
        /// Its name.
        file: String,
    },
    /// Larger than the limit.
    #[error(
        "{file:?} is larger than the {limit} bytes that a plugin may have \
         (setting `sandbox.plugin_size`)"
    )]
    TooLarge {
        /// Its name.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is there but cannot be read.
    #[error("{file:?} cannot be read")]
    Unreadable {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Its bytes are not the pinned ones.
    #[error("{file:?} has the digest {found}, but {pinned} is pinned: pin it anew or restore it")]
    Mismatch {
        /// Its name.
        file: String,
        /// The digest of its bytes.
        found: Digest,
        /// The digest that was asked for.
        pinned: Digest,
    },
    /// The bytes are no component.
    #[error("this is not a WebAssembly component: {reason}")]
    NotAComponent {
        /// The kind of file that it is instead, or the fault.
        reason: String,
    },
    /// It is made of more than a provider may be, or costs more to compile.
    #[error("this component is more than a provider may be: {reason}")]
    TooMuch {
        /// The bound that it exceeds.
        reason: String,
    },
    /// It is a component, but not of the provider world.
    #[error("this component is not a provider: {reason}")]
    ForeignWorld {
        /// The import or export that is missing or unknown.
        reason: String,
    },
    /// It was built for another version of the contract.
    #[error("this provider was built for {found}, this host speaks {speaks}")]
    WrongVersion {
        /// The interface as the component names it.
        found: String,
        /// The interface as the host names it.
        speaks: &'static str,
    },
    /// `describe` failed.
    #[error("the provider could not describe itself")]
    Describe(#[source] Failure),
    /// It begins with more than a provider may have.
    #[error("the provider cannot run")]
    Limit(#[source] Failure),
    /// Its description of itself is wrong.
    #[error("the provider describes itself wrongly: {field} {reason}")]
    Descriptor {
        /// The field of the descriptor.
        field: &'static str,
        /// The fault of that field.
        reason: String,
    },
    /// The host could not compile it for a reason of its own.
    #[error("the provider could not be prepared: {reason}")]
    Prepare {
        /// The reason.
        reason: String,
    },
}

/// The work on a thread of its own broke off.
impl From<tokio::task::JoinError> for PluginError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Prepare {
            reason: error.to_string(),
        }
    }
}

impl PluginStore {
    /// The directory `dir`, whose files may have up to `max_bytes` bytes.
    pub fn new(dir: PathBuf, max_bytes: u64) -> Self {
        Self { dir, max_bytes }
    }

    /// Reads a file and checks its digest.
    ///
    /// # Errors
    /// See [`PluginError`]; a mismatch names both digests.
    pub fn verify(&self, file: &str, expected: Digest) -> Result<VerifiedPlugin, PluginError> {
        let bytes = self.read(file)?;
        let digest = Digest::of(&bytes);
        if digest != expected {
            return Err(PluginError::Mismatch {
                file: file.to_owned(),
                found: digest,
                pinned: expected,
            });
        }
        Ok(VerifiedPlugin { digest, bytes })
    }

    /// The digest of a file's bytes now.
    ///
    /// # Errors
    /// See [`PluginError`].
    pub fn digest_of(&self, file: &str) -> Result<Digest, PluginError> {
        self.read(file).map(|bytes| Digest::of(&bytes))
    }

    /// The names of every `*.wasm` in the directory, sorted.
    ///
    /// # Errors
    /// Where the directory cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, PluginError> {
        let directory = |source| self.unlistable(source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(directory)? {
            let name = entry.map_err(directory)?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.ends_with(".wasm")) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Every `*.wasm` in the directory, sorted by name, with its digest.
    ///
    /// # Errors
    /// Where the directory cannot be listed; a file that cannot be read is an
    /// entry with its error.
    pub fn files(&self) -> Result<Vec<PluginFile>, PluginError> {
        let names = self.names()?;
        Ok(names
            .into_iter()
            .map(|file| {
                let bytes = self.read(&file);
                PluginFile {
                    size: bytes.as_ref().map_or(0, |bytes| length(bytes)),
                    digest: bytes.map(|bytes| Digest::of(&bytes)),
                    file,
                }
            })
            .collect())
    }

    /// The signs of the directory, as its path leads to it now.
    pub fn signs(&self) -> Signs {
        let mut all = vec![(
            String::new(),
            fs::metadata(&self.dir).ok().as_ref().map(sign),
        )];
        for name in self.names().unwrap_or_default() {
            let metadata = fs::metadata(self.dir.join(&name)).ok();
            all.push((name, metadata.as_ref().map(sign)));
        }
        Signs { all }
    }

    /// The bytes of a file, read once through one handle.
    fn read(&self, file: &str) -> Result<Vec<u8>, PluginError> {
        let unreadable = |source| PluginError::Unreadable {
            file: file.to_owned(),
            source,
        };
        let too_large = || PluginError::TooLarge {
            file: file.to_owned(),
            limit: self.max_bytes,
        };
        let handle = self.open(file)?;
        let metadata = handle.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(PluginError::NotAFile {
                file: file.to_owned(),
            });
        }
        if metadata.len() > self.max_bytes {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        // It may grow while it is read.
        handle
            .take(self.max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if length(&bytes) > self.max_bytes {
            return Err(too_large());
        }
        Ok(bytes)
    }

    /// Opens what the directory holds under a name. The kernel follows links, and
    /// refuses one that leaves the directory, in the same step as it opens: what
    /// was checked cannot be swapped before it is opened. A pipe is opened without
    /// waiting for its writer.
    fn open(&self, file: &str) -> Result<File, PluginError> {
        let plain = !file.is_empty()
            && file.len() <= 255
            && !matches!(file, "." | "..")
            && !file.contains(['/', '\\', '\0'])
            && !file.chars().any(char::is_control);
        if !plain {
            return Err(PluginError::BadName {
                file: file.chars().take(255).collect(),
            });
        }
        let dir = File::open(&self.dir).map_err(|source| self.unlistable(source))?;
        let opened = openat2(
            dir,
            file,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        );
        let file = file.to_owned();
        opened.map(File::from).map_err(|error| match error {
            Errno::NOENT => PluginError::Missing { file },
            Errno::XDEV => PluginError::LeavesDirectory { file },
            // A socket.
            Errno::NXIO => PluginError::NotAFile { file },
            other => PluginError::Unreadable {
                file,
                source: other.into(),
            },
        })
    }

    fn unlistable(&self, source: io::Error) -> PluginError {
        PluginError::Directory {
            dir: self.dir.display().to_string(),
            source,
        }
    }
}

impl VerifiedPlugin {
    /// The digest that the bytes have.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes that were hashed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for VerifiedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedPlugin")
            .field("digest", &self.digest)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

fn sign(metadata: &Metadata) -> Sign {
    let instant = |seconds: i64, nanoseconds: i64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    [
        metadata.dev().into(),
        metadata.ino().into(),
        metadata.size().into(),
        instant(metadata.mtime(), metadata.mtime_nsec()),
        instant(metadata.ctime(), metadata.ctime_nsec()),
    ]
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::CString,
        os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
        sync::atomic::{AtomicBool, Ordering},
    };

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    const LIMIT: u64 = 16;

    fn store() -> (tempfile::TempDir, PluginStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = PluginStore::new(dir.path().to_path_buf(), LIMIT);
        (dir, store)
    }

    #[test]
    fn a_file_with_the_pinned_digest_is_verified() {
        let (dir, store) = store();
        fs::write(dir.path().join("a.wasm"), b"bytes").unwrap();
        let digest = Digest::of(b"bytes");
        assert_eq!(store.digest_of("a.wasm").unwrap(), digest);
        let plugin = store.verify("a.wasm", digest).unwrap();
        assert_eq!(plugin.bytes(), b"bytes");
        assert_eq!(plugin.digest(), digest);
    }

    #[test]
    fn a_mismatch_names_both_digests() {
        let (dir, store) = store();
        fs::write(dir.path().join("a.wasm"), b"other").unwrap();
        let pinned = Digest::of(b"bytes");
        let error = store.verify("a.wasm", pinned).unwrap_err().to_string();
        assert!(error.contains(&pinned.to_string()), "{error}");
        assert!(error.contains(&Digest::of(b"other").to_string()), "{error}");
    }

    #[test]
    fn each_bad_file_has_its_own_error() {
        let (dir, store) = store();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x.wasm"), b"x").unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink(outside.path().join("x.wasm"), at("link.wasm")).unwrap();
        symlink("../x.wasm", at("above.wasm")).unwrap();
        symlink("nowhere.wasm", at("dangling.wasm")).unwrap();
        symlink("round.wasm", at("round.wasm")).unwrap();
        fs::create_dir(at("dir.wasm")).unwrap();
        fs::write(at("big.wasm"), [0; 17]).unwrap();
        let pipe = CString::new(at("pipe.wasm").as_os_str().as_bytes()).unwrap();
        mknodat(CWD, &*pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket.wasm")).unwrap();

        for name in [
            "",
            ".",
            "..",
            "../x.wasm",
            "a/b.wasm",
            "/etc/passwd",
            "a\0b",
            "a\nb",
        ] {
            let error = store.digest_of(name).unwrap_err();
            assert!(matches!(error, PluginError::BadName { .. }), "{name:?}");
        }
        type Expected = fn(&PluginError) -> bool;
        let expected: [(&str, Expected); 9] = [
            ("none.wasm", |error| {
                matches!(error, PluginError::Missing { .. })
            }),
            ("dangling.wasm", |error| {
                matches!(error, PluginError::Missing { .. })
            }),
            ("link.wasm", |error| {
                matches!(error, PluginError::LeavesDirectory { .. })
            }),
            ("above.wasm", |error| {
                matches!(error, PluginError::LeavesDirectory { .. })
            }),
            ("round.wasm", |error| {
                matches!(error, PluginError::Unreadable { .. })
            }),
            ("dir.wasm", |error| {
                matches!(error, PluginError::NotAFile { .. })
            }),
            ("pipe.wasm", |error| {
                matches!(error, PluginError::NotAFile { .. })
            }),
            ("socket.wasm", |error| {
                matches!(error, PluginError::NotAFile { .. })
            }),
            ("big.wasm", |error| {
                matches!(error, PluginError::TooLarge { limit: LIMIT, .. })
            }),
        ];
        for (name, is_expected) in expected {
            let error = store.digest_of(name).unwrap_err();
            assert!(is_expected(&error), "{name}: {error:?}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    /// A link and the file that it leads to outside are swapped back and forth
    /// with a file of the directory: no read may ever give the bytes outside.
    #[test]
    fn a_file_that_is_swapped_for_a_link_outside_is_never_read_through_it() {
        let (dir, store) = store();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), b"outside").unwrap();
        let path = dir.path().join("a.wasm");
        let spare = dir.path().join("spare");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    symlink(outside.path().join("secret"), &spare).unwrap();
                    fs::rename(&spare, &path).unwrap();
                    fs::write(&spare, b"inside").unwrap();
                    fs::rename(&spare, &path).unwrap();
                }
            });
            let mut found = [0_u32; 2];
            while found.contains(&0) {
                match store.digest_of("a.wasm") {
                    Ok(digest) if digest == Digest::of(b"inside") => found[0] += 1,
                    Err(PluginError::LeavesDirectory { .. }) => found[1] += 1,
                    Err(PluginError::Missing { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_link_within_the_directory_is_followed() {
        let (dir, store) = store();
        fs::write(dir.path().join("v1.wasm"), b"one").unwrap();
        symlink("v1.wasm", dir.path().join("current.wasm")).unwrap();
        assert_eq!(store.digest_of("current.wasm").unwrap(), Digest::of(b"one"));
        // As orchestrators project files: a link to a directory that they swap.
        fs::create_dir(dir.path().join("..v2")).unwrap();
        fs::write(dir.path().join("..v2/b.wasm"), b"two").unwrap();
        symlink("..v2", dir.path().join("..data")).unwrap();
        symlink("..data/b.wasm", dir.path().join("b.wasm")).unwrap();
        assert_eq!(store.digest_of("b.wasm").unwrap(), Digest::of(b"two"));
    }

    #[test]
    fn whatever_happens_to_the_directory_shows() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("a.wasm"), name).unwrap();
        }
        symlink("one", at("plugins")).unwrap();
        let store = PluginStore::new(at("plugins"), LIMIT);
        let mut former = store.signs();
        assert_eq!(store.signs(), former);
        type Change<'a> = (&'static str, &'a dyn Fn());
        let changes: [Change<'_>; 6] = [
            ("the link moves", &|| {
                symlink("two", at("new")).unwrap();
                fs::rename(at("new"), at("plugins")).unwrap();
            }),
            ("a file changes its length", &|| {
                fs::write(at("two/a.wasm"), "other").unwrap();
            }),
            ("a file is replaced", &|| {
                fs::write(at("two/b"), "third").unwrap();
                fs::rename(at("two/b"), at("two/a.wasm")).unwrap();
            }),
            ("a file goes", &|| {
                fs::remove_file(at("two/a.wasm")).unwrap()
            }),
            ("the directory goes", &|| fs::remove_dir(at("two")).unwrap()),
            ("and is back", &|| fs::create_dir(at("two")).unwrap()),
        ];
        for (what, change) in changes {
            change();
            let signs = store.signs();
            assert_ne!(signs, former, "{what}");
            former = signs;
        }
    }

    #[test]
    fn the_listing_is_sorted_and_keeps_what_cannot_be_read() {
        let (dir, store) = store();
        fs::write(dir.path().join("b.wasm"), b"bb").unwrap();
        fs::write(dir.path().join("a.wasm"), [0; 17]).unwrap();
        fs::write(dir.path().join("notes.txt"), b"no").unwrap();
        let files = store.files().unwrap();
        let names: Vec<_> = files.iter().map(|file| file.file.as_str()).collect();
        assert_eq!(names, ["a.wasm", "b.wasm"]);
        assert!(files[0].digest.is_err());
        assert_eq!(
            (files[1].size, *files[1].digest.as_ref().unwrap()),
            (2, Digest::of(b"bb"))
        );
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let store = PluginStore::new(PathBuf::from("/nonexistent/plugins"), LIMIT);
        let error = store.files().unwrap_err().to_string();
        assert!(error.contains("/nonexistent/plugins"), "{error}");
    }
}
