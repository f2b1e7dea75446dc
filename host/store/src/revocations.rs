//! The end of leases in storage: they are ordered, marked, claimed for an attempt, and removed.
//! Also the credentials that a revocation list must still name.
//!
//! The end of many leases is ordered by one row, from which they are taken as there
//! is room: so the order is durable at once, whatever their number, and nobody waits
//! for one long write.

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, OperationId, RoleName},
    provider::RevokedCredential,
};
use rusqlite::{Connection, Row, params};

use super::{
    LeaseRow, LeaseState, Storage, StorageError, all, change, due,
    leases::{SELECT, forget_unused, lease_row},
    maybe_moment, moment, one,
    quarantine::{Found, Sorted, found, sorted},
};

/// A revocation that a list must name until the credential's own end.
#[derive(Clone, Debug)]
pub struct EarlyRevocation {
    /// The time when it was revoked.
    pub revoked_at: Timestamp,
}

/// The leases that may be purged.
#[derive(Clone, Debug)]
pub enum PurgeScope {
    /// All of the mount.
    Mount,
    /// A role's.
    Role(RoleName),
    /// One lease.
    One(OperationId),
}

/// The leases of a mount that wait for their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Leases that are tried again soon.
    pub revoking: u64,
    /// Leases that are tried daily.
    pub out_of_sync: u64,
    /// Since when the longest waiting one should have ended.
    pub oldest: Option<Timestamp>,
}

/// Leases that were to end and have not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whether some of them may end any moment: upstream has not refused them.
    pub untried: bool,
    /// The reason why one of them is not ended.
    pub last_error: Option<String>,
}

impl Storage {
    /// The rest of a connection's leases, or of those of a role, that are no newer than `newest`;
    /// with `alone`, of that one lease.
    pub async fn ending_before(
        &self,
        of: ConnectionId,
        role: Option<RoleName>,
        newest: OperationId,
        alone: bool,
        now: Timestamp,
    ) -> Result<Option<Left>, StorageError> {
        self.read(move |connection| {
            const THOSE: &str = "SELECT l.last_error FROM roles r JOIN leases l ON l.role_id = r.id
                 WHERE r.connection_id = ?1 AND (?2 IS NULL OR r.name = ?2) AND l.operation <= ?3
                   AND (?4 = 0 OR l.operation = ?3)";
            const REFUSED: &str =
                "l.ending_since IS NOT NULL AND l.attempts > 0 AND l.last_error IS NOT NULL AND l.due_at > ?5";
            let role = role.as_ref().map(RoleName::as_str);
            let look = |condition: &str| {
                one(
                    connection,
                    &format!("{THOSE} AND ({condition}) LIMIT 1"),
                    params![of.0, role, newest.to_bytes(), alone, now.0],
                    |row| row.get::<_, Option<String>>(0),
                )
            };
            if let Some(last_error) = look(&format!("NOT ({REFUSED})"))? {
                return Ok(Some(Left {
                    untried: true,
                    last_error,
                }));
            }
            Ok(look(REFUSED)?.map(|last_error| Left {
                untried: false,
                last_error,
            }))
        })
        .await
    }

    /// Marks one lease for revocation. A lease that is still being made keeps its
    /// due time, so that the revocation cannot overtake its creation. False where
    /// there is no such lease.
    pub async fn mark_lease(&self, id: OperationId, now: Timestamp) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let sql = format!("UPDATE leases SET {MARK} WHERE operation = ?1");
            Ok(change(connection, &sql, params![id.to_bytes(), now.0])? > 0)
        })
        .await
    }

    /// Orders the end of all leases that a mount, or one of its roles, has now and that
    /// are no newer than `newest`.
    /// From the commit on none of them is handed out or renewed any more, and
    /// [`Self::claim_due`] takes them.
    pub async fn order_revocation(
        &self,
        mount_id: i64,
        role: Option<RoleName>,
        newest: OperationId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            let role = role.as_ref().map(RoleName::as_str);
            order_revocation(connection, mount_id, role, newest, now)
        })
        .await
    }

    /// Orders the end of all leases that a connection has made, as
    /// [`Self::order_revocation`].
    pub async fn order_revocation_by(
        &self,
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            let these = "connection_id = ?1 AND ?3 IS NULL";
            order(
                connection,
                these,
                params![of.0, now.0, None::<&str>, OperationId::GREATEST.to_bytes()],
            )
        })
        .await
    }

    /// Takes up to `limit` leases of a connection for one attempt at revoking them: those
    /// that are due, then those whose end is ordered. Until `until` no other attempt
    /// takes them; a crash needs no more. Those that cannot be read are set aside in
    /// the same transaction.
    pub async fn claim_due(
        &self,
        of: ConnectionId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Sorted, StorageError> {
        self.write(move |connection| {
            let sql = format!(
                "{SELECT} WHERE l.connection_id = ?1 AND l.due_at <= ?2 ORDER BY l.due_at LIMIT ?3"
            );
            let mut due = sorted(connection, &sql, params![of.0, now.0, limit], now)?;
            for row in &mut due.rows {
                claim(connection, row, now, until)?;
            }
            claim_ordered(connection, of, now, until, limit, &mut due)?;
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
            // Where it is claimed as well, the mark would make it due for a moment that
            // nobody ever sees, and that wakes the scheduler.
            const MADE: &str = "(credential_id IS NOT NULL OR attempts > 0)";
            change(
                connection,
                &format!("UPDATE leases SET {MARK} WHERE operation = ?1 AND NOT {MADE}"),
                params![id.to_bytes(), now.0],
            )?;
            let sql = format!("{SELECT} WHERE l.operation = ?1 AND (l.due_at <= ?2 OR {MADE})");
            let mut row = one(connection, &sql, params![id.to_bytes(), now.0], lease_row)?;
            if let Some(row) = &mut row {
                row.ending_since = row.ending_since.or(Some(now));
                claim(connection, row, now, until)?;
            }
            Ok(row)
        })
        .await
    }

    /// The time when a connection's next lease is due: one whose end is ordered, since it was.
    pub async fn next_due(&self, of: ConnectionId) -> Result<Option<Timestamp>, StorageError> {
        self.find(move |connection| {
            let first = |sql| one(connection, sql, [of.0], |row| row.get(0).map(Timestamp));
            let ordered = first("SELECT ordered_at FROM revocation_orders WHERE connection_id = ?1 LIMIT 1")?;
            let due = first(
                "SELECT due_at FROM leases WHERE connection_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
            )?;
            Ok([ordered, due].into_iter().flatten().min())
        })
        .await
    }

    /// Removes a lease that is ended upstream; `early` keeps it for the connection's
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
                    "INSERT OR IGNORE INTO early_revocations (connection_id, credential_id, revoked_at, expires_at)
                     SELECT connection_id, credential_id, ?2, upstream_expires_at FROM leases
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
            role.map_or(Ok(()), |role| forget_unused(connection, role))
        })
        .await
    }

    /// Records a failed attempt to revoke, at `now`, and when the next one is.
    pub async fn record_revocation_failure(
        &self,
        id: OperationId,
        state: LeaseState,
        now: Timestamp,
        due_at: Timestamp,
        error: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE leases SET state = ?2, due_at = ?3, last_error = ?4, ending_since = coalesce(ending_since, ?5)
             WHERE operation = ?1",
            (id.to_bytes(), state.as_str(), due_at.0, error, now.0),
        )
        .await
    }

    /// Makes the failed revocations of a connection due now, since what stood in their
    /// way may have been mended. One that is under way may be doubled, which a
    /// provider bears; one whose creation may still land keeps its time.
    pub async fn wake_revocations(
        &self,
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                "UPDATE leases SET due_at = ?2
                 WHERE connection_id = ?1 AND due_at > ?2 AND state IN ('revoking', 'out-of-sync')
                   AND last_error IS NOT NULL AND attempts > 0",
                params![of.0, now.0],
            )?;
            // Also those that are due already, and that the same thing stood in the way of.
            due::at_once(connection)
        })
        .await
    }

    /// Removes leases of a mount that upstream refused to end at least once: one
    /// of them, those of a role, or all, no newer than `newest`. At most `limit`; those
    /// removed.
    pub async fn purge_leases(
        &self,
        mount_id: i64,
        which: PurgeScope,
        newest: OperationId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Sorted, StorageError> {
        self.write(move |connection| {
            let (role, id) = match which {
                PurgeScope::Mount => (None, None),
                PurgeScope::Role(role) => (Some(role), None),
                PurgeScope::One(id) => (None, Some(id.to_bytes())),
            };
            let sql = format!(
                "{SELECT} WHERE l.mount_id = ?1 AND l.ending_since IS NOT NULL AND l.attempts > 0
                   AND l.last_error IS NOT NULL AND (?2 IS NULL OR r.name = ?2) AND (?3 IS NULL OR l.operation = ?3)
                   AND l.operation <= ?5
                 ORDER BY l.ending_since LIMIT ?4"
            );
            let role = role.as_ref().map(RoleName::as_str);
            let parameters = params![mount_id, role, id, limit, newest.to_bytes()];
            let purged = sorted(connection, &sql, parameters, now)?;
            for row in &purged.rows {
                let id = row.operation.to_bytes();
                change(connection, "DELETE FROM leases WHERE operation = ?1", [id])?;
                forget_unused(connection, row.role_id)?;
            }
            if !purged.rows.is_empty() {
                // Their mount may have waited for nothing else to go.
                due::at_once(connection)?;
            }
            Ok(purged)
        })
        .await
    }

    /// Leases of a mount that wait for their end, the longest waiting first, at
    /// most `limit`; with a state, only those in it.
    pub async fn ending_leases(
        &self,
        mount_id: i64,
        state: Option<LeaseState>,
        limit: usize,
    ) -> Result<Found, StorageError> {
        self.read(move |connection| {
            let sql = format!(
                "{SELECT} WHERE l.mount_id = ?1 AND l.ending_since IS NOT NULL AND (?2 IS NULL OR l.state = ?2)
                 ORDER BY l.ending_since LIMIT ?3"
            );
            let filter = state.map(LeaseState::as_str);
            let mut ending = found(connection, &sql, params![mount_id, filter, limit])?;
            if state.is_none_or(|state| state == LeaseState::Revoking) {
                for order in orders(connection, mount_id)? {
                    let left = limit.saturating_sub(ending.rows.len());
                    let some = untaken(connection, &order, left)?;
                    ending.rows.extend(some.rows);
                    ending.unreadable.extend(some.unreadable);
                }
            }
            Ok(ending)
        })
        .await
    }

    /// The number of leases of a mount that wait for their end at `now`, and since when. Reads no
    /// lease that is well, however many there are; those whose end is ordered are counted in an
    /// index.
    pub async fn lateness(&self, mount_id: i64, now: Timestamp) -> Result<Lateness, StorageError> {
        self.read(move |connection| {
            let count = |state: LeaseState| {
                one(
                    connection,
                    "SELECT count(*) FROM leases WHERE mount_id = ?1 AND ending_since IS NOT NULL AND state = ?2",
                    params![mount_id, state.as_str()],
                    |row| row.get(0),
                )
            };
            let since = one(
                connection,
                "SELECT min(ending_since) FROM leases WHERE mount_id = ?1 AND ending_since IS NOT NULL",
                [mount_id],
                |row| row.get(0),
            )?;
            // Expired, and not even taken up.
            let expired = one(
                connection,
                "SELECT min((SELECT due_at FROM leases WHERE connection_id = connections.id AND due_at <= ?2
                               AND state = 'active' ORDER BY due_at LIMIT 1))
                 FROM connections WHERE mount_id = ?1",
                params![mount_id, now.0],
                |row| row.get(0),
            )?;
            let mut late = Lateness {
                revoking: count(LeaseState::Revoking)?.unwrap_or(0),
                out_of_sync: count(LeaseState::OutOfSync)?.unwrap_or(0),
                oldest: [since.flatten(), expired.flatten()].into_iter().flatten().min().map(Timestamp),
            };
            for order in orders(connection, mount_id)? {
                // Without those counted above. By the index of what is ending: `+` keeps
                // the other terms from choosing one.
                let untaken: Option<u64> = one(
                    connection,
                    "SELECT (SELECT count(*) FROM leases WHERE role_id = ?1 AND operation > ?2 AND operation <= ?3)
                       - (SELECT count(*) FROM leases WHERE mount_id = ?4 AND ending_since IS NOT NULL
                            AND +role_id = ?1 AND +operation > ?2 AND +operation <= ?3)",
                    params![order.role_id, order.taken, order.newest, mount_id],
                    |row| row.get(0),
                )?;
                late.revoking += untaken.unwrap_or(0);
                late.oldest = late.oldest.into_iter().chain([order.ordered_at]).min();
            }
            Ok(late)
        })
        .await
    }

    /// The credentials that a connection's revocation list must name, by time of revocation.
    pub async fn early_revocations(
        &self,
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<Vec<RevokedCredential>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT credential_id, revoked_at, expires_at FROM early_revocations
                 WHERE connection_id = ?1 AND (expires_at IS NULL OR expires_at > ?2)
                 ORDER BY revoked_at, credential_id",
                params![of.0, now.0],
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
        of: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.execute(
            "DELETE FROM early_revocations WHERE connection_id = ?1 AND expires_at <= ?2",
            (of.0, now.0),
        )
        .await
    }
}

/// Leases of orders that one write looks at: of those that were failing before the
/// order there may be many, which keep their own times.
const LOOKED_AT: usize = 256;

/// The change that marks a lease: `?2` is now. One that is perhaps still being
/// made keeps its due time, so that its revocation cannot overtake its creation;
/// one that is out of sync keeps its state and is tried at once.
const MARK: &str =
    "due_at = CASE WHEN credential_id IS NULL AND attempts = 0 THEN due_at ELSE ?2 END,
    state = CASE state WHEN 'out-of-sync' THEN state ELSE 'revoking' END,
    ending_since = coalesce(ending_since, ?2)";

/// An order to end leases.
struct Order {
    role_id: i64,
    newest: Vec<u8>,
    taken: Vec<u8>,
    ordered_at: Timestamp,
}

/// Orders the end of leases within a transaction: a row for each version of a role
/// that has some, however many they are.
pub(super) fn order_revocation(
    connection: &Connection,
    mount_id: i64,
    role: Option<&str>,
    newest: OperationId,
    now: Timestamp,
) -> Result<(), StorageError> {
    let these = "mount_id = ?1 AND (?3 IS NULL OR name = ?3)";
    order(
        connection,
        these,
        params![mount_id, now.0, role, newest.to_bytes()],
    )
}

/// Orders the end of the leases of `these` versions of roles at `?2`, up to `?4`.
fn order(
    connection: &Connection,
    these: &str,
    parameters: impl rusqlite::Params,
) -> Result<(), StorageError> {
    // An older order begins again: what it has passed may have got company, where
    // the clock was put back.
    let sql = format!(
        "INSERT INTO revocation_orders (role_id, mount_id, connection_id, newest, taken, ordered_at)
         SELECT id, mount_id, connection_id,
           (SELECT max(operation) FROM leases WHERE role_id = roles.id AND operation <= ?4), x'', ?2
         FROM roles
         WHERE {these} AND EXISTS (SELECT 1 FROM leases WHERE role_id = roles.id AND operation <= ?4)
         ON CONFLICT (role_id) DO UPDATE SET newest = max(newest, excluded.newest), taken = x''"
    );
    change(connection, &sql, parameters)?;
    Ok(())
}

const ORDERS: &str = "SELECT role_id, newest, taken, ordered_at FROM revocation_orders";

/// The orders of a mount.
fn orders(connection: &Connection, mount_id: i64) -> Result<Vec<Order>, StorageError> {
    let sql = format!("{ORDERS} WHERE mount_id = ?1");
    all(connection, &sql, [mount_id], order_row)
}

fn order_row(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        role_id: row.get("role_id")?,
        newest: row.get("newest")?,
        taken: row.get("taken")?,
        ordered_at: moment(row, "ordered_at")?,
    })
}

/// Leases of an order that wait for their turn.
fn untaken(connection: &Connection, order: &Order, limit: usize) -> Result<Found, StorageError> {
    let sql = format!(
        "{SELECT} WHERE l.role_id = ?1 AND l.operation > ?2 AND l.operation <= ?3
           AND l.state IN ('creating', 'active') ORDER BY l.operation LIMIT ?4"
    );
    let parameters = params![order.role_id, order.taken, order.newest, limit];
    found(connection, &sql, parameters)
}

/// Takes leases whose end is ordered, until `taken` has `limit` of them, or so many
/// were looked at that others should write first.
fn claim_ordered(
    connection: &Connection,
    of: ConnectionId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
    taken: &mut Sorted,
) -> Result<(), StorageError> {
    let waiting = format!("{SELECT} WHERE l.operation = ?1 AND l.state IN ('creating', 'active')");
    let mark = format!("UPDATE leases SET {MARK} WHERE operation = ?1");
    let next = format!("{ORDERS} WHERE connection_id = ?1 LIMIT 1");
    let mut left = LOOKED_AT;
    while left > 0 && taken.rows.len() < limit {
        let Some(order) = one(connection, &next, [of.0], order_row)? else {
            break;
        };
        let look = left.min(limit - taken.rows.len());
        let ids: Vec<[u8; 16]> = all(
            connection,
            "SELECT operation FROM leases WHERE role_id = ?1 AND operation > ?2 AND operation <= ?3
             ORDER BY operation LIMIT ?4",
            params![order.role_id, order.taken, order.newest, look],
            |row| row.get(0),
        )?;
        for id in &ids {
            let mut found = sorted(connection, &waiting, [id], now)?;
            taken.set_aside.append(&mut found.set_aside);
            for mut row in found.rows {
                if row.credential_id.is_none() {
                    // Still being made: it is due when that is over.
                    change(connection, &mark, params![id, order.ordered_at.0])?;
                } else {
                    claim(connection, &mut row, now, until)?;
                    taken.rows.push(row);
                }
            }
        }
        match ids.last() {
            Some(last) if ids.len() == look => change(
                connection,
                "UPDATE revocation_orders SET taken = ?2 WHERE role_id = ?1",
                params![order.role_id, last],
            )?,
            _ => change(
                connection,
                "DELETE FROM revocation_orders WHERE role_id = ?1",
                [order.role_id],
            )?,
        };
        left -= look;
    }
    Ok(())
}

/// Marks the leases that end with a token, within a transaction.
pub(super) fn mark_bound(
    connection: &Connection,
    accessor: &str,
    now: Timestamp,
) -> Result<usize, StorageError> {
    change(
        connection,
        &format!(
            "UPDATE leases SET {MARK} WHERE bound_to = ?1 AND state IN ('creating', 'active')"
        ),
        params![accessor, now.0],
    )
}

fn claim(
    connection: &Connection,
    row: &mut LeaseRow,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StorageError> {
    // One that expired should have ended then, not when somebody found the time.
    let since = row.expires_at.filter(|_| row.state == LeaseState::Active);
    if row.state != LeaseState::OutOfSync {
        row.state = LeaseState::Revoking;
    }
    row.ending_since = row.ending_since.or(since).or(Some(now));
    row.attempts = row.attempts.saturating_add(1);
    row.due_at = Some(until);
    change(
        connection,
        "UPDATE leases SET state = ?2, attempts = ?3, due_at = ?4, ending_since = ?5 WHERE operation = ?1",
        params![
            row.operation.to_bytes(),
            row.state.as_str(),
            row.attempts,
            until.0,
            row.ending_since.map(|since| since.0)
        ],
    )?;
    Ok(())
}
