//! The handles that every engine works with, handed to each as one.

use lessor_model::clock::Clock;
use lessor_seal::keyring::Keyring;
use lessor_store::Storage;

/// The handles that do not depend on what an engine is for. Cheap to clone; all clones
/// are of one installation.
#[derive(Clone, Debug)]
pub struct Context {
    /// The database.
    pub storage: Storage,
    /// Seals and hashes.
    pub keyring: Keyring,
    /// The clock that all of them read.
    pub clock: Clock,
}
