//! Roles: what callers may ask of a mount, proven when they are written.
//!
//! A role document has two parts in one JSON object: the host's own fields
//! ([`HostFields`]) and the provider's, by its role schema. It is stored as it was
//! written: the schema's defaults are filled in for each call, by the schema of the
//! provider that is called. A change applies to new leases only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    catalog::Plugin,
    clock::Clock,
    fault,
    id::{Digest, MountPath, RoleName},
    keyring::Keyring,
    lifetime::{self, Length},
    mount::{DEFAULT_TTL, Mount, Mounts, Tune},
    principal,
    provider::Requester,
    refusal::Refusal,
    rotation::Rotations,
    schema,
    secret::Secret,
    storage::{RoleRow, Storage},
    weak,
};

/// The host's part of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFields {
    /// The length of a lease that asks for none; absent: the mount's.
    pub default_ttl: Option<Length>,
    /// The length of the longest lease; absent: the mount's.
    pub max_ttl: Option<Length>,
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
        Self::default().with(document)
    }

    /// These fields, with those that a role document names in the place of their
    /// former values; they are taken out of it. Null names nothing.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn with(self, document: &mut Map<String, Value>) -> Result<Self, String> {
        let mut fields = self;
        let mut named = |name: &str| document.remove(name).filter(|value| !value.is_null());
        for (name, slot) in [
            ("default_ttl", &mut fields.default_ttl),
            ("max_ttl", &mut fields.max_ttl),
        ] {
            if let Some(value) = named(name) {
                let length = lifetime::of_value(name, &value)?.flatten();
                *slot = length.map(Length::in_seconds);
            }
        }
        if let Some(value) = named("max_leases") {
            fields.max_leases = weak::integer(&value)
                .and_then(|number| u64::try_from(number).ok())
                .ok_or("max_leases must be a whole number; 0 means no cap")?;
        }
        if let Some(value) = named("name_template") {
            value
                .as_str()
                .ok_or("name_template must be a string")?
                .clone_into(&mut fields.name_template);
            principal::check(&fields.name_template)?;
        }
        if let Some(value) = named("bind_to_token") {
            fields.bind_to_token =
                weak::truth(&value).ok_or("bind_to_token must be true or false")?;
        }
        match named("db_name") {
            None => {}
            Some(Value::String(name)) => fields.db_name = Some(name),
            Some(_) => return Err("db_name must be a string".into()),
        }
        match (fields.default_ttl, fields.max_ttl) {
            (Some(Length::Never), max) if max != Some(Length::Never) => {
                Err("default_ttl is never, so max_ttl must be never, too".to_owned())
            }
            (Some(default), Some(max)) if default > max => Err(format!(
                "default_ttl ({default}) must not be longer than max_ttl ({max})"
            )),
            _ => Ok(fields),
        }
    }

    /// Adds the fields to a role as shown, as Vault shows them: seconds, and 0 where
    /// the role leaves a length to its mount.
    fn put_into(&self, document: &mut Map<String, Value>) {
        for (name, length) in [("default_ttl", self.default_ttl), ("max_ttl", self.max_ttl)] {
            let shown = match length {
                None => 0.into(),
                Some(Length::For(span)) => span.as_secs().into(),
                Some(Length::Never) => lifetime::NEVER.into(),
            };
            document.insert(name.into(), shown);
        }
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
    pub default: Length,
    /// The longest.
    pub max: Length,
}

impl Bounds {
    /// From a role and its mount: the shorter of the two counts. A lease without end
    /// needs the word of both. A mount that says it allows roles to, and bounds those
    /// that name no longest lease of their own as a mount does that says nothing.
    pub fn of(fields: &HostFields, tune: &Tune) -> Self {
        let max = match (fields.max_ttl, tune.max_lease_ttl) {
            (Some(max), of_mount) => max.min(of_mount),
            (None, Length::Never) => Length::For(DEFAULT_TTL),
            (None, of_mount) => of_mount,
        };
        let default = fields
            .default_ttl
            .unwrap_or(Length::For(tune.default_lease_ttl));
        Self {
            default: default.min(max),
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
    filled: Filled,
}

/// Documents without secrets as providers get them, by version of the role and digest
/// of the provider: each of many leases needs the same. Any may be dropped.
#[derive(Debug, Default)]
struct Filled(Mutex<FilledDocuments>);

type FilledDocuments = HashMap<(i64, Digest), Arc<Secret<String>>>;

/// Documents that are kept; beyond, all are dropped.
const FILLED: usize = 1024;

/// How often a role may be changed while a change of it is being proven.
const CHANGES: u32 = 3;

/// A role that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Leases whose end was ordered with it; the others live on.
    pub revoking: usize,
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
            filled: Filled::default(),
        }
    }

    /// Changes the fields of a role that `body` names, or makes a new role of them.
    /// It is proven against upstream where the mount has a config. Answers what there
    /// is to warn of.
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
        self.put(path, name, body, false, requester).await
    }

    /// The same, where a field that `body` does not name has its default again.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn replace(
        &self,
        path: &MountPath,
        name: &RoleName,
        body: Value,
        requester: Requester,
    ) -> Result<Vec<String>, Refusal> {
        self.put(path, name, body, true, requester).await
    }

    async fn put(
        &self,
        path: &MountPath,
        name: &RoleName,
        body: Value,
        anew: bool,
        requester: Requester,
    ) -> Result<Vec<String>, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let Value::Object(body) = body else {
            return Err(Refusal::Invalid("role must be a JSON object".into()));
        };
        for _ in 0..CHANGES {
            let former = self.storage.current_role(mount.id, name.clone()).await?;
            let kept = former.as_ref().filter(|_| !anew);
            let (host, document) = self.merged(&mount, &plugin, kept, body.clone())?;
            let mut warnings = self
                .proven(&mount, &plugin, name, &document, &requester)
                .await?;
            if host.max_ttl == Some(Length::Never) && mount.spec.tune.max_lease_ttl != Length::Never
            {
                warnings.push(format!(
                    "max_ttl is never, and mount {path} lets no lease live longer than {}: that holds until the \
                     mount is tuned with max_lease_ttl=never",
                    mount.spec.tune.max_lease_ttl
                ));
            }
            let now = self.clock.now();
            let sealed = self.keyring.seal(
                &role_context(mount.id, name),
                document.to_string().as_bytes(),
            )?;
            let former = former.map(|row| row.id);
            let replaced =
                self.storage
                    .replace_role(mount.id, name.clone(), former, host, sealed, now);
            if replaced.await? {
                // What a lease of it waits for may have been mended with it.
                self.storage.wake_revocations(mount.id, now).await?;
                tracing::info!(mount = %path, role = %name, "wrote a role");
                return Ok(warnings);
            }
        }
        Err(Refusal::Conflict(format!(
            "role {name} of {path} was changed again and again meanwhile; write it once more"
        )))
    }

    /// A role as it is to be stored: what `body` names, over what `kept` has.
    fn merged(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        kept: Option<&RoleRow>,
        mut body: Map<String, Value>,
    ) -> Result<(HostFields, Value), Refusal> {
        let role_schema = &plugin.provider.descriptor().role_schema;
        // Vault's other engines call it so.
        let is_theirs = role_schema.pointer("/properties/ttl").is_some();
        if !is_theirs && let Some(ttl) = body.remove("ttl") {
            body.entry("default_ttl").or_insert(ttl);
        }
        let host = kept.map(|row| row.host.clone()).unwrap_or_default();
        let host = host.with(&mut body).map_err(Refusal::Invalid)?;
        let stored: Option<Value> = kept
            .map(|row| {
                serde_json::from_str(self.open(mount, row)?.expose()).map_err(Refusal::internal)
            })
            .transpose()?;
        let mut document = stored.clone().unwrap_or_else(|| Map::new().into());
        if let Value::Object(fields) = &mut document {
            if stored.is_none() {
                *fields = body;
            } else {
                fields.extend(body.into_iter().filter(|(_, value)| !value.is_null()));
            }
        }
        schema::restore(role_schema, "role", &mut document, stored.as_ref())
            .map_err(Refusal::Invalid)?;
        plugin
            .role
            .check("role", &mut document.clone())
            .map_err(|sentence| {
                let was_well = stored
                    .is_none_or(|mut stored| plugin.role.check("role", &mut stored).is_ok());
                Refusal::Invalid(if was_well {
                    sentence
                } else {
                    format!(
                        "{sentence}; the stored role has what this version of the provider does not take: \
                         name all of its fields and replace=true to write it anew"
                    )
                })
            })?;
        Ok((host, document))
    }

    /// Has a role tried upstream, where the mount has a config. What there is to
    /// warn of.
    async fn proven(
        &self,
        mount: &Arc<Mount>,
        plugin: &Arc<Plugin>,
        name: &RoleName,
        document: &Value,
        requester: &Requester,
    ) -> Result<Vec<String>, Refusal> {
        match self.mounts.root(mount, plugin).await {
            Ok(_) => {
                let document = filled(plugin, document.clone())?;
                self.rotations
                    .prove_role(mount, plugin, name, &document, requester)
                    .await
            }
            Err(Refusal::Invalid(_)) => Ok(vec![format!(
                "the role is not proven yet: mount {} has no config",
                mount.path()
            )]),
            Err(other) => Err(other),
        }
    }

    /// A role with its defaults, secrets redacted, and the host's fields in seconds.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn read(&self, path: &MountPath, name: &RoleName) -> Result<Value, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let row = self.current(&mount, name).await?;
        let document = self.open(&mount, &row)?;
        let parsed: Value = serde_json::from_str(document.expose()).map_err(Refusal::internal)?;
        let mut whole = parsed.clone();
        // One that does not fit this version of the provider is shown as it stands.
        if plugin.role.check("role", &mut whole).is_err() {
            whole = parsed;
        }
        let mut shown = schema::redact(&plugin.provider.descriptor().role_schema, &whole);
        if let Value::Object(map) = &mut shown {
            row.host.put_into(map);
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

    /// Removes a role. Its leases live on to their end, under the version of the role
    /// that they were made with, unless `revoke` or, where that says nothing, the mount
    /// has them revoked in the background.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(
        &self,
        path: &MountPath,
        name: &RoleName,
        revoke: Option<bool>,
    ) -> Result<Removed, Refusal> {
        let mount = self.mounts.open(path)?;
        let revoke = revoke.unwrap_or(mount.spec.tune.revoke_leases_with_role);
        let revoking = match revoke {
            true => {
                let total = self.storage.total_leases(mount.id, Some(name.clone()));
                total.await?
            }
            false => 0,
        };
        if !self
            .storage
            .remove_role(mount.id, name.clone(), revoke, self.clock.now())
            .await?
        {
            return Err(self.unknown(&mount, name).await);
        }
        fault::point("cascade.after_role");
        tracing::info!(mount = %path, role = %name, revoking, "removed a role");
        Ok(Removed { revoking })
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

    /// A role's document for calls of a provider, with the defaults of its schema.
    ///
    /// # Errors
    /// `Invalid` where it does not fit the provider; where the keyring cannot open it.
    pub fn document(
        &self,
        plugin: &Plugin,
        mount: &Mount,
        row: &RoleRow,
    ) -> Result<Arc<Secret<String>>, Refusal> {
        let key = (row.id, plugin.provider.digest());
        if let Some(known) = self.filled.entries().get(&key) {
            return Ok(Arc::clone(known));
        }
        let stored = self.open(mount, row)?;
        let stored = serde_json::from_str(stored.expose()).map_err(Refusal::internal)?;
        let document = Arc::new(filled(plugin, stored)?);
        if !schema::marks_secrets(&plugin.provider.descriptor().role_schema) {
            let mut entries = self.filled.entries();
            if entries.len() >= FILLED {
                entries.clear();
            }
            entries.insert(key, Arc::clone(&document));
        }
        Ok(document)
    }

    /// Opens a role's document as it is stored.
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

impl Filled {
    fn entries(&self) -> std::sync::MutexGuard<'_, FilledDocuments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A document with the defaults of a provider's schema.
fn filled(plugin: &Plugin, mut document: Value) -> Result<Secret<String>, Refusal> {
    plugin
        .role
        .check("role", &mut document)
        .map_err(Refusal::Invalid)?;
    Ok(Secret::new(document.to_string()))
}

/// Where a role is sealed for. All versions of a role share it: they are told
/// apart by their row id, which is not known before the row stands.
fn role_context(mount_id: i64, name: &RoleName) -> String {
    format!("roles/{mount_id}/{name}/document")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            (
                Some(Length::For(Duration::from_secs(300))),
                Some(Length::For(Duration::from_secs(3600))),
                3
            )
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
            (json!({"default_ttl": "never"}), "default_ttl"),
            (json!({"default_ttl": "never", "max_ttl": 0}), "default_ttl"),
            (
                json!({"default_ttl": "never", "max_ttl": "9h"}),
                "default_ttl",
            ),
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

    #[test]
    fn a_field_that_is_not_named_keeps_its_value_and_zero_unsets_it() {
        let hour = Length::For(Duration::from_secs(3600));
        let former = HostFields {
            default_ttl: Some(hour),
            max_ttl: Some(Length::Never),
            max_leases: 3,
            db_name: Some("orders".into()),
            ..HostFields::default()
        };
        for (document, default, max) in [
            (json!({}), Some(hour), Some(Length::Never)),
            (
                json!({"default_ttl": null, "max_ttl": null}),
                Some(hour),
                Some(Length::Never),
            ),
            (json!({"default_ttl": 0}), None, Some(Length::Never)),
            (json!({"max_ttl": ""}), Some(hour), None),
            (json!({"default_ttl": "0s", "max_ttl": "0"}), None, None),
            (
                json!({"default_ttl": "never"}),
                Some(Length::Never),
                Some(Length::Never),
            ),
        ] {
            let Value::Object(mut map) = document.clone() else {
                panic!()
            };
            let fields = former.clone().with(&mut map).unwrap();
            assert_eq!(
                (fields.default_ttl, fields.max_ttl),
                (default, max),
                "{document}"
            );
            assert_eq!(
                (fields.max_leases, fields.db_name.as_deref()),
                (3, Some("orders"))
            );
        }
    }

    /// The default and the longest, by what role and mount say.
    #[test]
    fn the_shorter_of_role_and_mount_counts_and_only_the_word_of_both_is_without_end() {
        let length = |hours: u64| Length::For(Duration::from_secs(hours * 3600));
        const NEVER: Length = Length::Never;
        for (default, max, of_mount, expected) in [
            (None, None, length(24), (length(1), length(24))),
            (Some(length(2)), None, length(24), (length(2), length(24))),
            (None, Some(length(48)), length(24), (length(1), length(24))),
            (
                Some(length(30)),
                Some(length(48)),
                length(24),
                (length(24), length(24)),
            ),
            (None, Some(NEVER), length(24), (length(1), length(24))),
            (
                Some(NEVER),
                Some(NEVER),
                length(24),
                (length(24), length(24)),
            ),
            (None, None, NEVER, (length(1), length(768))),
            (None, Some(length(1000)), NEVER, (length(1), length(1000))),
            (None, Some(NEVER), NEVER, (length(1), NEVER)),
            (Some(NEVER), Some(NEVER), NEVER, (NEVER, NEVER)),
        ] {
            let fields = HostFields {
                default_ttl: default,
                max_ttl: max,
                ..HostFields::default()
            };
            let tune = Tune {
                default_lease_ttl: Duration::from_secs(3600),
                max_lease_ttl: of_mount,
                ..Tune::default()
            };
            let bounds = Bounds::of(&fields, &tune);
            assert_eq!(
                (bounds.default, bounds.max),
                expected,
                "{default:?} {max:?} {of_mount:?}"
            );
        }
    }
}
