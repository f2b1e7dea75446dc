//! Leases: the one table that grows. Its two indexes serve the scheduler (each
//! mount's due work) and listing by role; nothing ever counts or scans it whole.

use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::{
    Storage, StorageError, all, change, json, maybe_moment, moment, one, operation, roles, to_json,
    unreadable,
};
use crate::{
    clock::Timestamp,
    id::{Digest, OperationId, RoleName},
    provider::Requester,
};

/// Where a lease stands. A revoked one has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// The provider is or was being asked; what exists upstream is not known.
    Creating,
    /// Handed out.
    Active,
    /// To be ended upstream.
    Revoking,
    /// Could not be ended; tried daily.
    OutOfSync,
}

impl LeaseState {
    /// The name in storage and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Revoking => "revoking",
            Self::OutOfSync => "out-of-sync",
        }
    }

    fn parse(text: &str) -> rusqlite::Result<Self> {
        [
            Self::Creating,
            Self::Active,
            Self::Revoking,
            Self::OutOfSync,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| unreadable("state", std::fmt::Error))
    }
}

/// The intent to make a credential.
#[derive(Clone, Debug)]
pub struct NewLease {
    /// The operation; alone it names the lease.
    pub operation: OperationId,
    /// The mount.
    pub mount_id: i64,
    /// The version of the role.
    pub role_id: i64,
    /// Name of the upstream principal.
    pub principal: String,
    /// Who asked.
    pub requester: Requester,
    /// Digest of the provider.
    pub plugin_sha256: Digest,
    /// Version of the root credential.
    pub config_version: u32,
    /// When it was asked for.
    pub issued_at: Timestamp,
    /// When it shall end; absent: never.
    pub expires_at: Option<Timestamp>,
    /// Beyond which no renewal goes.
    pub max_expires_at: Option<Timestamp>,
    /// When, without an outcome, it must be taken for maybe created.
    pub give_up_at: Timestamp,
    /// Caps on the role's and the mount's leases; 0: none.
    pub role_cap: u64,
    /// Cap on the mount's leases; 0: none.
    pub mount_cap: u64,
}

/// What is recorded of a credential that was made.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Its id upstream.
    pub credential_id: String,
    /// Facts worth showing.
    pub metadata: Value,
    /// When it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// When upstream ends it by itself.
    pub upstream_expires_at: Option<Timestamp>,
}

/// A lease as stored.
#[derive(Clone, Debug)]
pub struct LeaseRow {
    /// The operation that made it.
    pub operation: OperationId,
    /// The mount.
    pub mount_id: i64,
    /// The version of the role.
    pub role_id: i64,
    /// The role's name.
    pub role_name: RoleName,
    /// Where it stands.
    pub state: LeaseState,
    /// Name of the upstream principal.
    pub principal: String,
    /// Its id upstream; absent where the answer to `create` is not known.
    pub credential_id: Option<String>,
    /// Facts that the provider told.
    pub metadata: Value,
    /// Who asked.
    pub requester: Requester,
    /// Digest of the provider that made it.
    pub plugin_sha256: Digest,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// Beyond which no renewal goes.
    pub max_expires_at: Option<Timestamp>,
    /// When upstream ends it by itself.
    pub upstream_expires_at: Option<Timestamp>,
    /// When it was last renewed.
    pub renewed_at: Option<Timestamp>,
    /// Attempts to revoke it.
    pub attempts: u32,
    /// When the scheduler must look at it.
    pub due_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// A revocation that a list must name until the credential's own end.
#[derive(Clone, Debug)]
pub struct EarlyRevocation {
    /// When it was revoked.
    pub revoked_at: Timestamp,
}

const SELECT: &str = "SELECT l.operation, l.mount_id, l.role_id, r.name AS role_name, l.state, l.principal,
    l.credential_id, l.metadata, l.requester, l.plugin_sha256, l.issued_at, l.expires_at, l.max_expires_at,
    l.upstream_expires_at, l.renewed_at, l.attempts, l.due_at, l.last_error
  FROM leases l JOIN roles r ON r.id = l.role_id";

/// Which cap refused an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// `max_leases` of the role.
    Role,
    /// `max_leases` of the mount.
    Mount,
}

impl Storage {
    /// Commits the intent, before the provider is called. Refused by a cap.
    pub async fn record_intent(&self, lease: NewLease) -> Result<Result<(), Cap>, StorageError> {
        self.write(move |connection| {
            if lease.role_cap > 0 && role_is_full(connection, &lease)? {
                return Ok(Err(Cap::Role));
            }
            if lease.mount_cap > 0 && mount_is_full(connection, &lease)? {
                return Ok(Err(Cap::Mount));
            }
            insert_intent(connection, &lease)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Commits a credential that was made, before its caller sees it. False
    /// where the lease was marked for revocation meanwhile, or given up: then
    /// the credential's id is kept and it is revoked at once.
    pub async fn record_active(
        &self,
        lease: NewLease,
        activation: Activation,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let id = lease.operation.to_bytes();
            let metadata = to_json(&activation.metadata)?;
            let upstream_end = activation.upstream_expires_at.map(|end| end.0);
            let activated = change(
                connection,
                "UPDATE leases SET state = 'active', credential_id = ?2, metadata = ?3, expires_at = ?4, due_at = ?4,
                   upstream_expires_at = ?5
                 WHERE operation = ?1 AND state = 'creating'",
                params![id, activation.credential_id, metadata, activation.expires_at.map(|end| end.0), upstream_end],
            )?;
            if activated > 0 {
                return Ok(true);
            }
            // Marked meanwhile; or, where the call outlived its deadline, already
            // looked for upstream, not found and forgotten. It exists now.
            insert_intent(connection, &lease)?;
            change(
                connection,
                "UPDATE leases SET state = 'revoking', credential_id = ?2, metadata = ?3, due_at = ?4,
                   upstream_expires_at = ?5
                 WHERE operation = ?1",
                params![id, activation.credential_id, metadata, now.0, upstream_end],
            )?;
            Ok(false)
        })
        .await
    }

    /// Removes an intent of which nothing can exist upstream.
    pub async fn forget_intent(&self, id: OperationId) -> Result<(), StorageError> {
        self.write(move |connection| {
            let role: Option<i64> = one(
                connection,
                "DELETE FROM leases WHERE operation = ?1 AND credential_id IS NULL RETURNING role_id",
                [id.to_bytes()],
                |row| row.get(0),
            )?;
            role.map_or(Ok(()), |role| roles::forget_unused(connection, role))
        })
        .await
    }

    /// Marks one lease for revocation. A lease that is still being made keeps
    /// its due time, so that the revocation cannot overtake its creation. None
    /// where there is no such lease.
    pub async fn mark_lease(
        &self,
        id: OperationId,
        now: Timestamp,
    ) -> Result<Option<LeaseState>, StorageError> {
        self.write(move |connection| {
            let was = one(
                connection,
                "SELECT state FROM leases WHERE operation = ?1",
                [id.to_bytes()],
                |row| LeaseState::parse(&row.get::<_, String>(0)?),
            )?;
            if was.is_some() {
                change(
                    connection,
                    &format!("UPDATE leases SET {MARK} WHERE operation = ?1"),
                    params![id.to_bytes(), now.0],
                )?;
            }
            Ok(was)
        })
        .await
    }

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
    pub async fn claim_due(
        &self,
        mount_id: i64,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeaseRow>, StorageError> {
        self.write(move |connection| {
            let sql = format!(
                "{SELECT} WHERE l.mount_id = ?1 AND l.due_at <= ?2 ORDER BY l.due_at LIMIT ?3"
            );
            let mut rows = all(connection, &sql, params![mount_id, now.0, limit], lease_row)?;
            for row in &mut rows {
                claim(connection, row, until)?;
            }
            Ok(rows)
        })
        .await
    }

    /// Takes one due lease for an attempt, as [`Self::claim_due`].
    pub async fn claim_lease(
        &self,
        id: OperationId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseRow>, StorageError> {
        self.write(move |connection| {
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
        self.write(move |connection| {
            change(
                connection,
                "UPDATE leases SET state = ?2, due_at = ?3, last_error = ?4 WHERE operation = ?1",
                params![id.to_bytes(), state.as_str(), due_at.0, error],
            )?;
            Ok(())
        })
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
        self.write(move |connection| {
            change(
                connection,
                "UPDATE leases SET due_at = ?2
                 WHERE mount_id = ?1 AND due_at > ?2 AND state IN ('revoking', 'out-of-sync')
                   AND last_error IS NOT NULL AND attempts > 0",
                params![mount_id, now.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Moves the end of an active lease; false where it is no longer active.
    pub async fn record_renewed(
        &self,
        id: OperationId,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let renewed = change(
                connection,
                "UPDATE leases SET expires_at = ?2, due_at = ?2, renewed_at = ?3
                 WHERE operation = ?1 AND state = 'active'",
                params![id.to_bytes(), expires_at.map(|end| end.0), now.0],
            )?;
            Ok(renewed > 0)
        })
        .await
    }

    /// One lease.
    pub async fn lease(&self, id: OperationId) -> Result<Option<LeaseRow>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                &format!("{SELECT} WHERE l.operation = ?1"),
                [id.to_bytes()],
                lease_row,
            )
        })
        .await
    }

    /// Names of a mount's roles, former ones included, that have leases.
    pub async fn leased_role_names(&self, mount_id: i64) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT DISTINCT name FROM roles
                 WHERE mount_id = ?1 AND EXISTS (SELECT 1 FROM leases WHERE role_id = roles.id) ORDER BY name",
                [mount_id],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Ids of a role's leases in order of time, at most `limit`.
    pub async fn lease_ids(
        &self,
        mount_id: i64,
        role: RoleName,
        limit: usize,
    ) -> Result<Vec<OperationId>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT operation FROM leases
                 WHERE role_id IN (SELECT id FROM roles WHERE mount_id = ?1 AND name = ?2)
                 ORDER BY operation LIMIT ?3",
                params![mount_id, role.as_str(), limit],
                |row| operation(row, "operation"),
            )
        })
        .await
    }

    /// Whether a mount, or one of its roles, has a lease older than `newest`.
    pub async fn has_leases_before(
        &self,
        mount_id: i64,
        role: Option<RoleName>,
        newest: OperationId,
    ) -> Result<bool, StorageError> {
        self.read(move |connection| {
            let found = one(
                connection,
                "SELECT 1 FROM roles r JOIN leases l ON l.role_id = r.id
                 WHERE r.mount_id = ?1 AND (?2 IS NULL OR r.name = ?2) AND l.operation <= ?3 LIMIT 1",
                params![mount_id, role.as_ref().map(RoleName::as_str), newest.to_bytes()],
                |_| Ok(()),
            )?;
            Ok(found.is_some())
        })
        .await
    }

    /// Number of leases of a mount by state. It reads the mount's leases: for
    /// operators, not for the path of a request.
    pub async fn count_leases(&self, mount_id: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT l.state, count(*) FROM roles r JOIN leases l ON l.role_id = r.id
                 WHERE r.mount_id = ?1 GROUP BY l.state ORDER BY l.state",
                [mount_id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }

    /// What a mount's revocation list must name, by time of revocation.
    pub async fn early_revocations(
        &self,
        mount_id: i64,
        now: Timestamp,
    ) -> Result<Vec<crate::provider::RevokedCredential>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT credential_id, revoked_at, expires_at FROM early_revocations
                 WHERE mount_id = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY revoked_at, credential_id",
                params![mount_id, now.0],
                |row| {
                    Ok(crate::provider::RevokedCredential {
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
        self.write(move |connection| {
            change(
                connection,
                "DELETE FROM early_revocations WHERE mount_id = ?1 AND expires_at <= ?2",
                params![mount_id, now.0],
            )?;
            Ok(())
        })
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

/// Inserts the intent where it does not stand yet.
fn insert_intent(connection: &Connection, lease: &NewLease) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT OR IGNORE INTO leases (operation, mount_id, role_id, state, principal, metadata, requester,
           plugin_sha256, config_version, issued_at, expires_at, max_expires_at, attempts, due_at)
         VALUES (?1, ?2, ?3, 'creating', ?4, '{}', ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11)",
        params![
            lease.operation.to_bytes(),
            lease.mount_id,
            lease.role_id,
            lease.principal,
            to_json(&lease.requester)?,
            lease.plugin_sha256.to_bytes(),
            lease.config_version,
            lease.issued_at.0,
            lease.expires_at.map(|end| end.0),
            lease.max_expires_at.map(|end| end.0),
            lease.give_up_at.0
        ],
    )?;
    Ok(())
}

fn role_is_full(connection: &Connection, lease: &NewLease) -> Result<bool, StorageError> {
    let found: u64 = one(
        connection,
        "SELECT count(*) FROM (SELECT 1 FROM leases
           WHERE role_id IN (SELECT id FROM roles WHERE (mount_id, name) = (SELECT mount_id, name FROM roles WHERE id = ?1))
           LIMIT ?2)",
        params![lease.role_id, lease.role_cap],
        |row| row.get(0),
    )?
    .unwrap_or(0);
    Ok(found >= lease.role_cap)
}

fn mount_is_full(connection: &Connection, lease: &NewLease) -> Result<bool, StorageError> {
    let found: u64 = one(
        connection,
        "SELECT count(*) FROM (SELECT 1 FROM leases
           WHERE role_id IN (SELECT id FROM roles WHERE mount_id = ?1) LIMIT ?2)",
        params![lease.mount_id, lease.mount_cap],
        |row| row.get(0),
    )?
    .unwrap_or(0);
    Ok(found >= lease.mount_cap)
}

fn lease_row(row: &Row<'_>) -> rusqlite::Result<LeaseRow> {
    let (state, role_name): (String, String) = (row.get("state")?, row.get("role_name")?);
    Ok(LeaseRow {
        operation: operation(row, "operation")?,
        mount_id: row.get("mount_id")?,
        role_id: row.get("role_id")?,
        role_name: role_name
            .parse()
            .map_err(|error| unreadable("role_name", error))?,
        state: LeaseState::parse(&state)?,
        principal: row.get("principal")?,
        credential_id: row.get("credential_id")?,
        metadata: json(row, "metadata")?,
        requester: json(row, "requester")?,
        plugin_sha256: Digest::from_bytes(row.get("plugin_sha256")?),
        issued_at: moment(row, "issued_at")?,
        expires_at: maybe_moment(row, "expires_at")?,
        max_expires_at: maybe_moment(row, "max_expires_at")?,
        upstream_expires_at: maybe_moment(row, "upstream_expires_at")?,
        renewed_at: maybe_moment(row, "renewed_at")?,
        attempts: row.get("attempts")?,
        due_at: maybe_moment(row, "due_at")?,
        last_error: row.get("last_error")?,
    })
}
