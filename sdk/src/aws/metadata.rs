//! The credentials that a container or an instance of AWS gives to whatever runs in it.
//!
//! - Instances of EC2, by IMDSv2 alone: a token that only a PUT gives
//!   (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>).
//! - Containers of ECS and EKS, by the URL of `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
//!   `…_FULL_URI`
//!   (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).

use std::time::Duration;

use serde::Deserialize;

use super::credentials::Credentials;
use super::sts::Session;
use crate::failure::{Failure, Result};
use crate::http::{self, Response};
use crate::secret::Secret;

/// The address that instances of EC2 ask.
pub(super) const INSTANCE: &str = "http://169.254.169.254";

/// As both services answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    access_key_id: Option<String>,
    #[serde(default)]
    secret_access_key: Option<Secret>,
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default)]
    expiration: Option<String>,
}

/// The key of the role that an instance runs with.
pub(super) fn of_instance(endpoint: &str) -> Result<Session> {
    let token = http::put(format!("{endpoint}/latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", "60")
        .timeout(PATIENCE)
        .send()
        .and_then(|answer| done(answer, INSTANCE_NAME))?;
    // A secret, though one of this instance and this minute.
    let token = Secret::new(token.text().trim());
    let get = |path: &str| {
        http::get(format!(
            "{endpoint}/latest/meta-data/iam/security-credentials/{path}"
        ))
        .header("x-aws-ec2-metadata-token", token.expose())
        .timeout(PATIENCE)
        .send()
    };
    let roles = get("")?;
    if roles.status() == 404 {
        let sentence = "The instance that this server runs on has no role: give it an instance profile, or the mount another root credential.";
        return Err(Failure::invalid_config(
            "aws_instance_without_role",
            sentence,
        ));
    }
    let roles = done(roles, INSTANCE_NAME)?;
    let role = roles
        .text()
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let answer = done(get(&http::encode(&role))?, INSTANCE_NAME)?;
    session(&answer.json()?, INSTANCE_NAME)
}

/// The key of the task or pod that a container belongs to.
pub(super) fn of_container(url: &str, token: Option<&Secret>) -> Result<Session> {
    let mut request = http::get(url).timeout(PATIENCE);
    if let Some(token) = token {
        request = request.header("authorization", token.expose());
    }
    let answer = done(request.send()?, CONTAINER_NAME)?;
    session(&answer.json()?, CONTAINER_NAME)
}

fn done(answer: Response, who: &str) -> Result<Response> {
    if answer.is_success() {
        return Ok(answer);
    }
    let sentence = format!("{who} answered {}.", answer.status());
    Err(answer.failure(sentence))
}

fn session(answer: &Answer, who: &str) -> Result<Session> {
    let succeeded = answer.code.as_deref().is_none_or(|code| code == "Success");
    let found = answer
        .access_key_id
        .clone()
        .filter(|_| succeeded)
        .and_then(|key| {
            let secret = answer.secret_access_key.clone()?;
            let token = answer.token.clone()?;
            Some(Session {
                key: Credentials::of_session(key, secret, token),
                ends: answer.expiration.as_deref()?.parse().ok()?,
                arn: String::new(),
            })
        });
    found.ok_or_else(|| {
        let sentence = format!("{who} answered without a key that can be used now.");
        Failure::unavailable("unexpected_answer", sentence)
    })
}

const INSTANCE_NAME: &str = "The metadata service of the instance";
const CONTAINER_NAME: &str = "The credentials endpoint of the container";
/// Both are on the same machine: where none of them is, nobody should wait for long.
const PATIENCE: Duration = Duration::from_secs(2);
