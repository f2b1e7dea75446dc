//! From a token to who asks.
//!
//! A token is never stored: its keyed hash is the key of its row, so a copy of
//! the database opens nothing, and looking it up leaks no timing about the token
//! itself. The found hash is compared again in constant time.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::{
    clock::{Clock, Timestamp},
    keyring::Keyring,
    provider::Requester,
    random::{self, RandomError},
    secret::Secret,
    storage::{Storage, StorageError, TokenRow},
};

/// What a token of this program begins with, so that scanners for leaked
/// secrets can find it.
const PREFIX: &str = "lsr.";

/// The name of the policy, and of the token, that may do everything.
const ROOT: &str = "root";

/// Longest token that is looked up, in bytes.
const LONGEST: usize = 512;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Identity {
    /// For people and audit lines.
    pub display_name: String,
    /// Names the token without being usable as it.
    pub accessor: String,
    /// Names of its policies.
    pub policies: Vec<String>,
    /// When the token was made.
    pub created_at: Timestamp,
    /// When it ends; absent: never.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// Whether it may do everything. Other policies do not exist yet, so nobody
    /// else may do anything.
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == ROOT)
    }

    /// The identity as leases and providers are told of it.
    pub fn requester(&self) -> Requester {
        Requester {
            display_name: self.display_name.clone(),
            accessor: self.accessor.clone(),
            metadata: Vec::new(),
        }
    }
}

/// Tells who a token belongs to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    keyring: Keyring,
    storage: Storage,
    clock: Clock,
}

impl Authenticator {
    /// An authenticator over the stored tokens.
    pub fn new(keyring: Keyring, storage: Storage, clock: Clock) -> Self {
        Self {
            keyring,
            storage,
            clock,
        }
    }

    /// Who presents `token`; none where it is unknown or has ended.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn identify(&self, token: &Secret<String>) -> Result<Option<Identity>, StorageError> {
        if token.expose().is_empty() || token.expose().len() > LONGEST {
            return Ok(None);
        }
        let hash = self.keyring.token_hash(token.expose());
        let Some(row) = self.storage.token_by_hash(hash).await? else {
            return Ok(None);
        };
        let same = bool::from(row.hash.ct_eq(&hash));
        let alive = row.expires_at.is_none_or(|end| self.clock.now() < end);
        Ok((same && alive).then_some(Identity {
            display_name: row.display_name,
            accessor: row.accessor,
            policies: row.policies,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }))
    }
}

/// A new random token.
///
/// # Errors
/// Where the operating system gives no randomness.
pub fn new_token() -> Result<Secret<String>, RandomError> {
    let mut bytes = random::bytes::<32>()?;
    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    bytes.zeroize();
    Ok(Secret::new(token))
}

/// The row of a root token, which never ends.
///
/// # Errors
/// Where the operating system gives no randomness for its accessor.
pub fn root_row(
    keyring: &Keyring,
    token: &Secret<String>,
    now: Timestamp,
) -> Result<TokenRow, RandomError> {
    Ok(TokenRow {
        hash: keyring.token_hash(token.expose()),
        accessor: BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<18>()?),
        display_name: ROOT.to_owned(),
        policies: vec![ROOT.to_owned()],
        created_at: now,
        expires_at: None,
    })
}
