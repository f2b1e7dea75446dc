//! Providers of tests, by digest, in the place of a plugin directory without files.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use lessor_model::{
    id::{ConnectionId, Digest},
    provider::Provider,
};
use lessor_sandbox::{
    Holdings, Tally,
    plugin_store::{PluginError, PluginFile, Signs},
};

use crate::catalog::Source;

#[derive(Debug)]
pub(crate) struct Fakes(HashMap<Digest, Arc<dyn Provider>>);

impl Fakes {
    pub(crate) fn of(providers: Vec<Arc<dyn Provider>>) -> Self {
        let by_digest = providers
            .into_iter()
            .map(|provider| (provider.digest(), provider));
        Self(by_digest.collect())
    }
}

#[async_trait]
impl Source for Fakes {
    async fn load(&self, _: &str, sha256: Digest) -> Result<Arc<dyn Provider>, PluginError> {
        self.0
            .get(&sha256)
            .cloned()
            .ok_or_else(|| PluginError::Prepare {
                reason: "no such fake".into(),
            })
    }

    async fn verify(&self, _: &str, _: Digest) -> Result<(), PluginError> {
        Ok(())
    }

    async fn digest_of(&self, _: &str) -> Result<Digest, PluginError> {
        Err(PluginError::Prepare {
            reason: "fakes have no files".into(),
        })
    }

    async fn signs(&self) -> Signs {
        Signs::default()
    }

    async fn names(&self) -> Result<Vec<String>, PluginError> {
        Ok(Vec::new())
    }

    async fn files(&self) -> Result<Vec<PluginFile>, PluginError> {
        Ok(Vec::new())
    }

    fn drop_parked(&self, _: ConnectionId) {}

    fn tallies(&self) -> Vec<Tally> {
        Vec::new()
    }

    fn holdings(&self) -> Holdings {
        Holdings::default()
    }
}
