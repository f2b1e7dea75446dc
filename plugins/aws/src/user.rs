//! Users of IAM: made with their key, found again, ended with all that hangs on them.

use lessor_sdk::aws::{AwsError, Element, Form, Marked, Page as AwsPage, pages};
use lessor_sdk::prelude::*;

use crate::account::{Account, about, gone, iam};
use crate::config::Config;
use crate::role::Role;
use crate::{Credential, PROPAGATION, mark};

/// The privileges that making users needs.
pub(crate) const ISSUE: [&str; 6] = [
    "iam:CreateUser",
    "iam:TagUser",
    "iam:AttachUserPolicy",
    "iam:PutUserPolicy",
    "iam:AddUserToGroup",
    "iam:CreateAccessKey",
];

/// The privileges that ending users needs, with those to remove what others hung on them.
pub(crate) const REVOKE: [&str; 20] = [
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:DeleteAccessKey",
    "iam:ListAttachedUserPolicies",
    "iam:DetachUserPolicy",
    "iam:ListUserPolicies",
    "iam:DeleteUserPolicy",
    "iam:ListGroupsForUser",
    "iam:RemoveUserFromGroup",
    "iam:DeleteUser",
    "iam:DeleteLoginProfile",
    "iam:ListMFADevices",
    "iam:DeactivateMFADevice",
    "iam:DeleteVirtualMFADevice",
    "iam:ListSSHPublicKeys",
    "iam:DeleteSSHPublicKey",
    "iam:ListSigningCertificates",
    "iam:DeleteSigningCertificate",
    "iam:ListServiceSpecificCredentials",
    "iam:DeleteServiceSpecificCredential",
];

/// The privileges that finding users needs.
pub(crate) const INVENTORY: [&str; 2] = ["iam:ListUsers", "iam:ListUserTags"];

/// Makes the user of the operation, or finishes the one that an earlier attempt made.
pub(crate) fn create(ctx: &Context, config: &Config, role: &Role) -> Result<Issued<Credential>> {
    let tags = mark::tags(ctx, role)?;
    let account = Account::open(ctx, config)?;
    let name = &ctx.principal_name;
    let (user, is_new) = found_or_made(&account, role, &tags)?;
    let finished = finish(&account, role, name, is_new);
    let key = match finished {
        Ok(key) => key,
        Err(error) => {
            let failure = explained(Failure::from(error), role);
            // It can do harm to nobody, and the host ends it where this fails.
            if !matches!(
                failure.class(),
                FailureClass::Unavailable | FailureClass::RateLimited
            ) {
                let _ = end_all(&account, name);
            }
            return Err(failure);
        }
    };
    let text = |field: &str| key.text(&format!("CreateAccessKeyResult/AccessKey/{field}"));
    let credential = Credential {
        access_key: text("AccessKeyId").to_owned(),
        secret_key: Secret::new(text("SecretAccessKey")),
        security_token: None,
        session_token: None,
        arn: Some(user.text("Arn").to_owned()),
        console_url: None,
    };
    Ok(Issued::new(name, credential)
        .fact("arn", user.text("Arn"))
        .fact("access_key", text("AccessKeyId"))
        .effective_in(PROPAGATION))
}

/// The user of the operation, and whether this attempt made it.
fn found_or_made(
    account: &Account<'_>,
    role: &Role,
    tags: &[(String, String)],
) -> Result<(Element, bool)> {
    let ctx = account.ctx;
    let path = role
        .user_path
        .clone()
        .unwrap_or_else(|| mark::path(&ctx.mount));
    let tags = tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let form = about("CreateUser", &ctx.principal_name)
        .with("Path", path)
        .with_some(
            "PermissionsBoundary",
            role.permissions_boundary_arn.as_deref(),
        )
        .with_tags("Tags", tags);
    match account.iam(form) {
        Ok(answer) => {
            let user = answer.find("CreateUserResult/User").cloned();
            Ok((user.unwrap_or_default(), true))
        }
        Err(error) if error.is("EntityAlreadyExists") => {
            let known = found(account, &ctx.principal_name)?;
            match known.filter(|user| mark::is_of_operation(ctx, user)) {
                Some(user) => Ok((user, false)),
                None => Err(Failure::conflict(
                    "user_exists",
                    format!(
                        "AWS has a user {:?} already, which this lease did not make: ask again, or give the role a name_template of its own.",
                        ctx.principal_name
                    ),
                )),
            }
        }
        Err(error) => Err(explained(error.into(), role)),
    }
}

/// Gives a user what the role grants, and a key: the answer of CreateAccessKey.
fn finish(
    account: &Account<'_>,
    role: &Role,
    name: &str,
    is_new: bool,
) -> Result<Element, AwsError> {
    // A user that was made a moment ago is not known everywhere yet.
    let call = |form: Form| account.iam(form.while_refused("NoSuchEntity", name));
    for arn in role.policy_arns.list() {
        call(about("AttachUserPolicy", name).with("PolicyArn", arn))?;
    }
    let put = |policy: &str, document: String| {
        call(
            about("PutUserPolicy", name)
                .with("PolicyName", policy)
                .with("PolicyDocument", document),
        )
    };
    if let Some(document) = role.document()? {
        put(INLINE, document)?;
    }
    for (policy, document) in &role.inline_policies {
        put(policy, document.text("role.inline_policies")?)?;
    }
    for group in role.iam_groups.list() {
        call(about("AddUserToGroup", name).with("GroupName", group))?;
    }
    if !is_new {
        // Nobody knows the secrets of the keys that an earlier attempt made.
        end_keys(account, name)?;
    }
    call(about("CreateAccessKey", name).once())
}

/// Ends a user that a lease, or the inventory, names.
pub(crate) fn end(ctx: &Context, config: &Config, name: &str) -> Result<()> {
    let account = Account::open(ctx, config)?;
    let Some(user) = found(&account, name)? else {
        return Ok(());
    };
    if !mark::is_ours(ctx, &user) {
        let sentence = format!(
            "The user {name:?} does not carry the tag {}={} of this mount, so it is not ended: tag it again, or end it by hand and forget the lease.",
            mark::MOUNT,
            ctx.mount
        );
        return Err(Failure::conflict("user_not_ours", sentence));
    }
    Ok(end_all(&account, name)?)
}

/// Ends the user of a creation whose answer was lost, where there is one.
pub(crate) fn end_unknown(ctx: &Context, config: &Config) -> Result<()> {
    let account = Account::open(ctx, config)?;
    let name = &ctx.principal_name;
    match found(&account, name)? {
        Some(user) if mark::is_of_operation(ctx, &user) => Ok(end_all(&account, name)?),
        _ => Ok(()),
    }
}

/// One page of the users of this mount.
pub(crate) fn list(ctx: &Context, config: &Config, cursor: Option<&str>) -> Result<Page> {
    let account = Account::open(ctx, config)?;
    let own = mark::path(&ctx.mount);
    let (path, size) = match config.inventory_path() {
        // Each user of another path costs a request more.
        Some(path) => (path.to_owned(), WITH_TAGS),
        None => (own.clone(), WITHOUT_TAGS),
    };
    let form = iam("ListUsers")
        .with("PathPrefix", path)
        .with("MaxItems", size.to_string())
        .with_some("Marker", cursor);
    let answer = account.iam(form)?;
    let mut ids = Vec::new();
    for user in answer.members("ListUsersResult/Users") {
        let name = user.text("UserName");
        let is_own = user.text("Path") == own;
        if is_own || (config.inventory_path().is_some() && is_tagged(&account, name)?) {
            ids.push(name.to_owned());
        }
    }
    Ok(Page {
        ids,
        next: answer.next("ListUsersResult"),
    })
}

/// Whether a user of any path carries the tag of this mount.
fn is_tagged(account: &Account<'_>, name: &str) -> Result<bool> {
    match account.iam(about("ListUserTags", name)) {
        Ok(answer) => {
            let result = answer.child("ListUserTagsResult");
            Ok(result.is_some_and(|tags| mark::is_ours(account.ctx, tags)))
        }
        Err(error) if error.is("NoSuchEntity") => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The user of a name, with its tags.
fn found(account: &Account<'_>, name: &str) -> Result<Option<Element>> {
    match account.iam(about("GetUser", name)) {
        Ok(answer) => Ok(answer.find("GetUserResult/User").cloned()),
        Err(error) if error.is("NoSuchEntity") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Ends a user: its keys first, then what keeps it from being deleted, then itself. Each
/// step may be repeated.
fn end_all(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    end_keys(account, name)?;
    let attached = listed(
        account,
        "ListAttachedUserPolicies",
        name,
        "AttachedPolicies",
        "PolicyArn",
    )?;
    for arn in attached {
        gone(account.iam(about("DetachUserPolicy", name).with("PolicyArn", arn)))?;
    }
    for policy in listed(account, "ListUserPolicies", name, "PolicyNames", "")? {
        gone(account.iam(about("DeleteUserPolicy", name).with("PolicyName", policy)))?;
    }
    for group in listed(account, "ListGroupsForUser", name, "Groups", "GroupName")? {
        gone(account.iam(about("RemoveUserFromGroup", name).with("GroupName", group)))?;
    }
    match gone(account.iam(about("DeleteUser", name))) {
        // Somebody hung more on it than lessor does.
        Err(error) if error.is("DeleteConflict") => {
            end_what_others_made(account, name)?;
            gone(account.iam(about("DeleteUser", name)))
        }
        other => other,
    }
}

fn end_keys(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    for key in listed(
        account,
        "ListAccessKeys",
        name,
        "AccessKeyMetadata",
        "AccessKeyId",
    )? {
        gone(account.iam(about("DeleteAccessKey", name).with("AccessKeyId", key)))?;
    }
    Ok(())
}

/// Password, devices, keys and certificates: whoever has the user's key could make them.
fn end_what_others_made(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    gone(account.iam(about("DeleteLoginProfile", name)))?;
    for device in listed(
        account,
        "ListMFADevices",
        name,
        "MFADevices",
        "SerialNumber",
    )? {
        gone(account.iam(about("DeactivateMFADevice", name).with("SerialNumber", &device)))?;
        // A device of hardware has no ARN, and is nobody's now.
        if device.starts_with("arn:") {
            gone(account.iam(iam("DeleteVirtualMFADevice").with("SerialNumber", &device)))?;
        }
    }
    for (list, members, id, end, field) in [
        (
            "ListSSHPublicKeys",
            "SSHPublicKeys",
            "SSHPublicKeyId",
            "DeleteSSHPublicKey",
            "SSHPublicKeyId",
        ),
        (
            "ListSigningCertificates",
            "Certificates",
            "CertificateId",
            "DeleteSigningCertificate",
            "CertificateId",
        ),
        (
            "ListServiceSpecificCredentials",
            "ServiceSpecificCredentials",
            "ServiceSpecificCredentialId",
            "DeleteServiceSpecificCredential",
            "ServiceSpecificCredentialId",
        ),
    ] {
        for found in listed(account, list, name, members, id)? {
            gone(account.iam(about(end, name).with(field, found)))?;
        }
    }
    Ok(())
}

/// One field of all members of a list of a user; the members themselves where the field is
/// empty. Nothing where the user is gone.
fn listed(
    account: &Account<'_>,
    action: &'static str,
    name: &str,
    members: &str,
    field: &str,
) -> Result<Vec<String>, AwsError> {
    let result = format!("{action}Result");
    let all: Result<Vec<Vec<String>>, AwsError> = pages(MOST_PAGES, |marker| {
        let answer = match account.iam(about(action, name).with_some("Marker", marker)) {
            Err(error) if error.is("NoSuchEntity") => return Ok(AwsPage::default()),
            answer => answer?,
        };
        let items = answer.members(&format!("{result}/{members}"));
        let items = items.map(|item| match field {
            "" => item.text.clone(),
            field => item.text(field).to_owned(),
        });
        Ok(AwsPage {
            items: items.collect(),
            next: answer.next(&result),
        })
    })
    .collect();
    Ok(all?.concat())
}

/// Names the field of the role that AWS does not know, where it is one.
fn explained(failure: Failure, role: &Role) -> Failure {
    if failure.class() != FailureClass::NotFound {
        return failure;
    }
    let message = failure.message();
    let mentions = |names: &[String]| names.iter().find(|name| message.contains(*name)).cloned();
    let boundary: Vec<String> = role.permissions_boundary_arn.iter().cloned().collect();
    let fields = [
        ("policy_arns", role.policy_arns.list()),
        ("iam_groups", role.iam_groups.list()),
        ("permissions_boundary_arn", boundary),
    ];
    let named = fields
        .iter()
        .find_map(|(field, names)| Some((*field, mentions(names)?)));
    match named {
        Some((field, name)) => Failure::invalid_config(
            failure.code(),
            format!(
                "role.{field}: AWS has no {name:?}; write the role again with one that exists."
            ),
        ),
        None => failure,
    }
}

/// The name of the inline policy that `policy_document` becomes.
const INLINE: &str = "lessor";
/// Users of one page of the inventory: some 60 kB.
const WITHOUT_TAGS: usize = 200;
/// The host lets a call make 32 requests.
const WITH_TAGS: usize = 20;
/// A user has far fewer of anything.
const MOST_PAGES: usize = 8;
