//! Whether a config and a role can work: who the root credential is, whether what the role
//! names exists, and which privileges are missing. Nothing is changed; a session that a
//! role of sessions is tried with lasts for fifteen minutes, and nobody gets it.

use lessor_sdk::aws::{AwsError, Kind, Way, sts};
use lessor_sdk::prelude::*;

use crate::account::{Account, iam};
use crate::config::Config;
use crate::role::{CredentialType, Request, Role};
use crate::{mark, rotate, session, user};

/// The privileges that validation needs; it tells of those that are missing, and goes on.
pub(crate) const PRIVILEGES: [&str; 5] = [
    "iam:SimulatePrincipalPolicy",
    "iam:GetRole (for a root that is a role)",
    "iam:GetPolicy",
    "iam:GetGroup",
    "iam:GetAccountSummary",
];

/// Proves who the root credential is, and that the role can be leased.
pub(crate) fn validate(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
    role.map_or(Ok(()), Role::check)?;
    let account = Account::open(ctx, config)?;
    let identity = sts::caller_identity(&account.sts)?;
    let mut validation = Validation::identity(identity.arn.as_str());
    if identity.arn.ends_with(":root") {
        validation = validation.warning(
            "The root credential is that of the account's root user, which may do everything: give lessor a user of its own.",
        );
    }
    if matches!(&account.root.way, Way::Key(key) if key.session_token.is_some()) {
        validation = validation.warning(
            "The root credential is the key of a session: it ends by itself, and cannot be rotated.",
        );
    }
    let looked = Look {
        account: &account,
        identity: &identity,
    };
    match role {
        None => {
            let needed: Vec<_> = match config.has_key() {
                true => rotate::PRIVILEGES.to_vec(),
                false => Vec::new(),
            };
            looked.config(validation, &needed)
        }
        Some(role) if role.credential_type == CredentialType::IamUser => {
            looked.user(validation, role)
        }
        Some(role) => looked.session(validation, role),
    }
}

struct Look<'a> {
    account: &'a Account<'a>,
    identity: &'a sts::Identity,
}

/// The findings of a look at privileges.
enum Found {
    Missing(Vec<String>),
    /// Why nothing could be found.
    Unknown(String),
}

impl Look<'_> {
    /// Privileges of the root's own user, and how many users there may still be. A mount
    /// may be one of sessions alone, so nothing that is missing stands in the way yet.
    fn config(&self, mut validation: Validation, needed: &[&str]) -> Result<Validation> {
        if !needed.is_empty() {
            match self.missing(needed, None)? {
                Found::Missing(missing) if !missing.is_empty() => {
                    validation = validation.warning(format!(
                        "The root credential cannot rotate itself: allow {} on its own user.",
                        missing.join(", ")
                    ));
                }
                Found::Missing(_) => {}
                Found::Unknown(why) => validation = validation.warning(why),
            }
        }
        Ok(match self.users_left() {
            Some((users, quota)) if users * 10 >= quota * 9 => validation.warning(format!(
                "The account has {users} users of at most {quota}: leases of users fail when all are used up."
            )),
            _ => validation,
        })
    }

    fn user(&self, mut validation: Validation, role: &Role) -> Result<Validation> {
        mark::tags(self.account.ctx, role)?;
        validation.warnings.extend(self.existing(role)?);
        let requests = role.grants()? + REQUESTS_OF_A_USER;
        if requests > REQUESTS_OF_A_CALL {
            validation = validation.warning(format!(
                "Making a user of this role takes up to {requests} requests, and the server lets a call make {REQUESTS_OF_A_CALL} unless its limit_connections says more: gather what the role grants in fewer policies."
            ));
        }
        let unneeded = [
            ("iam:AttachUserPolicy", role.policy_arns.list().is_empty()),
            (
                "iam:PutUserPolicy",
                role.document()?.is_none() && role.inline_policies.is_empty(),
            ),
            // On the group, and not on the user.
            ("iam:AddUserToGroup", true),
            ("iam:RemoveUserFromGroup", true),
            // On the device, and not on the user.
            ("iam:DeleteVirtualMFADevice", true),
        ];
        let is_needed =
            |action: &&str| !unneeded.iter().any(|(name, skip)| name == action && *skip);
        // What others may hang on a user is looked for only then.
        let ended = user::REVOKE.iter().take(10);
        let needed: Vec<&str> = user::ISSUE
            .iter()
            .chain(ended)
            .copied()
            .filter(is_needed)
            .collect();
        let path = role.user_path.clone();
        let path = path.unwrap_or_else(|| mark::path(&self.account.ctx.mount));
        let resource = format!(
            "arn:{}:iam::{}:user{path}lessor-check",
            self.account.config.partition().name(),
            self.identity.account
        );
        match self.missing(&needed, Some(&resource))? {
            Found::Missing(missing) if !missing.is_empty() => {
                return Err(Failure::denied(
                    "privileges_missing",
                    format!(
                        "The root credential {} lacks {} on {resource}: allow that in its policy.",
                        self.identity.arn,
                        missing.join(", ")
                    ),
                ));
            }
            Found::Missing(_) => {}
            Found::Unknown(why) => validation = validation.warning(why),
        }
        let below = self.account.config.inventory_path().map(str::to_owned);
        let below = below.unwrap_or_else(|| mark::path(&self.account.ctx.mount));
        if !path.starts_with(&below) {
            validation = validation.warning(format!(
                "The inventory looks below {below} and so misses users of {path}: write config.inventory_path with what both begin with, / at most."
            ));
        }
        Ok(validation)
    }

    /// Asks for a session as a lease would, for as short as AWS gives one.
    fn session(&self, mut validation: Validation, role: &Role) -> Result<Validation> {
        if self.account.root.is_session() && role.credential_type != CredentialType::AssumedRole {
            return Err(Failure::invalid_config(
                "role_needs_user",
                format!(
                    "A {} is of a user, and the root credential {} is a session: lease an assumed_role.",
                    role.credential_type.name(),
                    self.identity.arn
                ),
            ));
        }
        let soon = Some(self.account.ctx.now());
        for arn in role.role_arns.list() {
            let request = Request {
                role_arn: Some(arn),
                ..Request::default()
            };
            session::session(self.account, role, &request, soon)?;
        }
        match role.credential_type {
            CredentialType::FederationToken => {
                session::session(self.account, role, &Request::default(), soon)?;
            }
            CredentialType::SessionToken if role.mfa_serial_number.is_none() => {
                session::session(self.account, role, &Request::default(), soon)?;
            }
            _ => {}
        }
        validation = validation.warning(
            "Sessions end by themselves: revoking a lease of this role ends no session of AWS before its time, so keep max_ttl short.",
        );
        Ok(validation)
    }

    /// Fails where a policy or a group does not exist; tells what could not be looked at.
    fn existing(&self, role: &Role) -> Result<Vec<String>> {
        let mut told = Vec::new();
        let policies = role
            .policy_arns
            .list()
            .into_iter()
            .map(|arn| ("policy_arns", arn));
        let boundary = role.permissions_boundary_arn.clone();
        let policies = policies.chain(boundary.map(|arn| ("permissions_boundary_arn", arn)));
        let policies = policies.map(|(field, arn)| {
            let form = iam("GetPolicy").with("PolicyArn", &arn);
            (field, arn, form)
        });
        let groups = role.iam_groups.list().into_iter().map(|group| {
            let form = iam("GetGroup")
                .with("GroupName", &group)
                .with("MaxItems", "1");
            ("iam_groups", group, form)
        });
        // The host bounds how many requests a call makes.
        for (field, name, form) in policies.chain(groups).take(MOST_LOOKED_AT) {
            let action = form.name();
            let error = match self.account.iam(form) {
                Ok(_) => continue,
                Err(error) => error,
            };
            match error.kind() {
                Some(Kind::NotFound) => {
                    let sentence = format!("role.{field}: AWS has no {name:?}.");
                    return Err(Failure::invalid_config("aws_NoSuchEntity", sentence));
                }
                Some(Kind::Invalid) => {
                    return Err(Failure::from(error).while_doing(format!("role.{field}")));
                }
                Some(Kind::Denied) => told.push(format!(
                    "Whether {name:?} of {field} exists cannot be looked at: allow iam:{action}."
                )),
                _ => return Err(error.into()),
            }
        }
        Ok(told)
    }

    /// The ones of these privileges that the root credential lacks, on a resource.
    fn missing(&self, needed: &[&str], resource: Option<&str>) -> Result<Found> {
        let unknown = |why: &str| {
            Found::Unknown(format!(
                "Whether the root credential has the privileges that it needs cannot be checked ({why}): {}.",
                needed.join(", ")
            ))
        };
        let source = match self.source()? {
            Some(source) => source,
            None => return Ok(unknown("its role cannot be looked at without iam:GetRole")),
        };
        let form = iam("SimulatePrincipalPolicy")
            .with("PolicySourceArn", &source)
            .with_list("ActionNames", needed.iter().copied())
            .with_list("ResourceArns", [resource.unwrap_or(&source)]);
        let answer = match self.account.iam(form) {
            Ok(answer) => answer,
            Err(AwsError::Failed(failure)) => return Err(failure),
            Err(AwsError::Refused(refused)) => {
                return Ok(match refused.kind() {
                    Kind::Denied => unknown("it lacks iam:SimulatePrincipalPolicy"),
                    _ => unknown("AWS does not simulate its policies"),
                });
            }
        };
        let results = answer.members("SimulatePrincipalPolicyResult/EvaluationResults");
        let denied = results.filter(|result| result.text("EvalDecision") != "allowed");
        Ok(Found::Missing(
            denied
                .map(|result| result.text("EvalActionName").to_owned())
                .collect(),
        ))
    }

    /// The user or role whose policies count.
    fn source(&self) -> Result<Option<String>> {
        let arn = &self.identity.arn;
        let Some((_, role)) = arn.split_once(":assumed-role/") else {
            return Ok(Some(arn.clone()));
        };
        let name = role.split('/').next().unwrap_or_default();
        // The ARN of a session leaves out the path of its role.
        match self.account.iam(iam("GetRole").with("RoleName", name)) {
            Ok(answer) => Ok(Some(answer.text("GetRoleResult/Role/Arn").to_owned())),
            Err(AwsError::Refused(_)) => Ok(None),
            Err(AwsError::Failed(failure)) => Err(failure),
        }
    }

    /// The number of users, and the most that there may be; none where AWS does not tell.
    fn users_left(&self) -> Option<(u64, u64)> {
        let answer = self.account.iam(iam("GetAccountSummary")).ok()?;
        let entries = &answer.find("GetAccountSummaryResult/SummaryMap")?.children;
        let number = |key: &str| {
            let entry = entries.iter().find(|entry| entry.text("key") == key)?;
            entry.text("value").parse::<u64>().ok()
        };
        Some((number("Users")?, number("UsersQuota")?))
    }
}

/// A user that an earlier attempt made is found, its key ended and another made.
const REQUESTS_OF_A_USER: usize = 5;
/// As the server has it where nobody changed that.
const REQUESTS_OF_A_CALL: usize = 32;
/// Policies and groups of one role.
const MOST_LOOKED_AT: usize = 16;
