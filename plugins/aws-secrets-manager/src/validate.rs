//! Whether a config and a role can work: who reads, and whether the secret that the role
//! names can be read. Nothing is changed, and nobody gets what was read.

use lessor_sdk::aws::privileges::{self, Found};
use lessor_sdk::aws::{Client, Credentials, Root, RootConfig, Way, given, keys, sts};
use lessor_sdk::prelude::*;

use crate::config::Config;
use crate::read;
use crate::role::{Request, Role};

/// Proves who the root credential is, and that the role can be read.
pub(crate) fn validate(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
    role.map_or(Ok(()), Role::check)?;
    let root = read::way(config, role)?;
    let identity = sts::caller_identity(&root.sts(ctx, Some(root.key(ctx)?)))?;
    let mut validation = Validation::identity(identity.arn.as_str());
    if identity.arn.ends_with(":root") {
        validation = validation.warning(
            "The root credential is that of the account's root user, which may do everything: give lessor a user of its own.",
        );
    }
    let Some(role) = role else {
        match &root.way {
            Way::Key(own) if own.session_token.is_some() => {
                validation = validation.warning(
                    "The root credential is the key of a session: it ends by itself, and cannot be rotated.",
                );
            }
            Way::Key(own) => {
                validation
                    .warnings
                    .extend(unable_to_rotate(ctx, config, &root, own));
            }
            _ => {}
        }
        return Ok(validation);
    };
    if given(&role.key).is_some() {
        read::read(ctx, config, role, &Request::default())?;
    }
    Ok(validation)
}

/// The reason why the key of the config, before any role is assumed with it, cannot be
/// rotated. A mount that only reads may do without.
fn unable_to_rotate(
    ctx: &Context,
    config: &Config,
    root: &Root,
    own: &Credentials,
) -> Option<String> {
    let look = || {
        let user = sts::caller_identity(&root.sts(ctx, Some(own.clone())))?;
        let iam = Client::new(ctx, config.iam(), &config.region, Some(own.clone()));
        privileges::simulate(&iam, &user.arn, &keys::PRIVILEGES, None)
    };
    match look() {
        Ok(Found::Missing(missing)) if missing.is_empty() => None,
        Ok(Found::Missing(missing)) => Some(format!(
            "The root credential cannot rotate itself: allow {} on its own user.",
            missing.join(", ")
        )),
        Ok(Found::Unknown(why)) => Some(why),
        Err(failure) => Some(format!(
            "Whether the root credential can rotate itself cannot be checked: {}",
            failure.message()
        )),
    }
}
