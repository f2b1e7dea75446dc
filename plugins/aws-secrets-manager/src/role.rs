//! The role: which secrets may be read, and with which role of AWS. The request: which of
//! them, and which piece.

use lessor_sdk::aws::{Link, Names, RoleLink, Tags, check_region, given};
use lessor_sdk::prelude::*;

/// The service that is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "the names of AWS; a schema with a text per word names no list of words"
)]
pub enum StoreKind {
    #[default]
    SecretsManager,
    ParameterStore,
}

/// `Fetch`: the tags of the secret are read, and not its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "told above")]
pub enum MetadataPolicy {
    None,
    Fetch,
}

/// The secrets that may be read. Whatever a field fixes here, no request changes.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The service that is asked.
    #[serde(default)]
    pub service: StoreKind,
    /// The region of the secrets, where it is not that of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The name or ARN of the one secret that may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Names of secrets of which a request names one, instead of `key`; `*` stands for any
    /// letters: `dev-*`.
    #[serde(default)]
    pub allowed_keys: Names,
    /// The piece of the secret's JSON that is read: a key, or a path of gjson such as
    /// `friends.1.first`. All of it where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// A staging label such as `AWSPREVIOUS`, `uuid/` and the id of a version, or the number
    /// of a parameter's version. `AWSCURRENT`, or the newest, where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the tags are read instead of the value.
    #[serde(
        default,
        rename = "metadataPolicy",
        alias = "metadata_policy",
        skip_serializing_if = "Option::is_none"
    )]
    pub metadata_policy: Option<MetadataPolicy>,
    /// Whether each key of the JSON object is handed out by itself, in `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<bool>,
    /// A role of AWS that is assumed with the root credential, and reads: so this role reaches
    /// no further than that one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The external id that the trust policy of `role_arn` asks for, where it is a third
    /// party's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Tags of the session of `role_arn`.
    #[serde(default)]
    pub session_tags: Tags,
    /// Tags of that session that the sessions of further roles keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitive_tag_keys: Vec<String>,
    /// Roles that are assumed one after the other before `role_arn` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_roles: Vec<RoleLink>,
}

/// The choice of a caller, where the role leaves one.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The name or ARN of the secret, one of the role's `allowed_keys`.
    #[serde(default)]
    pub key: Option<String>,
    /// The piece of the secret's JSON: a key, or a path of gjson.
    #[serde(default)]
    pub property: Option<String>,
    /// A staging label, `uuid/` and the id of a version, or the number of a parameter's
    /// version.
    #[serde(default)]
    pub version: Option<String>,
    /// Whether the tags are read instead of the value.
    #[serde(default, rename = "metadataPolicy", alias = "metadata_policy")]
    pub metadata_policy: Option<MetadataPolicy>,
    /// Whether each key of the JSON object is handed out by itself.
    #[serde(default)]
    pub extract: Option<bool>,
}

impl Role {
    /// Refuses fields that contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |sentence: &str| Err(Failure::invalid_config("role_invalid", sentence));
        if let Some(region) = given(&self.region) {
            check_region("role.region", region)?;
        }
        match (given(&self.key), self.allowed_keys.list().is_empty()) {
            (None, true) => {
                return refuse(
                    "role.key is missing: name the secret that may be read, or write allowed_keys, of which a request names one.",
                );
            }
            (Some(_), false) => {
                return refuse(
                    "role.key and role.allowed_keys contradict each other: leave one of them out.",
                );
            }
            _ => {}
        }
        let is_alone = given(&self.role_arn).is_none();
        if is_alone && given(&self.external_id).is_some() {
            return refuse("role.external_id is of role_arn, which is missing: write it, too.");
        }
        if is_alone && !self.session_tags.list("role.session_tags")?.is_empty() {
            return refuse("role.session_tags are of role_arn, which is missing: write it, too.");
        }
        if is_alone && !self.transitive_tag_keys.is_empty() {
            return refuse(
                "role.transitive_tag_keys are of role_arn, which is missing: write it, too.",
            );
        }
        self.links().map(drop)
    }

    /// The roles of AWS that are assumed after the config's.
    pub(crate) fn links(&self) -> Result<Vec<Link>> {
        let additional = self.additional_roles.iter().map(|link| {
            Ok(Link {
                role_arn: link.role_arn.clone(),
                external_id: link.external_id.clone(),
                tags: link
                    .session_tags
                    .list("role.additional_roles.session_tags")?,
                transitive_tag_keys: link.transitive_tag_keys.clone(),
            })
        });
        let own = given(&self.role_arn).map(|role_arn| {
            Ok(Link {
                role_arn: role_arn.to_owned(),
                external_id: given(&self.external_id).map(str::to_owned),
                tags: self.session_tags.list("role.session_tags")?,
                transitive_tag_keys: self.transitive_tag_keys.clone(),
            })
        });
        additional.chain(own).collect()
    }
}
