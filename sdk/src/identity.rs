//! Who the mount is, for upstream systems that trust the host as an issuer: with it a
//! mount needs no root credential at all.
//!
//! Upstream is told the host's issuer URL and which subjects to trust; a provider asks for
//! a token and exchanges it there for a session. The operator allows each audience
//! (`identity_audiences` of the mount).
//!
//! ```
//! use lessor_sdk::{Result, Secret, http, identity, serde_json::json};
//!
//! fn session(url: &str) -> Result<Secret> {
//!     let token = identity::token("sts.amazonaws.com")?;
//!     let asked = json!({"token": token.expose()});
//!     http::post(url).json(&asked).call()?.json()
//! }
//! ```

use std::error::Error;
use std::fmt;

use crate::failure::Failure;
use crate::host;
use crate::secret::Secret;

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The host has no name as an issuer; the text says how to give it one.
    NotConfigured(String),
    /// The mount may not show itself to this audience; the text says how to allow it.
    NotAllowed(String),
    /// The host cannot sign now.
    Unavailable,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured(text) | Self::NotAllowed(text) => f.write_str(text),
            Self::Unavailable => f.write_str("the host cannot sign who it is now"),
        }
    }
}

impl Error for IdentityError {}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let text = error.to_string();
        match error {
            IdentityError::NotConfigured(_) => {
                Self::invalid_config("identity_not_configured", text)
            }
            IdentityError::NotAllowed(_) => Self::invalid_config("identity_not_allowed", text),
            IdentityError::Unavailable => Self::unavailable("identity_unavailable", text),
        }
    }
}

/// A JSON Web Token for `audience`, signed by the host with RS256: subject
/// `mount:<uuid>:<path>`, claims `path`, `connection` and `plugin` (a digest). It ends after
/// ten minutes at the latest, so it is exchanged at once and not kept. At most 16 in one
/// call; the host stops the call above.
///
/// # Errors
/// See [`IdentityError`]; it becomes a failure by `?`.
pub fn token(audience: &str) -> Result<Secret, IdentityError> {
    host::identify(audience).map(Secret::new)
}
