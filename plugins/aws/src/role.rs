//! The role, which the operator writes, and the request, which a caller makes.

use std::collections::BTreeMap;
use std::time::Duration;

use lessor_sdk::aws::SHORTEST_SESSION;
use lessor_sdk::prelude::*;

use crate::config::check_path;
use crate::fields::{Document, Names, Tags, Ttl, filled, some_time};

/// The kind of credential. `iam_user`: a user with an access key, gone with the lease.
/// `assumed_role`, `federation_token`, `session_token`: sessions of STS, which end by
/// themselves and never before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "told above: a schema with a text per word names no list of words"
)]
pub enum CredentialType {
    IamUser,
    AssumedRole,
    FederationToken,
    SessionToken,
}

/// The fields of a role.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The kind of credential that is leased.
    pub credential_type: CredentialType,
    /// Managed policies: attached to a user, or narrowing a session.
    #[serde(default)]
    pub policy_arns: Names,
    /// A policy document: of the user, or narrowing a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_document: Option<Document>,
    /// Further policy documents of a user, by name.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, Document>,
    /// Groups that a user becomes a member of.
    #[serde(default)]
    pub iam_groups: Names,
    /// Tags of a user.
    #[serde(default)]
    pub iam_tags: Tags,
    /// The path of a user; `/lessor/<mount>/` where none is given, by which a user is
    /// found again.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub user_path: Option<String>,
    /// The most that a user may ever do.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub permissions_boundary_arn: Option<String>,
    /// Roles that may be assumed. Where there are several, the request names one.
    #[serde(default)]
    pub role_arns: Names,
    /// The external id that the trust policies of `role_arns` ask for, where they are a third
    /// party's.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub external_id: Option<String>,
    /// Tags of a session.
    #[serde(default)]
    pub session_tags: Tags,
    /// The duration of a session whose lease has no end.
    #[serde(
        default,
        deserialize_with = "some_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub default_sts_ttl: Option<Ttl>,
    /// The longest duration of a session.
    #[serde(
        default,
        deserialize_with = "some_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_sts_ttl: Option<Ttl>,
    /// The device of the root's user whose code a request for a `session_token` has.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub mfa_serial_number: Option<String>,
    /// Adds a link that signs in to the console: of `assumed_role` and `federation_token`.
    #[serde(default)]
    pub console: bool,
    /// The page of the console that the link leads to.
    #[serde(
        default,
        deserialize_with = "filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub console_destination: Option<String>,
}

/// The fields of a request.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The one of the role's `role_arns` that is assumed.
    #[serde(default, deserialize_with = "filled")]
    pub role_arn: Option<String>,
    /// The name of the session in CloudTrail.
    #[serde(default, deserialize_with = "filled")]
    pub role_session_name: Option<String>,
    /// The code that the device of `mfa_serial_number` shows.
    #[serde(default, deserialize_with = "filled")]
    pub mfa_code: Option<String>,
}

impl Role {
    /// Refuses fields that contradict each other, or are for another type.
    pub(crate) fn check(&self) -> Result<()> {
        use CredentialType::{AssumedRole, FederationToken, IamUser, SessionToken};
        let document = self.document()?.is_some();
        let is_given = [
            (
                "policy_arns",
                !self.policy_arns.list().is_empty(),
                &[IamUser, AssumedRole, FederationToken][..],
            ),
            (
                "policy_document",
                document,
                &[IamUser, AssumedRole, FederationToken],
            ),
            (
                "inline_policies",
                !self.inline_policies.is_empty(),
                &[IamUser],
            ),
            (
                "iam_groups",
                !self.iam_groups.list().is_empty(),
                &[IamUser, AssumedRole, FederationToken],
            ),
            ("iam_tags", !self.tags()?.is_empty(), &[IamUser]),
            ("user_path", self.user_path.is_some(), &[IamUser]),
            (
                "permissions_boundary_arn",
                self.permissions_boundary_arn.is_some(),
                &[IamUser],
            ),
            (
                "role_arns",
                !self.role_arns.list().is_empty(),
                &[AssumedRole],
            ),
            ("external_id", self.external_id.is_some(), &[AssumedRole]),
            (
                "session_tags",
                !self.session_tags()?.is_empty(),
                &[AssumedRole, FederationToken],
            ),
            (
                "default_sts_ttl",
                self.default_sts_ttl.is_some(),
                &[AssumedRole, FederationToken, SessionToken],
            ),
            (
                "max_sts_ttl",
                self.max_sts_ttl.is_some(),
                &[AssumedRole, FederationToken, SessionToken],
            ),
            (
                "mfa_serial_number",
                self.mfa_serial_number.is_some(),
                &[SessionToken],
            ),
            ("console", self.console, &[AssumedRole, FederationToken]),
        ];
        let own = self.credential_type;
        let refuse = |sentence: String| Err(Failure::invalid_config("role_invalid", sentence));
        for (field, given, types) in is_given {
            if given && !types.contains(&own) {
                let types: Vec<_> = types.iter().map(|kind| kind.name()).collect();
                return refuse(format!(
                    "role.{field} is of {}, and this role's credential_type is {}: leave it out.",
                    types.join(", "),
                    own.name()
                ));
            }
        }
        if !self.iam_groups.list().is_empty() && own != IamUser {
            return refuse(format!(
                "role.iam_groups narrows no session here: write the policies of the groups to policy_arns or policy_document of this {}.",
                own.name()
            ));
        }
        if own == AssumedRole && self.role_arns.list().is_empty() {
            return refuse(
                "role.role_arns is missing: an assumed_role needs at least one.".to_owned(),
            );
        }
        if matches!(own, IamUser | FederationToken) && self.grants()? == 0 {
            return refuse(format!(
                "role grants nothing: write policy_arns, policy_document{} of this {}.",
                if own == IamUser {
                    ", inline_policies or iam_groups"
                } else {
                    ""
                },
                own.name()
            ));
        }
        if let Some(path) = &self.user_path {
            check_path("role.user_path", path)?;
        }
        for (name, document) in &self.inline_policies {
            document.text(&format!("role.inline_policies.{name}"))?;
        }
        self.session_time(None).map(drop)
    }

    /// `policy_document`, as AWS takes it.
    pub(crate) fn document(&self) -> Result<Option<String>> {
        let document = self.policy_document.as_ref();
        let document = document.filter(|document| !document.is_empty());
        document
            .map(|document| document.text("role.policy_document"))
            .transpose()
    }

    /// The number of policies and groups that a user gets.
    pub(crate) fn grants(&self) -> Result<usize> {
        let document = usize::from(self.document()?.is_some());
        let groups = self.iam_groups.list().len();
        Ok(document + self.policy_arns.list().len() + self.inline_policies.len() + groups)
    }

    pub(crate) fn tags(&self) -> Result<Vec<(String, String)>> {
        self.iam_tags.list("role.iam_tags")
    }

    pub(crate) fn session_tags(&self) -> Result<Vec<(String, String)>> {
        self.session_tags.list("role.session_tags")
    }

    /// The duration of a session whose lease has this long to go.
    pub(crate) fn session_time(&self, lease: Option<Duration>) -> Result<Duration> {
        let written = |field: &str, ttl: &Option<Ttl>| {
            let name = format!("role.{field}");
            let time = ttl.as_ref().map(|ttl| ttl.time(&name)).transpose()?;
            match time {
                Some(time) if time < SHORTEST_SESSION => Err(Failure::invalid_config(
                    "role_invalid",
                    format!("{name} is shorter than 15 minutes, which no session of AWS is."),
                )),
                other => Ok(other),
            }
        };
        let default = written("default_sts_ttl", &self.default_sts_ttl)?.unwrap_or(DEFAULT_SESSION);
        let longest = written("max_sts_ttl", &self.max_sts_ttl)?;
        let most = self.credential_type.longest();
        let longest = longest.map_or(most, |longest| longest.min(most));
        let wanted = lease.unwrap_or(default);
        Ok(wanted.clamp(SHORTEST_SESSION, longest.max(SHORTEST_SESSION)))
    }
}

impl CredentialType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IamUser => "iam_user",
            Self::AssumedRole => "assumed_role",
            Self::FederationToken => "federation_token",
            Self::SessionToken => "session_token",
        }
    }

    /// The longest session that AWS gives.
    fn longest(self) -> Duration {
        match self {
            Self::AssumedRole => Duration::from_secs(43_200),
            _ => Duration::from_secs(129_600),
        }
    }
}

impl Request {
    /// Refuses what does not belong to the role.
    pub(crate) fn check(&self, role: &Role) -> Result<()> {
        let refuse = |sentence: String| Err(Failure::invalid_request("request_invalid", sentence));
        let is_role = role.credential_type == CredentialType::AssumedRole;
        for (field, given, belongs) in [
            ("role_arn", &self.role_arn, is_role),
            ("role_session_name", &self.role_session_name, is_role),
            ("mfa_code", &self.mfa_code, role.mfa_serial_number.is_some()),
        ] {
            if given.is_some() && !belongs {
                return refuse(format!(
                    "request.{field} does not belong to this role, whose credential_type is {}: leave it out.",
                    role.credential_type.name()
                ));
            }
        }
        if role.mfa_serial_number.is_some() && self.mfa_code.is_none() {
            return refuse(
                "request.mfa_code is missing: the role asks for the code of its mfa_serial_number."
                    .to_owned(),
            );
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        match &self.role_session_name {
            Some(name) if !(2..=64).contains(&name.len()) || !name.chars().all(fits) => refuse(
                "request.role_session_name has 2 to 64 letters, digits or _+=,.@-.".to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// The role that is assumed.
    pub(crate) fn chosen(&self, role: &Role) -> Result<String> {
        let allowed = role.role_arns.list();
        let found = match (&self.role_arn, allowed.as_slice()) {
            (Some(arn), _) => allowed.iter().find(|allowed| *allowed == arn).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        found.ok_or_else(|| {
            let sentence = format!(
                "request.role_arn must name one of the role's: {}.",
                allowed.join(", ")
            );
            Failure::invalid_request("role_arn_not_allowed", sentence)
        })
    }
}

/// As AWS has it for roles.
const DEFAULT_SESSION: Duration = Duration::from_secs(3_600);
