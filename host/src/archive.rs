//! Backups of a data directory: one file out, one file in.
//!
//! The file is the database, and nothing else: not the configuration, not the audit log, and
//! not the root key, which must be kept elsewhere and without which nobody can read the backup.
//! `cli` calls these functions for a data directory that no server uses.

use std::{fs, io, path::Path};

use lessor_store as storage;
use lessor_store::BackupError;
use tempfile::NamedTempFile;

use crate::installation::{DATABASE, InstallationError, lock, make_private};

/// Copies the database of a data directory that no server uses into a new file.
///
/// # Errors
/// Where a server uses it, there is no database, or `file` exists.
pub fn back_up(data_dir: &Path, file: &Path) -> Result<(), ArchiveError> {
    refuse_existing(file)?;
    let database = data_dir.join(DATABASE);
    if !database.is_file() {
        return Err(BackupError::Missing { path: database }.into());
    }
    let _lock = lock(data_dir)?;
    let copy = storage::back_up_file(&database, parent(file))?;
    keep(copy, file)
}

/// Puts a backup into a data directory that is empty or does not exist yet.
///
/// # Errors
/// Where something is in the directory, or the backup is no sound database of this program; the
/// directory is then left as it was.
pub fn restore(file: &Path, data_dir: &Path) -> Result<(), ArchiveError> {
    let failed = |source| InstallationError::Directory {
        path: data_dir.to_owned(),
        source,
    };
    let is_new = !data_dir.exists();
    if !is_new && fs::read_dir(data_dir).map_err(failed)?.next().is_some() {
        return Err(ArchiveError::NotEmpty {
            path: data_dir.to_owned(),
        });
    }
    make_private(data_dir)?;
    let restored = storage::restore_file(file, data_dir)
        .map_err(ArchiveError::from)
        .and_then(|copy| keep(copy, &data_dir.join(DATABASE)));
    if restored.is_err() && is_new {
        // Removes the directory only if it is empty.
        let _ = fs::remove_dir(data_dir);
    }
    restored
}

/// Refuses a name that is taken, before anything is copied.
///
/// # Errors
/// `Exists`.
pub fn refuse_existing(file: &Path) -> Result<(), ArchiveError> {
    // A link that leads nowhere counts as taken, too.
    if file.symlink_metadata().is_ok() {
        return Err(ArchiveError::Exists {
            path: file.to_owned(),
        });
    }
    Ok(())
}

/// Gives a whole copy its name, which nothing may have, and makes both durable.
///
/// # Errors
/// `Exists`, or where the name cannot be given.
pub fn keep(copy: NamedTempFile, file: &Path) -> Result<(), ArchiveError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => ArchiveError::Exists {
            path: file.to_owned(),
        },
        _ => ArchiveError::File {
            path: file.to_owned(),
            source,
        },
    };
    copy.as_file().sync_all().map_err(failed)?;
    copy.persist_noclobber(file)
        .map_err(|error| failed(error.error))?;
    fs::File::open(parent(file))
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

/// The directory that a file is in or will be.
pub fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A backup that was not made or not put back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Something has that name.
    #[error("{} exists already: name a new file", path.display())]
    Exists {
        /// The path.
        path: std::path::PathBuf,
    },
    /// Something is where a backup is to be put.
    #[error("{} is not empty: a backup is restored into a new directory", path.display())]
    NotEmpty {
        /// The path.
        path: std::path::PathBuf,
    },
    /// The file cannot be written.
    #[error("{} cannot be written", path.display())]
    File {
        /// The path.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] InstallationError),
    /// The database cannot be copied.
    #[error(transparent)]
    Copy(#[from] BackupError),
}
