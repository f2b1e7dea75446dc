//! What can go wrong between this provider and a PostgreSQL server, before
//! anyone has decided what it means for the caller. Turning it into a failure
//! with advice is `sqlstate`'s work.

use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

/// An error of the protocol client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection could not be opened, or broke.
    #[error("the connection to PostgreSQL failed")]
    Network(#[from] io::Error),
    /// The server refused the login or a statement.
    #[error("{}", .0.message)]
    Refused(Box<ServerError>),
    /// The peer does not speak the protocol as it should.
    #[error("the server does not speak PostgreSQL's protocol as expected: {0}")]
    Protocol(&'static str),
    /// The server does not offer TLS and `sslmode` asks for it.
    #[error("the server does not offer TLS")]
    TlsNotOffered,
    /// The server wants a login method that cannot be had.
    #[error("the server asks for a login by {0}")]
    LoginMethod(&'static str),
    /// SCRAM (RFC 5802) failed on our side: the server does not know the
    /// password's verifier, or somebody sits between.
    #[error("the SCRAM exchange failed: {0}")]
    Scram(&'static str),
}

/// An `ErrorResponse` or `NoticeResponse`, cut to the fields that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING`, never translated.
    pub severity: String,
    /// Five characters, SQL standard and PostgreSQL's own:
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub code: String,
    /// The primary message, in the server's language. It may quote a part of
    /// the statement, and so a secret: `sqlstate` scrubs it.
    pub message: String,
    /// More about it, where the server says more.
    pub detail: Option<String>,
}

impl ServerError {
    /// Reads the fields of a response.
    pub fn read(mut fields: ErrorFields<'_>) -> Result<Self, Error> {
        let mut error = Self::default();
        while let Some(field) = fields.next()? {
            let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'V' => error.severity = text(),
                b'C' => error.code = text(),
                b'M' => error.message = text(),
                b'D' => error.detail = Some(text()),
                _ => {}
            }
        }
        Ok(error)
    }

    /// After this the server closes the connection.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl Error {
    /// The SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(&error.code),
            _ => None,
        }
    }

    /// Whether the connection is gone, so that another may do better.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Refused(error) => error.is_fatal(),
            _ => false,
        }
    }
}
