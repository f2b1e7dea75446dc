//! Loads a file and has it describe itself, twice: first it is compiled, as when it is pinned;
//! then it comes from its compiled code, as at every later start.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use lessor_model::{
    clock::Clock,
    provider::Provider,
    random::{self, RandomError},
    secret::Secret,
};
use lessor_sandbox::{
    CodeCacheSettings, Limits, Sandbox, SandboxError, SandboxSettings,
    plugin_store::{PluginError, PluginStore},
};

/// Calls run one at a time here, but an interpreter takes several slots.
const CALLS: u32 = 32;

/// A provider that can be called.
pub(super) struct Loaded {
    pub(super) provider: Arc<dyn Provider>,
    /// The time that the first load took.
    pub(super) compiled: Duration,
    /// The time that the second load took.
    pub(super) again: Duration,
    /// Whether the provider described itself the same both times.
    pub(super) alike: bool,
}

/// The reason why a file could not even be tried.
#[derive(Debug, thiserror::Error)]
pub enum LoadingError {
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        #[source]
        source: std::io::Error,
    },
    /// There is no directory for compiled code.
    #[error("cannot make a temporary directory for compiled code")]
    Scratch(#[source] std::io::Error),
    /// The sandbox cannot be made.
    #[error("the sandbox could not be set up")]
    Sandbox(#[from] SandboxError),
    /// There is no key for the compiled code.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Loads `file` once; the inner error is the provider's own.
pub(super) async fn once(
    file: &Path,
    clock: &Clock,
) -> Result<Result<Arc<dyn Provider>, PluginError>, LoadingError> {
    let place = Place::of(file)?;
    Ok(place.load(clock).await?.map(|(provider, _)| provider))
}

/// Loads `file` twice; the inner error is the provider's own.
pub(super) async fn load(
    file: &Path,
    clock: &Clock,
) -> Result<Result<Loaded, PluginError>, LoadingError> {
    let place = Place::of(file)?;
    let (first, compiled) = match place.load(clock).await? {
        Ok(loaded) => loaded,
        Err(error) => return Ok(Err(error)),
    };
    let (provider, again) = match place.load(clock).await? {
        Ok(loaded) => loaded,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(Loaded {
        alike: first.descriptor() == provider.descriptor(),
        provider,
        compiled,
        again,
    }))
}

/// The directory of a file, and the directory for its compiled code meanwhile.
struct Place {
    store: PluginStore,
    name: String,
    limits: Limits,
    scratch: tempfile::TempDir,
    key: [u8; 32],
}

impl Place {
    fn of(file: &Path) -> Result<Self, LoadingError> {
        let unreadable = |source| LoadingError::File {
            file: file.to_owned(),
            source,
        };
        let path = file.canonicalize().map_err(unreadable)?;
        let (Some(directory), Some(name)) = (
            path.parent(),
            path.file_name().and_then(|name| name.to_str()),
        ) else {
            return Err(unreadable(std::io::ErrorKind::InvalidFilename.into()));
        };
        let limits = Limits {
            calls: CALLS,
            ..Limits::default()
        };
        Ok(Self {
            store: PluginStore::new(directory.to_owned(), limits.plugin_size),
            name: name.to_owned(),
            limits,
            scratch: tempfile::tempdir().map_err(LoadingError::Scratch)?,
            key: random::bytes::<32>()?,
        })
    }

    /// Loads the file in a sandbox of its own; also gives the time that this took.
    async fn load(
        &self,
        clock: &Clock,
    ) -> Result<Result<(Arc<dyn Provider>, Duration), PluginError>, LoadingError> {
        let sandbox = Sandbox::compiling_apart(SandboxSettings {
            clock: clock.clone(),
            code_cache: Some(code_cache(self.scratch.path(), self.key)),
            limits: self.limits.clone(),
        })?;
        let started = Instant::now();
        let verified = self
            .store
            .digest_of(&self.name)
            .and_then(|digest| self.store.verify(&self.name, digest));
        Ok(match verified {
            Ok(plugin) => sandbox
                .load(plugin)
                .await
                .map(|provider| (provider, started.elapsed())),
            Err(error) => Err(error),
        })
    }
}

/// Compiled code is kept as long as the check; in tests, as long as the test process.
fn code_cache(scratch: &Path, key: [u8; 32]) -> CodeCacheSettings {
    #[cfg(feature = "test-hooks")]
    if let Some(shared) = CodeCacheSettings::of_tests() {
        return shared;
    }
    CodeCacheSettings {
        dir: scratch.join("code"),
        key: Secret::new(key),
    }
}
