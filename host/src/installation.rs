//! A data directory, from empty to running engines.
//!
//! Fresh, it has no keys: then the API answers 501 and 503 until
//! [`Installation::initialise`] makes them. From then on the root key is read
//! from its file at every start, and nobody has to unseal anything.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use lessor_model::{clock::Clock, event::Event, random::RandomError, secret::Secret};
use lessor_seal::keyring::{Keyring, KeyringError, RootKey};
use lessor_store::{Storage, StorageError};
use tokio::sync::{Mutex, Notify};

use crate::{
    config::Config,
    context::Context,
    engine::{Engine, EngineError},
    fault, token,
};

/// The database's name in the data directory.
pub(crate) const DATABASE: &str = "lessor.db";

/// An installation, initialised or not.
#[derive(Debug)]
pub struct Installation {
    config: Config,
    clock: Clock,
    storage: Storage,
    /// The directory, locked for as long as this process lives: two servers on one database
    /// would each rotate and revoke the same credentials.
    _lock: File,
    engine: OnceLock<Arc<Engine>>,
    /// Held while it is being initialised: two callers must not both get a token.
    turn: Mutex<()>,
    started: Notify,
}

impl Installation {
    /// Opens the data directory, makes it where it is missing, and starts the
    /// engines where there are keys.
    ///
    /// # Errors
    /// Where the directory, the database or the root key cannot be used.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, InstallationError> {
        make_private(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        let file = config.data_dir.join(DATABASE);
        let storage = Storage::open(&file)?;
        let installation = Self {
            config,
            clock,
            storage,
            _lock: lock,
            engine: OnceLock::new(),
            turn: Mutex::new(()),
            started: Notify::new(),
        };
        let wrapped = installation.storage.wrapped_keys().await?;
        if !wrapped.is_empty() {
            let root = RootKey::from_file(&installation.config.seal_file)?;
            installation.run(Keyring::load(&root, &wrapped)?).await?;
        }
        Ok(installation)
    }

    /// Makes keys and a root token, and starts the engines. Repeated before that
    /// token was used, because its answer was lost, it gives another one in its
    /// place; None once it was used.
    ///
    /// # Errors
    /// Where the root key cannot be written or storage fails; nothing is then
    /// initialised, and it can be tried again.
    pub async fn initialise(&self) -> Result<Option<Secret<String>>, InstallationError> {
        let _turn = self.turn.lock().await;
        match self.engine.get() {
            Some(engine) => self.initialise_again(engine).await,
            None => self.make(token::new_token()?, true).await,
        }
    }

    /// As [`Self::initialise`], for `--dev`, which prints its token by itself: once, and
    /// `token` where it was given one.
    ///
    /// # Errors
    /// As [`Self::initialise`].
    pub async fn initialise_dev(
        &self,
        token: Option<Secret<String>>,
    ) -> Result<Option<Secret<String>>, InstallationError> {
        let _turn = self.turn.lock().await;
        if self.engine.get().is_some() {
            return Ok(None);
        }
        let token = match token {
            Some(token) => token,
            None => token::new_token()?,
        };
        self.make(token, false).await
    }

    async fn initialise_again(
        &self,
        engine: &Engine,
    ) -> Result<Option<Secret<String>>, InstallationError> {
        let token = token::new_token()?;
        let row = token::root_row(&engine.keyring, &token, self.clock.now())?;
        let accessor = row.accessor.clone();
        if !engine.first_token.replace(row).await? {
            return Ok(None);
        }
        Event::InstallationInitialisedAgain { accessor }.record();
        Ok(Some(token))
    }

    async fn make(
        &self,
        token: Secret<String>,
        repeatable: bool,
    ) -> Result<Option<Secret<String>>, InstallationError> {
        let seal_file = &self.config.seal_file;
        // A file that is there was left by an attempt that ended before the
        // database knew of it; the database refers to no other.
        let root = if seal_file.exists() {
            RootKey::from_file(seal_file)?
        } else {
            RootKey::generate_in(seal_file)?
        };
        let (keyring, wrapped) = Keyring::create(&root)?;
        let row = token::root_row(&keyring, &token, self.clock.now())?;
        let accessor = row.accessor.clone();
        fault::point("initialise.before_keys");
        if !self.storage.initialise(wrapped, row, repeatable).await? {
            return Ok(None);
        }
        fault::point("initialise.after_keys");
        self.run(keyring).await?;
        fault::point("initialise.after_start");
        Event::InstallationInitialised { accessor }.record();
        Ok(Some(token))
    }

    /// The engines, once there are keys.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.get()
    }

    /// Waits until there are keys.
    pub async fn ready(&self) -> Arc<Engine> {
        loop {
            let started = self.started.notified();
            if let Some(engine) = self.engine.get() {
                return Arc::clone(engine);
            }
            started.await;
        }
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    async fn run(&self, keyring: Keyring) -> Result<(), InstallationError> {
        let (storage, clock) = (self.storage.clone(), self.clock.clone());
        let version = env!("CARGO_PKG_VERSION");
        if let Err(error) = storage.record_version(version, clock.now()).await {
            // A full disk must not stop a server that only has to read.
            tracing::warn!(version, %error, "could not note the version that runs");
        }
        let context = Context {
            storage,
            keyring,
            clock,
        };
        let engine = Engine::start(context, &self.config).await?;
        // The turn, or being the only one that knows `self`, excludes a second.
        let _ = self.engine.set(Arc::new(engine));
        self.started.notify_waiters();
        Ok(())
    }
}

/// Takes the data directory for this process; the system gives it back when the
/// process ends, however it ends. The directory itself is locked: a file in it could
/// be moved away, and another server would lock the next one of that name.
pub(crate) fn lock(directory: &Path) -> Result<File, InstallationError> {
    let failed = |source| InstallationError::Directory {
        path: directory.to_owned(),
        source,
    };
    let file = File::open(directory).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(InstallationError::InUse {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes a directory for this user alone, or makes sure that it is.
pub(crate) fn make_private(directory: &Path) -> Result<(), InstallationError> {
    let failed = |source| InstallationError::Directory {
        path: directory.to_owned(),
        source,
    };
    if !directory.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// An installation that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The data directory cannot be made or closed to others.
    #[error("the data directory {} cannot be used", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another server has it.
    #[error("the data directory {} is in use by another server: stop that one first", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Storage(#[from] StorageError),
    /// The root key cannot be used.
    #[error("the root key cannot be used")]
    Keyring(#[from] KeyringError),
    /// No randomness.
    #[error("no secrets can be made")]
    Random(#[from] RandomError),
    /// The engines did not start.
    #[error("the engines could not be started")]
    Engine(#[from] EngineError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerArgs;

    fn config(home: &Path) -> Config {
        let args = ServerArgs {
            data_dir: Some(home.join("data")),
            plugin_dir: Some(home.to_owned()),
            ..ServerArgs::default()
        };
        Config::load(&args, [], None).unwrap()
    }

    async fn open(home: &Path) -> Installation {
        Installation::open(config(home), Clock::system())
            .await
            .unwrap()
    }

    async fn knows(installation: &Installation, token: &str) -> bool {
        let engine = installation.engine().unwrap();
        let identity = engine
            .authenticator
            .identify(&Secret::new(token.to_owned()), [127, 0, 0, 1].into())
            .await
            .unwrap();
        identity.is_some_and(|identity| identity.is_root())
    }

    #[tokio::test]
    async fn it_is_initialised_once_and_opens_by_itself_afterwards() {
        let home = tempfile::tempdir().unwrap();
        let token = {
            let fresh = open(home.path()).await;
            assert!(fresh.engine().is_none());
            // Two callers: each gets a token, and the first one's has ended.
            let (one, other) = tokio::join!(fresh.initialise(), fresh.initialise());
            let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
            assert!(!knows(&fresh, one.expose()).await);
            drop(fresh);
            // The same after a restart: the answer was lost again.
            let fresh = open(home.path()).await;
            let third = fresh.initialise().await.unwrap().unwrap();
            assert!(!knows(&fresh, other.expose()).await);
            assert!(knows(&fresh, third.expose()).await);
            assert!(fresh.initialise().await.unwrap().is_none(), "it was used");
            third
        };
        let again = open(home.path()).await;
        assert!(knows(&again, token.expose()).await);
        assert!(!knows(&again, &format!("{}x", token.expose())).await);
        assert!(!knows(&again, "").await);
        assert!(again.initialise().await.unwrap().is_none());

        let mode = fs::metadata(home.path().join("data"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn a_key_file_that_a_crash_left_behind_is_used() {
        let home = tempfile::tempdir().unwrap();
        make_private(&home.path().join("data")).unwrap();
        RootKey::generate_in(&config(home.path()).seal_file).unwrap();
        let fresh = open(home.path()).await;
        let chosen = Secret::new(String::from("chosen"));
        let token = fresh.initialise_dev(Some(chosen)).await.unwrap().unwrap();
        assert_eq!(token.expose(), "chosen");
        assert!(fresh.initialise().await.unwrap().is_none());
        drop(fresh);
        assert!(knows(&open(home.path()).await, "chosen").await);
    }

    #[tokio::test]
    async fn keys_without_their_file_are_an_error_that_names_it() {
        let home = tempfile::tempdir().unwrap();
        open(home.path()).await.initialise().await.unwrap();
        fs::remove_file(home.path().join("data/root.key")).unwrap();
        let error = Installation::open(config(home.path()), Clock::system())
            .await
            .unwrap_err();
        let error = format!("{:#}", anyhow::Error::new(error));
        assert!(error.contains("root.key"), "{error}");
    }
}
