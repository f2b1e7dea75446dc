//! Policies by name. Only `root` is known so far.

use crate::{clock::Clock, policy::Acl, refusal::Refusal, storage::Storage, token::ROOT};

/// The policies of an installation.
#[derive(Debug)]
pub struct Policies;

impl Policies {
    /// Policies over a storage.
    pub fn new(_storage: Storage, _clock: Clock) -> Self {
        Self
    }

    /// What policies of these names allow together.
    ///
    /// # Errors
    /// Where storage fails.
    #[expect(
        clippy::unused_async,
        reason = "stored policies are read from a database"
    )]
    pub async fn acl(&self, names: &[String]) -> Result<Acl, Refusal> {
        Ok(match names.iter().any(|name| name == ROOT) {
            true => Acl::root(),
            false => Acl::of([]),
        })
    }
}
