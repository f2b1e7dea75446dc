//! The refusals of a service of AWS, by type: of the query protocol (XML) and of JSON 1.1.
//!
//! The sentences name the privilege that was used (`iam:CreateUser`), and leave out what
//! AWS quotes of a request: its id, which tells nobody anything, and with a wrong
//! signature the whole request, the token of the session included.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::xml::Element;
use crate::failure::{Failure, FailureClass};
use crate::http::Response;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsError {
    /// AWS answered, and refused.
    Refused(Box<Refused>),
    /// It did not answer, or not in a way that can be read.
    Failed(Failure),
}

/// A refusal of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The privilege that the call needs: `iam:CreateUser`.
    pub action: String,
    /// The status of the answer.
    pub status: u16,
    /// AWS's own code: `AccessDenied`.
    pub code: String,
    /// AWS's own words, in one line, without what they quote of the request.
    pub message: String,
    /// By which AWS finds the call in its own logs.
    pub request_id: Option<String>,
    /// The time that AWS asks to wait.
    pub retry_after: Option<Duration>,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such key, or it is not active.
    UnknownKey,
    /// The secret does not belong to the key.
    WrongSecret,
    /// The session of the key is over.
    ExpiredKey,
    /// The clocks of host and AWS differ too much.
    ClockSkew,
    /// The key lacks a privilege.
    Denied,
    /// There is no such thing.
    NotFound,
    /// There is something in the way.
    Conflict,
    /// A quota of the account is reached.
    Quota,
    /// A parameter does not fit.
    Invalid,
    /// The region is not enabled for the account.
    RegionDisabled,
    /// AWS asks to slow down.
    Throttled,
    /// It passes.
    Passing,
    /// Any other.
    Other,
}

impl AwsError {
    /// The refusal, where AWS answered.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Failed(_) => None,
        }
    }

    /// The kind of the refusal, where AWS answered.
    pub fn kind(&self) -> Option<Kind> {
        self.refused().map(Refused::kind)
    }

    /// Whether AWS refused with this code.
    pub fn is(&self, code: &str) -> bool {
        self.refused().is_some_and(|refused| refused.code == code)
    }
}

impl Refused {
    /// Reads the refusal in an answer; none where it is a success.
    pub(super) fn of(action: &str, answer: &Response) -> Option<Self> {
        let text = answer.text();
        let found = if text.trim_start().starts_with('{') {
            of_json(answer, &serde_json::from_str(&text).ok()?)
        } else {
            Element::parse(&text).ok().and_then(|root| of_xml(&root))
        };
        let (code, message, request_id) = match found {
            Some(found) => found,
            None if answer.is_success() => return None,
            None => (format!("http_{}", answer.status()), String::new(), None),
        };
        let request_id = request_id.or_else(|| {
            let header = answer.header("x-amzn-requestid");
            header.map(str::to_owned)
        });
        let seconds = answer.header("retry-after");
        let retry_after = seconds.and_then(|seconds| seconds.trim().parse().ok());
        Some(Self {
            action: action.to_owned(),
            status: answer.status(),
            code,
            message: sanitised(&message),
            request_id,
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    /// The kind of the refusal, by its code and, where that is no known one, by its status.
    pub fn kind(&self) -> Kind {
        let skewed = ["Signature expired", "Signature not yet current"];
        let is_skewed = skewed.iter().any(|start| self.message.starts_with(start));
        match self.code.as_str() {
            _ if is_skewed => Kind::ClockSkew,
            "RequestTimeTooSkewed" | "RequestExpired" => Kind::ClockSkew,
            "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "AuthFailure"
            | "NotSignedUp" => Kind::UnknownKey,
            "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
                Kind::WrongSecret
            }
            "ExpiredToken" | "ExpiredTokenException" => Kind::ExpiredKey,
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "NotAuthorized"
            | "OptInRequired" => Kind::Denied,
            "NoSuchEntity"
            | "NoSuchEntityException"
            | "ResourceNotFoundException"
            | "ParameterNotFound"
            | "ParameterVersionNotFound" => Kind::NotFound,
            "EntityAlreadyExists" | "ResourceExistsException" | "DeleteConflict" => Kind::Conflict,
            "LimitExceeded" | "LimitExceededException" | "ServiceQuotaExceededException" => {
                Kind::Quota
            }
            "MalformedPolicyDocument"
            | "PackedPolicyTooLarge"
            | "ValidationError"
            | "ValidationException"
            | "InvalidInput"
            | "InvalidParameterValue"
            | "InvalidParameterException"
            | "PolicyNotAttachable"
            | "InvalidIdentityToken" => Kind::Invalid,
            "RegionDisabledException" => Kind::RegionDisabled,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "PriorRequestNotComplete"
            | "EC2ThrottledException"
            | "SlowDown" => Kind::Throttled,
            "ServiceFailure"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "InternalFailure"
            | "InternalError"
            | "InternalServiceError"
            | "InternalServerError"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "ConcurrentModification"
            | "EntityTemporarilyUnmodifiable"
            | "IDPCommunicationError" => Kind::Passing,
            _ => match self.status {
                429 => Kind::Throttled,
                408 | 425 | 500..=599 => Kind::Passing,
                401 | 403 => Kind::Denied,
                404 => Kind::NotFound,
                409 => Kind::Conflict,
                _ => Kind::Other,
            },
        }
    }

    fn class(&self) -> FailureClass {
        match self.kind() {
            Kind::UnknownKey | Kind::WrongSecret | Kind::ExpiredKey | Kind::Denied => {
                FailureClass::Denied
            }
            Kind::ClockSkew | Kind::Passing => FailureClass::Unavailable,
            Kind::NotFound => FailureClass::NotFound,
            Kind::Conflict | Kind::Quota => FailureClass::Conflict,
            Kind::Invalid | Kind::RegionDisabled | Kind::Other => FailureClass::InvalidConfig,
            Kind::Throttled => FailureClass::RateLimited,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, code) = (&self.action, &self.code);
        let said = match self.message.trim_end_matches('.') {
            "" => String::new(),
            message => format!(": {message}"),
        };
        match self.kind() {
            Kind::UnknownKey => write!(
                f,
                "AWS does not know the access key that {action} was called with ({code}): look whether it is active, and of this partition and region"
            ),
            Kind::WrongSecret => write!(
                f,
                "AWS does not take the signature of {action} ({code}): the secret key does not belong to the access key, so write both again"
            ),
            Kind::ExpiredKey => write!(
                f,
                "the session that {action} was called with is over ({code}): give a root credential that lasts, or a new one"
            ),
            Kind::ClockSkew => write!(
                f,
                "AWS does not take the time of {action} ({code}): the clock of this machine is more than five minutes off, so set it"
            ),
            Kind::Denied => write!(
                f,
                "AWS denied {action} to the root credential{said} ({code}); allow {action} in its policy"
            ),
            Kind::Quota => write!(
                f,
                "a quota of the AWS account stopped {action}{said} ({code}); end what is not needed any more, or have the quota raised"
            ),
            Kind::RegionDisabled => write!(
                f,
                "AWS has the region of {action} not enabled for this account ({code}): enable it, or name another one"
            ),
            Kind::Throttled => write!(f, "AWS asks to slow down with {action} ({code})"),
            _ => write!(f, "AWS refused {action}{said} ({code})"),
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Failed(failure) => f.write_str(failure.message()),
        }
    }
}

impl std::error::Error for AwsError {}

impl From<Failure> for AwsError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<AwsError> for Failure {
    /// The code of a failure is `aws_` and AWS's own.
    fn from(error: AwsError) -> Self {
        let refused = match error {
            AwsError::Failed(failure) => return failure,
            AwsError::Refused(refused) => refused,
        };
        let code = format!("aws_{}", refused.code);
        let failure = Failure::new(refused.class(), code, format!("{refused}."));
        match refused.retry_after {
            Some(wait) => failure.with_retry_after(wait),
            None => failure,
        }
    }
}

/// Code, message, and the id of the request.
type Found = (String, String, Option<String>);

/// `<ErrorResponse><Error><Code>…` of the query protocol, `<Response><Errors><Error>…` of
/// EC2, `<Error><Code>…` of S3.
fn of_xml(root: &Element) -> Option<Found> {
    let error = match root.name.as_str() {
        "ErrorResponse" | "Response" => {
            let listed = || root.find("Errors/Error");
            root.child("Error").or_else(listed)?
        }
        "Error" => root,
        _ => return None,
    };
    let ids = [root.text("RequestId"), root.text("RequestID")];
    let id = ids.into_iter().find(|id| !id.is_empty());
    Some((
        error.text("Code").to_owned(),
        error.text("Message").to_owned(),
        id.map(str::to_owned),
    ))
}

/// `__type` and `message` of the JSON protocols; the type may also stand in a header.
fn of_json(answer: &Response, body: &Value) -> Option<Found> {
    let told = body["__type"].as_str().or(body["code"].as_str());
    let told = answer.header("x-amzn-errortype").or(told)?;
    // `com.amazonaws.secretsmanager#ResourceNotFoundException:http://…`
    let code = told.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let is_error = ["Exception", "Error", "Fault", "Failure"];
    let named = is_error.iter().any(|end| code.ends_with(end));
    if answer.is_success() && !named {
        return None;
    }
    let message = body["message"].as_str().or(body["Message"].as_str());
    let message = message.unwrap_or_default().to_owned();
    Some((code.to_owned(), message, None))
}

/// One line of at most 300 letters, without the id of the request and without what is
/// quoted of a signature.
fn sanitised(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut kept = Vec::new();
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or_default();
        if word.eq_ignore_ascii_case("request") && next.to_ascii_lowercase().starts_with("id:") {
            words.next();
            words.next();
        } else if !word.contains("Credential=") && !word.contains("Signature=") {
            kept.push(word);
        }
    }
    let text = kept.join(" ");
    text.trim_end_matches(',').chars().take(LONGEST).collect()
}

/// Longer texts of AWS quote a policy, or a request.
const LONGEST: usize = 300;

#[cfg(test)]
mod tests;
