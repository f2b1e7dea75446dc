//! How leases end in storage: marked, claimed for an attempt, and removed; and the
//! credentials that a revocation list must still name.

use rusqlite::{Connection, params};

use super::{
    LeaseRow, LeaseState, Storage, StorageError, all, change,
    leases::{SELECT, lease_row},
    maybe_moment, moment, one,
    quarantine::{Sorted, sorted},
    roles,
};
use crate::{
    clock::Timestamp,
    id::{OperationId, RoleName},
    provider::RevokedCredential,
};

/// A revocation that a list must name until the credential's own end.
#[derive(Clone, Debug)]
pub struct EarlyRevocation {
    /// When it was revoked.
    pub revoked_at: Timestamp,
}

impl Storage {
    /// Marks all leases of a mount, or of one of its roles. The number marked.
    pub async fn mark_leases(
        &self,
        mount_id: i64,
        role: Option<RoleName>,
        now: Timestamp,
    ) -> Result<usize, StorageError> {
        self.write(move |connection| {
            mark_for_revocation(
                connection,
                mount_id,
                role.as_ref().map(RoleName::as_str),
                now,
            )
        })
        .await
    }

    /// Takes up to `limit` due leases of a mount for one attempt at revoking
    /// them. Until `until` no other attempt takes them; a crash needs no more.
    /// Those that cannot be read are set aside in the same transaction.
    pub async fn claim_due(
        &self,
        mount_id: i64,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Sorted, StorageError> {
        self.write(move |connection| {
            let sql = format!(
                "{SELECT} WHERE l.mount_id = ?1 AND l.due_at <= ?2 ORDER BY l.due_at LIMIT ?3"
            );
            let mut due = sorted(connection, &sql, params![mount_id, now.0, limit], now)?;
            for row in &mut due.rows {
                claim(connection, row, until)?;
            }
            Ok(due)
        })
        .await
    }

    /// Marks one lease and takes it for an attempt, as [`Self::claim_due`], at
    /// once: between a mark and a claim of its own the scheduler, woken by
    /// whatever else, would take it. None where there is none, or where it is
    /// still being made and only marked.
    pub async fn mark_and_claim(
        &self,
        id: OperationId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseRow>, StorageError> {
        self.write(move |connection| {
            change(
                connection,
                &format!("UPDATE leases SET {MARK} WHERE operation = ?1"),
                params![id.to_bytes(), now.0],
            )?;
            let sql = format!("{SELECT} WHERE l.operation = ?1 AND l.due_at <= ?2");
            let mut row = one(connection, &sql, params![id.to_bytes(), now.0], lease_row)?;
            if let Some(row) = &mut row {
                claim(connection, row, until)?;
            }
            Ok(row)
        })
        .await
    }

    /// When a mount's next lease is due.
    pub async fn next_due(&self, mount_id: i64) -> Result<Option<Timestamp>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT due_at FROM leases WHERE mount_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
                [mount_id],
                |row| row.get(0).map(Timestamp),
            )
        })
        .await
    }

    /// Removes a lease that is ended upstream; `early` keeps it for the mount's
    /// revocation list until the credential's own end.
    pub async fn record_revoked(
        &self,
        id: OperationId,
        early: Option<EarlyRevocation>,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            if let Some(early) = early {
                change(
                    connection,
                    "INSERT OR IGNORE INTO early_revocations (mount_id, credential_id, revoked_at, expires_at)
                     SELECT mount_id, credential_id, ?2, upstream_expires_at FROM leases
                     WHERE operation = ?1 AND credential_id IS NOT NULL",
                    params![id.to_bytes(), early.revoked_at.0],
                )?;
            }
            let role: Option<i64> = one(
                connection,
                "DELETE FROM leases WHERE operation = ?1 RETURNING role_id",
                [id.to_bytes()],
                |row| row.get(0),
            )?;
            role.map_or(Ok(()), |role| roles::forget_unused(connection, role))
        })
        .await
    }

    /// Records a failed attempt to revoke and when the next one is.
    pub async fn record_revocation_failure(
        &self,
        id: OperationId,
        state: LeaseState,
        due_at: Timestamp,
        error: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE leases SET state = ?2, due_at = ?3, last_error = ?4 WHERE operation = ?1",
            (id.to_bytes(), state.as_str(), due_at.0, error),
        )
        .await
    }

    /// Makes the failed revocations of a mount due now, since what stood in their
    /// way may have been mended. One that is under way may be doubled, which a
    /// provider bears; one whose creation may still land keeps its time.
    pub async fn wake_revocations(
        &self,
        mount_id: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE leases SET due_at = ?2
                 WHERE mount_id = ?1 AND due_at > ?2 AND state IN ('revoking', 'out-of-sync')
                   AND last_error IS NOT NULL AND attempts > 0",
            (mount_id, now.0),
        )
        .await
    }

    /// What a mount's revocation list must name, by time of revocation.
    pub async fn early_revocations(
        &self,
        mount_id: i64,
        now: Timestamp,
    ) -> Result<Vec<RevokedCredential>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT credential_id, revoked_at, expires_at FROM early_revocations
                 WHERE mount_id = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY revoked_at, credential_id",
                params![mount_id, now.0],
                |row| {
                    Ok(RevokedCredential {
                        id: row.get("credential_id")?,
                        revoked_at: moment(row, "revoked_at")?,
                        expires_at: maybe_moment(row, "expires_at")?,
                    })
                },
            )
        })
        .await
    }

    /// Drops what no list must name any more.
    pub async fn prune_early_revocations(
        &self,
        mount_id: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "DELETE FROM early_revocations WHERE mount_id = ?1 AND expires_at <= ?2",
            (mount_id, now.0),
        )
        .await
    }
}

/// The change that marks a lease: `?2` is now. One that is perhaps still being
/// made keeps its due time, so that its revocation cannot overtake its creation;
/// one that is out of sync keeps its state and is tried at once.
const MARK: &str =
    "due_at = CASE WHEN credential_id IS NULL AND attempts = 0 THEN due_at ELSE ?2 END,
    state = CASE state WHEN 'out-of-sync' THEN state ELSE 'revoking' END";

/// Marks leases within a transaction.
pub(super) fn mark_for_revocation(
    connection: &Connection,
    mount_id: i64,
    role: Option<&str>,
    now: Timestamp,
) -> Result<usize, StorageError> {
    change(
        connection,
        &format!(
            "UPDATE leases SET {MARK}
             WHERE state IN ('creating', 'active')
               AND role_id IN (SELECT id FROM roles WHERE mount_id = ?1 AND (?3 IS NULL OR name = ?3))"
        ),
        params![mount_id, now.0, role],
    )
}

fn claim(
    connection: &Connection,
    row: &mut LeaseRow,
    until: Timestamp,
) -> Result<(), StorageError> {
    if row.state != LeaseState::OutOfSync {
        row.state = LeaseState::Revoking;
    }
    row.attempts = row.attempts.saturating_add(1);
    row.due_at = Some(until);
    change(
        connection,
        "UPDATE leases SET state = ?2, attempts = ?3, due_at = ?4 WHERE operation = ?1",
        params![
            row.operation.to_bytes(),
            row.state.as_str(),
            row.attempts,
            until.0
        ],
    )?;
    Ok(())
}
