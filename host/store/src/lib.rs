//! SQLite: all that lasts, and all SQL.
//!
//! One thread writes. It takes every write that waits, runs each in a savepoint
//! of one transaction, commits, and only then answers: a group commit, so that
//! one sync of the disk serves many requests and nothing is acknowledged before
//! it is durable. Readers have connections of their own. Functions are named by
//! intent and stand in the submodules, one per table; no provider is ever called
//! within a transaction.

mod backup;
mod configs;
mod connections;
mod due;
#[cfg(any(test, feature = "test-hooks"))]
mod faults;
mod first_token;
mod giving_up;
mod holdings;
mod holds;
mod idempotency;
mod identity;
pub mod kept;
mod keys;
mod leases;
mod login_failures;
mod logins;
mod mounts;
mod pins;
mod policies;
mod quarantine;
mod revocations;
mod roles;
mod rotations;
mod secret_ids;
mod static_role_rotations;
mod static_roles;
mod tasks;
mod tokens;
mod versions;
mod wrappings;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use lessor_model::{
    clock::Timestamp,
    id::{OperationId, RoleName},
    refusal::Refusal,
};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, config::DbConfig};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    due::Earliest,
    kept::{Feed, Kept},
};

pub use backup::{BackupError, back_up_file, restore_file};
pub use configs::{ConfigRow, ConfigState, DueRotation, Erasure, NewConfig, RootSchedule};
pub use connections::ConnectionRow;
pub use due::Due;
#[cfg(any(test, feature = "test-hooks"))]
use faults::Faults;
pub use holdings::Holding;
pub use holds::{Overdue, OverduePlace};
pub use idempotency::IdempotencyRow;
pub use identity::IdentityKeyRow;
pub use leases::{Activation, Cap, Intent, LeaseRow, LeaseState, Made, NewLease};
pub use logins::LoginEntryRow;
pub use mounts::{FormerPath, MountRow, NewMount};
pub use pins::{PinRow, PinSource};
pub use policies::PolicyRow;
pub use quarantine::{Found, Quarantined, Sorted};
pub use revocations::{EarlyRevocation, Lateness, Left, PurgeScope};
pub use roles::{NewRole, RoleRow};
pub use rotations::{DueRotations, RotationRow, RotationState};
pub use secret_ids::SecretIdRow;
pub use static_role_rotations::{CredentialRow, NewCredential, Place, Retires, StaticRoleFailure};
pub use static_roles::{
    Added, Former, NewStaticRole, StaticRoleChange, StaticRoleRow, StaticRoleState,
};
pub use tasks::{TaskError, TaskRow, TaskState};
pub use tokens::{LoginOrigin, TokenFacts, TokenRow};

/// The migrations in order; the file's `user_version` counts those applied.
const MIGRATIONS: [&str; 19] = [
    include_str!("migrations/0001_ground.sql"),
    include_str!("migrations/0002_schedules.sql"),
    include_str!("migrations/0003_static_roles.sql"),
    include_str!("migrations/0004_quarantine.sql"),
    include_str!("migrations/0005_ending.sql"),
    include_str!("migrations/0006_idempotency.sql"),
    include_str!("migrations/0007_tasks.sql"),
    include_str!("migrations/0008_remount.sql"),
    include_str!("migrations/0009_access.sql"),
    include_str!("migrations/0010_orders.sql"),
    include_str!("migrations/0011_roots.sql"),
    include_str!("migrations/0012_versions.sql"),
    include_str!("migrations/0013_lengths.sql"),
    include_str!("migrations/0014_origins.sql"),
    include_str!("migrations/0015_first_token.sql"),
    include_str!("migrations/0016_former_paths.sql"),
    include_str!("migrations/0017_connections.sql"),
    include_str!("migrations/0018_mounts.sql"),
    include_str!("migrations/0019_identity.sql"),
];

/// Writes that one commit may carry. Measured: beyond about 64 the commit is
/// bound by dirtied pages, not by the sync; more would only add latency.
const BATCH_LIMIT: usize = 128;

/// Writes that may wait. A full queue makes callers wait, which is the
/// back-pressure wanted when the disk is slow.
const QUEUE_LIMIT: usize = 4096;

/// Reading connections: queries are short, and two cores serve no more at once.
const READERS: usize = 4;

type Settle = Box<dyn FnOnce(Result<(), StorageError>) + Send>;
type Job = Box<dyn FnOnce(&Connection) -> Settle + Send>;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    /// The directory of the file.
    directory: PathBuf,
    #[cfg(any(test, feature = "test-hooks"))]
    faults: Faults,
    writer: mpsc::Sender<Job>,
    due: Arc<Due>,
    readers: Mutex<Vec<Connection>>,
    free_readers: Semaphore,
    /// Tokens by hash.
    tokens: Kept<[u8; 32], TokenRow>,
    /// Current roles by mount and name.
    roles: Kept<(i64, RoleName), RoleRow>,
    feed: Feed,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Storage")
    }
}

impl Storage {
    /// Opens the database file, made where it is missing, and migrates it.
    ///
    /// # Errors
    /// Where the file cannot be opened, is no database of this program, or was
    /// written by a newer version of it.
    pub fn open(file: &Path) -> Result<Self, StorageError> {
        let mut writer = connect(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // Every acknowledged commit survives a crash of the machine.
        writer.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut writer)?;
        writer.pragma_update(None, "foreign_keys", true)?;
        let feed = Feed::follow(&writer)?;
        let earliest = Earliest::watch(&writer)?;
        let due = Arc::new(Due::default());

        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?);
        }
        let (sender, receiver) = mpsc::channel(QUEUE_LIMIT);
        #[cfg(any(test, feature = "test-hooks"))]
        let faults = Faults::default();
        thread::Builder::new()
            .name("lessor-writer".into())
            .spawn({
                #[cfg(any(test, feature = "test-hooks"))]
                let faults = faults.clone();
                let due = Arc::clone(&due);
                let feed = feed.clone();
                move || {
                    write_loop(
                        &writer,
                        receiver,
                        |committed| {
                            feed.settle();
                            earliest.settle(committed, &due);
                        },
                        #[cfg(any(test, feature = "test-hooks"))]
                        &faults,
                    );
                }
            })
            .map_err(StorageError::Thread)?;
        let directory = file.parent().unwrap_or(Path::new(".")).to_owned();
        backup::remove_partial(&directory);
        Ok(Self(Arc::new(Inner {
            directory,
            #[cfg(any(test, feature = "test-hooks"))]
            faults,
            writer: sender,
            due,
            readers: Mutex::new(readers),
            free_readers: Semaphore::new(READERS),
            tokens: Kept::until(feed.tokens.clone()),
            roles: Kept::until(feed.roles.clone()),
            feed,
        })))
    }

    /// Runs `work` in the next commit; answers once that commit is durable. An
    /// error of `work` undoes only what `work` did.
    async fn write<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = in_savepoint(connection, work);
            Box::new(move |committed| {
                // Nobody listening means that the caller went away; the write stands.
                let _ = sender.send(committed.and(outcome));
            })
        });
        self.0
            .writer
            .send(job)
            .await
            .map_err(|_| StorageError::Closed)?;
        receiver.await.map_err(|_| StorageError::Closed)?
    }

    /// [`Self::write`] of one statement; whether it changed a row.
    async fn execute_any(
        &self,
        sql: &'static str,
        parameters: impl rusqlite::Params + Send + 'static,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| Ok(change(connection, sql, parameters)? > 0))
            .await
    }

    /// [`Self::execute_any`], where it does not matter.
    async fn execute(
        &self,
        sql: &'static str,
        parameters: impl rusqlite::Params + Send + 'static,
    ) -> Result<(), StorageError> {
        self.execute_any(sql, parameters).await.map(drop)
    }

    /// Finds a row by its key, where every request looks: in place, because going to
    /// another thread and back costs more than the query. What may read many rows
    /// is for [`Self::read`].
    async fn find<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let free = self.0.free_readers.acquire().await;
        let _permit = free.map_err(|_| StorageError::Closed)?;
        self.on_a_reader(query)
    }

    /// Runs a query on a reading connection, off the async threads.
    async fn read<T, F>(&self, query: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    {
        let storage = self.clone();
        let free = self.0.free_readers.acquire().await;
        let _permit = free.map_err(|_| StorageError::Closed)?;
        tokio::task::spawn_blocking(move || storage.on_a_reader(query))
            .await
            .map_err(|_| StorageError::Closed)?
    }

    /// To be run with a permit, which there are as many of as there are readers.
    fn on_a_reader<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let readers = || {
            self.0
                .readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let connection = readers().pop().ok_or(StorageError::Closed)?;
        let outcome = query(&connection);
        readers().push(connection);
        outcome
    }
}

fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, StorageError> {
    let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // One plan for a statement, whatever is bound: otherwise each with `LIMIT ?` is
    // compiled anew for every number.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Applies the migrations that a file has not seen.
///
/// A table whose definition changes is made anew and filled: for as long as the former
/// one is being dropped, nothing may follow its rows away, so references are not kept
/// up meanwhile. They are checked before each migration is committed.
fn migrate(connection: &mut Connection) -> Result<(), StorageError> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let applied: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if applied > MIGRATIONS.len() {
        return Err(StorageError::Newer {
            found: applied,
            known: MIGRATIONS.len(),
        });
    }
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(applied) {
        let transaction = connection.transaction()?;
        let dangling = dangling(&transaction)?;
        transaction.execute_batch(sql)?;
        if self::dangling(&transaction)? > dangling {
            return Err(StorageError::Dangling {
                migration: index + 1,
            });
        }
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

fn write_loop(
    connection: &Connection,
    mut jobs: mpsc::Receiver<Job>,
    settled: impl Fn(bool),
    #[cfg(any(test, feature = "test-hooks"))] faults: &Faults,
) {
    let mut batch = Vec::with_capacity(BATCH_LIMIT);
    while jobs.blocking_recv_many(&mut batch, BATCH_LIMIT) > 0 {
        #[cfg(any(test, feature = "test-hooks"))]
        faults.before_commit(connection);
        commit(connection, &mut batch, &settled);
    }
}

/// Runs the writes of a batch in one transaction, and answers all of them, `settled`
/// before: what was kept is older than that then, and due work is known.
fn commit(connection: &Connection, batch: &mut Vec<Job>, settled: impl Fn(bool)) {
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        tracing::error!(%error, "could not begin a transaction");
        // A job that is dropped answers that the database takes no requests.
        batch.clear();
        return;
    }
    let mut settles = Vec::with_capacity(batch.len());
    for job in batch.drain(..) {
        settles.push(job(connection));
        if connection.is_autocommit() {
            // A full or failing disk makes SQLite roll back all of it. What
            // would run now would run outside any transaction.
            break;
        }
    }
    let committed = if connection.is_autocommit() {
        Err(CommitFailure::rolled_back())
    } else {
        run(connection, "COMMIT").map_err(|error| CommitFailure::from(&error))
    };
    if committed.is_err() {
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        // On a full disk the log cannot grow; taken over into the database, its
        // own space serves again. Where that fails, too, only space will help.
        let _ = connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
    }
    settled(committed.is_ok());
    for settle in settles {
        settle(committed.clone().map_err(StorageError::Commit));
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    run(connection, "SAVEPOINT job")?;
    let outcome = work(connection);
    if connection.is_autocommit() {
        // SQLite has rolled back the whole transaction, and the savepoint with it.
        return outcome.and(Err(StorageError::Commit(CommitFailure::rolled_back())));
    }
    if outcome.is_err() {
        run(connection, "ROLLBACK TO job")?;
    }
    run(connection, "RELEASE job")?;
    outcome
}

/// Runs a statement without parameters, prepared once.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// A column that holds a moment.
fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp)
}

/// A column that may hold a moment.
fn maybe_moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)
        .map(|ms| ms.map(Timestamp))
}

/// A column that holds an operation id.
fn operation(row: &Row<'_>, column: &str) -> rusqlite::Result<OperationId> {
    row.get::<_, [u8; 16]>(column).map(OperationId::from_bytes)
}

/// A column that holds JSON written by this program.
fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: &'static str,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

/// The error of a column whose value this program cannot have written.
fn unreadable(
    column: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    tracing::error!(column, %error, "a stored value is unreadable");
    let named = format!("{column}: {error}");
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, named.into())
}

/// JSON text of a value of this program.
fn to_json(value: &impl serde::Serialize) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(StorageError::Json)
}

/// The only row of a query, or none.
fn one<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StorageError> {
    Ok(connection
        .prepare_cached(sql)?
        .query_row(parameters, read)
        .optional()?)
}

/// All rows of a query.
fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StorageError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, read)?;
    rows.collect::<Result<_, _>>().map_err(StorageError::from)
}

/// Runs a statement; the number of rows it changed.
/// References to rows that are not there.
fn dangling(connection: &Connection) -> Result<usize, StorageError> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut found = 0;
    while rows.next()?.is_some() {
        found += 1;
    }
    Ok(found)
}

fn change(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<usize, StorageError> {
    Ok(connection.prepare_cached(sql)?.execute(parameters)?)
}

/// The reason why a commit failed; every write of the batch is told.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the commit failed: {message}")]
pub struct CommitFailure {
    message: String,
    refuses_writes: bool,
}

impl From<&rusqlite::Error> for CommitFailure {
    fn from(error: &rusqlite::Error) -> Self {
        Self {
            message: error.to_string(),
            refuses_writes: refuses_writes(error),
        }
    }
}

impl CommitFailure {
    /// Of a transaction that SQLite ended by itself, because the disk is full or
    /// failing.
    fn rolled_back() -> Self {
        Self {
            message: "the transaction was rolled back".into(),
            refuses_writes: true,
        }
    }
}

fn refuses_writes(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
        )
    )
}

/// The reason why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// SQLite said no.
    #[error("the database refused a statement")]
    Sqlite(#[from] rusqlite::Error),
    /// The batch that held this write did not commit.
    #[error(transparent)]
    Commit(CommitFailure),
    /// A value could not be written as JSON.
    #[error("a value cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// A migration does not fit what is in the file.
    #[error(
        "migration {migration} would leave references to rows that are not there; the database stays as it was"
    )]
    Dangling {
        /// Its number.
        migration: usize,
    },
    /// A newer version of this program wrote the file.
    #[error("the database has {found} migrations, this program knows {known}: use a newer lessor")]
    Newer {
        /// Migrations in the file.
        found: usize,
        /// Migrations of this program.
        known: usize,
    },
    /// The writer could not be started.
    #[error("cannot start the database writer")]
    Thread(#[source] std::io::Error),
    /// The program is shutting down, or the writer could not begin.
    #[error("the database does not take requests")]
    Closed,
}

impl StorageError {
    /// Whether the disk is the cause: full, read-only or failing. What was asked
    /// for was not done, and may be asked for again.
    pub fn refuses_writes(&self) -> bool {
        match self {
            Self::Sqlite(error) => refuses_writes(error),
            Self::Commit(failure) => failure.refuses_writes,
            Self::Closed => true,
            Self::Json(_) | Self::Newer { .. } | Self::Dangling { .. } | Self::Thread(_) => false,
        }
    }

    /// Whether a row holds what this program cannot have written.
    pub fn is_unreadable(&self) -> bool {
        matches!(
            self,
            Self::Sqlite(
                rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
                    | rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::Utf8Error(..)
            )
        )
    }

    /// Whether a uniqueness rule refused the write.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation))
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        if error.refuses_writes() {
            tracing::error!(error = %error, "storage refused a write");
            Self::Unavailable(
                "storage refuses writes (disk full, read-only or failing), so what was asked for is not recorded; \
                 requests succeed again once it accepts them"
                    .into(),
            )
        } else {
            Self::internal(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_write_undoes_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(&directory.path().join("lessor.db")).unwrap();
        let insert = |version: i64, fail: bool| {
            storage.write(move |connection| {
                connection.execute(
                    "INSERT INTO sealed_keys VALUES ('data', ?1, x'00')",
                    [version],
                )?;
                if fail {
                    Err(StorageError::Closed)
                } else {
                    Ok(())
                }
            })
        };
        let (kept, undone, also_kept) =
            tokio::join!(insert(1, false), insert(2, true), insert(3, false));
        assert!(kept.is_ok() && undone.is_err() && also_kept.is_ok());
        let versions = storage
            .read(|connection| {
                all(connection, "SELECT version FROM sealed_keys", [], |row| {
                    row.get::<_, i64>(0)
                })
            })
            .await
            .unwrap();
        assert_eq!(versions, [1, 3]);
    }

    async fn fill(storage: &Storage, bytes: usize) -> Result<(), StorageError> {
        let key = lessor_model::random::bytes::<8>()
            .map(i64::from_be_bytes)
            .unwrap();
        storage
            .write(move |connection| {
                change(
                    connection,
                    "INSERT INTO sealed_keys VALUES ('data', 1 + (?1 & 0xffffffff), zeroblob(?2))",
                    rusqlite::params![key, bytes],
                )
                .map(drop)
            })
            .await
    }

    async fn count(storage: &Storage) -> u32 {
        let counted = storage.read(|connection| {
            one(connection, "SELECT count(*) FROM sealed_keys", [], |row| {
                row.get(0)
            })
        });
        counted.await.unwrap().unwrap()
    }

    /// A full disk makes SQLite roll back the transaction that others share:
    /// each is told, none of them is half done, and all goes on afterwards.
    #[tokio::test]
    async fn a_full_disk_fails_the_whole_batch_and_only_that() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(&directory.path().join("lessor.db")).unwrap();
        fill(&storage, 10).await.unwrap();
        storage.fail(1, None);
        let writes = (0..40).map(|index| fill(&storage, if index % 2 == 0 { 10 } else { 9_000 }));
        let outcomes = futures_util::future::join_all(writes).await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(count(&storage).await as usize, 1 + done);
        assert!(outcomes.iter().any(Result::is_err));
        for outcome in outcomes {
            assert!(outcome.is_ok() || outcome.unwrap_err().refuses_writes());
        }
        storage.fail(0, None);
        fill(&storage, 9_000).await.unwrap();

        storage.fail(0, Some(1));
        fill(&storage, 10).await.unwrap();
        let before = count(&storage).await;
        for _ in 0..3 {
            assert!(fill(&storage, 10).await.unwrap_err().refuses_writes());
        }
        assert_eq!(count(&storage).await, before);
        storage.fail(0, None);
        fill(&storage, 10).await.unwrap();
    }

    /// Tokens that logins gave before anybody kept what gave them are renewed as those
    /// made since, and no others are touched.
    #[test]
    fn tokens_of_before_say_which_login_gave_them() {
        let origins = MIGRATIONS.iter().position(|sql| sql.contains("'$.login'"));
        let (before, rest) = MIGRATIONS.split_at(origins.unwrap());
        let connection = Connection::open_in_memory().unwrap();
        for sql in before {
            connection.execute_batch(sql).unwrap();
        }
        for (path, kind) in [
            ("people", "userpass"),
            ("team/ci", "approle"),
            ("id", "jwt"),
        ] {
            let sql = "INSERT INTO auth_mounts (path, kind, accessor, uuid, description, tune, created_at)
                       VALUES (?1, ?2, ?1, 'uuid of ' || ?1, '', '{}', 0)";
            connection.execute(sql, (path, kind)).unwrap();
        }
        let cases = [
            (
                "auth/people/login/bob",
                r#"{"meta":{"username":"bob"}}"#,
                Some(("people", "bob")),
            ),
            (
                "auth/team/ci/login",
                r#"{"meta":{"role_name":"app","role":"x"}}"#,
                Some(("team/ci", "app")),
            ),
            (
                "auth/id/login",
                r#"{"meta":{"role":"dev"},"period":7}"#,
                Some(("id", "dev")),
            ),
            ("auth/id/login", r#"{"meta":null}"#, Some(("id", ""))),
            ("auth/token/create", r#"{"meta":{"role":"dev"}}"#, None),
            ("auth/token/create/people/login", "{}", None),
            ("auth/people/users/bob", "{}", None),
            ("auth/peoples/login", "{}", None),
        ];
        for (number, (path, facts, _)) in cases.iter().enumerate() {
            let sql = "INSERT INTO tokens (hash, accessor, display_name, policies, created_at, path, facts)
                       VALUES (?1, ?2, '', '[]', 0, ?3, ?4)";
            let hash = [u8::try_from(number).unwrap(); 32];
            connection
                .execute(sql, (hash, number.to_string(), path, facts))
                .unwrap();
        }
        for sql in rest {
            connection.execute_batch(sql).unwrap();
        }
        for (number, (path, _, expected)) in cases.into_iter().enumerate() {
            let sql = "SELECT facts FROM tokens WHERE accessor = ?1";
            let text: String = connection
                .query_row(sql, [number.to_string()], |row| row.get(0))
                .unwrap();
            let facts: TokenFacts = serde_json::from_str(&text).unwrap();
            let expected = expected.map(|(mount, name)| LoginOrigin {
                mount: format!("uuid of {mount}"),
                name: name.to_owned(),
                ..LoginOrigin::default()
            });
            assert_eq!(facts.login, expected, "{path}");
            assert_eq!(
                facts.period,
                if text.contains("\"period\":7") { 7 } else { 0 }
            );
        }
    }

    /// Rows of a mount from before it could have several connections belong to its default one.
    #[tokio::test]
    async fn what_was_of_a_mount_is_of_its_default_connection() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lessor.db");
        let sql = include_str!("migrations/0017_connections.sql");
        let before = MIGRATIONS.iter().position(|known| *known == sql).unwrap();
        let connection = Connection::open(&file).unwrap();
        for sql in &MIGRATIONS[..before] {
            connection.execute_batch(sql).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO mounts (id, path, accessor, uuid, plugin, description, tune, state, created_at) VALUES
                   (3, 'db', 'a', 'u', 'p', '', '{}', 'live', 0), (9, 'gone', 'b', 'v', 'p', '', '{}', 'draining', 0);
                 DELETE FROM mounts WHERE id = 9;
                 INSERT INTO configs VALUES
                   (3, 1, 'retired', NULL, 'root', '[]', '{}', NULL, 0), (3, 2, 'current', x'01', 'root', '[]', '{}', 'old', 0);
                 INSERT INTO rotation_schedules (mount_id, period_ms, grace_ms, on_config, next_rotation_at, last_error)
                   VALUES (3, 60000, 5, 1, 77, 'why');
                 INSERT INTO rotations VALUES
                   (x'00000000000000000000000000000001', 3, 'retiring', 1, 2, 4, 88, 'slow', 0, NULL);
                 INSERT INTO roles (id, mount_id, name, current, host, document, created_at)
                   VALUES (5, 3, 'app', 1, '{\"max_leases\":0,\"name_template\":\"{random}\",\"bind_to_token\":false,\"db_name\":\"pg\"}', x'00', 0);
                 INSERT INTO leases (operation, mount_id, role_id, state, principal, credential_id, metadata, requester,
                     plugin_sha256, config_version, issued_at, expires_at, attempts, due_at)
                   VALUES (x'00000000000000000000000000000002', 3, 5, 'active', 'p', 'c', '{}',
                     '{\"display_name\":\"d\",\"accessor\":\"a\"}', zeroblob(32), 2, 0, 99, 0, 99);
                 INSERT INTO revocation_orders (role_id, mount_id, newest, taken, ordered_at)
                   VALUES (5, 3, x'00000000000000000000000000000002', x'', 66);
                 INSERT INTO static_roles (id, mount_id, name, account, db_name, document, period_ms, state, attempts,
                     reached, version, created_at)
                   VALUES (7, 3, 'billing', 'billing', 'pg', x'00', 0, 'idle', 0, 0, 1, 0);
                 INSERT INTO account_credentials (static_role_id, place, version, secret, created_at)
                   VALUES (7, 'current', 1, x'02', 0);
                 INSERT INTO early_revocations VALUES (3, 'c', 1, NULL);",
            )
            .unwrap();
        connection
            .pragma_update(None, "user_version", before)
            .unwrap();
        drop(connection);

        let storage = Storage::open(&file).unwrap();
        let known = storage.connections().await.unwrap();
        let [default] = &*known else {
            panic!("{known:?}")
        };
        // Its number is part of what its root credentials are sealed for.
        let of = default.id;
        assert_eq!((of.0, default.mount_id), (3, 3));
        assert!(default.name.is_default());
        let config = storage.current_config(of).await.unwrap().unwrap();
        assert_eq!((config.version, config.document), (2, Some(vec![1])));
        let schedule = storage.schedule(of).await.unwrap().unwrap();
        assert_eq!(schedule.next, Some(Timestamp(77)));
        assert_eq!(schedule.last_error.as_deref(), Some("why"));
        let ending = storage.ending_rotations(of).await.unwrap();
        assert_eq!((ending[0].former_version, ending[0].attempts), (1, 4));
        let role = storage.current_role(3, "app".parse().unwrap()).await;
        let role = role.unwrap().unwrap();
        assert_eq!(
            (role.connection, role.host.db_name.as_deref()),
            (of, Some("pg"))
        );
        assert_eq!(storage.next_due(of).await.unwrap(), Some(Timestamp(66)));
        let due = storage
            .claim_due(of, Timestamp(99), Timestamp(999), 9)
            .await;
        let due = due.unwrap().rows;
        assert!(due.len() == 1 && due[0].connection == of, "{due:?}");
        let account = storage.static_role(3, "billing".parse().unwrap()).await;
        let account = account.unwrap().unwrap();
        assert_eq!((account.id, account.connection), (7, of));
        let credential = storage.static_role_credential(7, Place::Current).await;
        assert_eq!(credential.unwrap().unwrap().secret, [2]);
        let revoked = storage.early_revocations(of, Timestamp(0)).await;
        assert_eq!(revoked.unwrap().len(), 1);
        // A new one gets no number that any mount had.
        let orders = "orders".parse().unwrap();
        assert!(storage.name_connection(3, orders).await.unwrap().0 > 9);
        drop(storage);
        let again = Storage::open(&file).unwrap();
        assert_eq!(again.connections().await.unwrap().len(), 2);
    }

    /// A login method that was enabled before it was a mount keeps all that it had, and what
    /// it sealed can be opened: that has its former number in it.
    #[tokio::test]
    async fn a_login_method_becomes_a_mount_with_all_that_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lessor.db");
        let sql = include_str!("migrations/0018_mounts.sql");
        let before = MIGRATIONS.iter().position(|known| *known == sql).unwrap();
        let connection = Connection::open(&file).unwrap();
        connection
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        for sql in &MIGRATIONS[..before] {
            connection.execute_batch(sql).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO mounts (id, path, known_as, accessor, uuid, plugin, description, tune, state, created_at)
                   VALUES (1, 'db', 'db', 'a', 'u', 'p', 'd', '{}', 'live', 5);
                 INSERT INTO connections (id, mount_id, name) VALUES (1, 1, 'default');
                 INSERT INTO auth_mounts (id, path, kind, accessor, uuid, description, tune, config, created_at) VALUES
                   (1, 'people', 'userpass', 'b', 'v', '', '{\"default_lease_ttl\":{\"secs\":60,\"nanos\":0},\"max_lease_ttl\":{\"secs\":0,\"nanos\":0},\"token_type\":\"service\",\"lockout\":{\"threshold\":9,\"duration\":{\"secs\":1,\"nanos\":0},\"counter_reset\":{\"secs\":1,\"nanos\":0},\"disabled\":true},\"vault\":{}}', NULL, 6),
                   (7, 'ci', 'approle', 'c', 'w', '', '{}', x'09', 7);
                 INSERT INTO auth_entries (mount_id, name, alias, document, uuid) VALUES
                   (1, 'bob', NULL, x'01', 'e'), (7, 'app', 'role-id', x'02', 'f');
                 INSERT INTO secret_ids VALUES (7, 'app', zeroblob(32), 's', NULL, NULL, '{}');
                 INSERT INTO login_failures VALUES (1, 'bob', 3, 4, NULL);",
            )
            .unwrap();
        connection
            .pragma_update(None, "user_version", before)
            .unwrap();
        drop(connection);

        let storage = Storage::open(&file).unwrap();
        let mounts = storage.mounts().await.unwrap();
        let of = |path: &str| {
            let found = mounts.iter().find(|row| row.mount.path.as_str() == path);
            found.unwrap()
        };
        let (db, people, ci) = (of("db"), of("people"), of("ci"));
        assert_eq!(
            (db.id, db.sealed_as, db.mount.accessor.as_str()),
            (1, 1, "a")
        );
        assert_eq!((people.sealed_as, ci.sealed_as), (1, 7));
        // None has a number that one had before.
        assert!(people.id > 7 && ci.id > 7 && people.id != ci.id);
        use lessor_model::{login, mount::Kind};
        assert_eq!(people.mount.kind, Kind::Login(login::Kind::Userpass));
        assert_eq!(people.mount.known_as, "auth/people");
        let tune = &people.mount.tune;
        assert_eq!(tune.default_lease_ttl, std::time::Duration::from_secs(60));
        assert!(tune.lockout.threshold == 9 && tune.lockout.disabled);
        assert_eq!(ci.config, Some(vec![9]));
        let bob = storage.login_entry(people.id, "bob".parse().unwrap()).await;
        assert_eq!(bob.unwrap().unwrap().document, [1]);
        let app = storage.login_entry_by_alias(ci.id, "role-id".into()).await;
        assert_eq!(app.unwrap().unwrap().uuid, "f");
        let secrets = storage.secret_id_accessors(ci.id, "app".parse().unwrap(), Timestamp(0));
        assert_eq!(secrets.await.unwrap(), ["s"]);
        let failed = storage.login_failures(people.id, "bob".into()).await;
        assert_eq!(failed.unwrap().map(|failed| failed.count), Some(3));
        storage.remove_login_mount(ci.id).await.unwrap();
        let gone = storage.login_entry(ci.id, "app".parse().unwrap()).await;
        assert!(gone.unwrap().is_none());
    }

    /// Roles from before 0 was "not set", and a task of that time.
    #[tokio::test]
    async fn a_role_that_said_zero_says_nothing_once_its_file_is_migrated() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lessor.db");
        let sql = include_str!("migrations/0013_lengths.sql");
        let before = MIGRATIONS.iter().position(|known| *known == sql).unwrap();
        let connection = Connection::open(&file).unwrap();
        for sql in &MIGRATIONS[..before] {
            connection.execute_batch(sql).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO mounts (id, path, accessor, uuid, plugin, description, tune, state, created_at)
                   VALUES (1, 'db', 'a', 'u', 'p', '', '{}', 'live', 0);
                 INSERT INTO roles (mount_id, name, current, host, document, created_at) VALUES
                   (1, 'zero', 1, '{\"default_ttl\":0,\"max_ttl\":0,\"max_leases\":3,\"name_template\":\"{random}\",\"bind_to_token\":false}', x'00', 0),
                   (1, 'set', 1, '{\"default_ttl\":60,\"max_ttl\":null,\"max_leases\":0,\"name_template\":\"{random}\",\"bind_to_token\":true}', x'00', 0),
                   (1, 'damaged', 1, 'no JSON', x'00', 0);
                 INSERT INTO tasks (id, kind, target, mount, requester, state, input, errors, created_at, deadline_at)
                   VALUES (x'00000000000000000000000000000001', 'unmount', 'db', '', '{}', 'queued', x'00', '[]', 0, 0);",
            )
            .unwrap();
        connection
            .pragma_update(None, "user_version", before)
            .unwrap();
        drop(connection);
        let storage = Storage::open(&file).unwrap();
        let role = async |name: &str| {
            let found = storage.current_role(1, name.parse().unwrap()).await;
            found.map(|row| row.unwrap().host)
        };
        let zero = role("zero").await.unwrap();
        assert_eq!(
            (zero.default_ttl, zero.max_ttl, zero.max_leases),
            (None, None, 3)
        );
        let set = role("set").await.unwrap();
        let minute = lessor_model::lifetime::Length::For(std::time::Duration::from_secs(60));
        assert_eq!((set.default_ttl, set.max_ttl), (Some(minute), None));
        assert!(role("damaged").await.is_err());
        let tasks = storage
            .read(|connection| {
                one(connection, "SELECT kind FROM tasks", [], |row| {
                    row.get::<_, String>(0)
                })
            })
            .await;
        assert_eq!(tasks.unwrap().as_deref(), Some("unmount"));
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lessor.db");
        drop(Storage::open(&file).unwrap());
        Connection::open(&file)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            Storage::open(&file),
            Err(StorageError::Newer { found: 99, .. })
        ));
    }
}
