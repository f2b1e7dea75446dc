//! The settings that Vault's clients send with mounts and login methods, taken from a
//! request.

use std::borrow::Cow;

use lessor_model::vault_settings::{Form, VAULT_SETTINGS, VaultSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    endpoint::field::{self, Field},
    error::ApiError,
    fields::Fields,
};

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

/// The settings, as endpoints declare them where a request may hold all.
pub(super) const FIELDS: &[Field] = &[
    field::text(
        "listing_visibility",
        "unauth: also who has no token is shown that there is such a mount; else hidden.",
    ),
    field::texts(
        "audit_non_hmac_request_keys",
        "Fields of requests that stand in the audit log as they are.",
    ),
    field::texts(
        "audit_non_hmac_response_keys",
        "Fields of answers that stand in the audit log as they are.",
    ),
    field::texts("passthrough_request_headers", IDLE),
    field::texts("allowed_response_headers", IDLE),
    field::texts("allowed_managed_keys", IDLE),
    field::texts("delegated_auth_accessors", IDLE),
    field::text("identity_token_key", IDLE),
    field::truth("force_no_cache", IDLE),
    field::truth("trim_request_trailing_slashes", IDLE),
    field::object("options", IDLE),
    field::truth("local", IDLE),
    field::truth("seal_wrap", IDLE),
    field::truth("external_entropy_access", IDLE),
];

/// The settings that stand beside `config` in a request that mounts.
pub(super) const FIELDS_BESIDE: &[Field] = &[
    field::object("options", IDLE),
    field::truth("local", IDLE),
    field::truth("seal_wrap", IDLE),
    field::truth("external_entropy_access", IDLE),
];

const IDLE: &str = "Kept and shown, and has no effect here.";

/// The settings of Vault that a request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The settings beside `config` in a request that mounts.
    Beside,
    /// All, in a request that tunes, and in `config`: older clients send `options` there.
    Anywhere,
}

/// Takes the settings that the request gives into `settings`.
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

/// The settings of one place as an answer shows them.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Shown<const BESIDE: bool>(Map<String, Value>);

/// The settings within a config.
pub(super) type Within = Shown<false>;

/// The settings beside a config.
pub(super) type Beside = Shown<true>;

/// Settings that are shown also where they are not set: clients insist on them.
const ALWAYS: [&str; 5] = [
    "force_no_cache",
    "options",
    "local",
    "seal_wrap",
    "external_entropy_access",
];

impl Within {
    pub(super) fn of(settings: &VaultSettings) -> Self {
        let mut shown = Map::from_iter([("force_no_cache".to_owned(), false.into())]);
        shown.extend(settings.shown(false));
        Self(shown)
    }
}

impl Beside {
    /// With these options where none are set.
    pub(super) fn of(settings: &VaultSettings, options: Value) -> Self {
        let mut shown = Map::from_iter([
            ("options".to_owned(), options),
            ("local".to_owned(), false.into()),
            ("seal_wrap".to_owned(), false.into()),
            ("external_entropy_access".to_owned(), false.into()),
        ]);
        shown.extend(settings.shown(true));
        Self(shown)
    }
}

impl<const BESIDE: bool> JsonSchema for Shown<BESIDE> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        match BESIDE {
            true => "SettingsBeside".into(),
            false => "SettingsWithin".into(),
        }
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let shown = VAULT_SETTINGS.iter().zip(FIELDS);
        let shown: Vec<_> = shown
            .filter(|(setting, _)| setting.beside == BESIDE)
            .collect();
        let properties = shown.iter().map(|(setting, field)| {
            let mut schema = match setting.form {
                Form::Word(words) => json!({ "type": "string", "enum": words }),
                Form::Text => json!({ "type": "string" }),
                Form::List => json!({ "type": "array", "items": { "type": "string" } }),
                Form::Truth => json!({ "type": "boolean" }),
                Form::Object => json!({
                    "type": ["object", "null"],
                    "additionalProperties": { "type": "string" },
                }),
            };
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("description".to_owned(), field.about.into());
            }
            (setting.name.to_owned(), schema)
        });
        let properties: Map<String, Value> = properties.collect();
        let names = shown.iter().map(|(setting, _)| setting.name);
        let required: Vec<_> = names.filter(|name| ALWAYS.contains(name)).collect();
        schemars::json_schema!({
            "type": "object",
            "properties": properties,
            "required": required,
        })
    }
}

/// The part of a mount or login method that anybody may know.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListedMount {
    /// The plugin, or the kind of login method.
    pub(super) r#type: String,
    /// Its purpose, in words for people.
    pub(super) description: String,
    /// Kept, and has no effect.
    pub(super) options: Value,
}

/// The options that are set, where any are.
pub(super) fn options(settings: &VaultSettings) -> Option<Value> {
    settings.shown(true).remove("options")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_declared_as_they_are_taken() {
        let named = |fields: &[Field]| fields.iter().map(|field| field.name).collect::<Vec<_>>();
        let all = VAULT_SETTINGS.iter().map(|setting| setting.name);
        assert_eq!(named(FIELDS), all.collect::<Vec<_>>());
        let beside = VAULT_SETTINGS.iter().filter(|setting| setting.beside);
        let beside: Vec<_> = beside.map(|setting| setting.name).collect();
        assert_eq!(named(FIELDS_BESIDE), beside);
    }
}
