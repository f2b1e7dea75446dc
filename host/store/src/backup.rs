//! The database in one file: copied while it is written to, checked, put back.
//!
//! A copy is one step of SQLite's backup interface, which is one snapshot of the
//! write-ahead log: writers go on meanwhile and the copy shows nothing of it. It
//! holds no key, so that without the root key it is worthless.
//!
//! Every mount of a copy is held (`holds`), whoever puts the file where: what it knows
//! is old, and the server that it was taken from may still run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
};
use tempfile::NamedTempFile;

use super::{MIGRATIONS, Storage, StorageError, all, connect, holds, migrate, one};

/// The prefix of the name of a file until it is whole. A crash leaves such a file, which is of no
/// use to anybody.
const PARTIAL: &str = "backup-";

impl Storage {
    /// A consistent copy in a temporary file beside the database, which goes
    /// when it is dropped. It needs as much space as the database.
    ///
    /// # Errors
    /// Where the disk is full or failing, or the database is damaged.
    pub async fn back_up(&self) -> Result<NamedTempFile, BackupError> {
        let directory = self.0.directory.clone();
        let copied = self.read(move |connection| Ok(copy_into(connection, &directory)));
        copied.await?
    }
}

/// Copies the database of a server that does not run into a temporary file in
/// `directory`.
///
/// # Errors
/// Where there is no database, or it cannot be read or copied.
pub fn back_up_file(database: &Path, directory: &Path) -> Result<NamedTempFile, BackupError> {
    if !database.is_file() {
        return Err(BackupError::Missing {
            path: database.to_owned(),
        });
    }
    // To be written to: what a crash left in the log is taken over first.
    let connection = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copy_into(&connection, directory)
}

/// Copies a backup into a temporary file in `directory`, and checks what was
/// copied.
///
/// # Errors
/// One sentence where it is no sound database of a version that this program
/// knows.
pub fn restore_file(backup: &Path, directory: &Path) -> Result<NamedTempFile, BackupError> {
    if !backup.is_file() {
        return Err(BackupError::Missing {
            path: backup.to_owned(),
        });
    }
    // Other files are told by their first bytes; SQLite would take an empty one
    // for an empty database.
    let mut head = [0; MAGIC.len()];
    let begins =
        fs::File::open(backup).and_then(|mut file| io::Read::read_exact(&mut file, &mut head));
    if begins.is_err() || &head != MAGIC {
        return Err(BackupError::Foreign {
            path: backup.to_owned(),
        });
    }
    let connection = connect(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let named = |error| match error {
        BackupError::Unsound { reason, .. } => BackupError::Unsound {
            path: backup.to_owned(),
            reason,
        },
        BackupError::Foreign { .. } => BackupError::Foreign {
            path: backup.to_owned(),
        },
        BackupError::Storage(StorageError::Sqlite(error)) if is_damage(&error) => {
            BackupError::Unsound {
                path: backup.to_owned(),
                reason: error.to_string(),
            }
        }
        other => other,
    };
    copy_into(&connection, directory).map_err(named)
}

/// Removes what a crash left of copies in a data directory.
pub(super) fn remove_partial(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A copy of `source`, checked, in one durable file that only its owner reads.
fn copy_into(source: &Connection, directory: &Path) -> Result<NamedTempFile, BackupError> {
    let made = tempfile::Builder::new()
        .prefix(PARTIAL)
        .suffix(".partial")
        .tempfile_in(directory);
    let file = made.map_err(|source| BackupError::File {
        path: directory.to_owned(),
        source,
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut copy = connect(file.path(), flags)?;
    match Backup::new(source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        // Not seen with a log that is written ahead, where nobody waits for a reader.
        _ => return Err(BackupError::Locked),
    }
    drop(copy);
    // Opened again, so that SQLite sees what the copied header says; without a
    // log beside it the file is complete by itself.
    let mut copy = connect(file.path(), flags)?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    check(&copy, file.path())?;
    // An older program knows of no hold, and would not keep it.
    migrate(&mut copy)?;
    holds::hold_all(&copy)?;
    drop(copy);
    file.as_file()
        .sync_all()
        .map_err(|source| BackupError::File {
            path: file.path().to_owned(),
            source,
        })?;
    Ok(file)
}

/// Whether this is a sound database of this program.
fn check(connection: &Connection, path: &Path) -> Result<(), BackupError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: Option<u32> = one(
        connection,
        "SELECT count(*) FROM sqlite_schema
         WHERE type = 'table' AND name IN ('sealed_keys', 'tokens', 'mounts', 'configs', 'roles', 'leases')",
        [],
        |row| row.get(0),
    )?;
    if version == 0 || tables != Some(6) {
        return Err(BackupError::Foreign {
            path: path.to_owned(),
        });
    }
    if version > MIGRATIONS.len() {
        return Err(StorageError::Newer {
            found: version,
            known: MIGRATIONS.len(),
        }
        .into());
    }
    let unsound = |reason| {
        Err(BackupError::Unsound {
            path: path.to_owned(),
            reason,
        })
    };
    let findings: Vec<String> = all(connection, "PRAGMA integrity_check(1)", [], |row| {
        row.get(0)
    })?;
    if let Some(finding) = findings.into_iter().find(|finding| finding != "ok") {
        return unsound(finding.replace('\n', " "));
    }
    let dangling = one(connection, "PRAGMA foreign_key_check", [], |row| {
        row.get::<_, String>(0)
    })?;
    match dangling {
        Some(table) => unsound(format!("a row of {table} refers to one that is not there")),
        None => Ok(()),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A copy that was not made or is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("there is no file {}", path.display())]
    Missing {
        /// The path at which it was looked for.
        path: PathBuf,
    },
    /// Something else than a database of this program.
    #[error("{} is no backup of a lessor server", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// Damaged.
    #[error("{} is damaged ({reason}): use another backup", path.display())]
    Unsound {
        /// The path.
        path: PathBuf,
        /// The finding of SQLite.
        reason: String,
    },
    /// The database was locked for a copy.
    #[error("the database is locked by another program: end that one first")]
    Locked,
    /// The copy cannot be made there.
    #[error("a copy cannot be written to {}", path.display())]
    File {
        /// The path of the copy.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.into())
    }
}
