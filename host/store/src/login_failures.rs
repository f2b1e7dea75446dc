//! Failed logins in a row, by what the login named.

use lessor_model::{
    clock::Timestamp,
    lockout::{Failures, Lockout},
};
use rusqlite::{Connection, params};

use super::{Storage, StorageError, all, change, maybe_moment, moment, one};

impl Storage {
    /// The failed logins of a name.
    pub async fn login_failures(
        &self,
        mount_id: i64,
        name: String,
    ) -> Result<Option<Failures>, StorageError> {
        self.read(move |connection| failures_of(connection, mount_id, &name))
            .await
    }

    /// Counts one more failure; what it comes to. In one transaction, so that of
    /// many at a time none is lost.
    pub async fn count_login_failure(
        &self,
        mount_id: i64,
        name: String,
        lockout: Lockout,
        now: Timestamp,
    ) -> Result<Failures, StorageError> {
        self.write(move |connection| {
            let former = failures_of(connection, mount_id, &name)?;
            let failures = lockout.after_failure(former, now);
            change(
                connection,
                "INSERT INTO login_failures (mount_id, name, failures, last_at, locked_until)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (mount_id, name) DO UPDATE SET failures = ?3, last_at = ?4, locked_until = ?5",
                params![
                    mount_id,
                    name,
                    failures.count,
                    failures.last_at.0,
                    failures.locked_until.map(|end| end.0)
                ],
            )?;
            Ok(failures)
        })
        .await
    }

    /// Forgets what a name failed to log in, and so unlocks it; whether it had failed.
    pub async fn forget_login_failures(
        &self,
        mount_id: i64,
        name: String,
    ) -> Result<bool, StorageError> {
        self.execute_any(
            "DELETE FROM login_failures WHERE mount_id = ?1 AND name = ?2",
            (mount_id, name),
        )
        .await
    }

    /// The names that are locked at `now`, by login method.
    pub async fn locked_logins(&self, now: Timestamp) -> Result<Vec<(i64, String)>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT mount_id, name FROM login_failures WHERE locked_until > ?1 ORDER BY mount_id, name",
                [now.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }
}

fn failures_of(
    connection: &Connection,
    mount_id: i64,
    name: &str,
) -> Result<Option<Failures>, StorageError> {
    one(
        connection,
        "SELECT failures, last_at, locked_until FROM login_failures WHERE mount_id = ?1 AND name = ?2",
        params![mount_id, name],
        |row| {
            Ok(Failures {
                count: row.get("failures")?,
                last_at: moment(row, "last_at")?,
                locked_until: maybe_moment(row, "locked_until")?,
            })
        },
    )
}
