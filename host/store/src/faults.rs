//! A disk that fails when a test says so: through SQLite's own limits, so that
//! what the program meets is what a full or read-only disk would give it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rusqlite::Connection;

use super::Storage;

/// Pages beyond which no database grows; SQLite's own limit.
const PAGES: u64 = 0xffff_fffe;

/// The faults that the writer is to meet. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Faults(Arc<Wanted>);

#[derive(Debug)]
struct Wanted {
    max_pages: AtomicU64,
    writes_left: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(Wanted {
            max_pages: AtomicU64::new(PAGES),
            writes_left: AtomicU64::new(u64::MAX),
        }))
    }
}

impl Faults {
    /// Called by the writer before each of its transactions.
    pub(super) fn before_commit(&self, connection: &Connection) {
        let pages = self.0.max_pages.load(Ordering::Relaxed);
        let left = self.0.writes_left.load(Ordering::Relaxed);
        if left > 0 && left < u64::MAX {
            self.0.writes_left.store(left - 1, Ordering::Relaxed);
        }
        // SQLite takes the size that the database has for a smaller one.
        let wanted = format!(
            "PRAGMA max_page_count = {pages}; PRAGMA query_only = {}",
            u8::from(left == 0)
        );
        if let Err(error) = connection.execute_batch(&wanted) {
            tracing::error!(%error, "the test's fault could not be set up");
        }
    }
}

impl Storage {
    /// From the next write on, the database may have so many pages (0: any
    /// number), and so many commits succeed (absent: all).
    pub fn fail(&self, max_pages: u64, writes: Option<u64>) {
        let pages = if max_pages == 0 { PAGES } else { max_pages };
        let wanted = &self.0.faults.0;
        wanted.max_pages.store(pages, Ordering::Relaxed);
        wanted
            .writes_left
            .store(writes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
