//! Roles: what callers may ask of a mount, proven when they are written.
//!
//! A role document has two parts in one JSON object: the host's own fields
//! ([`HostFields`]) and the provider's, by its role schema. It is stored as it was
//! written: the schema's defaults are filled in for each call, by the schema of the
//! provider that is called. A change applies to new leases only.

use std::sync::Arc;

use lessor_model::{
    clock::Clock,
    event::Event,
    id::{Digest, MountPath, OperationId, RoleName},
    lifetime::Length,
    provider::Requester,
    refusal::Refusal,
    role::{Bounds, HostFields},
    schema,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{NewRole, RoleRow, Storage, kept::Kept};
use serde_json::{Map, Value};

use crate::{
    catalog::Plugin,
    context::Context,
    fault,
    mount::{Choice, Chosen, Connection, Mount, Mounts, show_choice},
    rotation::Rotations,
};

/// The roles of all mounts.
#[derive(Debug)]
pub struct Roles {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    rotations: Arc<Rotations>,
    clock: Clock,
    /// Documents without secrets as providers get them, by version of the role and
    /// digest of the provider: each of many leases needs the same.
    filled: Kept<(i64, Digest), Arc<Secret<String>>>,
}

/// The number of times that a role may be changed while a change of it is being proven.
const CHANGES: u32 = 3;

/// A role that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Leases whose end was ordered with it; the others live on.
    pub revoking: usize,
}

impl Roles {
    /// Roles over a storage.
    pub fn new(context: Context, mounts: Arc<Mounts>, rotations: Arc<Rotations>) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            filled: Kept::until(storage.role_changes()),
            storage,
            keyring,
            mounts,
            rotations,
            clock,
        }
    }

    /// Changes the fields of a role that `body` names, or makes a new role of them.
    /// It is proven against upstream where its connection has a config. Answers what there
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
            let mut body = body.clone();
            let role_schema = &plugin.provider.descriptor().role_schema;
            let choice = Choice::take(&mut body, role_schema).map_err(Refusal::Invalid)?;
            let (mut host, document) = self.merged(&mount, &plugin, kept, body)?;
            let stands = kept.map(|row| (row.connection, row.host.db_name.clone()));
            let Chosen {
                connection,
                db_name,
            } = self.mounts.chosen(path, choice, stands).await?;
            host.db_name = db_name;
            let mut warnings = self
                .proven(&connection, &plugin, name, &document, &requester)
                .await?;
            if host.max_ttl == Some(Length::Never) && mount.spec.tune.max_lease_ttl != Length::Never
            {
                warnings.push(format!(
                    "max_ttl is never, and mount {path} lets no lease live longer than {}: that holds until the \
                     mount is tuned with max_lease_ttl=never",
                    mount.spec.tune.max_lease_ttl
                ));
            }
            let longest = Bounds::of(&host, &mount.spec.tune).max;
            warnings.extend(plugin.provider.descriptor().outlives(longest));
            let now = self.clock.now();
            let sealed = self.keyring.seal(
                &role_context(mount.id, name),
                document.to_string().as_bytes(),
            )?;
            let of = connection.id;
            let told = Event::RoleWritten {
                mount: path.clone(),
                role: name.clone(),
                delete_protection: host.delete_protection,
                tags: host.tags.clone(),
            };
            let new = NewRole {
                mount_id: mount.id,
                name: name.clone(),
                connection: of,
                host,
                document: sealed,
                created_at: now,
            };
            let former = former.map(|row| row.id);
            if self.storage.replace_role(new, former).await? {
                // The change may have mended the role for which one of its leases waits.
                self.storage.wake_revocations(of, now).await?;
                told.record();
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
        let theirs = match schema::knows(role_schema, TAGS) {
            true => body.remove(TAGS),
            false => None,
        };
        let host = host.with(&mut body).map_err(Refusal::Invalid)?;
        if let Some(theirs) = theirs {
            body.insert(TAGS.into(), theirs);
        }
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

    /// Has a role tried upstream, where its connection has a config. What there is to
    /// warn of.
    async fn proven(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        name: &RoleName,
        document: &Value,
        requester: &Requester,
    ) -> Result<Vec<String>, Refusal> {
        match self.mounts.root(connection, plugin).await {
            Ok(_) => {
                let document = filled(plugin, document.clone())?;
                self.rotations
                    .prove_role(connection, plugin, name, &document, requester)
                    .await
            }
            Err(Refusal::Invalid(_)) => Ok(vec![format!(
                "the role is not proven yet: mount {} has no config",
                connection.title()
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
        let role_schema = &plugin.provider.descriptor().role_schema;
        let mut shown = schema::redact(role_schema, &whole);
        if let Value::Object(map) = &mut shown {
            row.host.put_into(map);
            if !schema::knows(role_schema, TAGS) {
                map.insert(TAGS.into(), row.host.tags.clone().into());
            }
            let connection = self.connection(&row)?;
            show_choice(map, role_schema, &connection, row.host.db_name.as_deref());
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
    /// `NotFound`; `Conflict` where it is protected.
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
                let newest = OperationId::GREATEST;
                let total = self
                    .storage
                    .total_leases(mount.id, Some(name.clone()), newest);
                total.await?
            }
            false => 0,
        };
        loop {
            let row = self.current(&mount, name).await?;
            if row.host.delete_protection {
                return Err(Refusal::Conflict(format!(
                    "role {name} of {path} is protected from removal; \
                     `lessor role write {path} {name} delete_protection=false` lifts that"
                )));
            }
            // Where it was written meanwhile, it may be protected by now.
            let (id, role, now) = (mount.id, name.clone(), self.clock.now());
            let removed = self.storage.remove_role(id, role, row.id, revoke, now);
            if removed.await? {
                break;
            }
        }
        fault::point("cascade.after_role");
        Event::RoleRemoved {
            mount: path.clone(),
            role: name.clone(),
            revoking,
        }
        .record();
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

    /// The connection that a role is for.
    ///
    /// # Errors
    /// `NotFound`, which no stored role can meet.
    pub fn connection(&self, row: &RoleRow) -> Result<Arc<Connection>, Refusal> {
        let gone = || Refusal::NotFound(format!("the connection of role {} is gone", row.name));
        self.mounts
            .connection_by_id(row.connection)
            .ok_or_else(gone)
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
    pub async fn document(
        &self,
        plugin: &Plugin,
        mount: &Mount,
        row: &RoleRow,
    ) -> Result<Arc<Secret<String>>, Refusal> {
        let read = async {
            let stored = self.open(mount, row)?;
            let stored = serde_json::from_str(stored.expose()).map_err(Refusal::internal)?;
            Ok(Arc::new(filled(plugin, stored)?))
        };
        if plugin.has_secret_roles {
            return read.await;
        }
        self.filled
            .get((row.id, plugin.provider.digest()), read)
            .await
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
        let hint = lessor_model::suggest::hint(name.as_str(), known.iter().map(String::as_str));
        Refusal::NotFound(format!(
            "mount {} has no role {:?}{hint}",
            mount.path(),
            name.as_str()
        ))
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

/// The operator's own words for a role, where the provider has no field of that name.
const TAGS: &str = "tags";

/// The context that a role is sealed for. All versions of a role share it: they are told
/// apart by their row id, which is not known before the row stands.
fn role_context(mount_id: i64, name: &RoleName) -> String {
    format!("roles/{mount_id}/{name}/document")
}
