//! Sessions of STS, which end by themselves, and links that sign in to the console with
//! one.

use std::time::Duration;

use lessor_sdk::aws::sts::{self, AssumeRole, Session};
use lessor_sdk::http;
use lessor_sdk::prelude::*;
use serde_json::json;

use crate::Credential;
use crate::account::Account;
use crate::config::Config;
use crate::role::{CredentialType, Request, Role};

/// The privileges that asking for sessions needs. GetSessionToken needs no privilege.
pub(crate) const ISSUE: [&str; 3] = [
    "sts:AssumeRole (assumed_role)",
    "sts:TagSession (session_tags)",
    "sts:GetFederationToken (federation_token)",
];

/// Asks for a session that lasts as long as the lease, as far as AWS lets it.
pub(crate) fn create(
    ctx: &Context,
    config: &Config,
    role: &Role,
    request: &Request,
    expires_at: Option<UnixTime>,
) -> Result<Issued<Credential>> {
    let account = Account::open(ctx, config)?;
    let session = session(&account, role, request, expires_at)?;
    let console_url = match role.console {
        true => Some(console_url(config, role, &session)?),
        false => None,
    };
    let id = match session.arn.as_str() {
        "" => format!("session:{}", ctx.principal_name),
        arn => format!("{arn}#{}", ctx.operation_id),
    };
    let arn = (!session.arn.is_empty()).then(|| session.arn.clone());
    // The clock was read in whole seconds, and the host counts from the answer.
    let lasts = session.lasts(ctx).saturating_sub(A_SECOND);
    let issued = Issued::new(
        id,
        Credential {
            access_key: session.key.access_key.clone(),
            secret_key: session.key.secret_key.clone(),
            security_token: session.key.session_token.clone(),
            session_token: session.key.session_token.clone(),
            arn: arn.clone(),
            console_url,
        },
    );
    Ok(issued
        .fact("arn", arn.unwrap_or_default())
        .fact("access_key", session.key.access_key.as_str())
        .fact("ends", session.ends.to_string())
        .expires_in(lasts))
}

/// Whether an id is that of a session: no user's name has a colon.
pub(crate) fn is_session(id: &str) -> bool {
    id.contains(':')
}

/// A session as the role says.
pub(crate) fn session(
    account: &Account<'_>,
    role: &Role,
    request: &Request,
    expires_at: Option<UnixTime>,
) -> Result<Session> {
    let ctx = account.ctx;
    let lease = expires_at.map(|end| end.since(ctx.now()));
    let duration = role.session_time(lease)?;
    let (policy, policy_arns) = (role.document()?, role.policy_arns.list());
    let tags = role.session_tags()?;
    let asked = match role.credential_type {
        CredentialType::AssumedRole => {
            let role_arn = request.chosen(role)?;
            sts::assume_role(
                &account.sts,
                &AssumeRole {
                    role_arn: &role_arn,
                    session_name: request
                        .role_session_name
                        .as_deref()
                        .unwrap_or(&ctx.principal_name),
                    // A session of a session lasts an hour at most.
                    duration: Some(match account.root.is_session() {
                        true => duration.min(LONGEST_OF_A_CHAIN),
                        false => duration,
                    }),
                    external_id: role.external_id.as_deref(),
                    policy: policy.as_deref(),
                    policy_arns: &policy_arns,
                    tags: &tags,
                    ..AssumeRole::default()
                },
            )
        }
        CredentialType::FederationToken => {
            let name = federated(&ctx.principal_name);
            sts::federation_token(
                &account.sts,
                name,
                duration,
                policy.as_deref(),
                &policy_arns,
                &tags,
            )
        }
        _ => {
            let mfa = role
                .mfa_serial_number
                .as_deref()
                .zip(request.mfa_code.as_deref());
            sts::session_token(&account.sts, duration, mfa)
        }
    };
    Ok(asked?)
}

/// The name of a federated user: the end of a principal's name tells it from others.
fn federated(name: &str) -> &str {
    let start = name.len().saturating_sub(LONGEST_FEDERATED);
    name.get(start..).unwrap_or(name)
}

/// A link that signs in to the console
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html>).
fn console_url(config: &Config, role: &Role, session: &Session) -> Result<Secret> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        signin_token: Secret,
    }
    let hosts = config.partition().console();
    let (page, console) = match (config.signin_endpoint(), hosts) {
        (Some(url), hosts) => {
            let console = hosts.map_or("console.aws.amazon.com", |(_, console)| console);
            (url.trim_end_matches('/').to_owned(), console)
        }
        (None, Some((signin, console))) => (format!("https://{signin}/federation"), console),
        (None, None) => {
            let sentence = format!(
                "role.console: there is no known sign-in page of the partition {}; write config.signin_endpoint.",
                config.partition().name()
            );
            return Err(Failure::invalid_config("console_unknown", sentence));
        }
    };
    let key = &session.key;
    let token = key.session_token.as_ref().map_or("", Secret::expose);
    let credentials = json!({
        "sessionId": key.access_key,
        "sessionKey": key.secret_key.expose(),
        "sessionToken": token,
    });
    let credentials = Secret::new(credentials.to_string());
    let answer: Answer = http::get(page.as_str())
        .query("Action", "getSigninToken")
        .query("Session", credentials.expose())
        .call()?
        .json()?;
    let home = format!("https://{console}/");
    let destination = role.console_destination.as_deref().unwrap_or(&home);
    Ok(Secret::new(format!(
        "{page}?Action=login&Issuer=lessor&Destination={}&SigninToken={}",
        http::encode(destination),
        http::encode(answer.signin_token.expose())
    )))
}

const A_SECOND: Duration = Duration::from_secs(1);
const LONGEST_FEDERATED: usize = 32;
/// Of a session that a session asks for.
const LONGEST_OF_A_CHAIN: Duration = Duration::from_secs(3_600);
