//! The way to the key that a mount works with: from what the operator gave, or from the
//! place where the server runs, and from there through roles.
//!
//! The keys of sessions are kept by [`memo`](crate::memo) until five minutes before they
//! end, so AWS is asked for one in an hour and not with every lease.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::{Client, Service};
use super::credentials::Credentials;
use super::error::AwsError;
use super::metadata;
use super::sts::{self, AssumeRole, Session};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::secret::Secret;
use crate::{identity, memo};

/// A root credential of AWS.
#[derive(Clone, Debug)]
pub struct Root {
    /// The region that is asked for sessions.
    pub region: String,
    /// The URL of STS, where it is not that of the region.
    pub sts_endpoint: Option<String>,
    /// The beginning of the way.
    pub way: Way,
    /// Roles that are assumed one after the other.
    pub chain: Vec<Link>,
}

/// The beginning of the way to a root credential.
#[derive(Clone, Debug)]
pub enum Way {
    /// A key that the operator gave.
    Key(Credentials),
    /// The identity of the mount: the host vouches for it, and AWS trusts the host as an issuer.
    /// Nothing is stored.
    WebIdentity {
        /// The role whose trust policy names the issuer.
        role_arn: String,
        /// As the identity provider of the AWS account has it: `sts.amazonaws.com`.
        audience: String,
    },
    /// The role of the instance of EC2 that the server runs on, at the usual address
    /// where none is given.
    Instance {
        /// `http://169.254.169.254`, where it is not that.
        endpoint: Option<String>,
    },
    /// The role of the task or pod that the server runs in.
    Container {
        /// `http://169.254.170.2/v2/credentials/…`
        url: String,
        /// The value of `Authorization` that the endpoint asks for.
        token: Option<Secret>,
    },
}

/// A role that is assumed on the way.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// The role.
    pub role_arn: String,
    /// The external id that its trust policy asks for, where it is a third party's.
    pub external_id: Option<String>,
    /// Tags of the session.
    pub tags: Vec<(String, String)>,
    /// Tags that the sessions of later roles keep.
    pub transitive_tag_keys: Vec<String>,
}

/// A session as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    access_key: String,
    secret_key: Secret,
    session_token: Secret,
}

impl Root {
    /// The key that all of the way leads to.
    ///
    /// # Errors
    /// The refusal of a step on the way.
    pub fn key(&self, ctx: &Context) -> Result<Credentials> {
        let mut key = match &self.way {
            Way::Key(key) => {
                key.check()?;
                key.clone()
            }
            Way::WebIdentity { role_arn, audience } => {
                kept(ctx, &["web", role_arn, audience], || {
                    let token = identity::token(audience).map_err(Failure::from)?;
                    let asked = AssumeRole {
                        role_arn,
                        session_name: &session_name(ctx),
                        ..AssumeRole::default()
                    };
                    sts::assume_role_with_web_identity(&self.sts(ctx, None), &token, &asked)
                })?
            }
            Way::Instance { endpoint } => kept(ctx, &["instance"], || {
                let endpoint = endpoint.as_deref().unwrap_or(metadata::INSTANCE);
                Ok(metadata::of_instance(endpoint)?)
            })?,
            Way::Container { url, token } => kept(ctx, &["container", url], || {
                Ok(metadata::of_container(url, token.as_ref())?)
            })?,
        };
        for (place, link) in self.chain.iter().enumerate() {
            let place = place.to_string();
            let external_id = link.external_id.as_deref();
            let name = [
                "chain",
                &place,
                &link.role_arn,
                external_id.unwrap_or_default(),
            ];
            key = kept(ctx, &name, || {
                let asked = AssumeRole {
                    role_arn: &link.role_arn,
                    session_name: &session_name(ctx),
                    external_id,
                    tags: &link.tags,
                    transitive_tag_keys: &link.transitive_tag_keys,
                    ..AssumeRole::default()
                };
                sts::assume_role(&self.sts(ctx, Some(key.clone())), &asked)
            })?;
        }
        Ok(key)
    }

    /// STS of the region, as a key sees it.
    pub fn sts<'a>(&self, ctx: &'a Context, key: Option<Credentials>) -> Client<'a> {
        let service = Service::sts().at(self.sts_endpoint.as_deref());
        Client::new(ctx, service, &self.region, key)
    }

    /// Whether the key is a session's, and so ends by itself.
    pub fn is_session(&self) -> bool {
        match &self.way {
            Way::Key(key) => key.session_token.is_some() || !self.chain.is_empty(),
            _ => true,
        }
    }
}

/// The key of a session that is kept under a name, or of a new one.
fn kept(
    ctx: &Context,
    name: &[&str],
    ask: impl FnOnce() -> Result<Session, AwsError>,
) -> Result<Credentials> {
    // No ARN and no URL has a space.
    let name = format!("aws {}", name.join(" "));
    let text = memo::token(&name, || {
        let session = ask()?;
        let lasts = session.lasts(ctx);
        let Credentials {
            access_key,
            secret_key,
            session_token,
        } = session.key;
        let kept = Kept {
            access_key,
            secret_key,
            session_token: session_token.unwrap_or_else(|| Secret::new("")),
        };
        Ok((Secret::new(serde_json::to_string(&kept)?), lasts))
    })?;
    let kept: Kept = serde_json::from_str(text.expose())?;
    Ok(Credentials::of_session(
        kept.access_key,
        kept.secret_key,
        kept.session_token,
    ))
}

/// The name of a session in CloudTrail: it shows the mount.
fn session_name(ctx: &Context) -> String {
    let fits = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.' | '@' | '=' | ',' | '+' => c,
        _ => '-',
    };
    let name = format!("lessor-{}", ctx.mount);
    name.chars().map(fits).take(LONGEST_NAME).collect()
}

/// Of the name of a session.
const LONGEST_NAME: usize = 64;

/// Shorter sessions than that cannot be asked for.
pub const SHORTEST_SESSION: Duration = Duration::from_secs(900);
