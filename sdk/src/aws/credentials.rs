//! Keys of AWS.

use crate::failure::{Failure, Result};
use crate::secret::Secret;

/// An access key, of a user or of a session.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key id: `AKIA…` of a user, `ASIA…` of a session. Not secret.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: Secret,
    /// Belongs to the key of a session.
    pub session_token: Option<Secret>,
}

impl Credentials {
    /// The key of a user.
    pub fn new(access_key: impl Into<String>, secret_key: Secret) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key,
            session_token: None,
        }
    }

    /// The key of a session.
    pub fn of_session(
        access_key: impl Into<String>,
        secret_key: Secret,
        session_token: Secret,
    ) -> Self {
        Self {
            session_token: Some(session_token),
            ..Self::new(access_key, secret_key)
        }
    }

    /// Refuses a key that was copied with more than itself: AWS would answer that the
    /// signature does not match, which says nothing.
    ///
    /// # Errors
    /// One sentence that names the field, and no value.
    pub fn check(&self) -> Result<()> {
        let token = self.session_token.as_ref().map(Secret::expose);
        for (field, value) in [
            ("access_key", Some(self.access_key.as_str())),
            ("secret_key", Some(self.secret_key.expose())),
            ("session_token", token),
        ] {
            let Some(value) = value else { continue };
            let wrong = if value.is_empty() {
                "is empty"
            } else if value.ends_with(['\n', '\r']) {
                "ends with a newline, which does not belong to it: write it again without, by `printf %s` or `head -c -1`"
            } else if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
                "holds white space, which no key of AWS has: copy it again"
            } else if !value.is_ascii() {
                "holds letters that no key of AWS has: copy it again"
            } else {
                continue;
            };
            let sentence = format!("config.{field} {wrong}.");
            return Err(Failure::invalid_config("aws_key_malformed", sentence));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_copied_with_more_than_itself_is_refused_by_field() {
        for (access_key, secret_key, says) in [
            ("AKIA\n", "s", "config.access_key ends with a newline"),
            ("AKIA", "hunter2\n", "config.secret_key ends with a newline"),
            ("AKIA", " hunter2", "config.secret_key holds white space"),
            ("AKIA", "", "config.secret_key is empty"),
            ("AKIA", "hünter2", "config.secret_key holds letters"),
        ] {
            let failure = Credentials::new(access_key, Secret::new(secret_key)).check();
            let failure = failure.unwrap_err();
            assert!(failure.message().starts_with(says), "{failure}");
            assert!(!failure.message().contains("hunter"), "{failure}");
        }
        assert_eq!(Credentials::new("AKIA", Secret::new("s/+")).check(), Ok(()));
    }
}
