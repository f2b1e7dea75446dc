//! A mount's config: the root credential as the operator writes it, proven
//! before it is stored.
//!
//! The host's own fields in the body ([`HOST_FIELDS`]) are split off; the rest belongs to the provider's config
//! schema. Writing a config replaces the root credential: the former one is
//! erased and an open rotation is given up. What rotations made beside the operator's
//! own, and nobody else knows, is ended upstream before it is erased.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    catalog::Plugin,
    clock::{Clock, Timestamp},
    duration, fault,
    id::{MountPath, OperationId},
    keyring::Keyring,
    mount::{Mount, Mounts, config_context, endpoints},
    provider::{Call, Requester},
    refusal::Refusal,
    rotation::Rotations,
    schedule::Schedule,
    schema,
    secret::Secret,
    storage::{NewConfig, RootSchedule, RotationRow, Storage},
};

/// How long a former root credential stays valid where upstream can hold two:
/// long enough for every call that began with it.
const DEFAULT_GRACE: Duration = Duration::from_secs(60);

/// Shortest rotation period: below, rotations would run into each other.
const SHORTEST_PERIOD: Duration = Duration::from_secs(60);

/// The host's field names in a config body.
pub const HOST_FIELDS: [&str; 5] = [
    "rotate_on_config",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "rotation_grace",
];

/// A mount's config as shown.
#[derive(Clone, Debug)]
pub struct ConfigView {
    /// The provider's part, secrets redacted.
    pub config: Value,
    /// Who the root credential is upstream.
    pub identity: Option<String>,
    /// Counts up with every new root credential.
    pub version: u32,
    /// What the provider warned of when it was proven.
    pub warnings: Vec<String>,
    /// When it rotates, and last did.
    pub schedule: RootSchedule,
    /// A rotation that is open.
    pub rotation: Option<OpenRotation>,
    /// Root credentials that wait for their end upstream.
    pub ending: Vec<RotationRow>,
}

/// An open rotation as shown.
#[derive(Clone, Debug)]
pub struct OpenRotation {
    /// How it stands.
    pub row: RotationRow,
    /// The config that it would put in use, secrets redacted, where it fits the
    /// provider's schema.
    pub staged: Option<Value>,
    /// What of that is neither secret nor announced by the provider to change.
    pub changes: Vec<String>,
}

/// The configs of all mounts.
#[derive(Debug)]
pub struct Settings {
    storage: Storage,
    keyring: Keyring,
    mounts: Arc<Mounts>,
    rotations: Arc<Rotations>,
    clock: Clock,
}

impl Settings {
    /// Settings over a storage.
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

    /// Proves a config against upstream and puts it in use. With
    /// `rotate_on_config` the root credential is rotated at once, so that only
    /// the host knows it.
    ///
    /// # Errors
    /// One sentence that names the field, or the provider's failure; the former
    /// config then stays.
    pub async fn write(
        &self,
        path: &MountPath,
        body: Value,
        requester: Requester,
    ) -> Result<ConfigView, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let Value::Object(mut document) = body else {
            return Err(Refusal::Invalid("config must be a JSON object".into()));
        };
        let now = self.clock.now();
        let schedule = take_schedule(&mut document, now).map_err(Refusal::Invalid)?;
        let mut document = Value::Object(document);
        // No rotation may stage a successor of a config that is being replaced.
        let turn = mount.rotation_turn().await;
        let stored = match schema::is_redacted(&document) {
            true => self.restore(&mount, &plugin, &mut document).await?,
            false => None,
        };
        plugin
            .config
            .check("config", &mut document)
            .map_err(Refusal::Invalid)?;
        self.refuse_account(&mount, &document).await?;
        if let Some(stored) = stored {
            same_system(&plugin.provider.descriptor().endpoints, &stored, &document)?;
        }
        let document = Secret::new(document.to_string());
        let version = self.storage.next_config_version(mount.id).await?;
        let call = Call {
            operation: OperationId::new(now)?,
            attempt: 1,
            role_name: None,
            principal_name: "validate-config".into(),
            requester: Some(requester.clone()),
            timeout: mount.spec.tune.timeout,
            scope: self.mounts.scope(&mount, &plugin, version, &document)?,
        };
        let validation = plugin
            .provider
            .validate_config(&call, &document, None)
            .await?;

        let sealed = self.keyring.seal(
            &config_context(mount.id, version),
            document.expose().as_bytes(),
        )?;
        let config = NewConfig {
            mount_id: mount.id,
            version,
            document: sealed,
            identity: validation.identity,
            warnings: validation.warnings,
            metadata: json!({}),
            retires: None,
            created_at: now,
        };
        let rotate_now = schedule.on_config;
        let end_former = self.is_another_root(&mount, &plugin, &document).await?;
        let replaced = self
            .storage
            .replace_config(config, schedule, end_former)
            .await?;
        if version > 1 {
            fault::point("config.after_replaced");
        }
        if !replaced {
            return Err(Refusal::Conflict(format!(
                "the config of {path} was changed meanwhile; write it again"
            )));
        }
        mount.forget_root();
        self.mounts.drop_parked(&mount);
        self.storage.wake_revocations(mount.id, now).await?;
        self.storage.wake_accounts(mount.id, now).await?;
        drop(turn);
        tracing::info!(mount = %path, version, "wrote a config");

        if rotate_now && mount.held.is_none() {
            self.rotations.rotate_root(path, Some(requester)).await?;
        }
        self.read(path).await
    }

    /// Whether a config shares no secret with the one in use, which it replaces.
    async fn is_another_root(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        document: &Secret<String>,
    ) -> Result<bool, Refusal> {
        let Some(former) = self.mounts.config(mount).await? else {
            return Ok(false);
        };
        let schema = &plugin.provider.descriptor().config_schema;
        let secrets = |text: &Secret<String>| -> Result<Vec<Value>, Refusal> {
            let document = serde_json::from_str(text.expose()).map_err(Refusal::internal)?;
            let mut found = Vec::new();
            schema::secrets(schema, &document, &mut |secret| found.push(secret.clone()));
            Ok(found)
        };
        let new = secrets(document)?;
        Ok(!secrets(&former)?.iter().any(|secret| new.contains(secret)))
    }

    /// Refuses a root credential whose account a static role rotates: each would
    /// end the other's.
    async fn refuse_account(&self, mount: &Mount, document: &Value) -> Result<(), Refusal> {
        let Some(account) = document.get("username").and_then(Value::as_str) else {
            return Ok(());
        };
        let owner = self
            .storage
            .static_role_of(mount.id, account.to_owned())
            .await?;
        owner.map_or(Ok(()), |owner| {
            Err(Refusal::Conflict(format!(
                "config.username {account:?} belongs to static role {owner} of {}: name another, or remove it first",
                mount.path()
            )))
        })
    }

    /// Puts the stored secrets where a config that was read is written back.
    /// Answers the stored config.
    async fn restore(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        document: &mut Value,
    ) -> Result<Option<Value>, Refusal> {
        let stored = match self.storage.current_config(mount.id).await? {
            Some(row) => {
                let root = self.mounts.root_of(mount, plugin, &row)?;
                let text = self.mounts.unseal(&root)?;
                Some(serde_json::from_str::<Value>(text.expose()).map_err(Refusal::internal)?)
            }
            None => None,
        };
        let schema = &plugin.provider.descriptor().config_schema;
        schema::restore(schema, "config", document, stored.as_ref()).map_err(Refusal::Invalid)?;
        Ok(stored)
    }

    /// The config in use, secrets redacted.
    ///
    /// # Errors
    /// `NotFound` where there is no mount or no config.
    pub async fn read(&self, path: &MountPath) -> Result<ConfigView, Refusal> {
        let mount = self.mounts.open(path)?;
        let plugin = self.mounts.plugin(&mount).await?;
        let missing = || Refusal::NotFound(format!("mount {path} has no config"));
        let row = self
            .storage
            .current_config(mount.id)
            .await?
            .ok_or_else(missing)?;
        let root = self.mounts.root_of(&mount, &plugin, &row)?;
        let document = self.mounts.unseal(&root)?;
        // What a provider made of it is in use where upstream takes it, JSON or not.
        let parsed: Value = serde_json::from_str(document.expose()).unwrap_or_default();
        let unscheduled = || RootSchedule {
            schedule: Schedule::ByHand,
            grace: DEFAULT_GRACE,
            on_config: false,
            last: None,
            next: None,
            last_error: None,
        };
        let schedule = self.storage.schedule(mount.id).await?;
        Ok(ConfigView {
            config: schema::redact(&plugin.provider.descriptor().config_schema, &parsed),
            identity: row.identity,
            version: row.version,
            warnings: row.warnings,
            schedule: schedule.unwrap_or_else(unscheduled),
            rotation: self.open_rotation(&mount, &plugin).await?,
            ending: self.rotations.ending(&mount).await?,
        })
    }

    async fn open_rotation(
        &self,
        mount: &Mount,
        plugin: &Plugin,
    ) -> Result<Option<OpenRotation>, Refusal> {
        let Some(row) = self.storage.unsettled_rotation(mount.id).await? else {
            return Ok(None);
        };
        Ok(Some(OpenRotation {
            staged: self.staged(mount, plugin, &row).await?,
            changes: self.rotations.staged_changes(mount, &row).await?,
            row,
        }))
    }

    /// The staged config as it may be shown. One that its schema refuses may hold a
    /// secret anywhere.
    async fn staged(
        &self,
        mount: &Mount,
        plugin: &Plugin,
        rotation: &RotationRow,
    ) -> Result<Option<Value>, Refusal> {
        let row = match rotation.new_version {
            Some(version) => self.storage.config(mount.id, version).await?,
            None => None,
        };
        let Some(row) = row else { return Ok(None) };
        let text = self
            .mounts
            .unseal(&*self.mounts.root_of(mount, plugin, &row)?)?;
        let Ok(mut document) = serde_json::from_str(text.expose()) else {
            return Ok(None);
        };
        let fits = plugin.config.check("config", &mut document).is_ok();
        let schema = &plugin.provider.descriptor().config_schema;
        Ok(fits.then(|| schema::redact(schema, &document)))
    }

    /// Erases the root credential, after what rotations made or replaced is ended
    /// upstream: without a config nothing could end it. Leases stay, and can be revoked
    /// once there is a config again. With `force` what is not ended waits for that, too.
    ///
    /// # Errors
    /// `NotFound` where there is no mount or no config; `Conflict` where something
    /// could not be ended, and everything stays.
    pub async fn remove(&self, path: &MountPath, force: bool) -> Result<(), Refusal> {
        let mount: Arc<Mount> = self.mounts.open(path)?;
        let turn = mount.rotation_turn().await;
        if self.storage.current_config(mount.id).await?.is_none() {
            return Err(Refusal::NotFound(format!("mount {path} has no config")));
        }
        if let Err(stuck) = self.rotations.settle(&mount, &turn).await {
            if !force {
                return Err(Refusal::Conflict(format!(
                    "the config of {path} stays, because a root credential that a rotation made or replaced is not \
                     ended upstream: {stuck}. With force=true it is removed all the same, and what is left is ended \
                     once there is a config again"
                )));
            }
            tracing::warn!(mount = %path, reason = %stuck, "erases a config although a root credential is left to be ended");
        }
        fault::point("config.after_settled");
        if !self
            .storage
            .erase_config(mount.id, self.clock.now())
            .await?
        {
            return Err(Refusal::NotFound(format!("mount {path} has no config")));
        }
        mount.forget_root();
        self.mounts.drop_parked(&mount);
        tracing::info!(mount = %path, "erased a config");
        Ok(())
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
        "config names another system than the stored one, so {:?} cannot stand for its secrets: \
         give the values themselves",
        schema::REDACTED
    )))
}

/// Takes the host's fields out of a config body.
fn take_schedule(
    document: &mut Map<String, Value>,
    now: Timestamp,
) -> Result<RootSchedule, String> {
    let on_config = match document.remove("rotate_on_config") {
        Some(value) => value
            .as_bool()
            .ok_or("rotate_on_config must be true or false")?,
        None => false,
    };
    let grace = match document.remove("rotation_grace") {
        Some(value) => duration::of_value("rotation_grace", &value)?,
        None => None,
    };
    let schedule = Schedule::take(document, SHORTEST_PERIOD, now)?;
    Ok(RootSchedule {
        next: schedule.next(None, now),
        schedule,
        grace: grace.unwrap_or(DEFAULT_GRACE),
        on_config,
        last: None,
        last_error: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_split_from_the_providers_config() {
        let mut body = json!({"rotation_period": "1d", "rotate_on_config": true, "host": "db"});
        let schedule = take_schedule(body.as_object_mut().unwrap(), Timestamp(0)).unwrap();
        assert_eq!(schedule.next, Some(Timestamp(86_400_000)));
        assert!(schedule.on_config);
        assert_eq!(body, json!({"host": "db"}));
    }

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

    #[test]
    fn wrong_schedules_are_named() {
        for (body, field) in [
            (json!({"rotation_period": "1s"}), "rotation_period"),
            (json!({"rotation_period": -5}), "rotation_period"),
            (json!({"rotation_grace": "x"}), "rotation_grace"),
            (json!({"rotate_on_config": 1}), "rotate_on_config"),
            (json!({"rotation_schedule": "daily"}), "rotation_schedule"),
            (json!({"rotation_window": "2h"}), "rotation_window"),
        ] {
            let error =
                take_schedule(body.clone().as_object_mut().unwrap(), Timestamp(0)).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }
}
