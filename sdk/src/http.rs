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

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, FailureClass, Result};
use crate::host::{self, HttpCall, HttpError, HttpUrl};
use crate::network::NetworkError;
use crate::secret::Secret;

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

/// One part of a URL's path, or of a query, with everything encoded that has a
/// meaning there (RFC 3986): a `/` in a user's name stays in its segment.
pub fn encode(part: &str) -> Cow<'_, str> {
    utf8_percent_encode(part, RESERVED).into()
}

/// `base` with path segments added, each encoded.
pub fn url(base: &str, segments: &[&str]) -> String {
    let mut url = base.trim_end_matches('/').to_owned();
    for segment in segments {
        url.push('/');
        url.push_str(&encode(segment));
    }
    url
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
        let url = split(&self.url)?;
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
        let request = format!("{} {}", self.method, without_query(&self.url));
        match host::exchange(&call) {
            Ok(answer) => Ok(Response {
                request,
                status: answer.status,
                headers: answer.headers,
                body: answer.body,
            }),
            Err(HttpError::Network(cause)) => {
                Err(NetworkError::new(without_query(&self.url), cause).into())
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

/// An answer with its whole body.
#[derive(Clone)]
pub struct Response {
    request: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as it came.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body read as JSON. An answer that does not fit is told without its
    /// values.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!(
                "{} answered with JSON that the provider does not understand: {}.",
                self.request,
                crate::json::explain(&error)
            );
            Failure::unavailable("unexpected_answer", message)
        })
    }

    /// The response itself where its status is 2xx, else the failure that its
    /// status stands for.
    pub fn error_for_status(self) -> Result<Self> {
        if self.is_success() {
            Ok(self)
        } else {
            Err(self.failure(format!("{} answered {}.", self.request, self.status)))
        }
    }

    /// The failure that the status stands for, with a message of the
    /// provider's own: upstream's text where it is known to hold no secret.
    ///
    /// | status | class |
    /// |---|---|
    /// | 401, 403 | `Denied` |
    /// | 404, 410 | `NotFound` |
    /// | 409, 412 | `Conflict` |
    /// | 429 | `RateLimited`, with `Retry-After` |
    /// | 408, 425, 5xx | `Unavailable`, with `Retry-After` |
    /// | other 4xx | `InvalidRequest` |
    /// | 3xx | `InvalidConfig`: redirects are not followed |
    pub fn failure(&self, message: impl Into<String>) -> Failure {
        let class = match self.status {
            401 | 403 => FailureClass::Denied,
            404 | 410 => FailureClass::NotFound,
            409 | 412 => FailureClass::Conflict,
            429 => FailureClass::RateLimited,
            408 | 425 | 500..=599 => FailureClass::Unavailable,
            400..=499 => FailureClass::InvalidRequest,
            300..=399 => FailureClass::InvalidConfig,
            _ => FailureClass::Internal,
        };
        let failure = Failure::new(class, format!("http_{}", self.status), message);
        // Retry-After may also be a date, which needs upstream's clock: the
        // host's own pace serves as well then.
        match self
            .header("retry-after")
            .and_then(|seconds| seconds.trim().parse().ok())
        {
            Some(seconds) => failure.with_retry_after(Duration::from_secs(seconds)),
            None => failure,
        }
    }
}

/// Splits an absolute URL as wasi:http wants it, without its fragment.
fn split(url: &str) -> Result<HttpUrl<'_>> {
    let refuse = |why: &str| {
        Failure::invalid_config(
            "bad_url",
            format!(
                "{} is not a URL that can be called: {why}.",
                without_query(url)
            ),
        )
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| refuse("it does not start with https:// or http://"))?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(refuse("it does not start with https:// or http://")),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    if authority.is_empty() {
        return Err(refuse("it names no host"));
    }
    if authority.contains('@') {
        return Err(refuse("user and password do not belong in a URL"));
    }
    if path_and_query.starts_with('?') {
        return Err(refuse("it needs a / before the ?"));
    }
    let path_and_query = if path_and_query.is_empty() {
        "/"
    } else {
        path_and_query
    };
    Ok(HttpUrl {
        https,
        authority,
        path_and_query,
    })
}

/// A URL fit for messages: a query may hold a token, and so may user-info.
fn without_query(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The host's own limit for what goes through a call, unless told otherwise.
const LONGEST_BODY: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_and_odd_ones_are_refused() {
        for (url, https, authority, path) in [
            ("https://a.example", true, "a.example", "/"),
            (
                "HTTP://a.example:8080/x?y=/z#f",
                false,
                "a.example:8080",
                "/x?y=/z",
            ),
            ("https://[::1]:9/x", true, "[::1]:9", "/x"),
        ] {
            let split = split(url).unwrap();
            assert_eq!(
                (split.https, split.authority, split.path_and_query),
                (https, authority, path)
            );
        }
        for url in [
            "a.example/x",
            "ftp://a.example",
            "https:///x",
            "https://u:hunter2@a.example/x",
            "https://a?b",
        ] {
            let failure = split(url).err().unwrap();
            assert_eq!(failure.class(), FailureClass::InvalidConfig);
            assert!(!failure.message().contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(
            url("https://a.example/v1/", &["keys", "../x?y#z"]),
            "https://a.example/v1/keys/..%2Fx%3Fy%23z"
        );
        assert_eq!(url("https://a.example", &[]), "https://a.example");
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
        assert_eq!(without_query(&request.url), "https://a.example/x");
    }

    #[test]
    fn every_status_has_its_failure_class() {
        for (status, class) in [
            (301, FailureClass::InvalidConfig),
            (400, FailureClass::InvalidRequest),
            (401, FailureClass::Denied),
            (403, FailureClass::Denied),
            (404, FailureClass::NotFound),
            (408, FailureClass::Unavailable),
            (409, FailureClass::Conflict),
            (422, FailureClass::InvalidRequest),
            (429, FailureClass::RateLimited),
            (500, FailureClass::Unavailable),
            (503, FailureClass::Unavailable),
        ] {
            let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
            let response = Response {
                request: "GET https://a.example".to_owned(),
                status,
                headers,
                body: Vec::new(),
            };
            let failure = response.error_for_status().err().unwrap();
            assert_eq!(
                (failure.class(), failure.code()),
                (class, format!("http_{status}").as_str())
            );
            assert_eq!(failure.retry_after(), Some(Duration::from_secs(7)));
        }
    }
}
