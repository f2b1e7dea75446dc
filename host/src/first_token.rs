//! The root token that the initialisation answered, until somebody has used it.
//!
//! Its answer may be lost with the connection or the process, and then nobody has
//! it: so the initialisation may be repeated, with another token in its place. From
//! the first use of a token on it cannot, for whoever reaches the server could take
//! it over. That is written down before the use takes effect.

use std::sync::atomic::{AtomicBool, Ordering};

use lessor_model::event::Event;
use lessor_store::{Storage, StorageError, TokenRow};

/// See the file's header.
#[derive(Debug)]
pub struct FirstToken {
    storage: Storage,
    /// Whether the row may still be there. Only ever turns to false.
    unused: AtomicBool,
}

impl FirstToken {
    /// As the storage has it.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn open(storage: Storage) -> Result<Self, StorageError> {
        let unused = AtomicBool::new(storage.first_token_is_unused().await?);
        Ok(Self { storage, unused })
    }

    /// Notes that the token of this hash is being used; false where it was replaced
    /// a moment ago.
    ///
    /// # Errors
    /// Where it cannot be written down; then the token must not be used.
    pub async fn used(&self, hash: [u8; 32]) -> Result<bool, StorageError> {
        if !self.unused.load(Ordering::Acquire) {
            return Ok(true);
        }
        let holds = self.storage.settle_first_token(hash).await?;
        // Of several at a time, one tells of it.
        if holds && self.unused.swap(false, Ordering::AcqRel) {
            Event::FirstTokenUsed {}.record();
        }
        Ok(holds)
    }

    /// Puts another root token in its place; false where it has been used.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn replace(&self, root: TokenRow) -> Result<bool, StorageError> {
        self.storage.replace_first_token(root).await
    }
}
