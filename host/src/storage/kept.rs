//! Rows that every request reads, kept in memory until one of their table changes.
//!
//! SQLite gives a reading connection nothing of what it read before a commit, and under
//! load there is a commit for each read: the row of one token came from the file anew
//! for every request.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::StorageError;

/// Rows kept of one table: enough for those in use at a time, and no matter of memory.
const MOST: usize = 1024;

/// Rows of one table by key. What is not there is not kept: who asks for it may be
/// guessing.
pub(super) struct Kept<K, V> {
    /// How often the table has changed.
    changes: AtomicU64,
    /// Rows, and how often the table had changed before each was read.
    rows: Mutex<HashMap<K, (u64, V)>>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            changes: AtomicU64::new(0),
            rows: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// The row of `key`: the one that is kept, or else as `read` finds it.
    pub(super) async fn get(
        &self,
        key: K,
        read: impl Future<Output = Result<Option<V>, StorageError>>,
    ) -> Result<Option<V>, StorageError> {
        // Before it is read: where the table changes meanwhile, the row is not kept.
        let changes = self.changes.load(Ordering::Acquire);
        if let Some((read_at, row)) = self.rows().get(&key)
            && *read_at == changes
        {
            return Ok(Some(row.clone()));
        }
        let row = read.await?;
        if let Some(row) = &row {
            let mut rows = self.rows();
            if rows.len() >= MOST {
                rows.clear();
            }
            rows.insert(key, (changes, row.clone()));
        }
        Ok(row)
    }

    /// Forgets all rows: for the writer, once a change is committed and before anybody
    /// is told of it.
    pub(super) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.rows().clear();
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<K, (u64, V)>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(kept: &Kept<u8, u8>, key: u8, stored: Option<u8>) -> Option<u8> {
        kept.get(key, async { Ok(stored) }).await.unwrap()
    }

    #[tokio::test]
    async fn a_row_is_kept_until_its_table_changes() {
        let kept = Kept::default();
        assert_eq!(get(&kept, 1, None).await, None);
        assert_eq!(get(&kept, 1, Some(10)).await, Some(10));
        assert_eq!(get(&kept, 1, Some(11)).await, Some(10));
        assert_eq!(get(&kept, 2, Some(20)).await, Some(20));
        kept.forget();
        assert_eq!(get(&kept, 1, Some(11)).await, Some(11));
        assert_eq!(get(&kept, 2, None).await, None);
    }

    #[tokio::test]
    async fn a_row_that_changes_while_it_is_read_is_not_kept() {
        let kept: Kept<u8, u8> = Kept::default();
        let read = kept.get(1, async {
            kept.forget();
            Ok(Some(10))
        });
        assert_eq!(read.await.unwrap(), Some(10));
        assert_eq!(get(&kept, 1, Some(11)).await, Some(11));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_is_in_use() {
        let kept: Kept<usize, usize> = Kept::default();
        for key in 0..3 * MOST {
            kept.get(key, async { Ok(Some(key)) }).await.unwrap();
            assert!(kept.rows().len() <= MOST);
        }
    }
}
