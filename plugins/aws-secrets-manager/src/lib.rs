//! Reads secrets of AWS Secrets Manager, and parameters of its Parameter Store, by the rules
//! of the External Secrets Operator.
//!
//! # Layout
//!
//! - `config`, `role`: what the operator writes, and what a caller may ask for.
//! - `question`: what is asked of AWS, once role and request are laid together.
//! - `store`: the two services; what they refuse, as a sentence.
//! - `payload`: what is handed out of what AWS answered.
//! - `read`: a question asked, from the root credential to the answer.
//! - `validate`: whether a config and a role can work.
//!
//! # Invariants
//!
//! 1. A caller reads nothing but what the role names, whatever the root credential may read.
//! 2. Nothing upstream is made, changed or ended, but keys of the root's own user in a
//!    rotation.
//! 3. No failure quotes a secret, nor anything of AWS that differs from one call to the next.

mod config;
mod payload;
mod question;
mod read;
mod role;
mod store;
mod validate;

use lessor_sdk::aws::keys;
use lessor_sdk::prelude::*;

pub use config::Config;
pub use lessor_sdk::aws::{Names, RoleLink, Tags};
pub use payload::Credential;
pub use role::{MetadataPolicy, Request, Role, StoreKind};

/// The provider.
pub struct AwsSecretsManager;

export_provider!(AwsSecretsManager);

impl Provider for AwsSecretsManager {
    type Config = Config;
    type Role = Role;
    type Request = Request;
    type Credential = Credential;

    fn about() -> About {
        About::new(
            "aws-secrets-manager",
            env!("CARGO_PKG_VERSION"),
            "Secrets of AWS Secrets Manager and Parameter Store",
        )
        .endpoint("https://secretsmanager.{region}.amazonaws.com")
        .endpoint("https://ssm.{region}.amazonaws.com")
        .endpoint("https://sts.{region}.amazonaws.com")
        .endpoint("https://iam.amazonaws.com")
        .endpoint("{secretsmanager_endpoint}")
        .endpoint("{ssm_endpoint}")
        .endpoint("{sts_endpoint}")
        .endpoint("{iam_endpoint}")
        .endpoint("{instance_endpoint}")
        .endpoint("{container_credentials_url}")
        .revocation(RevocationShape::None)
        .needs(Purpose::Validate, ["iam:SimulatePrincipalPolicy"])
        .needs(Purpose::Issue, read::PRIVILEGES)
        .needs(Purpose::Rotate, keys::PRIVILEGES)
    }

    fn validate_config(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
        validate::validate(ctx, config, role)
    }

    fn create(
        ctx: &Context,
        config: &Config,
        role: &Role,
        request: &Request,
        _: Option<UnixTime>,
    ) -> Result<Issued<Credential>> {
        read::read(ctx, config, role, request)
    }

    fn revoke(
        ctx: &Context,
        config: &Config,
        role: Option<&Role>,
        what: &Revocation,
    ) -> Result<()> {
        match what {
            // The secret stays what it is: nothing was made for the lease.
            Revocation::Credential(_) => Ok(()),
            // A rotation has no role.
            Revocation::UnknownCredential if role.is_none() => keys::undo(ctx, config),
            Revocation::UnknownCredential => Ok(()),
            Revocation::FormerRoot(id) => keys::retire(ctx, config, id),
        }
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        match what {
            Rotation::Root => keys::rotate(ctx, config),
            Rotation::Account(_) => Err(what.unsupported()),
        }
    }
}
