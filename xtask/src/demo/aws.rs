//! The AWS provider: a user of IAM that is leased, logs in by AWS' own client, and is
//! revoked; a rotated root; a session that ends by itself.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::upstream::Upstream;
use crate::cluster::keep;
use crate::stage::{Claim, Stage, Step};
use crate::workspace::Workspace;

/// The steps of this part.
const STEPS: &[Step] = &[
    Step {
        story: "A mount, granted the one address of AWS (here moto, which checks signatures and policies).",
        command: "lessor mount add aws --plugin aws --allow-host $AWS_ENDPOINT_URL",
        claim: Claim::Prints(&["mounted at aws"]),
    },
    Step {
        story: "The config names the key of a user of lessor's own; AWS is asked whose it is.",
        command: "lessor config write aws region=eu-central-1 access_key=@root-access-key secret_key=@root-secret-key \
                  iam_endpoint=$AWS_ENDPOINT_URL sts_endpoint=$AWS_ENDPOINT_URL",
        claim: Claim::Prints(&["config of aws is proven and kept"]),
    },
    Step {
        story: "The key is replaced by one that nobody has seen.",
        command: "lessor rotate aws",
        claim: Claim::Prints(&["root credential of aws is replaced"]),
    },
    Step {
        story: "A role: whoever leases it may list users, for an hour.",
        command: "lessor role write aws lister credential_type=iam_user default_ttl=1h max_ttl=12h \
                  policy_document='{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \
                  \"Action\": \"iam:ListUsers\", \"Resource\": \"*\"}]}'",
        claim: Claim::Prints(&["role lister"]),
    },
    Step {
        story: "A user is leased, with an access key.",
        command: "lessor creds aws lister --save access_key=user.key --save secret_key=user.secret --save lease_id=user.lease",
        claim: Claim::Prints(&["secret_key is in user.secret", "arn"]),
    },
    Step {
        story: "AWS' own client logs in with it,",
        command: "AWS_ACCESS_KEY_ID=$(cat user.key) AWS_SECRET_ACCESS_KEY=$(cat user.secret) python -c \
                  'import boto3; print(len(boto3.client(\"iam\").list_users()[\"Users\"]), \"users\")'",
        claim: Claim::Answers("2 users"),
    },
    Step {
        story: "and may do nothing else.",
        command: "AWS_ACCESS_KEY_ID=$(cat user.key) AWS_SECRET_ACCESS_KEY=$(cat user.secret) python -c \
                  'import boto3; boto3.client(\"iam\").list_roles()' 2>&1 | tail -n 1",
        claim: Claim::Prints(&["AccessDenied"]),
    },
    Step {
        story: "The lease is ended before its time.",
        command: "lessor lease revoke $(cat user.lease)",
        claim: Claim::Prints(&["is revoked"]),
    },
    Step {
        story: "The user is gone, and its key with it.",
        command: "AWS_ACCESS_KEY_ID=$(cat user.key) AWS_SECRET_ACCESS_KEY=$(cat user.secret) python -c \
                  'import boto3; boto3.client(\"iam\").list_users()' 2>&1 | tail -n 1",
        claim: Claim::Prints(&["InvalidClientTokenId"]),
    },
];

/// Starts an account of AWS, and gives the commands that follow what they need of it.
pub(super) fn account(workspace: &Workspace, stage: &mut Stage, python: &Path) -> Result<Upstream> {
    let (upstream, line) = Upstream::start(workspace, stage, python, "aws.py")?;
    let account: Value = serde_json::from_str(&line)?;
    let text = |name: &str| {
        account
            .get(name)
            .and_then(Value::as_str)
            .context("it says too little")
    };
    stage.scratch.set("AWS_ENDPOINT_URL", text("origin")?);
    stage.scratch.set("AWS_DEFAULT_REGION", "eu-central-1");
    stage.scratch.set("AWS_EC2_METADATA_DISABLED", "true");
    keep(
        &stage.directory().join("root-access-key"),
        text("access_key")?,
    )?;
    keep(
        &stage.directory().join("root-secret-key"),
        text("secret_key")?,
    )?;
    Ok(upstream)
}

/// Plays this part.
pub(super) fn tell(stage: &mut Stage) -> Result<()> {
    stage.perform(STEPS)
}
