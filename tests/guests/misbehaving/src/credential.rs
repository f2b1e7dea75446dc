//! What the provider promises by its schema, and what it returns all the same.

use std::borrow::Cow;

use lessor_sdk::{
    prelude::*,
    schemars::{Schema, SchemaGenerator},
    serde::ser::{SerializeMap as _, Serializer},
};
use serde_json::Value;

/// The credential as its schema has it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Promised {
    password: Secret,
    note: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    more: Vec<Secret>,
}

/// The credential as it is returned.
pub(crate) enum Credential {
    Promised(Promised),
    /// JSON of any other form.
    Other(Value),
    /// Something that is no JSON.
    Broken,
}

impl Credential {
    /// What is promised, with something to tell.
    pub(crate) fn with_note(note: impl Into<String>) -> Self {
        Self::Promised(Promised {
            password: Secret::new("canary-password"),
            note: note.into(),
            more: Vec::new(),
        })
    }

    /// What is promised, with more secrets than one.
    pub(crate) fn with_secrets(secrets: impl Iterator<Item = String>) -> Self {
        Self::Promised(Promised {
            password: Secret::new("canary-password"),
            note: String::new(),
            more: secrets.map(Secret::new).collect(),
        })
    }
}

impl JsonSchema for Credential {
    fn schema_name() -> Cow<'static, str> {
        Promised::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Promised::json_schema(generator)
    }
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Promised(promised) => promised.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
            Self::Broken => {
                // A name that no value follows.
                let mut map = serializer.serialize_map(None)?;
                map.serialize_key("canary-password")?;
                map.end()
            }
        }
    }
}
