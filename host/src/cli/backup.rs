//! `lessor backup` and `lessor restore`: the database out into one file, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{Connection, Console, Session};
use crate::archive;

/// The destination of the backup, and its source.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to make; one that exists is left alone
    file: PathBuf,
    /// Take it from this data directory, whose server does not run, and not from
    /// a running server
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The backup that is put back, and its destination.
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `lessor backup` made
    file: PathBuf,
    /// The data directory to make; it must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Makes a backup.
pub(super) fn back_up(
    backup: &Backup,
    connection: Connection,
    console: &mut Console<'_>,
) -> Result<()> {
    let file = &backup.file;
    match &backup.data_dir {
        Some(data_dir) => archive::back_up(data_dir, file)?,
        None => {
            archive::refuse_existing(file)?;
            let session = Session::open(connection, console)?;
            let mut copy = tempfile::Builder::new()
                .prefix(".lessor-backup-")
                .tempfile_in(archive::parent(file))
                .with_context(|| format!("{} cannot be written", file.display()))?;
            session
                .client
                .download("sys/storage/backup", copy.as_file_mut())?;
            archive::keep(copy, file)?;
        }
    }
    console.note(&format!(
        "{} holds the database; the root key is not in it: keep a copy of the key file \
         (root.key in the data directory, or where [seal] file says) in another place",
        file.display()
    ));
    Ok(())
}

/// Puts a backup back, and tells the operator the steps that are left.
pub fn restore(restore: &Restore, console: &mut Console<'_>) -> ExitCode {
    let data_dir = &restore.data_dir;
    if let Err(error) = archive::restore(&restore.file, data_dir) {
        console.note(&format!("error: {:#}", anyhow::Error::new(error)));
        return ExitCode::FAILURE;
    }
    console.note(&format!(
        "{} holds the database of {}; before a server starts on it, put the root key of that time \
         to {} with mode 0600, or name its place in [seal] file; once it runs, it ends and rotates nothing \
         by itself: `lessor hold` lists what is overdue, `lessor reconcile MOUNT` what was made since, and \
         `lessor release [MOUNT]` lets it go on",
        data_dir.display(),
        restore.file.display(),
        data_dir.join("root.key").display(),
    ));
    ExitCode::SUCCESS
}
