//! The running engines of an installation, wired to each other.
//!
//! Made once, when the keyring is open. Handlers and the server hold it behind
//! an `Arc`; everything that lasts is in storage, so dropping the engines loses nothing.

use std::sync::Arc;

use lessor_model::{clock::Clock, refusal::Refusal};
use lessor_sandbox::{
    CodeCacheSettings, Sandbox, SandboxError, SandboxSettings, plugin_store::PluginStore,
};
use lessor_seal::keyring::{Keyring, KeyringError};
use lessor_store::{Storage, StorageError};
use tokio::sync::Mutex;

use crate::{
    auth::Authenticator,
    catalog::{Catalog, PinSpec},
    config::{Config, TokenRules},
    connection_config::Configs,
    context::Context,
    first_token::FirstToken,
    identity::Issuer,
    lease::Leases,
    login::Logins,
    mount::Mounts,
    policies::Policies,
    role::Roles,
    rotation::Rotations,
    scheduler::Scheduler,
    static_role::StaticRoles,
    task::Tasks,
    token::Tokens,
    upgrade::{Change, Pinned, Upgrades},
    wrapping::Wrappings,
};

/// Everything a request may need.
#[derive(Debug)]
pub struct Engine {
    /// The clock that all of them read.
    pub clock: Clock,
    /// Seals and hashes.
    pub keyring: Keyring,
    /// The database.
    pub storage: Storage,
    /// Tells who a token belongs to.
    pub authenticator: Authenticator,
    /// The policies.
    pub policies: Arc<Policies>,
    /// The tokens that callers present.
    pub tokens: Arc<Tokens>,
    /// The login methods, by which callers without a token get one.
    pub logins: Logins,
    /// The root token of the initialisation, until it is used.
    pub first_token: Arc<FirstToken>,
    /// Answers that wait for the holder of their token.
    pub wrappings: Wrappings,
    /// Pins and providers.
    pub catalog: Arc<Catalog>,
    /// The host as an issuer, for upstream systems that trust it.
    pub issuer: Arc<Issuer>,
    /// Providers at paths.
    pub mounts: Arc<Mounts>,
    /// Root credentials as written.
    pub configs: Configs,
    /// The roles of mounts.
    pub roles: Arc<Roles>,
    /// Moves mounts from one version of a plugin to another.
    pub upgrades: Upgrades,
    /// Credentials on loan.
    pub leases: Arc<Leases>,
    /// Root credentials as rotated.
    pub rotations: Arc<Rotations>,
    /// Existing accounts upstream, renewed.
    pub static_roles: Arc<StaticRoles>,
    /// Tasks: work that callers do not wait for.
    pub tasks: Arc<Tasks>,
    scheduler: Mutex<Option<Scheduler>>,
}

impl Engine {
    /// Sets the sandbox up over the plugin directory, wires the engines and
    /// starts the scheduler.
    ///
    /// # Errors
    /// Where the sandbox cannot be set up or the mounts cannot be read.
    pub async fn start(context: Context, config: &Config) -> Result<Self, EngineError> {
        let Context {
            storage,
            keyring,
            clock,
        } = &context;
        let sandbox = Sandbox::compiling_apart(SandboxSettings {
            clock: clock.clone(),
            code_cache: Some(code_cache(config, keyring)?),
            limits: config.sandbox.clone(),
        })?;
        let store = PluginStore::new(config.plugin_dir.clone(), config.sandbox.plugin_size);
        let catalog = Catalog::open(storage.clone(), clock.clone(), store, sandbox)
            .await
            .map_err(|error| EngineError::Mounts(error.into()))?;
        let engine = Self::over(
            context,
            catalog,
            config.tokens,
            (config.issuer.clone(), config.dev.is_some()),
        )
        .await?;
        engine.start_scheduler().await;
        Ok(engine)
    }

    /// Wires the engines over a catalog. `rules` are for tokens; `issuer` is the host's name
    /// where upstream systems trust it, and `dev` grants loopback endpoints.
    pub(crate) async fn over(
        context: Context,
        catalog: Catalog,
        rules: TokenRules,
        (issuer, dev): (Option<String>, bool),
    ) -> Result<Self, EngineError> {
        let catalog = Arc::new(catalog);
        let issuer = Arc::new(Issuer::new(context.clone(), issuer));
        let mounts = Mounts::open_all(
            context.clone(),
            Arc::clone(&catalog),
            Arc::clone(&issuer),
            dev,
        );
        let mounts = Arc::new(mounts.await.map_err(EngineError::Mounts)?);
        let tokens = Arc::new(Tokens::new(context.clone(), rules));
        let logins = Logins::new(context.clone(), Arc::clone(&tokens), Arc::clone(&mounts));
        let first_token = Arc::new(FirstToken::open(context.storage.clone()).await?);
        let policies = Arc::new(Policies::new(
            context.storage.clone(),
            context.clock.clone(),
        ));
        let rotations = Arc::new(Rotations::new(context.clone(), Arc::clone(&mounts)));
        let roles = Arc::new(Roles::new(
            context.clone(),
            Arc::clone(&mounts),
            Arc::clone(&rotations),
        ));
        let upgrades = Upgrades::new(
            Arc::clone(&catalog),
            Arc::clone(&mounts),
            Arc::clone(&roles),
        );
        let configs = Configs::new(context.clone(), Arc::clone(&mounts), Arc::clone(&rotations));
        let leases = Arc::new(Leases::new(
            context.clone(),
            Arc::clone(&mounts),
            Arc::clone(&roles),
            Arc::clone(&rotations),
        ));
        let static_roles = Arc::new(StaticRoles::new(
            context.clone(),
            Arc::clone(&mounts),
            Arc::clone(&rotations),
        ));
        let tasks = Arc::new(Tasks::new(
            context.clone(),
            Arc::clone(&mounts),
            Arc::clone(&leases),
            Arc::clone(&rotations),
        ));
        Ok(Self {
            authenticator: Authenticator::new(
                Arc::clone(&tokens),
                Arc::clone(&policies),
                Arc::clone(&first_token),
            ),
            first_token,
            wrappings: Wrappings::new(context.clone(), Arc::clone(&tokens)),
            tokens,
            logins,
            policies,
            clock: context.clock,
            keyring: context.keyring,
            storage: context.storage,
            catalog,
            issuer,
            mounts,
            configs,
            upgrades,
            roles,
            leases,
            rotations,
            static_roles,
            tasks,
            scheduler: Mutex::new(None),
        })
    }

    fn context(&self) -> Context {
        Context {
            storage: self.storage.clone(),
            keyring: self.keyring.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Starts the work that comes by time.
    pub(crate) async fn start_scheduler(&self) {
        let scheduler = Scheduler::start(
            self.context(),
            Arc::clone(&self.mounts),
            Arc::clone(&self.leases),
            Arc::clone(&self.rotations),
            Arc::clone(&self.static_roles),
            Arc::clone(&self.tokens),
        );
        *self.scheduler.lock().await = Some(scheduler.await);
        self.tasks.resume().await;
    }

    /// Tries at once the work that a plugin's pins may have held up. Called where a pin or its
    /// file has changed.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn pins_changed(&self, plugin: &str) -> Result<(), Refusal> {
        self.mounts.wake_users(plugin).await
    }

    /// Pins a version of a plugin; work that its mounts failed to do is tried at once.
    ///
    /// # Errors
    /// As [`Upgrades::pin`].
    pub async fn pin(&self, spec: PinSpec, change: Change) -> Result<Pinned, Refusal> {
        let pinned = self.upgrades.pin(spec, change).await?;
        self.pins_changed(&pinned.name).await?;
        Ok(pinned)
    }

    /// Stops the scheduler once the work that it has begun is done. The rest is due at the next
    /// start.
    pub async fn shutdown(&self) {
        let scheduler = self.scheduler.lock().await.take();
        if let Some(scheduler) = scheduler {
            scheduler.shutdown().await;
        }
    }
}

/// The directory of compiled code, and the key that vouches for it.
fn code_cache(config: &Config, keyring: &Keyring) -> Result<CodeCacheSettings, EngineError> {
    #[cfg(feature = "test-hooks")]
    if let Some(shared) = CodeCacheSettings::of_tests() {
        return Ok(shared);
    }
    Ok(CodeCacheSettings {
        dir: config.data_dir.join("code"),
        key: keyring.code_cache_key().map_err(EngineError::Key)?,
    })
}

/// The engines could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No sandbox.
    #[error("the sandbox could not be set up")]
    Sandbox(#[from] SandboxError),
    /// No key for the code cache.
    #[error("the key of the code cache could not be made")]
    Key(#[source] KeyringError),
    /// No mounts.
    #[error("the mounts could not be read")]
    Mounts(#[source] Refusal),
    /// The storage fails.
    #[error("the first token could not be looked for")]
    FirstToken(#[from] StorageError),
}
