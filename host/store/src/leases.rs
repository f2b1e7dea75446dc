//! Leases: the one table that grows. Its two indexes serve the scheduler (each
//! connection's due work) and listing by role; nothing on the path of a request
//! counts or scans it whole. How leases end is in `revocations`.

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, Digest, OperationId, RoleName},
    provider::Requester,
};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::{
    IdempotencyRow, Storage, StorageError, all, change, idempotency, json, maybe_moment, moment,
    one, operation, to_json, unreadable,
};

/// The state of a lease. A revoked one has no row.
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

    pub(super) fn parse(text: &str) -> rusqlite::Result<Self> {
        [
            Self::Creating,
            Self::Active,
            Self::Revoking,
            Self::OutOfSync,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| unreadable("state", std::io::Error::other("there is no such state")))
    }
}

/// The intent to make a credential.
#[derive(Clone, Debug)]
pub struct NewLease {
    /// The operation; alone it names the lease.
    pub operation: OperationId,
    /// The mount.
    pub mount_id: i64,
    /// The connection whose root credential makes it.
    pub connection: ConnectionId,
    /// The version of the role.
    pub role_id: i64,
    /// Name of the upstream principal.
    pub principal: String,
    /// The caller that asked.
    pub requester: Requester,
    /// Digest of the provider.
    pub plugin_sha256: Digest,
    /// Version of the root credential.
    pub config_version: u32,
    /// The time when it was asked for.
    pub issued_at: Timestamp,
    /// The time when it shall end; absent: never.
    pub expires_at: Option<Timestamp>,
    /// Beyond which no renewal goes.
    pub max_expires_at: Option<Timestamp>,
    /// When, without an outcome, it must be taken for maybe created.
    pub give_up_at: Timestamp,
    /// Caps on the role's and the mount's leases; 0: none.
    pub role_cap: u64,
    /// Cap on the mount's leases; 0: none.
    pub mount_cap: u64,
    /// Whether it ends with its requester's token.
    pub bound: bool,
}

impl NewLease {
    /// The intent of a stored lease, to be made once more with a version of the
    /// root credential. Its caps were counted at the first time.
    pub fn of_row(row: &LeaseRow, config_version: u32, give_up_at: Timestamp) -> Self {
        Self {
            operation: row.operation,
            mount_id: row.mount_id,
            connection: row.connection,
            role_id: row.role_id,
            principal: row.principal.clone(),
            requester: row.requester.clone(),
            plugin_sha256: row.plugin_sha256,
            config_version,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            max_expires_at: row.max_expires_at,
            give_up_at,
            role_cap: 0,
            mount_cap: 0,
            bound: row.bound_to.is_some(),
        }
    }
}

/// The facts that are recorded of a credential that was made.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Its id upstream.
    pub credential_id: String,
    /// Facts worth showing.
    pub metadata: Value,
    /// The time when it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// The time when upstream ends it by itself.
    pub upstream_expires_at: Option<Timestamp>,
}

/// A lease as stored.
#[derive(Clone, Debug)]
pub struct LeaseRow {
    /// The operation that made it.
    pub operation: OperationId,
    /// The mount.
    pub mount_id: i64,
    /// The connection whose root credential makes it.
    pub connection: ConnectionId,
    /// The version of the role.
    pub role_id: i64,
    /// The role's name.
    pub role_name: RoleName,
    /// The state.
    pub state: LeaseState,
    /// Name of the upstream principal.
    pub principal: String,
    /// Its id upstream; absent where the answer to `create` is not known.
    pub credential_id: Option<String>,
    /// Facts that the provider told.
    pub metadata: Value,
    /// The caller that asked.
    pub requester: Requester,
    /// Digest of the provider that made it.
    pub plugin_sha256: Digest,
    /// The time when it was made.
    pub issued_at: Timestamp,
    /// The time when it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// Beyond which no renewal goes.
    pub max_expires_at: Option<Timestamp>,
    /// The time when upstream ends it by itself.
    pub upstream_expires_at: Option<Timestamp>,
    /// The time when it was last renewed.
    pub renewed_at: Option<Timestamp>,
    /// Since when it waits for its end.
    pub ending_since: Option<Timestamp>,
    /// Attempts to revoke it.
    pub attempts: u32,
    /// The time when the scheduler must look at it.
    pub due_at: Option<Timestamp>,
    /// The reason why the last attempt failed.
    pub last_error: Option<String>,
    /// Accessor of the token with which it ends.
    pub bound_to: Option<String>,
}

/// The condition that the order `o` covers the lease `l`: to everybody who asks it is ending then,
/// taken or not.
macro_rules! covers {
    () => {
        "o.role_id = l.role_id AND l.operation <= o.newest"
    };
}

/// Whether an order covers the lease `l`.
macro_rules! ordered {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM revocation_orders o WHERE ",
            covers!(),
            ")"
        )
    };
}

/// The state of the lease `l` as it is told, with the order `o` that covers it.
macro_rules! state {
    () => {
        "CASE WHEN o.role_id IS NOT NULL AND l.state IN ('creating', 'active') THEN 'revoking' ELSE l.state END AS state"
    };
}

/// The order that covers the lease `l`, where there is one.
macro_rules! order {
    () => {
        concat!(" LEFT JOIN revocation_orders o ON ", covers!())
    };
}

/// Columns of a lease with the name of its role; a lease whose role is not there
/// is read, and found to be unreadable. One whose end is ordered is told as ending
/// since then.
pub(super) const SELECT: &str = concat!(
    "SELECT l.operation, l.mount_id, l.connection_id, l.role_id, r.name AS role_name, ",
    state!(),
    ", l.principal, l.credential_id, l.metadata, l.requester, l.plugin_sha256, l.issued_at, l.expires_at,
    l.max_expires_at, l.upstream_expires_at, l.renewed_at, coalesce(l.ending_since, o.ordered_at) AS ending_since,
    l.attempts, CASE WHEN l.state = 'active' THEN coalesce(o.ordered_at, l.due_at) ELSE l.due_at END AS due_at,
    l.last_error, l.bound_to
  FROM leases l LEFT JOIN roles r ON r.id = l.role_id",
    order!()
);

/// The outcome of storing an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It is committed.
    Recorded,
    /// A cap refused it.
    Full(Cap),
    /// Its role is another by now, or gone, or the mount's config is.
    RoleChanged,
    /// Its key stands for another operation.
    KeyTaken,
    /// It shall end with a token that has ended.
    TokenGone,
}

/// The outcome of recording a credential that leaves nothing upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Its lease is committed.
    Active,
    /// The reason for which its intent would have been refused, had there been one.
    Refused(Intent),
    /// An order to revoke leases of its role covers it.
    Revoked,
    /// Its role is another by now, or gone, or the mount is.
    RoleChanged,
}

/// The cap that refused an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// `max_leases` of the role.
    Role,
    /// `max_leases` of the mount.
    Mount,
}

impl Storage {
    /// Commits the intent, before the provider is called, with the key under which
    /// the request may be repeated.
    pub async fn record_intent(
        &self,
        lease: NewLease,
        key: Option<IdempotencyRow>,
    ) -> Result<Intent, StorageError> {
        self.write(move |connection| {
            if let Some(refused) = refused(connection, &lease)? {
                return Ok(refused);
            }
            if let Some(key) = key
                && !idempotency::insert(connection, &key, lease.issued_at)?
            {
                return Ok(Intent::KeyTaken);
            }
            insert_intent(connection, &lease)?;
            Ok(Intent::Recorded)
        })
        .await
    }

    /// The cap that would refuse a lease now.
    pub async fn cap_reached(&self, lease: NewLease) -> Result<Option<Cap>, StorageError> {
        self.find(move |connection| cap_reached(connection, &lease))
            .await
    }

    /// Commits a credential that leaves nothing upstream, before its caller sees it.
    /// It needs no intent: where the process ends before this, nothing exists.
    pub async fn record_made(
        &self,
        lease: NewLease,
        activation: Activation,
    ) -> Result<Made, StorageError> {
        self.write(move |connection| {
            let order: Option<bool> = one(
                connection,
                "SELECT coalesce(?2 <= o.newest, 0)
                 FROM roles r JOIN mounts m ON m.id = r.mount_id LEFT JOIN revocation_orders o ON o.role_id = r.id
                 WHERE r.id = ?1 AND r.current = 1 AND m.state = 'live'",
                params![lease.role_id, lease.operation.to_bytes()],
                |row| row.get(0),
            )?;
            match order {
                None => return Ok(Made::RoleChanged),
                Some(true) => return Ok(Made::Revoked),
                Some(false) => {}
            }
            if let Some(refused) = refused(connection, &lease)? {
                return Ok(Made::Refused(refused));
            }
            insert_active(connection, &lease, &activation)?;
            Ok(Made::Active)
        })
        .await
    }

    /// Gives an intent time until `due_at` for another attempt. The lease, where it
    /// is being made or active.
    pub async fn resume_intent(
        &self,
        id: OperationId,
        due_at: Timestamp,
    ) -> Result<Option<LeaseRow>, StorageError> {
        self.write(move |connection| {
            let id = id.to_bytes();
            change(
                connection,
                "UPDATE leases SET due_at = ?2 WHERE operation = ?1 AND state = 'creating'",
                params![id, due_at.0],
            )?;
            let sql = format!(
                "{SELECT} WHERE l.operation = ?1 AND l.state IN ('creating', 'active') AND o.role_id IS NULL"
            );
            one(connection, &sql, [id], lease_row)
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
                concat!(
                    "UPDATE leases AS l SET state = 'active', credential_id = ?2, metadata = ?3, expires_at = ?4,
                       due_at = ?4, upstream_expires_at = ?5
                     WHERE operation = ?1 AND state = 'creating' AND NOT ",
                    ordered!()
                ),
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
                   upstream_expires_at = ?5, ending_since = coalesce(ending_since, ?4)
                 WHERE operation = ?1",
                params![id, activation.credential_id, metadata, now.0, upstream_end],
            )?;
            Ok(false)
        })
        .await
    }

    /// Records credentials that exist already, all of them or none: what was leased
    /// elsewhere, or is laid in to see how much is borne.
    pub async fn record_existing(
        &self,
        leases: Vec<(NewLease, Activation)>,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            for (lease, activation) in &leases {
                insert_active(connection, lease, activation)?;
            }
            Ok(())
        })
        .await
    }

    /// Records at `now` that making a credential failed where it may have taken effect:
    /// from `due_at` on it is looked for upstream and ended.
    pub async fn record_not_made(
        &self,
        lease: NewLease,
        now: Timestamp,
        due_at: Timestamp,
        error: String,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            // Forgotten already, as in `record_active`.
            insert_intent(connection, &lease)?;
            change(
                connection,
                "UPDATE leases SET state = 'revoking', due_at = ?2, last_error = ?3,
                   ending_since = coalesce(ending_since, ?4)
                 WHERE operation = ?1",
                params![lease.operation.to_bytes(), due_at.0, error, now.0],
            )?;
            Ok(())
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
            role.map_or(Ok(()), |role| forget_unused(connection, role))
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
        self.execute_any(
            concat!(
                "UPDATE leases AS l SET expires_at = ?2, due_at = ?2, renewed_at = ?3
                 WHERE operation = ?1 AND state = 'active' AND NOT ",
                ordered!()
            ),
            (id.to_bytes(), expires_at.map(|end| end.0), now.0),
        )
        .await
    }

    /// One lease.
    pub async fn lease(&self, id: OperationId) -> Result<Option<LeaseRow>, StorageError> {
        self.find(move |connection| {
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
                   AND length(operation) = 16
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

    /// The number of leases that were made by a connection.
    pub async fn leases_by_connection(&self, of: ConnectionId) -> Result<usize, StorageError> {
        self.read(move |connection| {
            let count = one(
                connection,
                "SELECT count(*) FROM leases WHERE role_id IN (SELECT id FROM roles WHERE connection_id = ?1)",
                [of.0],
                |row| row.get(0),
            )?;
            Ok(count.unwrap_or(0))
        })
        .await
    }

    /// Number of leases of a mount, or of one of its roles, that are no newer than
    /// `newest`, read from an index alone.
    pub async fn total_leases(
        &self,
        mount_id: i64,
        role: Option<RoleName>,
        newest: OperationId,
    ) -> Result<usize, StorageError> {
        self.read(move |connection| {
            let total = one(
                connection,
                "SELECT count(*) FROM leases WHERE operation <= ?3 AND role_id IN
                   (SELECT id FROM roles WHERE mount_id = ?1 AND (?2 IS NULL OR name = ?2))",
                params![
                    mount_id,
                    role.as_ref().map(RoleName::as_str),
                    newest.to_bytes()
                ],
                |row| row.get(0),
            )?;
            Ok(total.unwrap_or(0))
        })
        .await
    }

    /// Number of leases of a mount by state. It reads the mount's leases: for
    /// operators, not for the path of a request.
    pub async fn count_leases(&self, mount_id: i64) -> Result<Vec<(String, u64)>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                concat!(
                    "SELECT ",
                    state!(),
                    ", count(*) FROM roles r JOIN leases l ON l.role_id = r.id",
                    order!(),
                    " WHERE r.mount_id = ?1 GROUP BY 1 ORDER BY 1"
                ),
                [mount_id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }
}

/// Inserts the intent where it does not stand yet.
fn insert_intent(connection: &Connection, lease: &NewLease) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT OR IGNORE INTO leases (operation, mount_id, role_id, state, principal, metadata, requester,
           plugin_sha256, config_version, issued_at, expires_at, max_expires_at, attempts, due_at, bound_to,
           connection_id)
         VALUES (?1, ?2, ?3, 'creating', ?4, '{}', ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13)",
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
            lease.give_up_at.0,
            lease.bound.then_some(&lease.requester.accessor),
            lease.connection.0,
        ],
    )?;
    Ok(())
}

fn insert_active(
    connection: &Connection,
    lease: &NewLease,
    activation: &Activation,
) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT INTO leases (operation, mount_id, role_id, state, principal, credential_id, metadata, requester,
           plugin_sha256, config_version, issued_at, expires_at, max_expires_at, upstream_expires_at, attempts, due_at,
           bound_to, connection_id)
         VALUES (?1, ?2, ?3, 'active', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, ?11, ?14, ?15)",
        params![
            lease.operation.to_bytes(),
            lease.mount_id,
            lease.role_id,
            lease.principal,
            activation.credential_id,
            to_json(&activation.metadata)?,
            to_json(&lease.requester)?,
            lease.plugin_sha256.to_bytes(),
            lease.config_version,
            lease.issued_at.0,
            activation.expires_at.map(|end| end.0),
            lease.max_expires_at.map(|end| end.0),
            activation.upstream_expires_at.map(|end| end.0),
            lease.bound.then_some(&lease.requester.accessor),
            lease.connection.0,
        ],
    )?;
    Ok(())
}

/// The reason to refuse a lease: a cap, or the end of the token with which it ends.
fn refused(connection: &Connection, lease: &NewLease) -> Result<Option<Intent>, StorageError> {
    // The version of the role may have gone with the last of its leases meanwhile, and the
    // config, without which nothing would end the credential.
    let is_current = one(
        connection,
        "SELECT 1 FROM roles r WHERE id = ?1 AND current = 1
           AND EXISTS (SELECT 1 FROM configs c WHERE c.connection_id = r.connection_id AND c.state = 'current')",
        [lease.role_id],
        |_| Ok(()),
    )?;
    if is_current.is_none() {
        return Ok(Some(Intent::RoleChanged));
    }
    if let Some(cap) = cap_reached(connection, lease)? {
        return Ok(Some(Intent::Full(cap)));
    }
    let accessor = &lease.requester.accessor;
    let gone = lease.bound && !is_token_live(connection, accessor, lease.issued_at)?;
    Ok(gone.then_some(Intent::TokenGone))
}

fn cap_reached(connection: &Connection, lease: &NewLease) -> Result<Option<Cap>, StorageError> {
    if lease.role_cap > 0 && role_is_full(connection, lease)? {
        return Ok(Some(Cap::Role));
    }
    let full = lease.mount_cap > 0 && mount_is_full(connection, lease)?;
    Ok(full.then_some(Cap::Mount))
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

/// Reads a row of [`SELECT`].
pub(super) fn lease_row(row: &Row<'_>) -> rusqlite::Result<LeaseRow> {
    let (state, role_name): (String, String) = (row.get("state")?, row.get("role_name")?);
    Ok(LeaseRow {
        operation: operation(row, "operation")?,
        mount_id: row.get("mount_id")?,
        connection: ConnectionId(row.get("connection_id")?),
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
        ending_since: maybe_moment(row, "ending_since")?,
        attempts: row.get("attempts")?,
        due_at: maybe_moment(row, "due_at")?,
        last_error: row.get("last_error")?,
        bound_to: row.get("bound_to")?,
    })
}

/// Removes a former version of a role with its last lease, within the
/// transaction that removes the lease.
pub(super) fn forget_unused(connection: &Connection, role_id: i64) -> Result<(), StorageError> {
    change(
        connection,
        "DELETE FROM roles WHERE id = ?1 AND current = 0
           AND NOT EXISTS (SELECT 1 FROM leases WHERE role_id = ?1)",
        [role_id],
    )?;
    Ok(())
}

/// Whether an accessor names a token that has not ended; within a transaction.
fn is_token_live(
    connection: &Connection,
    accessor: &str,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let found = one(
        connection,
        "SELECT 1 FROM tokens WHERE accessor = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
        params![accessor, now.0],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}
