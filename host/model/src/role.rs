//! The fields of a role that the host reads, and the lengths that leases of a role may have.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::mount::{DEFAULT_TTL, Tune};
use crate::{
    lifetime::{self, Length},
    principal, tags, weak,
};

/// The host's part of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFields {
    /// The length of a lease that asks for none; absent: the mount's.
    pub default_ttl: Option<Length>,
    /// The length of the longest lease; absent: the mount's.
    pub max_ttl: Option<Length>,
    /// Cap on leases; 0: none.
    pub max_leases: u64,
    /// The template of the names of upstream principals.
    pub name_template: String,
    /// Whether a lease ends with its requester's token.
    pub bind_to_token: bool,
    /// Whether the role cannot be removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_protection: bool,
    /// The operator's own words for the role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The client's name for the connection, where it has another one. Vault's clients compare
    /// it when they read the role.
    #[serde(default)]
    pub db_name: Option<String>,
}

impl Default for HostFields {
    fn default() -> Self {
        Self {
            default_ttl: None,
            max_ttl: None,
            max_leases: 0,
            name_template: principal::DEFAULT_TEMPLATE.to_owned(),
            bind_to_token: false,
            delete_protection: false,
            tags: Vec::new(),
            db_name: None,
        }
    }
}

impl HostFields {
    /// Takes the host's fields out of a role document.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn take(document: &mut Map<String, Value>) -> Result<Self, String> {
        Self::default().with(document)
    }

    /// These fields, changed by those that a role document names, which are taken out of it. A
    /// null changes nothing.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn with(self, document: &mut Map<String, Value>) -> Result<Self, String> {
        let mut fields = self;
        let mut named = |name: &str| document.remove(name).filter(|value| !value.is_null());
        for (name, slot) in [
            ("default_ttl", &mut fields.default_ttl),
            ("max_ttl", &mut fields.max_ttl),
        ] {
            if let Some(value) = named(name) {
                let length = lifetime::of_value(name, &value)?.flatten();
                *slot = length.map(Length::in_seconds);
            }
        }
        if let Some(value) = named("max_leases") {
            fields.max_leases = weak::integer(&value)
                .and_then(|number| u64::try_from(number).ok())
                .ok_or("max_leases must be a whole number; 0 means no cap")?;
        }
        if let Some(value) = named("name_template") {
            value
                .as_str()
                .ok_or("name_template must be a string")?
                .clone_into(&mut fields.name_template);
            principal::check(&fields.name_template)?;
        }
        if let Some(value) = named("bind_to_token") {
            fields.bind_to_token =
                weak::truth(&value).ok_or("bind_to_token must be true or false")?;
        }
        if let Some(value) = named("delete_protection") {
            fields.delete_protection =
                weak::truth(&value).ok_or("delete_protection must be true or false")?;
        }
        if let Some(value) = named("tags") {
            fields.tags = weak::list(&value).ok_or("tags must be a list of strings")?;
            tags::check(&fields.tags)?;
        }
        match (fields.default_ttl, fields.max_ttl) {
            (Some(Length::Never), max) if max != Some(Length::Never) => {
                Err("default_ttl is never, so max_ttl must be never, too".to_owned())
            }
            (Some(default), Some(max)) if default > max => Err(format!(
                "default_ttl ({default}) must not be longer than max_ttl ({max})"
            )),
            _ => Ok(fields),
        }
    }

    /// Adds the fields to a role as shown, as Vault shows them: seconds, and 0 where
    /// the role leaves a length to its mount.
    pub fn put_into(&self, document: &mut Map<String, Value>) {
        for (name, length) in [("default_ttl", self.default_ttl), ("max_ttl", self.max_ttl)] {
            let shown = match length {
                None => 0.into(),
                Some(Length::For(span)) => span.as_secs().into(),
                Some(Length::Never) => lifetime::NEVER.into(),
            };
            document.insert(name.into(), shown);
        }
        document.insert("max_leases".into(), self.max_leases.into());
        document.insert("name_template".into(), self.name_template.clone().into());
        document.insert("bind_to_token".into(), self.bind_to_token.into());
        document.insert("delete_protection".into(), self.delete_protection.into());
    }
}

/// The lengths that a lease of a role may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The length if the request names none.
    pub default: Length,
    /// The longest.
    pub max: Length,
}

impl Bounds {
    /// From a role and its mount: the shorter of the two counts. A lease without an end needs
    /// `never` of both. A mount that says `never` lets its roles say so too; a role of it
    /// without a longest lease is bounded as if the mount said nothing.
    pub fn of(fields: &HostFields, tune: &Tune) -> Self {
        let max = match (fields.max_ttl, tune.max_lease_ttl) {
            (Some(max), of_mount) => max.min(of_mount),
            (None, Length::Never) => Length::For(DEFAULT_TTL),
            (None, of_mount) => of_mount,
        };
        let default = fields
            .default_ttl
            .unwrap_or(Length::For(tune.default_lease_ttl));
        Self {
            default: default.min(max),
            max,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn take(document: Value) -> Result<(HostFields, Value), String> {
        let Value::Object(mut map) = document else {
            panic!()
        };
        HostFields::take(&mut map).map(|fields| (fields, Value::Object(map)))
    }

    #[test]
    fn host_fields_are_split_from_the_providers() {
        let (fields, rest) = take(json!({
            "default_ttl": "5m", "max_ttl": 3600, "max_leases": 3, "grants": []
        }))
        .unwrap();
        assert_eq!(
            (fields.default_ttl, fields.max_ttl, fields.max_leases),
            (
                Some(Length::For(Duration::from_secs(300))),
                Some(Length::For(Duration::from_secs(3600))),
                3
            )
        );
        assert_eq!(rest, json!({"grants": []}));
    }

    #[test]
    fn wrong_host_fields_are_named() {
        for (document, field) in [
            (json!({"default_ttl": -1}), "default_ttl"),
            (json!({"default_ttl": "soon"}), "default_ttl"),
            (json!({"max_ttl": true}), "max_ttl"),
            (json!({"default_ttl": 10, "max_ttl": 5}), "default_ttl"),
            (json!({"default_ttl": "never"}), "default_ttl"),
            (json!({"default_ttl": "never", "max_ttl": 0}), "default_ttl"),
            (
                json!({"default_ttl": "never", "max_ttl": "9h"}),
                "default_ttl",
            ),
            (json!({"max_leases": -1}), "max_leases"),
            (json!({"name_template": 7}), "name_template"),
            (json!({"name_template": "fixed"}), "name_template"),
            (json!({"bind_to_token": "yes"}), "bind_to_token"),
            (json!({"delete_protection": "yes"}), "delete_protection"),
            (json!({"tags": {"a": 1}}), "tags"),
            (json!({"tags": [""]}), "tags"),
        ] {
            let error = take(document.clone()).unwrap_err();
            assert!(error.contains(field), "{document}: {error}");
        }
    }

    #[test]
    fn a_field_that_is_not_named_keeps_its_value_and_zero_unsets_it() {
        let hour = Length::For(Duration::from_secs(3600));
        let former = HostFields {
            default_ttl: Some(hour),
            max_ttl: Some(Length::Never),
            max_leases: 3,
            db_name: Some("orders".into()),
            ..HostFields::default()
        };
        for (document, default, max) in [
            (json!({}), Some(hour), Some(Length::Never)),
            (
                json!({"default_ttl": null, "max_ttl": null}),
                Some(hour),
                Some(Length::Never),
            ),
            (json!({"default_ttl": 0}), None, Some(Length::Never)),
            (json!({"max_ttl": ""}), Some(hour), None),
            (json!({"default_ttl": "0s", "max_ttl": "0"}), None, None),
            (
                json!({"default_ttl": "never"}),
                Some(Length::Never),
                Some(Length::Never),
            ),
        ] {
            let Value::Object(mut map) = document.clone() else {
                panic!()
            };
            let fields = former.clone().with(&mut map).unwrap();
            assert_eq!(
                (fields.default_ttl, fields.max_ttl),
                (default, max),
                "{document}"
            );
            assert_eq!(
                (fields.max_leases, fields.db_name.as_deref()),
                (3, Some("orders"))
            );
        }
    }

    /// The default and the longest, by the settings of role and mount.
    #[test]
    fn the_shorter_of_role_and_mount_counts_and_only_the_word_of_both_is_without_end() {
        let length = |hours: u64| Length::For(Duration::from_secs(hours * 3600));
        const NEVER: Length = Length::Never;
        for (default, max, of_mount, expected) in [
            (None, None, length(24), (length(1), length(24))),
            (Some(length(2)), None, length(24), (length(2), length(24))),
            (None, Some(length(48)), length(24), (length(1), length(24))),
            (
                Some(length(30)),
                Some(length(48)),
                length(24),
                (length(24), length(24)),
            ),
            (None, Some(NEVER), length(24), (length(1), length(24))),
            (
                Some(NEVER),
                Some(NEVER),
                length(24),
                (length(24), length(24)),
            ),
            (None, None, NEVER, (length(1), length(768))),
            (None, Some(length(1000)), NEVER, (length(1), length(1000))),
            (None, Some(NEVER), NEVER, (length(1), NEVER)),
            (Some(NEVER), Some(NEVER), NEVER, (NEVER, NEVER)),
        ] {
            let fields = HostFields {
                default_ttl: default,
                max_ttl: max,
                ..HostFields::default()
            };
            let tune = Tune {
                default_lease_ttl: Duration::from_secs(3600),
                max_lease_ttl: of_mount,
                ..Tune::default()
            };
            let bounds = Bounds::of(&fields, &tune);
            assert_eq!(
                (bounds.default, bounds.max),
                expected,
                "{default:?} {max:?} {of_mount:?}"
            );
        }
    }
}
