//! The settings that Vault's clients send with mounts and login methods, taken from a
//! request.

use serde_json::{Map, Value, json};

use super::{error::ApiError, fields::Fields};
use crate::model::vault_settings::{Form, VAULT_SETTINGS, VaultSettings};

/// Fields beside a mount that Vault's clients send back as they read them.
pub(super) const IGNORED_BESIDE: [&str; 5] = [
    "accessor",
    "uuid",
    "running_plugin_version",
    "running_sha256",
    "problem",
];

/// The field of a mount's config that tells Vault to run another version than the one
/// that is pinned. Here every version is pinned, and `plugin_version` chooses.
pub(super) const IGNORED_WITHIN: [&str; 1] = ["override_pinned_version"];

/// Which of the settings a request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Those beside `config` in a request that mounts.
    Beside,
    /// All, in a request that tunes, and in `config`: older clients send `options` there.
    Anywhere,
}

/// Takes those that are given into `settings`.
pub(super) fn take(
    fields: &mut Fields,
    place: Place,
    settings: &mut VaultSettings,
) -> Result<(), ApiError> {
    for setting in &VAULT_SETTINGS {
        if place == Place::Beside && !setting.beside {
            continue;
        }
        let name = setting.name;
        let value = match setting.form {
            Form::Truth => fields.truth(name)?.map(Value::from),
            Form::List => fields.list(name)?.map(Value::from),
            Form::Text => fields.text(name)?.map(Value::from),
            Form::Word(words) => match fields.text(name)? {
                Some(word) if !words.contains(&word.as_str()) => {
                    let known: Vec<&str> = words
                        .iter()
                        .copied()
                        .filter(|word| !word.is_empty())
                        .collect();
                    return Err(ApiError::bad_request(format!(
                        "{name} must be {}, or empty",
                        known.join(" or ")
                    )));
                }
                word => word.map(Value::from),
            },
            Form::Object => fields
                .value(name)
                .map(|value| texts(name, value))
                .transpose()?,
        };
        if let Some(value) = value {
            settings.set(setting, value);
        }
    }
    Ok(())
}

/// An object of texts; other plain values are taken as text, as Vault takes them.
fn texts(name: &str, value: Value) -> Result<Value, ApiError> {
    let refuse = || ApiError::bad_request(format!("{name} must be an object of strings"));
    let Value::Object(object) = value else {
        return Err(refuse());
    };
    let texts = object.into_iter().map(|(name, value)| match value {
        Value::String(_) => Some((name, value)),
        Value::Bool(_) | Value::Number(_) => Some((name, json!(value.to_string()))),
        _ => None,
    });
    let texts: Option<Map<String, Value>> = texts.collect();
    texts.map(Value::Object).ok_or_else(refuse)
}
