//! Wakes those who wait for due work: the writes themselves wake them.
//!
//! The scheduler sleeps until the next moment at which something is due. A write that
//! makes work due before that wakes it, once it is committed, and nobody has to think
//! of it: triggers of the writing connection tell of each moment that is written to a
//! column by which due work is found. What is due later than the scheduler sleeps
//! anyway does not wake it: otherwise every new lease would cost a look at all that is
//! due.
//!
//! Work that becomes due in memory alone (a call slot that came free, a mount that is no longer
//! held) is announced by the owner of that memory.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use lessor_model::clock::Timestamp;
use rusqlite::{Connection, functions::FunctionFlags};
use tokio::sync::{Notify, futures::Notified};

use super::{Storage, StorageError, one};

/// The columns that say when work is due, and the columns whose change tells of it. The
/// test `every_moment_of_due_work_is_told` compares them with the schema.
const MOMENTS: [(&str, &str, &str); 6] = [
    ("leases", "due_at", "due_at"),
    // An order that begins again covers leases that it had passed.
    ("revocation_orders", "ordered_at", "newest"),
    ("rotations", "due_at", "due_at"),
    ("rotation_schedules", "next_rotation_at", "next_rotation_at"),
    ("static_roles", "due_at", "due_at"),
    ("tokens", "expires_at", "expires_at"),
];

/// Due work, to whoever waits for it.
#[derive(Debug, Default)]
pub struct Due {
    notify: Notify,
    sleep: Mutex<Sleep>,
}

#[derive(Debug, Default)]
struct Sleep {
    /// Until when the scheduler sleeps; none while it looks.
    until: Option<Timestamp>,
    /// The earliest moment told while it looks. It may have looked there already.
    told: Option<Timestamp>,
}

impl Due {
    /// The scheduler begins to look: what was told before is committed, and found.
    /// Ready once something is due before it would wake by itself.
    pub fn begin_to_look(&self) -> Notified<'_> {
        *self.sleep() = Sleep::default();
        self.notify.notified()
    }

    /// The scheduler goes to sleep until `until`, or until what it was told of
    /// meanwhile, which it is answered.
    pub fn sleep_until(&self, until: Timestamp) -> Timestamp {
        let mut sleep = self.sleep();
        let until = sleep.told.map_or(until, |told| told.min(until));
        sleep.until = Some(until);
        until
    }

    /// Something that is committed is due at `due`.
    fn at(&self, due: Timestamp) {
        let mut sleep = self.sleep();
        match sleep.until {
            Some(until) if due < until => {
                drop(sleep);
                self.notify.notify_one();
            }
            Some(_) => {}
            None => sleep.told = Some(sleep.told.map_or(due, |told| told.min(due))),
        }
    }

    fn sleep(&self) -> std::sync::MutexGuard<'_, Sleep> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage {
    /// Due work, for the one scheduler that there is.
    pub fn due(&self) -> &Due {
        &self.0.due
    }

    /// Has the scheduler look now, for nothing.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn wake(&self) {
        self.0.due.notify.notify_one();
    }
}

/// The earliest moment that the writes of a transaction made work due at.
#[derive(Clone, Debug)]
pub(super) struct Earliest(Arc<AtomicI64>);

/// No moment.
const NEVER: i64 = i64::MAX;

/// A moment that is past, whatever the clock shows.
const AT_ONCE: i64 = 0;

impl Earliest {
    /// Watches what a connection writes.
    pub(super) fn watch(connection: &Connection) -> Result<Self, StorageError> {
        let earliest = Self(Arc::new(AtomicI64::new(NEVER)));
        let noted = earliest.clone();
        connection.create_scalar_function(
            "tell_due",
            1,
            FunctionFlags::SQLITE_UTF8,
            move |call| {
                noted.0.fetch_min(call.get(0)?, Ordering::Relaxed);
                Ok(false)
            },
        )?;
        for (table, moment, changed) in MOMENTS {
            // Of the connection, not of the file: who else writes to that, such as a
            // migration, has no such function.
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER {table}_made AFTER INSERT ON main.{table} WHEN NEW.{moment} IS NOT NULL
                 BEGIN SELECT tell_due(NEW.{moment}); END;
                 CREATE TEMP TRIGGER {table}_moved AFTER UPDATE OF {changed} ON main.{table}
                 WHEN NEW.{moment} IS NOT NULL BEGIN SELECT tell_due(NEW.{moment}); END;"
            ))?;
        }
        // A mount that is to go may have waited for nothing else.
        connection.execute_batch(&format!(
            "CREATE TEMP TRIGGER rotations_over AFTER UPDATE OF due_at ON main.rotations
             WHEN NEW.due_at IS NULL BEGIN SELECT tell_due({AT_ONCE}); END;"
        ))?;
        Ok(earliest)
    }

    /// The transaction is over: tells of what it `committed`. A write that was undone by
    /// itself is told of, too, and costs one look.
    pub(super) fn settle(&self, committed: bool, due: &Due) {
        let earliest = self.0.swap(NEVER, Ordering::Relaxed);
        if committed && earliest < NEVER {
            due.at(Timestamp(earliest));
        }
    }
}

/// Something became due at once of which no row says when; within a transaction.
pub(super) fn at_once(connection: &Connection) -> Result<(), StorageError> {
    one(connection, "SELECT tell_due(?1)", [AT_ONCE], |_| Ok(())).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, future::Future as _, pin::pin, task};

    use super::*;
    use crate::all;

    fn is_ready(nudged: Notified<'_>) -> bool {
        let mut context = task::Context::from_waker(task::Waker::noop());
        pin!(nudged).poll(&mut context).is_ready()
    }

    /// Whether a sleeper is woken by what is told of.
    fn wakes(due: i64) -> bool {
        let work = Due::default();
        let woken = work.begin_to_look();
        assert_eq!(work.sleep_until(Timestamp(100)), Timestamp(100));
        work.at(Timestamp(due));
        is_ready(woken)
    }

    #[test]
    fn only_what_is_due_before_its_time_wakes_a_sleeper() {
        assert!(wakes(AT_ONCE));
        assert!(wakes(99));
        assert!(!wakes(100));
        assert!(!wakes(101));
    }

    #[test]
    fn what_is_told_while_it_looks_is_not_slept_over() {
        let work = Due::default();
        work.at(Timestamp(5));
        let _woken = work.begin_to_look();
        for due in [70, 50, 60] {
            work.at(Timestamp(due));
        }
        assert_eq!(work.sleep_until(Timestamp(100)), Timestamp(50));
        // Work that was found at the last look is not announced again.
        let _woken = work.begin_to_look();
        assert_eq!(work.sleep_until(Timestamp(100)), Timestamp(100));
    }

    /// A mount, a connection and a role, of which the rows below are.
    const GROUND: &str = r#"
        INSERT INTO mounts (id, kind, path, known_as, accessor, uuid, plugin, description, tune, state, created_at)
          VALUES (1, 'provider', 'db', 'db', 'a', 'u', 'p', '', '{}', 'live', 0);
        INSERT INTO connections (id, mount_id, name) VALUES (1, 1, 'default');
        INSERT INTO roles (id, mount_id, connection_id, name, current, host, document, created_at)
          VALUES (5, 1, 1, 'app', 1, '{}', x'00', 0);"#;

    /// Each way in which work becomes due, and when; none: nothing does.
    const WAYS: [(&str, Option<i64>); 17] = [
        (
            "INSERT INTO leases (operation, mount_id, connection_id, role_id, state, principal, credential_id, metadata,
               requester, plugin_sha256, config_version, issued_at, expires_at, attempts, due_at)
             VALUES (x'11111111111111111111111111111111', 1, 1, 5, 'active', 'p', 'c', '{}', '{}', zeroblob(32), 2, 0, 70, 0, 70)",
            Some(70),
        ),
        ("UPDATE leases SET due_at = 80, expires_at = 80", Some(80)),
        ("UPDATE leases SET attempts = 1", None),
        (
            "INSERT INTO revocation_orders (role_id, mount_id, connection_id, newest, taken, ordered_at)
             VALUES (5, 1, 1, x'01', x'', 30)",
            Some(30),
        ),
        ("UPDATE revocation_orders SET taken = x'01'", None),
        (
            "UPDATE revocation_orders SET newest = newest, taken = x''",
            Some(30),
        ),
        ("DELETE FROM leases", None),
        (
            "INSERT INTO rotations (operation, connection_id, state, former_version, attempts, due_at, opened_at)
             VALUES (zeroblob(16), 1, 'rotating', 1, 0, 60, 0)",
            Some(60),
        ),
        ("UPDATE rotations SET due_at = 20", Some(20)),
        (
            "UPDATE rotations SET due_at = NULL, state = 'failed'",
            Some(AT_ONCE),
        ),
        (
            "INSERT INTO rotation_schedules (connection_id, period_ms, grace_ms, on_config, next_rotation_at)
             VALUES (1, 10, 0, 0, 40)",
            Some(40),
        ),
        (
            "UPDATE rotation_schedules SET next_rotation_at = NULL",
            None,
        ),
        (
            "INSERT INTO static_roles (mount_id, connection_id, name, account, db_name, document, period_ms, state,
               attempts, reached, version, created_at, grace_ms, keep, next_rotation_at, due_at)
             VALUES (1, 1, 'app', 'app', 'pg', x'00', 0, 'idle', 0, 0, 1, 0, 0, 1, 90, 90)",
            Some(90),
        ),
        (
            "UPDATE static_roles SET due_at = 10, next_rotation_at = 10",
            Some(10),
        ),
        (
            "INSERT INTO tokens (hash, accessor, display_name, policies, created_at, expires_at, path, facts)
             VALUES (zeroblob(32), 'a', '', '[]', 0, 50, '', '{}')",
            Some(50),
        ),
        ("UPDATE tokens SET uses_left = 4", None),
        ("UPDATE tokens SET expires_at = 55", Some(55)),
    ];

    async fn storage(directory: &tempfile::TempDir) -> Storage {
        let storage = Storage::open(&directory.path().join("lessor.db")).unwrap();
        let ground = storage.write(|connection| Ok(connection.execute_batch(GROUND)?));
        ground.await.unwrap();
        storage
    }

    /// Every engine had to remember to wake the scheduler after what it wrote.
    #[tokio::test]
    async fn a_write_that_makes_work_due_wakes_who_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let storage = storage(&directory).await;
        let due = storage.due();
        for (sql, expected) in WAYS {
            let _woken = due.begin_to_look();
            storage.execute(sql, []).await.unwrap();
            let told = due.sleep_until(Timestamp(NEVER));
            assert_eq!(told.0, expected.unwrap_or(NEVER), "{sql}");
        }
        for (end, wakes) in [(54, true), (2_000, false)] {
            let woken = due.begin_to_look();
            due.sleep_until(Timestamp(1_000));
            let sql = "UPDATE tokens SET expires_at = ?1";
            storage.execute(sql, [end]).await.unwrap();
            assert_eq!(is_ready(woken), wakes, "{end}");
        }
    }

    #[tokio::test]
    async fn what_is_not_committed_wakes_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let storage = storage(&directory).await;
        storage.fail(0, Some(0));
        let _woken = storage.due().begin_to_look();
        storage.execute(WAYS[0].0, []).await.unwrap_err();
        let until = storage.due().sleep_until(Timestamp(1_000));
        assert_eq!(until, Timestamp(1_000));
    }

    #[tokio::test]
    async fn every_moment_of_due_work_is_told() {
        /// Moments of which nobody is woken.
        const OTHERS: [(&str, &str); 5] = [
            ("leases", "expires_at"),
            ("static_roles", "next_rotation_at"),
            // Swept by whoever comes along.
            ("early_revocations", "expires_at"),
            ("idempotency_keys", "expires_at"),
            ("secret_ids", "expires_at"),
        ];
        let directory = tempfile::tempdir().unwrap();
        let storage = storage(&directory).await;
        let stored = storage.read(|connection| {
            let sql = "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                       WHERE t.type = 'table' AND c.name IN ('due_at', 'expires_at', 'next_rotation_at', 'ordered_at')";
            all(connection, sql, [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
        });
        let stored: BTreeSet<_> = stored.await.unwrap().into_iter().collect();
        let told = MOMENTS.map(|(table, moment, _)| (table, moment));
        let known = told.iter().chain(&OTHERS);
        let known = known.map(|(table, column)| ((*table).to_owned(), (*column).to_owned()));
        assert_eq!(stored, known.collect());
    }
}
