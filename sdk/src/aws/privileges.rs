//! Whether a key has the privileges that it needs, by the simulation of IAM.

use super::client::Client;
use super::error::{AwsError, Kind};
use super::form::Form;
use crate::failure::Result;

/// The findings of a look at privileges.
pub enum Found {
    /// The ones that are missing; none where all are there.
    Missing(Vec<String>),
    /// Why nothing could be found.
    Unknown(String),
}

/// The ones of these privileges that a key lacks on a resource, itself where none is given;
/// `arn` is that of the key, as [`caller_identity`](super::sts::caller_identity) gives it.
///
/// # Errors
/// Where AWS does not answer. A refusal is [`Found::Unknown`].
pub fn simulate(
    iam: &Client<'_>,
    arn: &str,
    needed: &[&str],
    resource: Option<&str>,
) -> Result<Found> {
    let unknown = |why: &str| {
        Found::Unknown(format!(
            "Whether the root credential has the privileges that it needs cannot be checked ({why}): {}.",
            needed.join(", ")
        ))
    };
    let source = match source(iam, arn)? {
        Some(source) => source,
        None => return Ok(unknown("its role cannot be looked at without iam:GetRole")),
    };
    let form = form("SimulatePrincipalPolicy")
        .with("PolicySourceArn", &source)
        .with_list("ActionNames", needed.iter().copied())
        .with_list("ResourceArns", [resource.unwrap_or(&source)]);
    let answer = match iam.query(form) {
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
fn source(iam: &Client<'_>, arn: &str) -> Result<Option<String>> {
    let Some((_, role)) = arn.split_once(":assumed-role/") else {
        return Ok(Some(arn.to_owned()));
    };
    let name = role.split('/').next().unwrap_or_default();
    // The ARN of a session leaves out the path of its role.
    match iam.query(form("GetRole").with("RoleName", name)) {
        Ok(answer) => Ok(Some(answer.text("GetRoleResult/Role/Arn").to_owned())),
        Err(AwsError::Refused(_)) => Ok(None),
        Err(AwsError::Failed(failure)) => Err(failure),
    }
}

fn form(action: &'static str) -> Form {
    Form::action(action, "2010-05-08")
}
