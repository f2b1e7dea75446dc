//! Rows that every request reads, kept in memory until their table changes.
//!
//! SQLite gives a reading connection nothing of what it read before a commit, and under
//! load there is a commit for each read: the row of one token came from the file anew
//! for every request. What policies come to was parsed anew as well.
//!
//! This is the one cache of rows by their keys. (Mounts, login methods and pins are small
//! tables that their engines, which alone write them, hold as a whole.)
//!
//! A table of which something is kept has [`Changes`], which triggers of the writing
//! connection count: whoever writes to it, and by which function, need not know that it
//! is kept. They are counted once the transaction is over and before anybody is told of
//! it. What is read before a change and stored after it is not kept, because
//! [`Kept::get`] looks at the count before it reads.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, functions::FunctionFlags};

use super::StorageError;

/// Values kept at a time: enough for those in use, and no matter of memory.
const MOST: usize = 1024;

/// The number of changes of a table. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<AtomicU64>);

impl Changes {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The changes of the tables of which something is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Feed {
    pub(super) tokens: Changes,
    pub(super) roles: Changes,
    pub(super) policies: Changes,
    /// The tables that the transaction under way has changed, a bit for each.
    noted: Arc<AtomicU64>,
}

impl Feed {
    /// Follows what a connection writes.
    pub(super) fn follow(connection: &Connection) -> Result<Self, StorageError> {
        let feed = Self::default();
        let noted = Arc::clone(&feed.noted);
        connection.create_scalar_function(
            "tell_change",
            1,
            FunctionFlags::SQLITE_UTF8,
            move |call| {
                noted.fetch_or(1 << call.get::<u8>(0)?, Ordering::Relaxed);
                Ok(false)
            },
        )?;
        for (place, (table, _, insertions)) in feed.tables().into_iter().enumerate() {
            let insertion = insertions.then_some("INSERT");
            for write in insertion.into_iter().chain(["UPDATE", "DELETE"]) {
                connection.execute_batch(&format!(
                    "CREATE TEMP TRIGGER kept_{table}_{write} AFTER {write} ON main.{table}
                     BEGIN SELECT tell_change({place}); END;"
                ))?;
            }
        }
        Ok(feed)
    }

    /// The transaction is over. What was not committed is counted, too, and costs one
    /// reading.
    pub(super) fn settle(&self) {
        let noted = self.noted.swap(0, Ordering::Relaxed);
        for (place, (_, changes, _)) in self.tables().into_iter().enumerate() {
            if noted & (1 << place) != 0 {
                changes.count();
            }
        }
    }

    /// Each table, and whether a new row makes another reading wrong: it does where it
    /// is kept that there was none.
    fn tables(&self) -> [(&'static str, &Changes, bool); 3] {
        [
            ("tokens", &self.tokens, false),
            ("roles", &self.roles, false),
            ("policies", &self.policies, true),
        ]
    }
}

/// Values by key, none older than the last change.
pub struct Kept<K, V> {
    changes: Changes,
    values: Mutex<Values<K, V>>,
}

struct Values<K, V> {
    /// The number of changes before each of them was read.
    read_at: u64,
    by_key: HashMap<K, V>,
}

impl<K, V> Kept<K, V> {
    /// Keeps what is read of that whose changes are counted.
    pub fn until(changes: Changes) -> Self {
        let values = Values {
            read_at: changes.so_far(),
            by_key: HashMap::new(),
        };
        Self {
            changes,
            values: Mutex::new(values),
        }
    }

    /// The values, of which none is older than the `changes` so far.
    fn values(&self, changes: u64) -> MutexGuard<'_, Values<K, V>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.read_at < changes {
            values.read_at = changes;
            values.by_key.clear();
        }
        values
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// The value of `key`: the one that is kept, or else as `read` finds it.
    ///
    /// # Errors
    /// That of `read`.
    pub async fn get<E>(&self, key: K, read: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        // Before it is read: where a change comes meanwhile, the value is not kept.
        let changes = self.changes.so_far();
        if let Some(value) = self.values(changes).by_key.get(&key) {
            return Ok(value.clone());
        }
        let value = read.await?;
        let mut values = self.values(changes);
        if values.read_at == changes {
            if values.by_key.len() >= MOST {
                values.by_key.clear();
            }
            values.by_key.insert(key, value.clone());
        }
        Ok(value)
    }

    /// [`Self::get`] of what there may be none of. That there is none is not kept: who
    /// asks for it may be guessing.
    ///
    /// # Errors
    /// That of `read`.
    pub async fn find<E>(
        &self,
        key: K,
        read: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        let found = self.get(key, async { read.await.map_err(Some)?.ok_or(None) });
        match found.await {
            Ok(value) => Ok(Some(value)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }
}

impl<K, V> fmt::Debug for Kept<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::Storage;

    fn kept<K: Eq + Hash, V: Clone>() -> Kept<K, V> {
        Kept::until(Changes::default())
    }

    async fn find(kept: &Kept<u8, u8>, key: u8, stored: Option<u8>) -> Option<u8> {
        let read = async { Ok::<_, Infallible>(stored) };
        kept.find(key, read).await.unwrap()
    }

    #[tokio::test]
    async fn a_value_is_kept_until_a_change() {
        let kept = kept();
        assert_eq!(find(&kept, 1, None).await, None);
        assert_eq!(find(&kept, 1, Some(10)).await, Some(10));
        assert_eq!(find(&kept, 1, Some(11)).await, Some(10));
        assert_eq!(find(&kept, 2, Some(20)).await, Some(20));
        kept.changes.count();
        assert_eq!(find(&kept, 1, Some(11)).await, Some(11));
        assert_eq!(find(&kept, 2, None).await, None);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_not_kept() {
        let kept: Kept<u8, u8> = kept();
        assert_eq!(kept.get(1, async { Err("lost") }).await, Err("lost"));
        assert_eq!(kept.find(1, async { Err("lost") }).await, Err("lost"));
        assert_eq!(find(&kept, 1, Some(10)).await, Some(10));
    }

    #[tokio::test]
    async fn a_value_that_changes_while_it_is_read_is_not_kept() {
        let kept: Kept<u8, u8> = kept();
        let read = kept.get(1, async {
            kept.changes.count();
            Ok::<_, Infallible>(10)
        });
        assert_eq!(read.await.unwrap(), 10);
        assert_eq!(find(&kept, 1, Some(11)).await, Some(11));
    }

    /// Every write of a table whose rows are kept in memory says that they are too old.
    #[tokio::test]
    async fn every_write_of_a_kept_table_is_counted_once_it_is_committed() {
        let writes = [
            ("INSERT INTO policies (name, text, version, written_at) VALUES ('a', '', 1, 0)", [0, 0, 1]),
            ("UPDATE policies SET version = 2", [0, 0, 2]),
            ("DELETE FROM policies", [0, 0, 3]),
            ("DELETE FROM policies", [0, 0, 3]),
            (
                "INSERT INTO tokens (hash, accessor, display_name, policies, created_at, path, facts)
                 VALUES (zeroblob(32), 'a', '', '[]', 0, '', '{}')",
                [0, 0, 3],
            ),
            ("UPDATE tokens SET path = 'moved'", [1, 0, 3]),
            ("DELETE FROM tokens", [2, 0, 3]),
            (
                "INSERT INTO mounts (id, kind, path, known_as, accessor, uuid, plugin, description, tune, state, created_at)
                 VALUES (1, 'provider', 'db', 'db', 'a', 'u', 'p', '', '{}', 'live', 0)",
                [2, 0, 3],
            ),
            ("INSERT INTO connections (id, mount_id, name) VALUES (1, 1, 'default')", [2, 0, 3]),
            (
                "INSERT INTO roles (mount_id, connection_id, name, current, host, document, created_at)
                 VALUES (1, 1, 'app', 1, '{}', x'00', 0)",
                [2, 0, 3],
            ),
            ("UPDATE roles SET current = 0", [2, 1, 3]),
            ("DELETE FROM roles", [2, 2, 3]),
        ];
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(&directory.path().join("lessor.db")).unwrap();
        for (sql, expected) in writes {
            storage.execute(sql, []).await.unwrap();
            let feed = &storage.0.feed;
            let counted = [&feed.tokens, &feed.roles, &feed.policies].map(Changes::so_far);
            assert_eq!(counted, expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_slow_reading_does_not_undo_what_was_kept_since() {
        let kept: Kept<u8, u8> = kept();
        let slow = kept.get(1, async {
            kept.changes.count();
            assert_eq!(find(&kept, 1, Some(11)).await, Some(11));
            Ok::<_, Infallible>(10)
        });
        assert_eq!(slow.await.unwrap(), 10);
        assert_eq!(find(&kept, 1, None).await, Some(11));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_is_in_use() {
        let kept: Kept<usize, usize> = kept();
        for key in 0..3 * MOST {
            let read = async { Ok::<_, Infallible>(key) };
            kept.get(key, read).await.unwrap();
            assert!(kept.values(0).by_key.len() <= MOST);
        }
    }
}
