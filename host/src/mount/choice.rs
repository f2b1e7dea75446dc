//! Which of a mount's connections a role is for.
//!
//! A role names it as `connection`, or as `db_name`, as clients of Vault's database engine
//! do. A mount that has the default connection alone takes any `db_name` for that one:
//! before there were others the word had no meaning, and roles that were written then are
//! written again by the same clients.

use std::sync::Arc;

use lessor_model::{
    id::{ConnectionId, ConnectionName, MountPath},
    refusal::Refusal,
    schema,
};
use serde_json::{Map, Value};

use super::{Connection, Mounts};

/// What the body of a role says of its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    connection: Option<ConnectionName>,
    db_name: Option<String>,
}

/// The connection that a role is for.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// The connection.
    pub(crate) connection: Arc<Connection>,
    /// What its client calls it, where that is another name.
    pub(crate) db_name: Option<String>,
}

impl Choice {
    /// Takes the host's words out of a role's body; `schema` is the provider's, whose
    /// own field `connection` stays in it.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub(crate) fn take(document: &mut Map<String, Value>, schema: &Value) -> Result<Self, String> {
        let mut text = |field: &str| match document.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(format!("{field} must be a string")),
        };
        let connection = match schema::knows(schema, "connection") {
            true => None,
            false => text("connection")?,
        };
        let connection = connection.map(|name| name.parse().map_err(|error| format!("{error}")));
        Ok(Self {
            connection: connection.transpose()?,
            db_name: text("db_name")?,
        })
    }
}

/// Adds the connection to a role as it is shown.
pub(crate) fn show(
    document: &mut Map<String, Value>,
    schema: &Value,
    connection: &Connection,
    db_name: Option<&str>,
) {
    let name = connection.name.as_str();
    if !schema::knows(schema, "connection") {
        document.insert("connection".into(), name.into());
    }
    if let Some(theirs) = db_name.or_else(|| (!connection.name.is_default()).then_some(name)) {
        document.insert("db_name".into(), theirs.into());
    }
}

impl Mounts {
    /// The connection that a role is to be for. One that a role names before it has a
    /// config is made; `kept` is what the role that is changed has.
    ///
    /// # Errors
    /// `Invalid` where two are named; where storage fails.
    pub(crate) async fn chosen(
        &self,
        path: &MountPath,
        choice: Choice,
        kept: Option<(ConnectionId, Option<String>)>,
    ) -> Result<Chosen, Refusal> {
        let (kept, label) = kept.unzip();
        let label = label.flatten();
        let plain = |connection| Chosen {
            connection,
            db_name: None,
        };
        let (name, db_name) = match (choice.connection, choice.db_name) {
            (None, None) => {
                let kept = kept.and_then(|id| self.connection_by_id(id));
                return Ok(match kept {
                    Some(kept) => Chosen {
                        db_name: label,
                        ..plain(kept)
                    },
                    None => plain(self.connection(path, &ConnectionName::DEFAULT)?),
                });
            }
            (Some(name), None) => return Ok(plain(self.named(path, &name).await?)),
            (Some(name), Some(db_name)) => {
                let is_label = label.as_deref() == Some(&*db_name)
                    || (name.is_default() && db_name == path.as_str());
                if !is_label && name.as_str() != db_name {
                    return Err(Refusal::Invalid(
                        "connection and db_name name two connections: give one of them".into(),
                    ));
                }
                let connection = self.named(path, &name).await?;
                let same = is_label && kept == Some(connection.id);
                return Ok(Chosen {
                    db_name: label.filter(|_| same),
                    ..plain(connection)
                });
            }
            (None, Some(db_name)) => (db_name.parse::<ConnectionName>(), db_name),
        };
        if let Ok(name) = &name
            && let Ok(known) = self.connection(path, name)
        {
            return Ok(plain(known));
        }
        let default = self.connection(path, &ConnectionName::DEFAULT)?;
        // That is how a static role is shown for which no connection was named.
        if db_name == path.as_str() {
            return Ok(plain(default));
        }
        let configured = self
            .storage
            .configured_connections(default.mount.id)
            .await?;
        match (&*configured, name) {
            ([one], _) if *one == ConnectionName::DEFAULT.as_str() => Ok(Chosen {
                connection: default,
                db_name: Some(db_name),
            }),
            (_, Ok(name)) => Ok(plain(self.named(path, &name).await?)),
            (_, Err(error)) => Err(Refusal::Invalid(format!("db_name: {error}"))),
        }
    }
}
