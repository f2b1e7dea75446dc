//! The config of a mount, which the operator writes once: the account, and the root credential.

use lessor_sdk::aws::{Credentials, Link, Partition, Root, Service, Way, check_region};
use lessor_sdk::prelude::*;

use crate::fields::Tags;

/// An account of AWS, and the way to the root credential: an access key, or nothing that
/// is stored (`identity_token_audience`, `instance_credentials`,
/// `container_credentials_url`).
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The access key id of the root credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-lessor-rotated" = true))]
    pub access_key: Option<String>,
    /// Its secret access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<Secret>,
    /// Its token, where it is the key of a session. Such a root ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// The region whose STS is asked. Its partition is the account's: `aws`, `aws-cn`,
    /// `aws-us-gov`.
    #[serde(default = "default_region")]
    pub region: String,
    /// The URL of IAM, where it is not that of the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_endpoint: Option<String>,
    /// The URL of STS, where it is not that of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_endpoint: Option<String>,
    /// The region that requests to `sts_endpoint` are signed for, where it is not `region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_region: Option<String>,
    /// The URL of the sign-in page, where it is not that of the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signin_endpoint: Option<String>,
    /// A role that is assumed with the root credential, and used instead of it. With
    /// `identity_token_audience`, the role that trusts lessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The external id that the trust policy of `role_arn` asks for, where it is a third party's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The audience under which AWS trusts lessor as an identity provider:
    /// `sts.amazonaws.com`. Then there is no secret at all. The mount must allow it
    /// (`identity_audiences`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_token_audience: Option<String>,
    /// Uses the role of the EC2 instance that lessor runs on. The mount must be granted
    /// its metadata service.
    #[serde(default)]
    pub instance_credentials: bool,
    /// The URL of the metadata service, where it is not at 169.254.169.254.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_endpoint: Option<String>,
    /// Uses the role of the ECS task or EKS pod that lessor runs in: the URL that
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI` has, or `http://169.254.170.2` and what
    /// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_credentials_url: Option<String>,
    /// The value of `Authorization` that this URL asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_authorization_token: Option<Secret>,
    /// Further roles that are assumed, each by the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub role_chain: Vec<RoleLink>,
    /// The path below which `list-credentials` looks for users, where roles have a
    /// `user_path` of their own: `/`, or what all of them begin with. Users of
    /// other paths are then told by their tags, one request each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory_path: Option<String>,
    /// A template of Go, as Vault has it, is not evaluated: name users by `name_template`
    /// of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_template: Option<String>,
}

/// A role on the way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RoleLink {
    /// The role.
    pub role_arn: String,
    /// The external id that its trust policy asks for, where it is a third party's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Tags of the session.
    #[serde(default)]
    pub session_tags: Tags,
    /// Tags that the sessions of later roles keep.
    #[serde(default)]
    pub transitive_tag_keys: Vec<String>,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

impl Config {
    /// The way to the root credential, once the config has been looked through.
    pub(crate) fn root(&self) -> Result<Root> {
        check_region("config.region", &self.region)?;
        let sts_region = given(&self.sts_region).unwrap_or(&self.region);
        check_region("config.sts_region", sts_region)?;
        let refuse = |code: &str, sentence: String| Failure::invalid_config(code, sentence);
        if given(&self.username_template).is_some() {
            return Err(refuse(
                "username_template_unsupported",
                "config.username_template is a template of Go, which lessor does not evaluate: leave it out, and write name_template of a role, such as \"vault-{mount:8}-{role:8}-{random}\".".to_owned(),
            ));
        }
        if let Some(path) = self.inventory_path() {
            check_path("config.inventory_path", path)?;
        }
        let has_key = self.has_key() || secret(&self.secret_key).is_some();
        let audience = given(&self.identity_token_audience);
        let container = given(&self.container_credentials_url);
        let named: Vec<_> = [
            ("access_key", has_key),
            ("identity_token_audience", audience.is_some()),
            ("instance_credentials", self.instance_credentials),
            ("container_credentials_url", container.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
        let way = match named.as_slice() {
            ["access_key"] => Way::Key(self.key()?),
            ["identity_token_audience"] => {
                let role_arn = given(&self.role_arn).ok_or_else(|| {
                    refuse("root_incomplete", "config.role_arn is missing: with identity_token_audience it names the role that trusts lessor.".to_owned())
                })?;
                Way::WebIdentity {
                    role_arn: role_arn.to_owned(),
                    audience: audience.unwrap_or_default().to_owned(),
                }
            }
            ["instance_credentials"] => Way::Instance {
                endpoint: given(&self.instance_endpoint).map(str::to_owned),
            },
            ["container_credentials_url"] => Way::Container {
                url: container.unwrap_or_default().to_owned(),
                token: secret(&self.container_authorization_token).cloned(),
            },
            [] => {
                return Err(refuse(
                    "root_missing",
                    "config has no root credential: write access_key and secret_key, or identity_token_audience and role_arn, instance_credentials, or container_credentials_url.".to_owned(),
                ));
            }
            several => {
                return Err(refuse(
                    "two_roots",
                    format!(
                        "config names several root credentials ({}): leave all but one of them out, with replace=true where one is stored.",
                        several.join(", ")
                    ),
                ));
            }
        };
        Ok(Root {
            region: sts_region.to_owned(),
            sts_endpoint: given(&self.sts_endpoint).map(str::to_owned),
            chain: self.chain(&way)?,
            way,
        })
    }

    fn key(&self) -> Result<Credentials> {
        let parts = (given(&self.access_key), secret(&self.secret_key));
        let (Some(access_key), Some(secret_key)) = parts else {
            let missing = match parts.0 {
                None => "access_key",
                Some(_) => "secret_key",
            };
            let sentence =
                format!("config.{missing} is missing: a key of AWS has both an id and a secret.");
            return Err(Failure::invalid_config("root_incomplete", sentence));
        };
        let key = Credentials {
            session_token: secret(&self.session_token).cloned(),
            ..Credentials::new(access_key, secret_key.clone())
        };
        key.check()?;
        Ok(key)
    }

    fn chain(&self, way: &Way) -> Result<Vec<Link>> {
        let first = match (way, given(&self.role_arn)) {
            (Way::WebIdentity { .. }, _) | (_, None) => None,
            (_, Some(role_arn)) => Some(Link {
                role_arn: role_arn.to_owned(),
                external_id: given(&self.external_id).map(str::to_owned),
                ..Link::default()
            }),
        };
        let further = self.role_chain.iter().map(|link| {
            Ok(Link {
                role_arn: link.role_arn.clone(),
                external_id: link.external_id.clone(),
                tags: link.session_tags.list("config.role_chain.session_tags")?,
                transitive_tag_keys: link.transitive_tag_keys.clone(),
            })
        });
        first.map(Ok).into_iter().chain(further).collect()
    }

    /// IAM of the account.
    pub(crate) fn iam(&self) -> Service {
        Service::iam().at(given(&self.iam_endpoint))
    }

    /// Whether the root credential is an access key.
    pub(crate) fn has_key(&self) -> bool {
        given(&self.access_key).is_some()
    }

    pub(crate) fn signin_endpoint(&self) -> Option<&str> {
        given(&self.signin_endpoint)
    }

    pub(crate) fn inventory_path(&self) -> Option<&str> {
        given(&self.inventory_path)
    }

    /// The partition of the account.
    pub(crate) fn partition(&self) -> Partition {
        Partition::of(&self.region)
    }
}

/// A field with a text in it: clients of Vault write an empty one for a field that they
/// leave out. It is stored as it was written, or a rotation would change it.
fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

fn secret(field: &Option<Secret>) -> Option<&Secret> {
    field.as_ref().filter(|secret| !secret.expose().is_empty())
}

/// Refuses what IAM takes for no path.
pub(crate) fn check_path(field: &str, path: &str) -> Result<()> {
    let fits = |c: char| ('!'..='\u{7e}').contains(&c);
    let is_path = path.starts_with('/') && path.ends_with('/') && path.len() <= 512;
    if is_path && path.chars().all(fits) {
        return Ok(());
    }
    let sentence = format!(
        "{field} is no path of IAM: it begins and ends with a slash, as /teams/data/ does."
    );
    Err(Failure::invalid_config("path_invalid", sentence))
}
