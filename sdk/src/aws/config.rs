//! The fields of a config by which an operator names a root credential of AWS: the same for
//! every provider of AWS, by the names of Vault's `aws` engine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Service;
use super::credentials::Credentials;
use super::fields::{Tags, given, given_secret};
use super::region::{Partition, check_region};
use super::root::{Link, Root, Way};
use crate::failure::{Failure, Result};
use crate::secret::Secret;

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

/// A config with the fields of a root credential; [`aws_config!`](crate::aws_config)
/// implements it.
pub trait RootConfig: Clone {
    /// The fields.
    fn root_fields(&self) -> RootFields<'_>;

    /// The same config with another access key.
    #[must_use]
    fn with_key(&self, key: Credentials) -> Self;

    /// The way to the root credential.
    ///
    /// # Errors
    /// Names the field that is missing, is one too many, or does not fit.
    fn root(&self) -> Result<Root> {
        self.root_fields().root()
    }

    /// IAM of the account.
    fn iam(&self) -> Service {
        Service::iam().at(given(self.root_fields().iam_endpoint))
    }

    /// Whether the root credential is an access key.
    fn has_key(&self) -> bool {
        self.root_fields().has_key()
    }

    /// The partition of the account.
    fn partition(&self) -> Partition {
        Partition::of(self.root_fields().region)
    }
}

/// The fields of a config that [`aws_config!`](crate::aws_config) declares.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "told where they are declared")]
pub struct RootFields<'a> {
    pub access_key: &'a Option<String>,
    pub secret_key: &'a Option<Secret>,
    pub session_token: &'a Option<Secret>,
    pub region: &'a String,
    pub iam_endpoint: &'a Option<String>,
    pub sts_endpoint: &'a Option<String>,
    pub sts_region: &'a Option<String>,
    pub role_arn: &'a Option<String>,
    pub external_id: &'a Option<String>,
    pub identity_token_audience: &'a Option<String>,
    pub instance_credentials: &'a bool,
    pub instance_endpoint: &'a Option<String>,
    pub container_credentials_url: &'a Option<String>,
    pub container_authorization_token: &'a Option<Secret>,
    pub role_chain: &'a Vec<RoleLink>,
}

impl RootFields<'_> {
    fn root(&self) -> Result<Root> {
        check_region("config.region", self.region)?;
        let sts_region = given(self.sts_region).unwrap_or(self.region);
        check_region("config.sts_region", sts_region)?;
        let refuse = |code: &str, sentence: String| Failure::invalid_config(code, sentence);
        let has_key = self.has_key() || given_secret(self.secret_key).is_some();
        let audience = given(self.identity_token_audience);
        let container = given(self.container_credentials_url);
        let named: Vec<_> = [
            ("access_key", has_key),
            ("identity_token_audience", audience.is_some()),
            ("instance_credentials", *self.instance_credentials),
            ("container_credentials_url", container.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
        let way = match named.as_slice() {
            ["access_key"] => Way::Key(self.key()?),
            ["identity_token_audience"] => {
                let role_arn = given(self.role_arn).ok_or_else(|| {
                    refuse("root_incomplete", "config.role_arn is missing: with identity_token_audience it names the role that trusts lessor.".to_owned())
                })?;
                Way::WebIdentity {
                    role_arn: role_arn.to_owned(),
                    audience: audience.unwrap_or_default().to_owned(),
                }
            }
            ["instance_credentials"] => Way::Instance {
                endpoint: given(self.instance_endpoint).map(str::to_owned),
            },
            ["container_credentials_url"] => Way::Container {
                url: container.unwrap_or_default().to_owned(),
                token: given_secret(self.container_authorization_token).cloned(),
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
            sts_endpoint: given(self.sts_endpoint).map(str::to_owned),
            chain: self.chain(&way)?,
            way,
        })
    }

    fn key(&self) -> Result<Credentials> {
        let parts = (given(self.access_key), given_secret(self.secret_key));
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
            session_token: given_secret(self.session_token).cloned(),
            ..Credentials::new(access_key, secret_key.clone())
        };
        key.check()?;
        Ok(key)
    }

    fn chain(&self, way: &Way) -> Result<Vec<Link>> {
        let first = match (way, given(self.role_arn)) {
            (Way::WebIdentity { .. }, _) | (_, None) => None,
            (_, Some(role_arn)) => Some(Link {
                role_arn: role_arn.to_owned(),
                external_id: given(self.external_id).map(str::to_owned),
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

    fn has_key(&self) -> bool {
        given(self.access_key).is_some()
    }
}

/// The region of a config that names none.
pub fn default_region() -> String {
    "us-east-1".to_owned()
}

/// Declares the config of a provider of AWS: the fields of its root credential, and then
/// the provider's own.
///
/// ```ignore
/// aws_config! {
///     /// An account of AWS.
///     pub struct Config {
///         /// Where the queue service is.
///         #[serde(default)]
///         pub sqs_endpoint: Option<String>,
///     }
/// }
/// ```
///
/// A macro, because `serde` neither refuses unknown fields nor names those that do not fit
/// where one struct is flattened into another.
#[macro_export]
macro_rules! aws_config {
    (
        $(#[$of_config:meta])*
        pub struct $name:ident {
            $($(#[$of_field:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$of_config])*
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The access key id of the root credential.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(extend("x-lessor-rotated" = true))]
            pub access_key: Option<String>,
            /// Its secret access key.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub secret_key: Option<$crate::Secret>,
            /// Its token, where it is the key of a session. Such a root ends by itself.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub session_token: Option<$crate::Secret>,
            /// The region whose STS is asked. Its partition is the account's: `aws`, `aws-cn`,
            /// `aws-us-gov`.
            #[serde(default = "lessor_sdk::aws::default_region")]
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
            pub container_authorization_token: Option<$crate::Secret>,
            /// Further roles that are assumed, each by the one before.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub role_chain: Vec<$crate::aws::RoleLink>,
            $($(#[$of_field])* pub $field: $type,)*
        }

        impl $crate::aws::RootConfig for $name {
            fn root_fields(&self) -> $crate::aws::RootFields<'_> {
                $crate::aws::RootFields {
                    access_key: &self.access_key,
                    secret_key: &self.secret_key,
                    session_token: &self.session_token,
                    region: &self.region,
                    iam_endpoint: &self.iam_endpoint,
                    sts_endpoint: &self.sts_endpoint,
                    sts_region: &self.sts_region,
                    role_arn: &self.role_arn,
                    external_id: &self.external_id,
                    identity_token_audience: &self.identity_token_audience,
                    instance_credentials: &self.instance_credentials,
                    instance_endpoint: &self.instance_endpoint,
                    container_credentials_url: &self.container_credentials_url,
                    container_authorization_token: &self.container_authorization_token,
                    role_chain: &self.role_chain,
                }
            }

            fn with_key(&self, key: $crate::aws::Credentials) -> Self {
                Self {
                    access_key: Some(key.access_key),
                    secret_key: Some(key.secret_key),
                    ..self.clone()
                }
            }
        }
    };
}
