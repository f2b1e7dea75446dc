//! The answer of an upstream, and the failure that its status stands for.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::failure::{Failure, FailureClass, Result};

/// An answer with its whole body.
#[derive(Clone)]
pub struct Response {
    pub(super) request: String,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What was asked: method and URL, without its query. For messages.
    pub fn request(&self) -> &str {
        &self.request
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

#[cfg(test)]
mod tests {
    use super::*;

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
