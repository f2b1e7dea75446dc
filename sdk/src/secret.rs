//! Strings that must not be seen: they print as `****`, are zeroed when
//! dropped, are told to the host when they are made, and mark themselves in the JSON Schema, so that the host redacts
//! them wherever it shows a config or a credential.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::host;

/// A secret value in a config or a credential: a password, a private key.
///
/// It serialises to its real value, because that is how a credential reaches
/// the caller; everything else (`Debug`, `Display`) shows `****`. Its schema
/// is `{"type": "string", "writeOnly": true}`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// A secret that the operator names instead of giving: what stands in the
/// config is the name of a secret stored in the host, what the provider sees is
/// that secret, because the host puts it there before the call. Its schema is
/// that of [`Secret`] with `"format": "secret-ref"`. A host that stores no such
/// secrets refuses the field, so offer it beside a [`Secret`], both optional.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(Secret);

impl Secret {
    /// Takes ownership of a value that is secret from now on: the host is told, and masks
    /// it in log lines, failures, metadata and the words of a panic, whatever becomes of
    /// the call. That is for what is computed of a secret, too, where others may be tried
    /// on it: a hash of a password, a verifier.
    pub fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        if value.len() >= SHORTEST {
            host::remember(&value);
        }
        Self(value)
    }

    /// The value itself. Call it where the value leaves for upstream, not
    /// before.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretRef {
    /// What the host puts in the place of a name; for tests.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Secret::new(value))
    }
}

impl Deref for SecretRef {
    type Target = Secret;

    /// A reference that the host has resolved is a secret like any other.
    fn deref(&self) -> &Secret {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "writeOnly": true})
    }
}

impl JsonSchema for SecretRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "secret-ref", "writeOnly": true})
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

const REDACTED: &str = "****";

/// Shorter values are too common to be masked.
const SHORTEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars_and_serialises_as_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "**** ****");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
        let reference: SecretRef = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(format!("{reference} {reference:?}"), "**** ****");
        assert_eq!(reference.expose(), "hunter2");
    }
}
