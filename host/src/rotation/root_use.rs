//! Calls that survive a rotation.
//!
//! Where upstream holds only one credential, calls with the former one are
//! refused between `rotate` and promotion. A [`RootUse`] lets such a call wait
//! for the rotation and try again, so that no caller notices: [`Rotations::with_root`]
//! where nothing else is to be done between, [`RootUse::ask`] where something is.

use std::{pin::Pin, sync::Arc};

use lessor_model::{
    id::{OperationId, RoleName},
    provider::{Failure, FailureClass, Requester, Trigger},
    refusal::Refusal,
    secret::Secret,
};

use super::Rotations;
use crate::{
    catalog::Plugin,
    mount::{Connection, Root, RotationTurn},
};

impl Rotations {
    /// The root credential for one operation by a connection.
    ///
    /// # Errors
    /// `Invalid` where the connection has no config.
    pub async fn root_for(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
    ) -> Result<RootUse<'_>, Refusal> {
        let root = self.mounts.root(connection, plugin).await?;
        let config = self.mounts.unseal(&root)?;
        Ok(RootUse {
            rotations: self,
            connection: Arc::clone(connection),
            plugin: Arc::clone(plugin),
            root,
            config,
            turn: None,
        })
    }

    /// Has the provider try a role's document against upstream, as all roles are
    /// tried. What it warns of.
    ///
    /// # Errors
    /// `Invalid` where the connection has no config; the provider's failure.
    pub async fn prove_role(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        name: &RoleName,
        document: &Secret<String>,
        requester: &Requester,
    ) -> Result<Vec<String>, Refusal> {
        let operation = OperationId::new(self.clock.now())?;
        let tried = self.with_root(connection, plugin, 1, |root, attempt| {
            Box::pin(async move {
                let mut call = connection.call(operation, attempt, "validate-config", &root.root);
                call.trigger = Trigger::Configuration;
                call.role_name = Some(name.clone());
                call.requester = Some(requester.clone());
                let provider = &plugin.provider;
                Ok(provider
                    .validate_config(&call, &root.config, Some(document))
                    .await)
            })
        });
        Ok(tried.await??.warnings)
    }

    /// Asks a mount's provider for something, with a connection's root credential and in
    /// its turn; `call` gets the number of the attempt, beginning with `first`. How
    /// it ended.
    ///
    /// # Errors
    /// `Invalid` where the connection has no config; what `call` refuses.
    pub async fn with_root<'s, T>(
        &'s self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        first: u32,
        call: impl for<'r> FnMut(&'r RootUse<'s>, u32) -> Attempt<'r, T>,
    ) -> Result<Result<T, Failure>, Refusal> {
        let mut root = self.root_for(connection, plugin).await?;
        let _slot = connection.slot().await?;
        let (_, ended) = root.ask(first, call).await?;
        Ok(ended)
    }
}

/// One call of a provider: how it ended, unless there was none.
pub type Attempt<'r, T> =
    Pin<Box<dyn Future<Output = Result<Result<T, Failure>, Refusal>> + Send + 'r>>;

/// The root credential lent to one operation.
#[derive(Debug)]
pub struct RootUse<'a> {
    rotations: &'a Rotations,
    connection: Arc<Connection>,
    plugin: Arc<Plugin>,
    /// The version in use.
    pub root: Arc<Root>,
    /// The config, opened for this operation's calls.
    pub config: Secret<String>,
    /// Held for the second try: no rotation can come between again.
    turn: Option<RotationTurn>,
}

impl<'s> RootUse<'s> {
    /// Asks the provider, and again with the newer root credential where it was refused
    /// because that was being rotated. The number of the last attempt, and how it ended.
    ///
    /// # Errors
    /// What `call` refuses; where storage fails.
    pub async fn ask<T>(
        &mut self,
        first: u32,
        mut call: impl for<'r> FnMut(&'r RootUse<'s>, u32) -> Attempt<'r, T>,
    ) -> Result<(u32, Result<T, Failure>), Refusal> {
        let mut attempt = first;
        loop {
            match call(self, attempt).await? {
                Err(failure) if self.renewed_after(&failure).await? => {
                    attempt = attempt.saturating_add(1);
                }
                ended => return Ok((attempt, ended)),
            }
        }
    }

    /// After a call failed: whether it was refused because the root credential
    /// was being rotated. Then a newer one is in `self`, and no other rotation
    /// begins until `self` is dropped.
    ///
    /// # Errors
    /// Where storage fails.
    async fn renewed_after(&mut self, failure: &Failure) -> Result<bool, Refusal> {
        if failure.class != FailureClass::Denied || self.turn.is_some() {
            return Ok(false);
        }
        let turn = self.connection.rotation_turn().await;
        // One that a crash left open has no driver yet; then this is the one.
        if let Err(error) = self
            .rotations
            .drive_open(&self.connection, None, &turn)
            .await
        {
            tracing::debug!(connection = %self.connection.path(), %error, "an open rotation did not advance");
        }
        let newer = self
            .rotations
            .mounts
            .root(&self.connection, &self.plugin)
            .await?;
        if newer.version == self.root.version {
            return Ok(false);
        }
        self.config = self.rotations.mounts.unseal(&newer)?;
        self.root = newer;
        self.turn = Some(turn);
        Ok(true)
    }
}
