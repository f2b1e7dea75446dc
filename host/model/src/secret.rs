//! `Secret<T>`: a value that must not be seen by accident.
//!
//! It prints as `****`, has no `Serialize`, is never compared with `==`, and is
//! zeroed when dropped. It is opened by [`Secret::expose`] in `keyring`, at the
//! boundary to a provider, and where an answer hands a credential to its caller.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret value, redacted in every print and zeroed on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every call is a place to ask where it flows next.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + Clone> Secret<T> {
    /// A second copy, zeroed on its own drop. Named so that it shows in review.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_prints_redacted() {
        let secret = Secret::new(String::from("canary"));
        assert_eq!(format!("{secret:?}"), "****");
        assert_eq!(secret.expose(), "canary");
    }
}
