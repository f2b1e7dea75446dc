//! A connection's config: the root credential as the operator writes it, proven
//! before it is stored.
//!
//! The host's own fields in the body
//! ([`host_fields::CONFIG`](lessor_model::host_fields::CONFIG)) are split off; the rest
//! belongs to the provider's config schema. A write changes the fields that it names;
//! with `replace` it stands alone. Another root credential replaces the one in use: the
//! former one is erased and an open rotation is given up. What rotations made beside
//! the operator's own, and nobody else knows, is ended upstream before it is erased.

mod fields;

use std::sync::Arc;

use lessor_model::{
    clock::Clock,
    event::Event,
    id::{ConnectionName, MountPath, OperationId},
    provider::{Call, FailureClass, Requester, Trigger},
    refusal::Refusal,
    schema,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{Erasure, NewConfig, RootSchedule, RotationRow, RotationState, Storage};
use serde_json::{Map, Value, json};

use self::fields::Asked;
pub use self::fields::truth;
use crate::{
    catalog::Plugin,
    context::Context,
    fault,
    mount::{Connection, Mounts, RotationTurn, account_of, config_context, endpoints},
    rotation::Rotations,
};

/// The outcome of writing a config.
#[derive(Clone, Debug)]
pub struct Written {
    /// The config as it is shown from now on.
    pub view: ConfigView,
    /// Warnings of the host, beside those of the provider.
    pub warnings: Vec<String>,
}

/// A config that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Leases that were made by it.
    pub leases: usize,
    /// Whether a config is needed to end them.
    pub is_needed: bool,
}

/// A connection's config as shown.
#[derive(Clone, Debug)]
pub struct ConfigView {
    /// The provider's part, secrets redacted.
    pub config: Value,
    /// The principal upstream that the root credential belongs to.
    pub identity: Option<String>,
    /// Counts up with every new root credential.
    pub version: u32,
    /// The warnings that the provider gave when the config was proven.
    pub warnings: Vec<String>,
    /// The schedule of its rotations, and the time of the last one.
    pub schedule: RootSchedule,
    /// A rotation that is open.
    pub rotation: Option<OpenRotation>,
    /// Root credentials that wait for their end upstream.
    pub ending: Vec<RotationRow>,
}

/// An open rotation as shown.
#[derive(Clone, Debug)]
pub struct OpenRotation {
    /// The state of the rotation.
    pub row: RotationRow,
    /// The config that it would put in use, secrets redacted, where it fits the
    /// provider's schema.
    pub staged: Option<Value>,
    /// The changed fields that are neither secret nor announced by the provider to change.
    pub changes: Vec<String>,
}

/// The configs of all connections.
#[derive(Debug)]
pub struct Configs {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    rotations: Arc<Rotations>,
    clock: Clock,
}

impl Configs {
    /// Configs over a storage.
    pub fn new(context: Context, mounts: Arc<Mounts>, rotations: Arc<Rotations>) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            mounts,
            rotations,
            clock,
        }
    }

    /// Proves a config against upstream and puts it in use. With `rotate_on_config`
    /// a new root credential is rotated at once, so that only the host knows it. Answers
    /// what is to be warned of.
    ///
    /// # Errors
    /// One sentence that names the field, or the provider's failure; the former
    /// config then stays.
    pub async fn write(
        &self,
        path: &MountPath,
        name: &ConnectionName,
        body: Value,
        requester: Requester,
    ) -> Result<Written, Refusal> {
        let connection = self.mounts.named(path, name).await?;
        let plugin = self.mounts.plugin(&connection).await?;
        let Value::Object(mut named) = body else {
            return Err(Refusal::Invalid("config must be a JSON object".into()));
        };
        let descriptor = plugin.provider.descriptor();
        fields::take_shown(&descriptor.config_schema, &mut named).map_err(Refusal::Invalid)?;
        let now = self.clock.now();
        // No rotation may stage a successor of a config that is being replaced.
        let turn = connection.rotation_turn().await;
        let former = self.storage.schedule(connection.id).await?;
        let asked = Asked::take(&mut named, former, now).map_err(Refusal::Invalid)?;
        let document = self
            .whole(&connection, &plugin, named, asked.replace, &turn)
            .await?;
        let mut warnings = self.refuse_owned(&connection, &plugin, &document).await?;
        let document = Secret::new(document.to_string());
        let version = self.storage.next_config_version(connection.id).await?;
        let call = Call {
            operation: OperationId::new(now)?,
            attempt: 1,
            trigger: Trigger::Configuration,
            role_name: None,
            principal_name: "validate-config".into(),
            requester: Some(requester.clone()),
            timeout: connection.spec.tune.timeout,
            scope: self
                .mounts
                .scope(&connection, &plugin, version, &document)?,
        };
        let validation = plugin
            .provider
            .validate_config(&call, &document, None)
            .await
            // The next one that is tried has the same version: it must find nothing that
            // belongs to this one.
            .inspect_err(|_| self.mounts.drop_parked(&connection))?;

        let sealed = self.keyring.seal(
            &config_context(connection.id, version),
            document.expose().as_bytes(),
        )?;
        let config = NewConfig {
            of: connection.id,
            version,
            document: sealed,
            identity: validation.identity,
            warnings: validation.warnings,
            metadata: json!({}),
            retires: None,
            created_at: now,
        };
        let is_new_root = self
            .is_another_root(&connection, &plugin, &document)
            .await?;
        let rotates = asked.schedule.on_config && (asked.rotate || is_new_root);
        let replaced = self
            .storage
            .replace_config(config, asked.schedule, is_new_root)
            .await?;
        if version > 1 {
            fault::point("config.after_replaced");
        }
        if !replaced {
            return Err(Refusal::Conflict(format!(
                "the config of {} was changed meanwhile; write it again",
                connection.title()
            )));
        }
        connection.forget_root();
        self.mounts.drop_parked(&connection);
        self.mounts.wake(&connection).await?;
        drop(turn);
        Event::ConfigWritten {
            mount: path.clone(),
            connection: name.clone(),
            version,
        }
        .record();

        if !name.is_default() && version == 1 {
            warnings.extend(self.otherwise_called(&connection).await?);
        }
        if rotates {
            warnings.extend(self.rotate_written(&connection, version, requester).await?);
        }
        Ok(Written {
            view: self.read(path, name).await?,
            warnings,
        })
    }

    /// The whole config that a write makes: what it names, over what is stored.
    async fn whole(
        &self,
        connection: &Arc<Connection>,
        plugin: &Plugin,
        named: Map<String, Value>,
        replace: bool,
        turn: &RotationTurn,
    ) -> Result<Value, Refusal> {
        let schema = &plugin.provider.descriptor().config_schema;
        let mut stored = self.stored(connection).await?;
        let reuses = |stored: &Value| {
            let mut any = named.values().any(schema::is_redacted);
            let kept = Value::Object(schema::kept(stored, &named));
            schema::secrets(schema, &kept, &mut |_| any |= !replace);
            any
        };
        if stored.as_ref().is_some_and(reuses) {
            // An open rotation may have replaced the secret that would be written again.
            self.rotations.catch_up(connection, turn).await;
            stored = self.stored(connection).await?;
        }
        let reuses = stored.as_ref().is_some_and(reuses);
        let keeps = !replace && stored.is_some();
        let mut document = match &stored {
            Some(stored) if keeps => schema::patched(stored, &named),
            _ => Value::Object(named),
        };
        if schema::is_redacted(&document) {
            schema::restore(schema, "config", &mut document, stored.as_ref())
                .map_err(Refusal::Invalid)?;
        }
        plugin
            .config
            .check("config", &mut document)
            .map_err(|sentence| match keeps {
                true => Refusal::Invalid(format!(
                    "{sentence} (fields that a write does not name keep their stored values; with replace=true none do)"
                )),
                false => Refusal::Invalid(sentence),
            })?;
        if let Some(stored) = stored.filter(|_| reuses) {
            same_system(&plugin.provider.descriptor().endpoints, &stored, &document)?;
        }
        Ok(document)
    }

    /// Rotates the root credential that was just written. Where that fails, what is
    /// stored and what goes on is a warning: the write itself is done.
    async fn rotate_written(
        &self,
        connection: &Arc<Connection>,
        version: u32,
        requester: Requester,
    ) -> Result<Option<String>, Refusal> {
        let path = connection.path();
        let Err(refusal) = self
            .rotations
            .rotate_root(path, &connection.name, Some(requester))
            .await
        else {
            return Ok(None);
        };
        let open = self.storage.unsettled_rotation(connection.id).await?;
        let is_unsupported = matches!(
            &refusal,
            Refusal::Provider(failure) if failure.class == FailureClass::Unsupported
        );
        let next = match open.map(|rotation| rotation.state) {
            Some(RotationState::Failed) => {
                let rotate = connection.path_of("rotate-root");
                format!("the rotation waits for you: POST /v1/{rotate}/retry or /abort")
            }
            Some(_) => "the rotation goes on by itself".to_owned(),
            None if is_unsupported => "it stays as it was written".to_owned(),
            None if connection.held.is_some() => {
                "it stays as it was written until you rotate it".to_owned()
            }
            None => {
                self.rotations.retry_soon(connection, &refusal).await?;
                "nothing was changed upstream, and it is tried again by itself".to_owned()
            }
        };
        Event::ConfigNotRotated {
            mount: path.clone(),
            connection: connection.name.clone(),
            version,
            reason: refusal.to_string(),
            follows: next.clone(),
        }
        .record();
        Ok(Some(format!(
            "the config is stored as version {version}, and its root credential could not be rotated \
             (rotate_on_config): {refusal}; {next}"
        )))
    }

    /// A warning where roles have the name of a new connection as their `db_name` and are for the
    /// default one: there was no other when they were written.
    async fn otherwise_called(&self, connection: &Connection) -> Result<Option<String>, Refusal> {
        let name = &connection.name;
        let found = self
            .storage
            .roles_called(connection.mount.id, name.to_string())
            .await?;
        Ok((!found.is_empty()).then(|| {
            format!(
                "these are for the connection default, though their db_name is {name}: {}; written again, a role is for \
                 {name} from then on",
                found.join(", ")
            )
        }))
    }

    /// Whether a config shares no secret with the one in use, if any.
    async fn is_another_root(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        document: &Secret<String>,
    ) -> Result<bool, Refusal> {
        let Some(former) = self.mounts.config(connection).await? else {
            return Ok(true);
        };
        let schema = &plugin.provider.descriptor().config_schema;
        let secrets = |text: &Secret<String>| {
            let document = serde_json::from_str(text.expose()).unwrap_or_default();
            let mut found = Vec::new();
            schema::secrets(schema, &document, &mut |secret| found.push(secret.clone()));
            found
        };
        let new = secrets(document);
        Ok(!secrets(&former).iter().any(|secret| new.contains(secret)))
    }

    /// Refuses a root credential whose account a static role rotates, in whichever
    /// mount: each would end the other's. What is to be warned of, where another mount
    /// has the same root.
    async fn refuse_owned(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        document: &Value,
    ) -> Result<Vec<String>, Refusal> {
        let Some(account) = account_of(document, None) else {
            return Ok(Vec::new());
        };
        let neighbours = self.mounts.neighbours(connection, plugin, document).await?;
        let others = neighbours.iter().map(|other| &*other.connection);
        for owning in std::iter::once(connection).chain(others) {
            let owner = self
                .storage
                .static_role_of(owning.id, account.clone())
                .await?;
            if let Some(owner) = owner {
                return Err(Refusal::Conflict(format!(
                    "config.username {account:?} belongs to static role {owner} of {}: name another, or remove it first",
                    owning.title()
                )));
            }
        }
        let sharing = neighbours.iter().filter(|other| other.is_root(&account));
        Ok(sharing
            .map(|other| {
                format!(
                    "{account:?} is the root credential of mount {} too, so neither {kind} rotates it: \
                     give each an account of its own",
                    other.connection.title(),
                    kind = connection.kind_beside(&other.connection)
                )
            })
            .collect())
    }

    /// The config in use, opened.
    async fn stored(&self, connection: &Connection) -> Result<Option<Value>, Refusal> {
        let text = self.mounts.config(connection).await?;
        Ok(text.map(|text| serde_json::from_str(text.expose()).unwrap_or_default()))
    }

    /// The config in use, secrets redacted.
    ///
    /// # Errors
    /// `NotFound` where there is no mount or no config.
    pub async fn read(
        &self,
        path: &MountPath,
        name: &ConnectionName,
    ) -> Result<ConfigView, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        let plugin = self.mounts.plugin(&connection).await?;
        let missing = || Refusal::NotFound(format!("mount {} has no config", connection.title()));
        let row = self
            .storage
            .current_config(connection.id)
            .await?
            .ok_or_else(missing)?;
        let root = self.mounts.root_of(&connection, &plugin, &row)?;
        let document = self.mounts.unseal(&root)?;
        // A config that a provider made is in use if upstream takes it, JSON or not.
        let parsed: Value = serde_json::from_str(document.expose()).unwrap_or_default();
        let schedule = self.storage.schedule(connection.id).await?;
        Ok(ConfigView {
            config: schema::redact(&plugin.provider.descriptor().config_schema, &parsed),
            identity: row.identity,
            version: row.version,
            warnings: row.warnings,
            schedule: schedule.unwrap_or_else(fields::by_hand),
            rotation: self.open_rotation(&connection, &plugin).await?,
            ending: self.rotations.ending(&connection).await?,
        })
    }

    async fn open_rotation(
        &self,
        connection: &Connection,
        plugin: &Plugin,
    ) -> Result<Option<OpenRotation>, Refusal> {
        let Some(row) = self.storage.unsettled_rotation(connection.id).await? else {
            return Ok(None);
        };
        Ok(Some(OpenRotation {
            staged: self.staged(connection, plugin, &row).await?,
            changes: self.rotations.staged_changes(connection, &row).await?,
            row,
        }))
    }

    /// The staged config as it may be shown. One that its schema refuses may hold a
    /// secret anywhere.
    async fn staged(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        rotation: &RotationRow,
    ) -> Result<Option<Value>, Refusal> {
        let row = match rotation.new_version {
            Some(version) => self.storage.config(connection.id, version).await?,
            None => None,
        };
        let Some(row) = row else { return Ok(None) };
        let text = self
            .mounts
            .unseal(&*self.mounts.root_of(connection, plugin, &row)?)?;
        let Ok(mut document) = serde_json::from_str(text.expose()) else {
            return Ok(None);
        };
        let fits = plugin.config.check("config", &mut document).is_ok();
        let schema = &plugin.provider.descriptor().config_schema;
        Ok(fits.then(|| schema::redact(schema, &document)))
    }

    /// Erases the root credential, after what rotations made or replaced is ended
    /// upstream: without a config nothing could end it, nor what is leased. With `force`
    /// what is not ended waits until there is a config again.
    ///
    /// # Errors
    /// `NotFound` where there is no mount or no config; `Conflict` where something
    /// is not ended, or could not be, and everything stays.
    pub async fn remove(
        &self,
        path: &MountPath,
        name: &ConnectionName,
        force: bool,
    ) -> Result<Removed, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        let title = connection.title();
        let missing = || Refusal::NotFound(format!("mount {title} has no config"));
        let turn = connection.rotation_turn().await;
        if self.storage.current_config(connection.id).await?.is_none() {
            return Err(missing());
        }
        // A plugin that cannot be asked is taken to need it.
        let plugin = self.mounts.plugin(&connection).await;
        let is_needed = plugin.is_ok_and(|plugin| plugin.provider.descriptor().leaves_state);
        let leases = self.storage.leases_by_connection(connection.id).await?;
        let leased = || {
            Refusal::Conflict(format!(
                "the config of {title} stays, because without it none of its {leases} leases can be ended \
                 upstream. With revoke=true they are ended first. With force=true it is removed all the same: they \
                 then work on past their ends, and are ended once there is a config again"
            ))
        };
        if is_needed && leases > 0 && !force {
            return Err(leased());
        }
        let mut left = None;
        if let Err(stuck) = self.rotations.settle(&connection, &turn).await {
            if !force {
                return Err(Refusal::Conflict(format!(
                    "the config of {title} stays, because a root credential that a rotation made or replaced is not \
                     ended upstream: {stuck}. With force=true it is removed all the same, and what is left is ended \
                     once there is a config again"
                )));
            }
            tracing::warn!(mount = %title, reason = %stuck, "erases a config although a root credential is left to be ended");
            left = Some(stuck.to_string());
        }
        fault::point("config.after_settled");
        let unless_leased = is_needed && !force;
        let now = self.clock.now();
        match self
            .storage
            .erase_config(connection.id, unless_leased, now)
            .await?
        {
            Erasure::Done => {}
            Erasure::Absent => return Err(missing()),
            // Made while upstream was asked.
            Erasure::Leased => return Err(leased()),
        }
        connection.forget_root();
        self.mounts.drop_parked(&connection);
        Event::ConfigErased {
            mount: path.clone(),
            connection: name.clone(),
            left,
        }
        .record();
        Ok(Removed { leases, is_needed })
    }
}

/// Refuses to reuse stored secrets for another system than the one they are for:
/// whoever may write a config must not be able to send the root credential to a
/// place of their own.
fn same_system(templates: &[String], stored: &Value, document: &Value) -> Result<(), Refusal> {
    if endpoints(templates, stored) == endpoints(templates, document) {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "config names another system than the stored one, and its secrets are not sent there unless you give them: \
         name them, {:?} does not do",
        schema::REDACTED
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_secrets_are_not_sent_to_another_system() {
        let templates = ["tcp://{host}:{port}".to_owned()];
        let stored = json!({"host": "db", "port": 5432, "password": "canary"});
        let moved = json!({"host": "elsewhere", "port": 5432, "password": "canary"});
        assert!(same_system(&templates, &stored, &stored).is_ok());
        let refused = same_system(&templates, &stored, &moved)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("another system") && !refused.contains("canary"),
            "{refused}"
        );
    }
}
