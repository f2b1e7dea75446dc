//! How a provider fails: a class for the host, which decides on it whether to
//! try again; a code for programs; a sentence for the person who must act.
//! Neither code nor message ever holds a secret, and so `?` on an error of
//! serde_json keeps the place and drops the value.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::crypto::CryptoError;
use crate::network::NetworkError;

/// What every function of a provider returns.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Ending something is success where it is already gone.
pub trait OrGone {
    /// Makes a failure of class `NotFound` a success.
    fn or_gone(self) -> Result<()>;
}

impl<T> OrGone for Result<T> {
    fn or_gone(self) -> Result<()> {
        match self {
            Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
            _ => Ok(()),
        }
    }
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    class: FailureClass,
    code: String,
    message: String,
    retry_after: Option<Duration>,
}

/// What kind of failure it is. The host retries `RateLimited`, `Unavailable`
/// and, where work must not be lost, the others too, more slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The configuration or role cannot work as it stands.
    InvalidConfig,
    /// The caller's request is wrong.
    InvalidRequest,
    /// Upstream refused the root credential, or it lacks a privilege.
    Denied,
    /// Upstream has no such thing.
    NotFound,
    /// Upstream already holds something in the way.
    Conflict,
    /// Upstream asked to slow down.
    RateLimited,
    /// Upstream could not be reached, or answered with a passing fault.
    Unavailable,
    /// The provider does not do this.
    Unsupported,
    /// A defect of the provider.
    Internal,
}

impl Failure {
    /// A failure of any class. `code` is stable and for programs
    /// (`role_missing`), `message` one clear sentence with the way out.
    pub fn new(class: FailureClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// The configuration or role cannot work as it stands.
    pub fn invalid_config(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::InvalidConfig, code, message)
    }

    /// The caller's request is wrong.
    pub fn invalid_request(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::InvalidRequest, code, message)
    }

    /// Upstream refused the root credential, or it lacks a privilege.
    pub fn denied(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Denied, code, message)
    }

    /// Upstream has no such thing.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::NotFound, code, message)
    }

    /// Upstream already holds something in the way.
    pub fn conflict(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Conflict, code, message)
    }

    /// Upstream asked to slow down; see [`Failure::retry_after`].
    pub fn rate_limited(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::RateLimited, code, message)
    }

    /// Upstream could not be reached, or answered with a passing fault.
    pub fn unavailable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Unavailable, code, message)
    }

    /// The provider does not do this.
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Unsupported, code, message)
    }

    /// A defect of the provider.
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Internal, code, message)
    }

    /// The same failure, with the time that upstream asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same failure, told with what was being done:
    /// `cannot drop role "x": …`.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What kind of failure it is.
    pub fn class(&self) -> FailureClass {
        self.class
    }

    /// The stable code, for programs.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long upstream asked to wait, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.code)
    }
}

impl Error for Failure {}

impl From<io::Error> for Failure {
    /// A [`Failure`] or [`NetworkError`] that travelled inside the io error
    /// comes out as it went in.
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        let text = error.to_string();
        let Some(inner) = error.into_inner() else {
            return from_io_kind(kind, text);
        };
        match inner.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(inner) => match inner.downcast::<NetworkError>() {
                Ok(network) => Failure::from(*network),
                Err(_) => from_io_kind(kind, text),
            },
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::other(failure)
    }
}

impl From<serde_json::Error> for Failure {
    /// Only the place is told: serde_json's own text quotes the value.
    fn from(error: serde_json::Error) -> Self {
        let message = format!(
            "JSON that the provider read or wrote is not what it expects: {} at line {} column {}",
            crate::json::explain(&error),
            error.line(),
            error.column()
        );
        Self::internal("unexpected_json", message)
    }
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        Self::internal("crypto", error.to_string())
    }
}

fn from_io_kind(kind: io::ErrorKind, text: String) -> Failure {
    use io::ErrorKind as Kind;
    match kind {
        Kind::UnexpectedEof
        | Kind::BrokenPipe
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::ConnectionRefused
        | Kind::NotConnected => Failure::unavailable("connection_closed", text),
        Kind::TimedOut | Kind::WouldBlock | Kind::Interrupted => {
            Failure::unavailable("timed_out", text)
        }
        Kind::InvalidData => Failure::unavailable("unexpected_answer", text),
        _ => Failure::internal("io", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkCause;

    #[test]
    fn a_denial_survives_the_way_through_an_io_error() {
        let grant = "allow tcp://db:5432 by allowed_hosts of the mount";
        let error = NetworkError::new("db:5432", NetworkCause::Denied(grant.into()));
        let failure = Failure::from(io::Error::from(error));
        assert_eq!(failure.class(), FailureClass::Denied);
        assert_eq!(failure.code(), "network_denied");
        assert_eq!(failure.message(), grant);
    }

    #[test]
    fn a_failure_survives_the_way_through_an_io_error() {
        let failure =
            Failure::rate_limited("slow", "Slow down.").with_retry_after(Duration::from_secs(3));
        assert_eq!(Failure::from(io::Error::from(failure.clone())), failure);
    }

    #[test]
    fn only_what_is_not_found_is_gone() {
        assert_eq!(Ok::<_, Failure>(7).or_gone(), Ok(()));
        assert_eq!(
            Err::<(), _>(Failure::not_found("role_missing", "No role.")).or_gone(),
            Ok(())
        );
        let denied = Failure::denied("token", "Wrong token.");
        assert_eq!(Err::<(), _>(denied.clone()).or_gone(), Err(denied));
    }

    #[test]
    fn a_plain_io_error_is_classed_by_its_kind() {
        for (kind, class) in [
            (io::ErrorKind::UnexpectedEof, FailureClass::Unavailable),
            (io::ErrorKind::TimedOut, FailureClass::Unavailable),
            (io::ErrorKind::InvalidInput, FailureClass::Internal),
        ] {
            assert_eq!(Failure::from(io::Error::from(kind)).class(), class);
            assert_eq!(Failure::from(io::Error::new(kind, "text")).class(), class);
        }
    }

    #[test]
    fn a_json_error_does_not_quote_the_value() {
        let error = serde_json::from_str::<u32>("\"hunter2\"").unwrap_err();
        let failure = Failure::from(error);
        assert!(!failure.message().contains("hunter2"), "{failure}");
        assert!(failure.message().contains("expected u32"), "{failure}");
    }
}
