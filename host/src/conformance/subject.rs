//! The provider under examination: calls as a server makes them, and a list of the credentials
//! that they may have left upstream. An entry is written before the call that may make its
//! credential.

use std::{collections::BTreeSet, fs::File, sync::Arc, time::Duration};

use lessor_model::{
    clock::{Clock, Timestamp},
    id::{ConnectionId, ConnectionName, OperationId, RoleName},
    principal,
    provider::{
        Call, Credential, Descriptor, Failure, FailureClass, Provider, Revocation, Rotated,
        Rotation, Scope, Trigger, Validation,
    },
    random,
    secret::Secret,
};

use super::{CheckError, Trial};

/// The name of the mount and of the role, in names of credentials and in the log.
const NAME: &str = "check";

/// The lifetime that a credential is asked for with; it is revoked long before.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Pages of an inventory that are read at most, for a provider may name a next page for ever.
const PAGES: usize = 10_000;

/// See the file's header.
pub(super) struct Subject {
    provider: Arc<dyn Provider>,
    scope: Arc<Scope>,
    role_name: RoleName,
    clock: Clock,
    timeout: Duration,
    config: Secret<String>,
    role: Secret<String>,
    request: Secret<String>,
    /// The file for a new root credential.
    pub(super) keep: Option<File>,
    left: Vec<Left>,
}

/// One operation, over all its attempts.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    id: OperationId,
    principal_name: String,
    expires_at: Timestamp,
}

/// A credential that may be upstream.
struct Left {
    operation: Operation,
    what: Revocation,
}

impl Subject {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        clock: Clock,
        trial: Trial,
        config: Secret<String>,
        role: Secret<String>,
        request: Secret<String>,
    ) -> Result<Self, CheckError> {
        let scope = Scope {
            connection: ConnectionId(0),
            connection_name: ConnectionName::DEFAULT,
            mount: NAME.parse()?,
            known_as: NAME.to_owned(),
            config_version: 1,
            grants: Arc::new(trial.grants),
            identity: None,
            extra_roots: trial.extra_roots.into(),
            proxy: None,
            derivation_key: Arc::new(Secret::new(random::bytes()?)),
        };
        Ok(Self {
            provider,
            scope: Arc::new(scope),
            role_name: NAME.parse()?,
            clock,
            timeout: trial.timeout,
            config,
            role,
            request,
            keep: trial.rotate,
            left: Vec::new(),
        })
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        self.provider.descriptor()
    }

    /// An operation that has not begun.
    pub(super) fn operation(&self) -> Result<Operation, CheckError> {
        let now = self.clock.now();
        let id = OperationId::new(now)?;
        let parts = principal::Parts {
            mount: NAME,
            role: NAME,
            requester: NAME,
            operation: id,
        };
        let limit = self.descriptor().name_limit;
        Ok(Operation {
            id,
            principal_name: principal::name(principal::DEFAULT_TEMPLATE, parts, limit)
                .map_err(CheckError::Document)?,
            expires_at: now.plus(LIFETIME),
        })
    }

    pub(super) async fn validate_config(&self, with_role: bool) -> Result<Validation, Failure> {
        let operation = self.operation().map_err(|error| own(&error))?;
        let role = with_role.then_some(&self.role);
        self.provider
            .validate_config(&self.call(&operation, 1), &self.config, role)
            .await
    }

    pub(super) async fn create(
        &mut self,
        operation: &Operation,
        attempt: u32,
    ) -> Result<Credential, Failure> {
        self.remember(operation, Revocation::UnknownCredential);
        let created = self
            .provider
            .create(
                &self.call(operation, attempt),
                &self.config,
                &self.role,
                &self.request,
                Some(operation.expires_at),
            )
            .await;
        match &created {
            Ok(credential) => {
                self.forget(operation, &Revocation::UnknownCredential);
                self.remember(operation, Revocation::Credential(credential.id.clone()));
            }
            Err(failure) if !failure.reached_upstream => {
                self.forget(operation, &Revocation::UnknownCredential);
            }
            Err(_) => {}
        }
        created
    }

    /// Asks the provider to revoke. A credential whose id is known stays on the list until it was
    /// ended by its id.
    pub(super) async fn revoke(
        &mut self,
        operation: &Operation,
        attempt: u32,
        what: Revocation,
    ) -> Result<(), Failure> {
        self.provider
            .revoke(
                &self.call(operation, attempt),
                &self.config,
                Some(&self.role),
                &what,
            )
            .await?;
        self.forget(operation, &what);
        Ok(())
    }

    /// Moves a credential's end by as much as it had.
    pub(super) async fn renew(
        &self,
        operation: &Operation,
        attempt: u32,
        id: &str,
    ) -> Result<(), Failure> {
        self.provider
            .renew(
                &self.call(operation, attempt),
                &self.config,
                &self.role,
                id,
                Some(operation.expires_at.plus(LIFETIME)),
            )
            .await
    }

    /// The ids of all credentials that the provider lists.
    pub(super) async fn inventory(&self) -> Result<BTreeSet<String>, Failure> {
        let operation = self.operation().map_err(|error| own(&error))?;
        let call = self.call(&operation, 1);
        let mut ids = BTreeSet::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let page = self
                .provider
                .list_credentials(&call, &self.config, cursor.as_deref())
                .await?;
            ids.extend(page.ids);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(ids)
    }

    /// Asks for a new root credential; the config in use stays.
    pub(super) async fn rotate(
        &self,
        operation: &Operation,
        attempt: u32,
    ) -> Result<Rotated, Failure> {
        self.provider
            .rotate(
                &self.call(operation, attempt),
                &self.config,
                &Rotation::Root,
            )
            .await
    }

    /// Uses this config from now on.
    pub(super) fn adopt(&mut self, config: Secret<String>) {
        self.config = config;
        // As a server does: parked connections belong to one version of the config.
        let scope = &self.scope;
        self.scope = Arc::new(Scope {
            connection: scope.connection,
            connection_name: scope.connection_name.clone(),
            mount: scope.mount.clone(),
            known_as: scope.known_as.clone(),
            config_version: scope.config_version.saturating_add(1),
            grants: Arc::clone(&scope.grants),
            identity: None,
            extra_roots: Arc::clone(&scope.extra_roots),
            proxy: scope.proxy.clone(),
            derivation_key: Arc::clone(&scope.derivation_key),
        });
    }

    /// Ends the credentials that are left; gives a sentence for each that could not be ended.
    pub(super) async fn clean_up(&mut self) -> Vec<String> {
        let mut stubborn = Vec::new();
        for Left { operation, what } in std::mem::take(&mut self.left) {
            let name = match &what {
                Revocation::Credential(id) => id.clone(),
                _ => operation.principal_name.clone(),
            };
            let mut ended = self.revoke(&operation, 3, what.clone()).await;
            if ended
                .as_ref()
                .is_err_and(|failure| failure.class.is_transient())
            {
                ended = self.revoke(&operation, 4, what).await;
            }
            // A rule of its own tests that ending a credential that is gone is success.
            if let Err(failure) = ended
                && failure.class != FailureClass::NotFound
            {
                stubborn.push(format!("{name}: {failure}"));
            }
        }
        stubborn
    }

    fn call(&self, operation: &Operation, attempt: u32) -> Call {
        Call {
            operation: operation.id,
            attempt,
            trigger: Trigger::Request,
            role_name: Some(self.role_name.clone()),
            principal_name: operation.principal_name.clone(),
            requester: None,
            timeout: self.timeout,
            scope: Arc::clone(&self.scope),
        }
    }

    fn remember(&mut self, operation: &Operation, what: Revocation) {
        self.forget(operation, &what);
        self.left.push(Left {
            operation: operation.clone(),
            what,
        });
    }

    fn forget(&mut self, operation: &Operation, what: &Revocation) {
        self.left
            .retain(|left| left.operation.id != operation.id || left.what != *what);
    }
}

/// A failure that is the host's own.
fn own(error: &CheckError) -> Failure {
    Failure {
        class: FailureClass::Internal,
        code: String::from("host"),
        message: error.to_string(),
        retry_after: None,
        reached_upstream: false,
    }
}
