//! Sessions of AWS Security Token Service, and who a key belongs to.

use std::time::Duration;

use super::client::Client;
use super::credentials::Credentials;
use super::error::AwsError;
use super::form::Form;
use super::xml::Element;
use crate::context::Context;
use crate::failure::Failure;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The principal that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// `arn:aws:iam::123456789012:user/lessor`, or of a session:
    /// `arn:aws:sts::123456789012:assumed-role/lessor/session`.
    pub arn: String,
}

/// A session, and its key.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its key.
    pub key: Credentials,
    /// The time of its end; nothing ends it before.
    pub ends: UnixTime,
    /// The ARN of its principal; empty where AWS does not say.
    pub arn: String,
}

/// The parameters by which a session of a role is asked for. Empty fields are left out.
#[derive(Clone, Debug, Default)]
pub struct AssumeRole<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// Shows in CloudTrail; 2 to 64 of `[\w+=,.@-]`.
    pub session_name: &'a str,
    /// Whole seconds, from 900 to 43,200 and no more than the role allows.
    pub duration: Option<Duration>,
    /// The external id that the trust policy of a third party's role asks for.
    pub external_id: Option<&'a str>,
    /// Narrows what the session may do, in JSON.
    pub policy: Option<&'a str>,
    /// Managed policies that narrow it.
    pub policy_arns: &'a [String],
    /// Tags of the session.
    pub tags: &'a [(String, String)],
    /// Tags that the sessions of roles that it assumes keep.
    pub transitive_tag_keys: &'a [String],
    /// The person behind the session.
    pub source_identity: Option<&'a str>,
}

impl Session {
    /// Time until it ends, in whole seconds.
    pub fn lasts(&self, ctx: &Context) -> Duration {
        self.ends.since(ctx.now())
    }
}

/// GetCallerIdentity: needs no privilege.
///
/// # Errors
/// See [`Client::query`].
pub fn caller_identity(sts: &Client<'_>) -> Result<Identity, AwsError> {
    let answer = sts.query(form("GetCallerIdentity"))?;
    let text = |name: &str| {
        answer
            .text(&format!("GetCallerIdentityResult/{name}"))
            .to_owned()
    };
    let identity = Identity {
        account: text("Account"),
        arn: text("Arn"),
    };
    match identity.arn.is_empty() {
        true => Err(unexpected("GetCallerIdentity")),
        false => Ok(identity),
    }
}

/// AssumeRole.
///
/// # Errors
/// See [`Client::query`].
pub fn assume_role(sts: &Client<'_>, asked: &AssumeRole<'_>) -> Result<Session, AwsError> {
    let tags = asked
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let form = asked
        .form("AssumeRole")
        .with_some("ExternalId", asked.external_id)
        .with_some("SourceIdentity", asked.source_identity)
        .with_tags("Tags", tags)
        .with_list("TransitiveTagKeys", asked.transitive_tag_keys);
    let answer = sts.query(form)?;
    session(&answer, "AssumeRole", "AssumedRoleUser/Arn")
}

/// AssumeRoleWithWebIdentity: a token of an issuer that AWS trusts for a session. The
/// client needs no key. Tags and an external id belong to the token here.
///
/// # Errors
/// See [`Client::query`].
pub fn assume_role_with_web_identity(
    sts: &Client<'_>,
    token: &Secret,
    asked: &AssumeRole<'_>,
) -> Result<Session, AwsError> {
    let form = asked
        .form("AssumeRoleWithWebIdentity")
        .with("WebIdentityToken", token.expose());
    let answer = sts.query(form)?;
    session(&answer, "AssumeRoleWithWebIdentity", "AssumedRoleUser/Arn")
}

/// GetFederationToken: a session of the user whose key it is, narrowed by policies. `name`
/// has 2 to 32 of `[\w+=,.@-]`, the duration is 900 to 129,600 seconds.
///
/// # Errors
/// See [`Client::query`].
pub fn federation_token(
    sts: &Client<'_>,
    name: &str,
    duration: Duration,
    policy: Option<&str>,
    policy_arns: &[String],
    tags: &[(String, String)],
) -> Result<Session, AwsError> {
    let tags = tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let form = form("GetFederationToken")
        .with("Name", name)
        .with("DurationSeconds", duration.as_secs().to_string())
        .with_some("Policy", policy)
        .with_tags("Tags", tags);
    let answer = sts.query(with_policy_arns(form, policy_arns))?;
    session(&answer, "GetFederationToken", "FederatedUser/Arn")
}

/// GetSessionToken: a session with what its user may do, but IAM and most of STS. With the
/// serial number of a device and its code, it is one with MFA.
///
/// # Errors
/// See [`Client::query`].
pub fn session_token(
    sts: &Client<'_>,
    duration: Duration,
    mfa: Option<(&str, &str)>,
) -> Result<Session, AwsError> {
    let form = form("GetSessionToken")
        .with("DurationSeconds", duration.as_secs().to_string())
        .with_some("SerialNumber", mfa.map(|(serial, _)| serial))
        .with_some("TokenCode", mfa.map(|(_, code)| code));
    session(&sts.query(form)?, "GetSessionToken", "")
}

impl AssumeRole<'_> {
    fn form(&self, action: &'static str) -> Form {
        let duration = self.duration.map(|time| time.as_secs().to_string());
        let form = form(action)
            .with("RoleArn", self.role_arn)
            .with("RoleSessionName", self.session_name)
            .with_some("DurationSeconds", duration.as_deref())
            .with_some("Policy", self.policy);
        with_policy_arns(form, self.policy_arns)
    }
}

fn form(action: &'static str) -> Form {
    Form::action(action, VERSION)
}

fn with_policy_arns(form: Form, arns: &[String]) -> Form {
    arns.iter().enumerate().fold(form, |form, (index, arn)| {
        form.with(&format!("PolicyArns.member.{}.arn", index + 1), arn)
    })
}

/// The session in an answer.
fn session(answer: &Element, action: &str, arn: &str) -> Result<Session, AwsError> {
    let result = answer.child(&format!("{action}Result"));
    let found = result.and_then(|result| {
        let text = |name: &str| {
            let text = result.text(&format!("Credentials/{name}"));
            (!text.is_empty()).then_some(text)
        };
        Some(Session {
            key: Credentials::of_session(
                text("AccessKeyId")?,
                Secret::new(text("SecretAccessKey")?),
                Secret::new(text("SessionToken")?),
            ),
            ends: text("Expiration")?.parse().ok()?,
            arn: result.text(arn).to_owned(),
        })
    });
    found.ok_or_else(|| unexpected(action))
}

fn unexpected(action: &str) -> AwsError {
    let sentence = format!("AWS answered sts:{action} with something else than it documents.");
    Failure::unavailable("unexpected_answer", sentence).into()
}

/// Of the API of STS.
const VERSION: &str = "2011-06-15";
