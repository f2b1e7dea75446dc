//! An HTTP client over what the host lends: it has no sockets, no TLS and no
//! redirects of its own. Every request needs a grant of the mount.
//!
//! ```
//! # use lessor_sdk::{http, prelude::*};
//! # #[derive(Serialize)]
//! # struct NewUser<'a> { name: &'a str }
//! # #[derive(Deserialize)]
//! # struct User { id: String }
//! fn make_user(ctx: &Context, token: &Secret) -> Result<User> {
//!     http::post("https://api.example.com/users")
//!         .bearer(token)
//!         .json(&NewUser { name: &ctx.principal_name })
//!         .call()?
//!         .json()
//! }
//! ```

mod response;
mod url;

use std::time::Duration;

use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::host::{self, HttpCall, HttpError};
use crate::network::NetworkError;
use crate::secret::Secret;

pub use response::Response;
#[cfg(feature = "aws")]
pub(crate) use url::split;
pub use url::{encode, url};

/// A request for the given URL.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A request for the given URL.
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

/// A request for the given URL.
pub fn put(url: impl Into<String>) -> Request {
    Request::new("PUT", url)
}

/// A request for the given URL.
pub fn patch(url: impl Into<String>) -> Request {
    Request::new("PATCH", url)
}

/// A request for the given URL.
pub fn delete(url: impl Into<String>) -> Request {
    Request::new("DELETE", url)
}

/// A request in the making. What is wrong with it is told by [`Request::send`].
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
    limit: usize,
    broken: Option<Failure>,
}

impl Request {
    /// A request with any method, in upper case, for an absolute `http` or
    /// `https` URL.
    pub fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            limit: LONGEST_BODY,
            broken: None,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Adds `authorization: Bearer …` (RFC 6750).
    pub fn bearer(self, token: &Secret) -> Self {
        self.header("authorization", format!("Bearer {}", token.expose()))
    }

    /// Adds a parameter to the query, encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url
            .push(if self.url.contains('?') { '&' } else { '?' });
        self.url.push_str(&encode(name));
        self.url.push('=');
        self.url.push_str(&encode(value));
        self
    }

    /// Sets the body, and the content type to JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.body(body).header("content-type", "application/json"),
            Err(error) => {
                self.broken = Some(error.into());
                self
            }
        }
    }

    /// Sets the body to `name=value` pairs, and the content type to
    /// `application/x-www-form-urlencoded`.
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        self.body(pairs.join("&"))
            .header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sets the body as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Limits connecting, and each wait for bytes. The host's own limit for
    /// the whole call holds anyway.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The longest body taken, in bytes; 1 MiB unless told.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Sends the request and takes an answer with a status of 2xx only; any
    /// other is the failure that [`Response::failure`] tells.
    pub fn call(self) -> Result<Response> {
        self.send()?.error_for_status()
    }

    /// Sends the request and reads the whole answer, whatever its status.
    pub fn send(self) -> Result<Response> {
        if let Some(failure) = self.broken {
            return Err(failure);
        }
        let url = url::split(&self.url)?;
        let timeout_ms = self
            .timeout
            .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        let call = HttpCall {
            method: self.method,
            url,
            headers: &self.headers,
            body: &self.body,
            timeout_ms,
            limit: self.limit,
        };
        let request = format!("{} {}", self.method, url::without_query(&self.url));
        match host::exchange(&call) {
            Ok(answer) => Ok(Response {
                request,
                status: answer.status,
                headers: answer.headers,
                body: answer.body,
            }),
            Err(HttpError::Network(cause)) => {
                Err(NetworkError::new(url::without_query(&self.url), cause).into())
            }
            Err(HttpError::TooLong) => Err(Failure::unavailable(
                "answer_too_long",
                format!("{request} answered with more than {} bytes.", self.limit),
            )),
            Err(HttpError::BadRequest(why)) => Err(Failure::internal(
                "bad_http_request",
                format!("{request} cannot be sent: {why}."),
            )),
        }
    }
}

/// Whether a failure of [`Request::send`] says that nothing was sent, so that upstream has
/// done nothing: no connection came about. False where that is not known.
pub fn never_sent(failure: &Failure) -> bool {
    NEVER_SENT.contains(&failure.code())
}

/// The codes of failures before the first byte; see [`NetworkError`].
const NEVER_SENT: [&str; 6] = [
    "network_denied",
    "name_unresolved",
    "unreachable",
    "tls_failed",
    "bad_url",
    "bad_http_request",
];

/// The host's own limit for what goes through a call, unless told otherwise.
const LONGEST_BODY: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_found_no_connection_was_never_sent() {
        use crate::network::NetworkCause as Cause;
        for (cause, never) in [
            (Cause::Denied("no grant".into()), true),
            (Cause::Unresolved, true),
            (Cause::Unreachable("ConnectionRefused".into()), true),
            (Cause::Tls("TlsCertificateError".into()), true),
            (Cause::Broken("HttpProtocolError".into()), false),
            (Cause::TimedOut, false),
            (Cause::Closed, false),
        ] {
            let failure = Failure::from(NetworkError::new("https://a.example", cause));
            assert_eq!(never_sent(&failure), never, "{failure}");
        }
        assert!(never_sent(&get("a.example").send().err().unwrap()));
        assert!(!never_sent(&Failure::unavailable("http_503", "Later.")));
    }

    #[test]
    fn a_query_is_encoded_and_kept_out_of_messages() {
        let request = get("https://a.example/x")
            .query("na me", "a&b=c/é")
            .query("token", "hunter2");
        assert_eq!(
            request.url,
            "https://a.example/x?na%20me=a%26b%3Dc%2F%C3%A9&token=hunter2"
        );
        assert_eq!(url::without_query(&request.url), "https://a.example/x");
    }
}
