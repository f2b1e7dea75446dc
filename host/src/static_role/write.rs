//! Writing and removing static roles.

use std::sync::Arc;

use lessor_model::{
    event::Event,
    id::{MountPath, OperationId, RoleName},
    provider::Requester,
    refusal::Refusal,
    schedule::Schedule,
    schema,
    secret::Secret,
};
use lessor_store::{Added, NewStaticRole, StaticRoleChange, StaticRoleRow, StaticRoleState};
use serde_json::Value;

use super::{StaticRoles, after::is_refusal, document_context, fields::Asked};
use crate::{
    catalog::Plugin,
    connection_config, fault,
    mount::{Choice, Chosen, Connection, Mount, give_up_at},
};

impl StaticRoles {
    /// Writes a static role, proven against upstream. A new one takes the
    /// account over by rotating its credential, unless told not to. Answers what
    /// is to be warned of.
    ///
    /// # Errors
    /// One sentence that names the field; `Conflict` where the account belongs
    /// to another static role or to the mount's root; the provider's failure.
    /// A former static role of the name then stays as it was.
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
            return Err(Refusal::Invalid("static role must be a JSON object".into()));
        };
        let now = self.clock.now();
        has_static_roles(&plugin)?;
        let schema = &plugin.provider.descriptor().role_schema;
        let former = self.storage.static_role(mount.id, name.clone()).await?;
        let replace = connection_config::truth("replace", document.remove("replace"));
        let replace = replace.map_err(Refusal::Invalid)?.unwrap_or(false);
        let kept = former.as_ref().filter(|_| !replace);
        let choice = Choice::take(&mut document, schema).map_err(Refusal::Invalid)?;
        let asked = Asked::take(&mut document, schema, kept, now).map_err(Refusal::Invalid)?;
        let stored = match &former {
            Some(row) => self.stored(&mount, row)?,
            None => Value::Null,
        };
        let mut document = match kept {
            Some(_) => schema::patched(&stored, &document),
            None => Value::Object(document),
        };
        if schema::is_redacted(&document) {
            schema::restore(schema, "role", &mut document, Some(&stored))
                .map_err(Refusal::Invalid)?;
        }
        plugin
            .static_role
            .check("role", &mut document)
            .map_err(Refusal::Invalid)?;
        asked.refuse_unscheduled().map_err(Refusal::Invalid)?;
        let document = Secret::new(document.to_string());
        let stands = kept.map(|row| (row.connection, row.db_name.clone()));
        let Chosen {
            connection,
            db_name,
        } = self.mounts.chosen(path, choice, stands).await?;
        if former
            .as_ref()
            .is_some_and(|row| row.connection != connection.id)
        {
            return Err(Refusal::Conflict(format!(
                "connection of static role {name} of {path} cannot be changed, because the account is one of its \
                 system: write another static role, or remove this one first"
            )));
        }
        self.refuse_taken(&connection, &plugin, name, &asked.account)
            .await?;
        let mut warnings = self
            .rotations
            .prove_role(&connection, &plugin, name, &document, &requester)
            .await?;
        let document = self.keyring.seal(
            &document_context(mount.id, name),
            document.expose().as_bytes(),
        )?;
        warnings.extend(asked.warnings.clone());
        match former {
            Some(former) => {
                self.change(&connection, former, asked, db_name, document)
                    .await?;
            }
            None => {
                if !asked.skip_import_rotation {
                    // It would take the account over.
                    mount.refuse_while_held()?;
                }
                let warning = self
                    .add(
                        &connection,
                        &plugin,
                        name,
                        (asked, db_name, document),
                        requester,
                    )
                    .await?;
                warnings.extend(warning);
            }
        }
        Ok(warnings)
    }

    /// Opens a role's document to be changed.
    fn stored(&self, mount: &Mount, row: &StaticRoleRow) -> Result<Value, Refusal> {
        let text = self.document(mount, row)?;
        serde_json::from_str(text.expose()).map_err(Refusal::internal)
    }

    /// Forgets a static role. The account stays upstream, with the credential that it
    /// has; a former one that is still valid there is ended first. With `force` it is
    /// forgotten also where that fails.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where a former credential could not be ended.
    pub async fn remove(
        &self,
        path: &MountPath,
        name: &RoleName,
        force: bool,
    ) -> Result<(), Refusal> {
        let mount = self.mounts.open(path)?;
        // Its id alone: one that cannot be read can be removed too.
        let Some(id) = self.storage.static_role_id(mount.id, name.clone()).await? else {
            return Err(self.unknown(&mount, name).await);
        };
        // A call under way would leave a credential that nobody was shown.
        let _turn = self.turns.take(id).await;
        if !force && let Ok(Some(row)) = self.storage.static_role_by_id(id).await {
            let connection = self.connection(&row)?;
            let ended = self.end_former(&connection, row).await;
            ended.map_err(|refusal| {
                Refusal::Conflict(format!(
                    "static role {name} of {path} stays, because the account's former credential is still valid \
                     upstream and could not be ended ({refusal}); with force=true it is removed all the same"
                ))
            })?;
        }
        if self.storage.remove_static_role(id).await? {
            let (mount, static_role) = (path.clone(), name.clone());
            Event::StaticRoleRemoved { mount, static_role }.record();
        }
        Ok(())
    }

    /// Ends the credential that an account has beside its current one, if any. To be
    /// called by whoever has the turn.
    async fn end_former(
        &self,
        connection: &Arc<Connection>,
        row: StaticRoleRow,
    ) -> Result<(), Refusal> {
        if connection.held.is_some() && row.state == StaticRoleState::Retiring {
            return connection.refuse_while_held();
        }
        let row = match connection.held {
            Some(_) => row,
            None => self.end_kept(connection, row).await?,
        };
        match row.state {
            StaticRoleState::Retiring => self.drive(connection, &row, None).await,
            _ => Ok(()),
        }
    }

    /// Refuses an account that another static role has, or that is a root, by whichever
    /// connection to the same system.
    async fn refuse_taken(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        name: &RoleName,
        account: &str,
    ) -> Result<(), Refusal> {
        let owner = self
            .storage
            .static_role_of(connection.id, account.to_owned())
            .await?;
        if let Some(owner) = owner.filter(|owner| owner != name.as_str()) {
            return Err(taken(connection, account, &owner));
        }
        if self.mounts.is_root(connection, account).await? {
            return Err(is_root(connection, account));
        }
        self.refuse_owned_elsewhere(connection, plugin, account)
            .await
    }

    /// Refuses an account that has an owner by another connection to the same system.
    async fn refuse_owned_elsewhere(
        &self,
        connection: &Connection,
        plugin: &Plugin,
        account: &str,
    ) -> Result<(), Refusal> {
        let Some(config) = self.mounts.config(connection).await? else {
            return Ok(());
        };
        let config: Value = serde_json::from_str(config.expose()).unwrap_or_default();
        for other in self.mounts.neighbours(connection, plugin, &config).await? {
            if other.is_root(account) {
                return Err(is_root(&other.connection, account));
            }
            let owner = self
                .storage
                .static_role_of(other.connection.id, account.to_owned())
                .await?;
            if let Some(owner) = owner {
                return Err(taken(&other.connection, account, &owner));
            }
        }
        Ok(())
    }

    /// Changes what a static role says. Its credentials stay, and so does an open
    /// rotation.
    async fn change(
        &self,
        connection: &Connection,
        former: StaticRoleRow,
        asked: Asked,
        db_name: Option<String>,
        document: Vec<u8>,
    ) -> Result<(), Refusal> {
        if former.account != asked.account {
            return Err(Refusal::Conflict(format!(
                "username of static role {name} of {path} is {account:?} and cannot be changed: \
                 write another static role, or remove this one first",
                name = former.name,
                path = connection.path(),
                account = former.account
            )));
        }
        let _turn = self.turns.take(former.id).await;
        let row = self.again(connection, &former).await?;
        let fields = StaticRoleChange {
            db_name,
            document,
            next: match &asked.schedule {
                same if *same == row.schedule => row.next,
                // A new expression makes up nothing of before.
                cron @ Schedule::Cron { .. } => cron.next(None, self.clock.now()),
                other => other.next(row.last, self.clock.now()),
            },
            schedule: asked.schedule,
            former: asked.former,
        };
        self.storage.change_static_role(row.id, fields).await?;
        Event::StaticRoleChanged {
            mount: connection.path().clone(),
            static_role: row.name,
            account: row.account,
        }
        .record();
        Ok(())
    }

    /// Stores a new static role and makes its first rotation. Where that may
    /// have changed the account and is not known to be done, it is tried again,
    /// and that is a warning.
    async fn add(
        &self,
        connection: &Arc<Connection>,
        plugin: &Plugin,
        name: &RoleName,
        (asked, db_name, document): (Asked, Option<String>, Vec<u8>),
        requester: Requester,
    ) -> Result<Option<String>, Refusal> {
        let now = self.clock.now();
        let first = match asked.skip_import_rotation {
            true => None,
            false => Some((OperationId::new(now)?, give_up_at(connection, now))),
        };
        let new = NewStaticRole {
            mount_id: connection.mount.id,
            connection: connection.id,
            name: name.clone(),
            account: asked.account.clone(),
            change: StaticRoleChange {
                db_name,
                document,
                next: asked.schedule.next(None, now),
                schedule: asked.schedule,
                former: asked.former,
            },
            first,
            created_at: now,
        };
        let id = match self.storage.add_static_role(new).await? {
            Added::As(id) => id,
            Added::AccountTaken(owner) => return Err(taken(connection, &asked.account, &owner)),
            Added::Gone => {
                return Err(Refusal::Conflict(format!(
                    "static role {name} of {} was written by somebody else just now; write it again",
                    connection.path()
                )));
            }
        };
        // Whoever wrote the same account in another mount just now sees this one, too: then
        // neither has it, and nothing was changed upstream.
        if let Err(refusal) = self
            .refuse_owned_elsewhere(connection, plugin, &asked.account)
            .await
        {
            self.storage.remove_static_role(id).await?;
            return Err(refusal);
        }
        Event::StaticRoleWritten {
            mount: connection.path().clone(),
            static_role: name.clone(),
            account: asked.account.clone(),
        }
        .record();
        if first.is_none() {
            return Ok(None);
        }
        fault::point("rotate-account.after_open");
        let _turn = self.turns.take(id).await;
        let Some(row) = self.storage.static_role_by_id(id).await? else {
            return Ok(None);
        };
        let Err(refusal) = self.drive(connection, &row, Some(requester)).await else {
            return Ok(None);
        };
        if left_alone(&refusal) {
            // As if it had never been written.
            self.storage.remove_static_role(id).await?;
            let (mount, static_role) = (connection.path().clone(), name.clone());
            Event::StaticRoleRemoved { mount, static_role }.record();
            return Err(refusal);
        }
        Ok(Some(format!(
            "the first rotation of {:?} failed and is tried again by itself ({refusal}); \
             GET /v1/{}/static-roles/{name} tells how it stands",
            asked.account,
            connection.path()
        )))
    }
}

/// Whether a failed first rotation left the account as it was.
fn left_alone(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Provider(failure) => is_refusal(failure) || !failure.reached_upstream,
        Refusal::Limit { .. } | Refusal::NotYet { .. } | Refusal::Invalid(_) => true,
        Refusal::Denied
        | Refusal::NotFound(_)
        | Refusal::Conflict(_)
        | Refusal::Unavailable(_)
        | Refusal::Internal(_)
        | Refusal::Partly { .. } => false,
    }
}

/// Refuses a provider whose roles name no account.
fn has_static_roles(plugin: &Plugin) -> Result<(), Refusal> {
    let descriptor = plugin.provider.descriptor();
    let known = descriptor
        .role_schema
        .get("properties")
        .and_then(Value::as_object);
    if known.is_some_and(|known| !known.contains_key("username")) {
        return Err(Refusal::Invalid(format!(
            "provider {} has no static roles: its roles take no username of an existing account",
            descriptor.name
        )));
    }
    Ok(())
}

fn is_root(connection: &Connection, account: &str) -> Refusal {
    Refusal::Conflict(format!(
        "username {account:?} is the root credential of {}, which POST /v1/{} rotates: name another account",
        connection.title(),
        connection.path_of("rotate-root")
    ))
}

fn taken(connection: &Connection, account: &str, owner: &str) -> Refusal {
    Refusal::Conflict(format!(
        "username {account:?} belongs to static role {owner} of {}: two of them would end each other's credential; \
         use that one, or remove it first",
        connection.title()
    ))
}
