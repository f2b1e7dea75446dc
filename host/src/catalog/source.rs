//! Where providers come from: the seam between the catalog and what reads and runs them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use lessor_model::{
    id::{ConnectionId, Digest},
    provider::Provider,
};
use lessor_sandbox::{
    Holdings, Sandbox, Tally,
    plugin_store::{PluginError, PluginFile, PluginStore, Signs, VerifiedPlugin},
};
use tokio::task::spawn_blocking;

/// A source of plugin files, which also runs the providers in them.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// The provider in a file, compiled where that was not done before. Only bytes of
    /// the digest are taken.
    async fn load(&self, file: &str, sha256: Digest) -> Result<Arc<dyn Provider>, PluginError>;

    /// Whether a file has those bytes still.
    async fn verify(&self, file: &str, sha256: Digest) -> Result<(), PluginError>;

    /// The digest of a file's bytes.
    async fn digest_of(&self, file: &str) -> Result<Digest, PluginError>;

    /// The signs of the files, which are had without reading them.
    async fn signs(&self) -> Signs;

    /// The names of the files.
    async fn names(&self) -> Result<Vec<String>, PluginError>;

    /// The files with their digests.
    async fn files(&self) -> Result<Vec<PluginFile>, PluginError>;

    /// Drops what calls by a connection of a mount have parked.
    fn drop_parked(&self, of: ConnectionId);

    /// The tallies of providers' calls since the start, by plugin and mount.
    fn tallies(&self) -> Vec<Tally>;

    /// The memory and slots that are held for the calls of providers now.
    fn holdings(&self) -> Holdings;
}

/// A plugin directory, whose components run in a sandbox. Files are read on threads that
/// may wait for the disk.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) store: PluginStore,
    pub(super) sandbox: Sandbox,
}

impl Directory {
    async fn verified(&self, file: &str, sha256: Digest) -> Result<VerifiedPlugin, PluginError> {
        let (store, file) = (self.store.clone(), file.to_owned());
        spawn_blocking(move || store.verify(&file, sha256)).await?
    }
}

#[async_trait]
impl Source for Directory {
    async fn load(&self, file: &str, sha256: Digest) -> Result<Arc<dyn Provider>, PluginError> {
        let verified = self.verified(file, sha256).await?;
        self.sandbox.load(verified).await
    }

    async fn verify(&self, file: &str, sha256: Digest) -> Result<(), PluginError> {
        self.verified(file, sha256).await.map(drop)
    }

    async fn digest_of(&self, file: &str) -> Result<Digest, PluginError> {
        let (store, file) = (self.store.clone(), file.to_owned());
        spawn_blocking(move || store.digest_of(&file)).await?
    }

    async fn signs(&self) -> Signs {
        let store = self.store.clone();
        spawn_blocking(move || store.signs())
            .await
            .unwrap_or_default()
    }

    async fn names(&self) -> Result<Vec<String>, PluginError> {
        let store = self.store.clone();
        spawn_blocking(move || store.names()).await?
    }

    async fn files(&self) -> Result<Vec<PluginFile>, PluginError> {
        let store = self.store.clone();
        spawn_blocking(move || store.files()).await?
    }

    fn drop_parked(&self, of: ConnectionId) {
        self.sandbox.drop_parked(of);
    }

    fn tallies(&self) -> Vec<Tally> {
        self.sandbox.tallies()
    }

    fn holdings(&self) -> Holdings {
        self.sandbox.holdings()
    }
}
