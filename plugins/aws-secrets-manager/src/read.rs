//! A question asked: from the root credential, through the roles of AWS, to the answer.

use lessor_sdk::aws::{Client, Root, RootConfig, Service, given};
use lessor_sdk::prelude::*;

use crate::config::Config;
use crate::payload::Credential;
use crate::question::Question;
use crate::role::{Request, Role, StoreKind};
use crate::store::Store;

/// The privileges that reading needs; those of the service that the role names.
pub(crate) const PRIVILEGES: [&str; 7] = [
    "secretsmanager:GetSecretValue (SecretsManager)",
    "secretsmanager:DescribeSecret (SecretsManager, metadataPolicy)",
    "ssm:GetParameter (ParameterStore)",
    "ssm:ListTagsForResource (ParameterStore, metadataPolicy)",
    "kms:Decrypt (secrets under a key of your own)",
    "sts:AssumeRole (role_arn)",
    "sts:TagSession (session_tags)",
];

/// Reads what a role and a request ask for.
pub(crate) fn read(
    ctx: &Context,
    config: &Config,
    role: &Role,
    request: &Request,
) -> Result<Issued<Credential>> {
    role.check()?;
    let asked = Question::of(role, request)?;
    let root = way(config, Some(role))?;
    let (service, endpoint) = match role.service {
        StoreKind::SecretsManager => ("secretsmanager", &config.secretsmanager_endpoint),
        StoreKind::ParameterStore => ("ssm", &config.ssm_endpoint),
    };
    let service = Service::regional(service).at(given(endpoint));
    let region = given(&role.region).unwrap_or(&config.region);
    let store = Store {
        client: Client::new(ctx, service, region, Some(root.key(ctx)?)),
        kind: role.service,
        region,
    };
    let credential = store.ask(&asked)?.answer(&asked)?;
    let version = credential.version.clone();
    Ok(Issued::new(&ctx.principal_name, credential)
        .fact("key", asked.key)
        .fact("version", version))
}

/// The way to the key that reads: that of the config, and then the roles of the role.
pub(crate) fn way(config: &Config, role: Option<&Role>) -> Result<Root> {
    let mut root = config.root()?;
    if let Some(role) = role {
        root.chain.extend(role.links()?);
    }
    Ok(root)
}
