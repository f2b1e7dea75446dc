//! The ways in which operators write lists and tags: those of Vault's `aws` engine, and
//! those of JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::secret::Secret;

/// A list, or a text with commas.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Names {
    /// A list.
    List(Vec<String>),
    /// `one,two`
    Text(String),
}

/// Tags: an object, a list of `key=value`, or such a text with commas.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Tags {
    /// An object.
    Map(BTreeMap<String, String>),
    /// `["key=value"]`
    Names(Names),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Names {
    /// The names, without those that are empty.
    pub fn list(&self) -> Vec<String> {
        let trimmed = |name: &str| name.trim().to_owned();
        let names: Vec<String> = match self {
            Self::List(names) => names.iter().map(|name| trimmed(name)).collect(),
            Self::Text(text) => text.split(',').map(trimmed).collect(),
        };
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self::Map(BTreeMap::new())
    }
}

impl Tags {
    /// The tags.
    ///
    /// # Errors
    /// Names `field` where one has no `=`.
    pub fn list(&self, field: &str) -> Result<Vec<(String, String)>> {
        let names = match self {
            Self::Map(map) => return Ok(map.clone().into_iter().collect()),
            Self::Names(names) => names.list(),
        };
        let pair = |text: &String| {
            let (key, value) = text.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        let wrong = || {
            let sentence = format!("{field} has a tag without `=`: write key=value, or an object.");
            Failure::invalid_config("role_invalid", sentence)
        };
        names
            .iter()
            .map(|text| pair(text).ok_or_else(wrong))
            .collect()
    }
}

/// A field with a text in it: clients of Vault write an empty one for a field that they
/// leave out. It is stored as it was written, or a rotation would change it.
pub fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

/// A field with a secret in it.
pub fn given_secret(field: &Option<Secret>) -> Option<&Secret> {
    field.as_ref().filter(|secret| !secret.expose().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_tags_are_read_in_every_way_that_operators_write_them() {
        for (written, names) in [
            (json!(["a", " b "]), vec!["a", "b"]),
            (json!("a, b,"), vec!["a", "b"]),
            (json!(""), vec![]),
        ] {
            let read: Names = serde_json::from_value(written).unwrap();
            assert_eq!(read.list(), names);
        }
        for written in [json!({"a": "1=2"}), json!(["a=1=2"]), json!("a=1=2")] {
            let read: Tags = serde_json::from_value(written).unwrap();
            let pair = ("a".to_owned(), "1=2".to_owned());
            assert_eq!(read.list("role.iam_tags").unwrap(), [pair]);
        }
        let failure = Tags::Names(Names::Text("a".into())).list("role.iam_tags");
        assert!(failure.unwrap_err().message().starts_with("role.iam_tags "));
    }
}
