//! Why the network did not do what was asked, for streams and HTTP alike. The
//! text of a denial is the host's own and says how to grant, so it is passed
//! on as it is.

use std::error::Error;
use std::fmt;
use std::io;

use crate::failure::Failure;

/// A network error, with whom it was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// `host:port` or the URL without its query.
    pub peer: String,
    /// What went wrong.
    pub cause: NetworkCause,
}

/// What went wrong on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkCause {
    /// The mount has no grant for this; the text says how to give it.
    Denied(String),
    /// The name has no address.
    Unresolved,
    /// No connection came about.
    Unreachable(String),
    /// The connection broke off, or what came over it was no answer.
    Broken(String),
    /// TLS failed.
    Tls(String),
    /// The peer took too long.
    TimedOut,
    /// The peer closed the connection.
    Closed,
}

impl NetworkError {
    /// An error about `peer`.
    pub fn new(peer: impl Into<String>, cause: NetworkCause) -> Self {
        Self {
            peer: peer.into(),
            cause,
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = &self.peer;
        match &self.cause {
            NetworkCause::Denied(text) => formatter.write_str(text),
            NetworkCause::Unresolved => write!(formatter, "{peer}: the host name has no address"),
            NetworkCause::Unreachable(text) => {
                write!(formatter, "{peer} cannot be reached: {text}")
            }
            NetworkCause::Broken(text) => {
                write!(formatter, "the connection to {peer} broke off: {text}")
            }
            NetworkCause::Tls(text) => write!(formatter, "TLS with {peer} failed: {text}"),
            NetworkCause::TimedOut => write!(formatter, "{peer} did not answer in time"),
            NetworkCause::Closed => write!(formatter, "{peer} closed the connection"),
        }
    }
}

impl Error for NetworkError {}

impl From<NetworkError> for Failure {
    /// All but a denial may pass and are `Unavailable`: a certificate is
    /// mended, a name appears.
    fn from(error: NetworkError) -> Self {
        let message = error.to_string();
        match error.cause {
            NetworkCause::Denied(_) => Self::denied("network_denied", message),
            NetworkCause::Unresolved => Self::unavailable("name_unresolved", message),
            NetworkCause::Unreachable(_) => Self::unavailable("unreachable", message),
            NetworkCause::Broken(_) => Self::unavailable("connection_broken", message),
            NetworkCause::Tls(_) => Self::unavailable("tls_failed", message),
            NetworkCause::TimedOut => Self::unavailable("timed_out", message),
            NetworkCause::Closed => Self::unavailable("connection_closed", message),
        }
    }
}

impl From<NetworkError> for io::Error {
    /// The error itself stays inside, so that a [`Failure`] made of the io
    /// error loses nothing.
    fn from(error: NetworkError) -> Self {
        let kind = match error.cause {
            NetworkCause::Denied(_) => io::ErrorKind::PermissionDenied,
            NetworkCause::Unresolved | NetworkCause::Unreachable(_) => {
                io::ErrorKind::HostUnreachable
            }
            NetworkCause::Tls(_) => io::ErrorKind::InvalidData,
            NetworkCause::TimedOut => io::ErrorKind::TimedOut,
            NetworkCause::Closed | NetworkCause::Broken(_) => io::ErrorKind::ConnectionAborted,
        };
        io::Error::new(kind, error)
    }
}
