//! Roles. A change makes a new row, so that every lease keeps the one it was
//! made with; a former row goes when its last lease has gone.

use lessor_model::{
    clock::Timestamp,
    id::{ConnectionId, OperationId, RoleName},
    role::HostFields,
};
use rusqlite::{Connection, Row, params};

use super::{Storage, StorageError, all, change, json, one, revocations, to_json};
use crate::kept::Changes;

/// A role as stored.
#[derive(Clone, Debug)]
pub struct RoleRow {
    /// Names this version of the role.
    pub id: i64,
    /// The role's name.
    pub name: RoleName,
    /// The connection that it is for.
    pub connection: ConnectionId,
    /// The host's own fields.
    pub host: HostFields,
    /// The provider's document, sealed.
    pub document: Vec<u8>,
}

/// A role to be stored.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// The mount.
    pub mount_id: i64,
    /// The role's name.
    pub name: RoleName,
    /// The connection that it is for.
    pub connection: ConnectionId,
    /// The host's own fields.
    pub host: HostFields,
    /// The provider's document, sealed.
    pub document: Vec<u8>,
    /// The time when it was made.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "id, name, connection_id, host, document";

impl Storage {
    /// Counts the writes of roles.
    pub fn role_changes(&self) -> Changes {
        self.0.feed.roles.clone()
    }

    /// The role that new leases are made with.
    pub async fn current_role(
        &self,
        mount_id: i64,
        name: RoleName,
    ) -> Result<Option<RoleRow>, StorageError> {
        let key = (mount_id, name.clone());
        let read = self.find(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM roles WHERE mount_id = ?1 AND name = ?2 AND current = 1"
            );
            one(connection, &sql, params![mount_id, name.as_str()], role_row)
        });
        self.0.roles.find(key, read).await
    }

    /// Whether a mount that is live has a role.
    pub async fn is_role_offered(
        &self,
        mount_id: i64,
        name: RoleName,
    ) -> Result<bool, StorageError> {
        self.read(move |connection| {
            let found = one(
                connection,
                "SELECT 1 FROM roles r JOIN mounts m ON m.id = r.mount_id
                 WHERE r.mount_id = ?1 AND r.name = ?2 AND r.current = 1 AND m.state = 'live'",
                params![mount_id, name.as_str()],
                |_| Ok(()),
            )?;
            Ok(found.is_some())
        })
        .await
    }

    /// The version of a role that a lease was made with.
    pub async fn role(&self, id: i64) -> Result<Option<RoleRow>, StorageError> {
        self.find(move |connection| {
            one(
                connection,
                &format!("SELECT {COLUMNS} FROM roles WHERE id = ?1"),
                [id],
                role_row,
            )
        })
        .await
    }

    /// Names of a mount's roles, in order.
    pub async fn role_names(&self, mount_id: i64) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT name FROM roles WHERE mount_id = ?1 AND current = 1 ORDER BY name",
                [mount_id],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Puts a role in use for new leases. False where the one in use is another than
    /// `former` by now: what was made from that would undo a change.
    pub async fn replace_role(
        &self,
        role: NewRole,
        former: Option<i64>,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let NewRole { mount_id, name, .. } = role;
            if in_use(connection, mount_id, &name)? != former {
                return Ok(false);
            }
            set_aside(connection, mount_id, &name)?;
            change(
                connection,
                "INSERT INTO roles (mount_id, name, current, host, document, created_at, connection_id)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)",
                params![
                    mount_id,
                    name.as_str(),
                    to_json(&role.host)?,
                    role.document,
                    role.created_at.0,
                    role.connection.0
                ],
            )?;
            Ok(true)
        })
        .await
    }

    /// Removes a role and, with `revoke`, orders the end of its leases, in one
    /// transaction. False where the one in use is another than `former` by now, and then
    /// nothing is ended.
    pub async fn remove_role(
        &self,
        mount_id: i64,
        name: RoleName,
        former: i64,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            if in_use(connection, mount_id, &name)? != Some(former) {
                return Ok(false);
            }
            set_aside(connection, mount_id, &name)?;
            if revoke {
                let role = Some(name.as_str());
                revocations::order_revocation(
                    connection,
                    mount_id,
                    role,
                    OperationId::GREATEST,
                    now,
                )?;
            }
            Ok(true)
        })
        .await
    }
}

/// The id of the version of a role that is in use.
fn in_use(
    connection: &Connection,
    mount_id: i64,
    name: &RoleName,
) -> Result<Option<i64>, StorageError> {
    one(
        connection,
        "SELECT id FROM roles WHERE mount_id = ?1 AND name = ?2 AND current = 1",
        params![mount_id, name.as_str()],
        |row| row.get(0),
    )
}

/// Takes the current version of a role out of use, and away where no lease was
/// made with it.
fn set_aside(connection: &Connection, mount_id: i64, name: &RoleName) -> Result<(), StorageError> {
    change(
        connection,
        "UPDATE roles SET current = 0 WHERE mount_id = ?1 AND name = ?2 AND current = 1",
        params![mount_id, name.as_str()],
    )?;
    change(
        connection,
        "DELETE FROM roles WHERE mount_id = ?1 AND name = ?2 AND current = 0
           AND NOT EXISTS (SELECT 1 FROM leases WHERE role_id = roles.id)",
        params![mount_id, name.as_str()],
    )?;
    Ok(())
}

fn role_row(row: &Row<'_>) -> rusqlite::Result<RoleRow> {
    let name: String = row.get("name")?;
    Ok(RoleRow {
        id: row.get("id")?,
        name: name
            .parse()
            .map_err(|error| super::unreadable("name", error))?,
        connection: ConnectionId(row.get("connection_id")?),
        host: json(row, "host")?,
        document: row.get("document")?,
    })
}
