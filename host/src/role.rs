//! Roles: what callers may ask of a mount, proven when they are written.
//!
//! A role document has two parts in one JSON object: the host's own fields
//! ([`HostFields`]) and the provider's, by its role schema. A change applies to
//! new leases only.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::Clock,
    duration, fault,
    id::{MountPath, RoleName},
    keyring::Keyring,
    mount::{Mount, Mounts},
    principal,
    provider::Requester,
    refusal::Refusal,
    rotation::Rotations,
    schema,
    secret::Secret,
    storage::{RoleRow, Storage},
};

/// The host's part of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFields {
    /// Seconds of a lease that asks for no length; absent or 0: the mount's.
    pub default_ttl: Option<u64>,
    /// Seconds of the longest lease; absent: the mount's; 0: no limit.
    pub max_ttl: Option<u64>,
    /// Cap on leases; 0: none.
    pub max_leases: u64,
    /// How upstream principals are named.
    pub name_template: String,
    /// Whether a lease ends with its requester's token.
    pub bind_to_token: bool,
    /// Vault's clients name a connection here, and compare it when they read the
    /// role; a mount has but one.
    #[serde(default)]
    pub db_name: Option<String>,
}

impl Default for HostFields {
    fn default() -> Self {
        Self {
            default_ttl: None,
            max_ttl: None,
            max_leases: 0,
            name_template: principal::DEFAULT_TEMPLATE.to_owned(),
            bind_to_token: false,
            db_name: None,
        }
    }
}

/// The host's field names; a provider's schema cannot use them.
pub const HOST_FIELDS: [&str; 6] = [
    "default_ttl",
    "max_ttl",
    "max_leases",
    "name_template",
    "bind_to_token",
    "db_name",
];

impl HostFields {
    /// Takes the host's fields out of a role document.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn take(document: &mut Map<String, Value>) -> Result<Self, String> {
        let mut fields = Self::default();
        for (name, slot) in [
            ("default_ttl", &mut fields.default_ttl),
            ("max_ttl", &mut fields.max_ttl),
        ] {
            if let Some(value) = document.remove(name) {
                *slot = duration::of_value(name, &value)?.map(|span| span.as_secs());
            }
        }
        if let Some(value) = document.remove("max_leases") {
            fields.max_leases = value
                .as_u64()
                .ok_or("max_leases must be a whole number; 0 means no cap")?;
        }
        if let Some(value) = document.remove("name_template") {
            value
                .as_str()
                .ok_or("name_template must be a string")?
                .clone_into(&mut fields.name_template);
            principal::check(&fields.name_template)?;
        }
        if let Some(value) = document.remove("bind_to_token") {
            fields.bind_to_token = value
                .as_bool()
                .ok_or("bind_to_token must be true or false")?;
        }
        fields.db_name = match document.remove("db_name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err("db_name must be a string".into()),
        };
        match (fields.default_ttl, fields.max_ttl) {
            (Some(default), Some(max)) if max > 0 && default > max => Err(format!(
                "default_ttl ({default} s) must not be longer than max_ttl ({max} s)"
            )),
            _ => Ok(fields),
        }
    }

    /// Adds the fields to a role as shown: in seconds, and where the role leaves
    /// one to the mount, with what that means now. Written back as it was read,
    /// a role stays the same.
    fn put_into(&self, document: &mut Map<String, Value>, bounds: Bounds) {
        document.insert("default_ttl".into(), bounds.default.as_secs().into());
        document.insert(
            "max_ttl".into(),
            bounds.max.map_or(0, |max| max.as_secs()).into(),
        );
        document.insert("max_leases".into(), self.max_leases.into());
        document.insert("name_template".into(), self.name_template.clone().into());
        document.insert("bind_to_token".into(), self.bind_to_token.into());
        if let Some(name) = &self.db_name {
            document.insert("db_name".into(), name.clone().into());
        }
    }
}

/// The lengths that a lease of a role may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Where the request names none.
    pub default: Duration,
    /// The longest; absent: no limit.
    pub max: Option<Duration>,
}

impl Bounds {
    /// From a role and its mount: a role's `max_ttl` of 0 lifts every limit,
    /// otherwise the shorter of the two counts.
    pub fn of(fields: &HostFields, mount: &Mount) -> Self {
        let tune = &mount.spec.tune;
        let max = match fields.max_ttl {
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds).min(tune.max_lease_ttl)),
            None => Some(tune.max_lease_ttl),
        };
        let default = fields
            .default_ttl
            .map_or(tune.default_lease_ttl, Duration::from_secs);
        Self {
            default: max.map_or(default, |max| default.min(max)),
            max,
        }
    }
}

/// The roles of all mounts.
#[derive(Debug)]
pub struct Roles {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    rotations: Arc<Rotations>,
    clock: Clock,
}

impl Roles {
    /// Roles over a storage.
    pub fn new(
        storage: Storage,
        keyring: Keyring,
        mounts: Arc<Mounts>,
        rotations: Arc<Rotations>,
        clock: Clock,
    ) -> Self {
        Self {
            storage,
            keyring,
            mounts,
            rotations,
            clock,
        }
    }

    /// Writes a role, proven against upstream where the mount has a config.
    /// Answers what the provider warns of.
    ///
    /// # Errors
    /// One sentence that names the field, or the provider's failure; the former
    /// role then stays.
    pub async fn write(
        &self,
        path: &MountPath,
        name: &RoleName,
        body: Value,
        requester: Requester,
    ) -> Result<Vec<String>, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let Value::Object(mut document) = body else {
            return Err(Refusal::Invalid("role must be a JSON object".into()));
        };
        let host = HostFields::take(&mut document).map_err(Refusal::Invalid)?;
        let mut document = Value::Object(document);
        plugin
            .role
            .check("role", &mut document)
            .map_err(Refusal::Invalid)?;
        let document = Secret::new(document.to_string());

        let warnings = match self.mounts.root(&mount, &plugin).await {
            Ok(_) => {
                self.rotations
                    .prove_role(&mount, &plugin, name, &document, &requester)
                    .await?
            }
            Err(Refusal::Invalid(_)) => {
                vec![format!(
                    "the role is not proven yet: mount {path} has no config"
                )]
            }
            Err(other) => return Err(other),
        };
        let sealed = self
            .keyring
            .seal(&role_context(mount.id, name), document.expose().as_bytes())?;
        self.storage
            .replace_role(mount.id, name.clone(), host, sealed, self.clock.now())
            .await?;
        tracing::info!(mount = %path, role = %name, "wrote a role");
        Ok(warnings)
    }

    /// A role as written, with secrets redacted and the host's fields in seconds.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn read(&self, path: &MountPath, name: &RoleName) -> Result<Value, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let row = self.current(&mount, name).await?;
        let document = self.open(&mount, &row)?;
        let parsed: Value = serde_json::from_str(document.expose()).map_err(Refusal::internal)?;
        let mut shown = schema::redact(&plugin.provider.descriptor().role_schema, &parsed);
        if let Value::Object(map) = &mut shown {
            row.host.put_into(map, Bounds::of(&row.host, &mount));
        }
        Ok(shown)
    }

    /// Names of a mount's roles.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn list(&self, path: &MountPath) -> Result<Vec<String>, Refusal> {
        Ok(self.storage.role_names(self.mounts.open(path)?.id).await?)
    }

    /// Removes a role; its leases are revoked in the background.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(&self, path: &MountPath, name: &RoleName) -> Result<(), Refusal> {
        let mount = self.mounts.open(path)?;
        if !self
            .storage
            .remove_role(mount.id, name.clone(), self.clock.now())
            .await?
        {
            return Err(self.unknown(&mount, name).await);
        }
        fault::point("cascade.after_role");
        tracing::info!(mount = %path, role = %name, "removed a role");
        Ok(())
    }

    /// The role that new leases are made with.
    ///
    /// # Errors
    /// `NotFound`, naming the nearest known role.
    pub async fn current(&self, mount: &Mount, name: &RoleName) -> Result<RoleRow, Refusal> {
        match self.storage.current_role(mount.id, name.clone()).await? {
            Some(row) => Ok(row),
            None => Err(self.unknown(mount, name).await),
        }
    }

    /// The version of a role that a lease was made with.
    ///
    /// # Errors
    /// `NotFound`, which no lease in the table can meet.
    pub async fn version(&self, id: i64) -> Result<RoleRow, Refusal> {
        let gone = || Refusal::NotFound("the role version of this lease is gone".into());
        self.storage.role(id).await?.ok_or_else(gone)
    }

    /// Opens a role's document for one call.
    ///
    /// # Errors
    /// Where the keyring cannot open it.
    pub fn open(&self, mount: &Mount, row: &RoleRow) -> Result<Secret<String>, Refusal> {
        Ok(self
            .keyring
            .open_text(&role_context(mount.id, &row.name), &row.document)?)
    }

    async fn unknown(&self, mount: &Mount, name: &RoleName) -> Refusal {
        let known = self.storage.role_names(mount.id).await.unwrap_or_default();
        let hint = crate::suggest::hint(name.as_str(), known.iter().map(String::as_str));
        Refusal::NotFound(format!(
            "mount {} has no role {:?}{hint}",
            mount.path(),
            name.as_str()
        ))
    }
}

/// Where a role is sealed for. All versions of a role share it: they are told
/// apart by their row id, which is not known before the row stands.
fn role_context(mount_id: i64, name: &RoleName) -> String {
    format!("roles/{mount_id}/{name}/document")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(document: Value) -> Result<(HostFields, Value), String> {
        let Value::Object(mut map) = document else {
            panic!()
        };
        HostFields::take(&mut map).map(|fields| (fields, Value::Object(map)))
    }

    #[test]
    fn host_fields_are_split_from_the_providers() {
        let (fields, rest) = take(json!({
            "default_ttl": "5m", "max_ttl": 3600, "max_leases": 3, "db_name": "orders", "grants": []
        }))
        .unwrap();
        assert_eq!(fields.db_name.as_deref(), Some("orders"));
        assert_eq!(
            (fields.default_ttl, fields.max_ttl, fields.max_leases),
            (Some(300), Some(3600), 3)
        );
        assert_eq!(rest, json!({"grants": []}));
    }

    #[test]
    fn wrong_host_fields_are_named() {
        for (document, field) in [
            (json!({"default_ttl": -1}), "default_ttl"),
            (json!({"default_ttl": "soon"}), "default_ttl"),
            (json!({"max_ttl": true}), "max_ttl"),
            (json!({"default_ttl": 10, "max_ttl": 5}), "default_ttl"),
            (json!({"max_leases": -1}), "max_leases"),
            (json!({"name_template": 7}), "name_template"),
            (json!({"name_template": "fixed"}), "name_template"),
            (json!({"bind_to_token": "yes"}), "bind_to_token"),
            (json!({"db_name": 5}), "db_name"),
        ] {
            let error = take(document.clone()).unwrap_err();
            assert!(error.contains(field), "{document}: {error}");
        }
    }
}
