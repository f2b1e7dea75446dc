//! A provider without an upstream that answers to the words of Vault's engine for AWS: its
//! own names of fields are others, so that each word is seen to be translated.

use lessor_sdk::{Form, Method, prelude::*};
use serde_json::json;

struct Clouds;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    access_key_id: String,
    secret_access_key: Secret,
    #[serde(default = "region")]
    region: String,
    #[serde(default)]
    endpoints: Endpoints,
}

fn region() -> String {
    String::from("us-east-1")
}

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Endpoints {
    #[serde(default)]
    iam: String,
    #[serde(default)]
    sts: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Role {
    kind: Kind,
    #[serde(default)]
    #[expect(dead_code, reason = "shown, and of no use without a cloud")]
    policies: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "as the policies")]
    document: String,
    #[serde(default)]
    role_arns: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    IamUser,
    AssumedRole,
    FederationToken,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Request {
    /// One of the role's.
    #[serde(default)]
    assume: String,
    #[serde(default)]
    by: String,
}

#[derive(Serialize, JsonSchema)]
struct Key {
    access_key: String,
    secret_key: Secret,
    session_token: Option<Secret>,
    assumed: String,
    by: String,
}

impl Provider for Clouds {
    type Config = Config;
    type Role = Role;
    type Request = Request;
    type Credential = Key;

    fn about() -> About {
        let root = |does| Alias::new("config/root", does, "The root key.");
        let lease = |does| Alias::new("config/lease", does, "The lengths of leases.");
        About::new("clouds", "0.2.0", "Keys of no cloud")
            .revocation(RevocationShape::ExpiresOnly)
            .alias(
                root(Does::WriteConfig)
                    .takes("access_key", "access_key_id")
                    .takes("secret_key", "secret_access_key")
                    .takes("iam_endpoint", "endpoints.iam")
                    .takes("sts_endpoint", "endpoints.sts")
                    .ignores("max_retries"),
            )
            .alias(
                root(Does::ReadConfig)
                    .gives("access_key", "config.access_key_id")
                    .gives("region", "config.region")
                    .gives("iam_endpoint", "config.endpoints.iam")
                    .gives("sts_endpoint", "config.endpoints.sts")
                    .tells("max_retries", -1),
            )
            .alias(
                Alias::new("config/rotate-root", Does::Rotate, "A new root key.")
                    .gives("access_key", "key"),
            )
            .alias(
                lease(Does::WriteTtls)
                    .takes("lease", "default_lease_ttl")
                    .takes("lease_max", "max_lease_ttl"),
            )
            .alias(
                lease(Does::ReadTtls)
                    .gives_as("lease", "default_lease_ttl", Form::Duration)
                    .gives_as("lease_max", "max_lease_ttl", Form::Duration),
            )
            .alias(
                Alias::new("roles/{role}", Does::WriteRole, "A role.")
                    .takes_as("credential_type", "kind", Form::List)
                    .takes("policy_arns", "policies")
                    .takes("policy_document", "document")
                    .takes("default_sts_ttl", "default_ttl")
                    .takes("max_sts_ttl", "max_ttl"),
            )
            .alias(
                Alias::new("roles/{role}", Does::ReadRole, "A role.")
                    .gives_as("credential_types", "kind", Form::List)
                    .gives("policy_arns", "policies")
                    .gives("policy_document", "document")
                    .gives("default_sts_ttl", "default_ttl")
                    .gives("max_sts_ttl", "max_ttl"),
            )
            .alias(keys("creds/{role}").takes("role_session_name", "by"))
            .alias(keys("sts/{role}").takes("role_session_name", "by"))
            .alias(
                keys("console/{role}")
                    .only([Method::Post])
                    .sets("by", "console"),
            )
    }

    fn validate_config(_: &Context, config: &Config, _: Option<&Role>) -> Result<Validation> {
        if config.secret_access_key.expose() == "mistaken" {
            let message = "config.secret_access_key is not that of config.access_key_id.";
            return Err(Failure::invalid_config("wrong_key", message));
        }
        Ok(Validation::identity(&config.access_key_id))
    }

    fn create(
        ctx: &Context,
        _: &Config,
        role: &Role,
        request: &Request,
        _: Option<UnixTime>,
    ) -> Result<Issued<Key>> {
        let assumed = match (role.kind, role.role_arns.as_slice()) {
            (Kind::AssumedRole, [only]) if request.assume.is_empty() => only.clone(),
            (Kind::AssumedRole, _) if !role.role_arns.contains(&request.assume) => {
                let message = "request.assume is none of the role's role_arns.";
                return Err(Failure::invalid_request("role_arn", message));
            }
            _ => request.assume.clone(),
        };
        let secret = || ctx.password(&PasswordPolicy::default());
        let is_session = role.kind != Kind::IamUser;
        let key = Key {
            access_key: ctx.principal_name.clone(),
            secret_key: secret()?,
            session_token: is_session.then(secret).transpose()?,
            assumed,
            by: request.by.clone(),
        };
        Ok(Issued::new(&ctx.principal_name, key))
    }

    fn revoke(_: &Context, _: &Config, _: Option<&Role>, _: &Revocation) -> Result<()> {
        Ok(())
    }

    fn rotate(ctx: &Context, config: &Config, what: &Rotation<Role>) -> Result<Rotated<Self>> {
        if !matches!(what, Rotation::Root) {
            return Err(what.unsupported());
        }
        let new = Config {
            secret_access_key: ctx.password(&PasswordPolicy::default())?,
            ..config.clone()
        };
        let key = json!(new.access_key_id);
        Ok(Rotated::root(new).fact("key", key))
    }
}

/// A path at which keys are issued.
fn keys(path: &str) -> Alias {
    Alias::new(path, Does::Issue, "Keys of a role.")
        .takes("role_arn", "assume")
        .gives("security_token", "session_token")
        .gives("arn", "assumed")
}

export_provider!(Clouds);
