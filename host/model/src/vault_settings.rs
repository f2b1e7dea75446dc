//! Settings of Vault's clients on a mount or login method that its engine does not read.
//!
//! All of it is kept and shown again, since a client that wrote it asks whether it is
//! there: Terraform shows a difference at every plan else. A setting that has no effect here is
//! kept with a warning that says so. No setting is accepted and dropped.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The form of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// A list of texts.
    List,
    /// True or false.
    Truth,
    /// An object of texts.
    Object,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct VaultSetting {
    /// Its name in requests and answers.
    pub name: &'static str,
    /// The form of its value.
    pub form: Form,
    /// Whether it stands beside `config` in a request that mounts, not in it.
    pub beside: bool,
    /// The reason why it has no effect, where it has none.
    idle: Option<&'static str>,
}

const fn within(name: &'static str, form: Form, idle: Option<&'static str>) -> VaultSetting {
    VaultSetting {
        name,
        form,
        beside: false,
        idle,
    }
}

const fn beside(name: &'static str, form: Form, idle: Option<&'static str>) -> VaultSetting {
    VaultSetting {
        name,
        form,
        beside: true,
        idle,
    }
}

const LISTING_VISIBILITY: &str = "listing_visibility";
const REQUEST_KEYS: &str = "audit_non_hmac_request_keys";
const RESPONSE_KEYS: &str = "audit_non_hmac_response_keys";

const NO_HEADERS: Option<&str> = Some("providers and login methods see no headers and send none");
const NO_MANAGED_KEYS: Option<&str> = Some("there are no managed keys");
const NO_DELEGATION: Option<&str> = Some("no mount logs callers in");
const NO_IDENTITY_TOKENS: Option<&str> = Some("no identity tokens are made");

/// All of them.
pub const VAULT_SETTINGS: [VaultSetting; 14] = [
    within(
        LISTING_VISIBILITY,
        Form::Word(&["", "hidden", "unauth"]),
        None,
    ),
    within(REQUEST_KEYS, Form::List, None),
    within(RESPONSE_KEYS, Form::List, None),
    within("passthrough_request_headers", Form::List, NO_HEADERS),
    within("allowed_response_headers", Form::List, NO_HEADERS),
    within("allowed_managed_keys", Form::List, NO_MANAGED_KEYS),
    within("delegated_auth_accessors", Form::List, NO_DELEGATION),
    within("identity_token_key", Form::Text, NO_IDENTITY_TOKENS),
    // Nothing is cached, so the setting changes nothing.
    within("force_no_cache", Form::Truth, None),
    within(
        "trim_request_trailing_slashes",
        Form::Truth,
        // Slashes at the end are trimmed from every path.
        None,
    ),
    beside(
        "options",
        Form::Object,
        Some("a provider takes its settings in its config, and a login method in its own"),
    ),
    // There is one server, and all that is stored is sealed.
    beside("local", Form::Truth, None),
    beside("seal_wrap", Form::Truth, None),
    beside(
        "external_entropy_access",
        Form::Truth,
        Some("randomness comes from the operating system"),
    ),
];

/// The settings of a mount or login method that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VaultSettings(Map<String, Value>);

impl VaultSettings {
    /// Sets one, as [`VaultSetting::form`] has it; the empty one is not kept.
    pub fn set(&mut self, setting: &VaultSetting, value: Value) {
        self.0.insert(setting.name.to_owned(), value);
    }

    /// These with the changes of `patch` over them.
    pub fn changed(&self, patch: &Self) -> Self {
        let mut changed = self.0.clone();
        for (name, value) in &patch.0 {
            changed.insert(name.clone(), value.clone());
        }
        changed.retain(|_, value| !is_empty(value));
        Self(changed)
    }

    /// A sentence for each that is set and has no effect.
    pub fn warnings(&self) -> Vec<String> {
        let idle = VAULT_SETTINGS.iter().filter_map(|setting| {
            let value = self.0.get(setting.name)?;
            let reason = setting.idle.filter(|_| !is_empty(value))?;
            Some(format!(
                "{} is kept and shown, and has no effect: {reason}",
                setting.name
            ))
        });
        idle.collect()
    }

    /// The settings of one place, as Vault shows them: one that is not set is left out.
    pub fn shown(&self, beside: bool) -> Map<String, Value> {
        let shown = VAULT_SETTINGS
            .iter()
            .filter(|setting| setting.beside == beside);
        shown
            .filter_map(|setting| {
                let value = self.0.get(setting.name)?;
                Some((setting.name.to_owned(), value.clone()))
            })
            .collect()
    }

    /// Whether strangers may know of it, to find out how to log in.
    pub fn is_listed_to_strangers(&self) -> bool {
        let visibility = self.0.get(LISTING_VISIBILITY);
        visibility.and_then(Value::as_str) == Some("unauth")
    }

    /// Fields of requests whose values stand in the audit log as they are.
    pub fn plain_request_keys(&self) -> HashSet<String> {
        self.names(REQUEST_KEYS)
    }

    /// Fields of answers whose values stand in the audit log as they are.
    pub fn plain_response_keys(&self) -> HashSet<String> {
        self.names(RESPONSE_KEYS)
    }

    /// Both of these, in order.
    pub fn plain_keys(&self) -> (Vec<String>, Vec<String>) {
        let sorted = |names: HashSet<String>| {
            let mut names: Vec<String> = names.into_iter().collect();
            names.sort();
            names
        };
        (
            sorted(self.plain_request_keys()),
            sorted(self.plain_response_keys()),
        )
    }

    fn names(&self, setting: &str) -> HashSet<String> {
        let items = self.0.get(setting).and_then(Value::as_array);
        let items = items.into_iter().flatten().filter_map(Value::as_str);
        items.map(str::to_owned).collect()
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> VaultSettings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_set_is_kept_until_it_is_emptied() {
        let former = settings(json!({"listing_visibility": "unauth", REQUEST_KEYS: ["a"]}));
        let patch = settings(json!({REQUEST_KEYS: [], "local": true, "force_no_cache": false}));
        let changed = former.changed(&patch);
        assert_eq!(
            changed,
            settings(json!({"listing_visibility": "unauth", "local": true}))
        );
        assert!(changed.is_listed_to_strangers());
        assert_eq!(Value::Object(changed.shown(true)), json!({"local": true}));
        assert_eq!(changed.shown(false).len(), 1);
        assert_eq!(former.plain_request_keys(), HashSet::from(["a".to_owned()]));
    }

    #[test]
    fn what_has_no_effect_is_warned_of_where_it_is_set() {
        assert!(
            settings(json!({"options": {}, "local": true}))
                .warnings()
                .is_empty()
        );
        let warnings = settings(json!({"options": {"version": "2"}})).warnings();
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].starts_with("options is kept and shown"),
            "{warnings:?}"
        );
    }
}
