//! A refusal as it is answered: a status, and sentences for the caller.
//!
//! One place maps [`Refusal`] to statuses. The text of an internal error goes to
//! the log; the caller gets the request id to look for it there.

use std::{error::Error, time::Duration};

use http::StatusCode;
use lessor_model::{
    id::InvalidId,
    provider::{Failure, FailureClass},
    refusal::Refusal,
};

/// An answer that says no.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    errors: Vec<String>,
    retry_after: Option<Duration>,
    /// The methods that the path takes, where the request's method is not one of them.
    allow: Option<String>,
    /// For the log only.
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// The changes that were made before the refusal, if there were any.
    left: Option<String>,
}

impl ApiError {
    /// A status and one sentence.
    pub(super) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self {
            status,
            errors: vec![sentence.into()],
            retry_after: None,
            allow: None,
            cause: None,
            left: None,
        }
    }

    /// 400 and one sentence.
    pub(super) fn bad_request(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, sentence)
    }

    /// Vault's `{"errors":[]}`: an empty list, or a path that nothing answers.
    pub(super) fn nothing_here() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            cause: None,
            left: None,
        }
    }

    /// No token, a wrong one, or one that may not: the caller learns no more.
    pub(super) fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission denied")
    }

    /// The path is known and does not take this method.
    pub(super) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "unsupported operation: this path does not take this method",
        )
    }

    /// A defect or a broken machine.
    pub(super) fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            cause: Some(cause.into()),
            left: None,
        }
    }

    /// The audit log takes no lines, which its device's owner can mend; the log
    /// has the reason.
    pub(super) fn unaudited(consequence: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the audit log takes no lines (disk full, or failing): {consequence}"),
        )
    }

    /// The same; for something that does not exist, without a sentence, where Vault answers
    /// with an empty list.
    pub(super) fn without_sentence(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.errors.clear();
        }
        self
    }

    /// The same, with the changes that were made before.
    fn after(mut self, left: String) -> Self {
        if let Some(last) = self.errors.last_mut() {
            last.push_str("; ");
            last.push_str(&left);
        } else {
            self.left = Some(left);
        }
        self
    }

    /// The same for a reader of a document without a token: the reason may name contents of the
    /// config, so only the log has it.
    pub(super) fn undisclosed(mut self) -> Self {
        if self.cause.is_none() {
            self.errors =
                vec!["the document cannot be had now; the server's log says why".to_owned()];
        }
        self
    }

    /// The same with `Retry-After`.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same, which names the methods that are taken where this one is not (RFC 9110,
    /// 15.5.6), unless it names them already.
    pub(super) fn allowing(mut self, methods: &[&str]) -> Self {
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            self.allow.get_or_insert_with(|| methods.join(", "));
        }
        self
    }

    /// The methods that are taken instead.
    pub(super) fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The same, with the parts of the request that were not used: one of them may be the
    /// reason.
    pub(super) fn noticing(mut self, notices: &[String]) -> Self {
        if self.status == StatusCode::BAD_REQUEST
            && let [sentence] = self.errors.as_mut_slice()
        {
            for notice in notices.iter().take(2) {
                sentence.push_str("; ");
                sentence.push_str(notice);
            }
        }
        self
    }

    /// The same, with its sentences in other words.
    pub(super) fn told(mut self, told: impl Fn(&str) -> String) -> Self {
        for sentence in &mut self.errors {
            *sentence = told(sentence);
        }
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentences for the caller.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Whole seconds for `Retry-After`, at least one.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after
            .map(|wait| wait.as_millis().div_ceil(1000).max(1))
            .map(|seconds| u64::try_from(seconds).unwrap_or(u64::MAX))
    }

    /// The chain of causes, for the log.
    pub(super) fn cause(&self) -> Option<String> {
        let mut next: Option<&dyn Error> = self.cause.as_deref().map(|cause| cause as &dyn Error);
        let mut parts = Vec::new();
        while let Some(error) = next {
            parts.push(error.to_string());
            next = error.source();
        }
        (!parts.is_empty()).then(|| parts.join(": "))
    }

    /// Sentences for the caller, under the id that the log has too.
    pub(super) fn sentences(&self, request_id: &str) -> Vec<String> {
        if self.cause.is_some() {
            let sentence = format!(
                "internal error: the server's log has the reason under request id {request_id}"
            );
            vec![match &self.left {
                Some(left) => format!("{sentence}; {left}"),
                None => sentence,
            }]
        } else {
            self.errors.clone()
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(sentence) => Self::new(StatusCode::BAD_REQUEST, sentence),
            Refusal::Denied => Self::denied(),
            Refusal::NotFound(sentence) => Self::new(StatusCode::NOT_FOUND, sentence),
            Refusal::Conflict(sentence) => Self::new(StatusCode::CONFLICT, sentence),
            Refusal::Limit {
                message,
                retry_after,
            } => Self::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(retry_after),
            Refusal::NotYet {
                message,
                retry_after,
            } => Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(retry_after),
            Refusal::Unavailable(sentence) => Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence),
            Refusal::Provider(failure) => failure.into(),
            Refusal::Internal(cause) => Self::internal(cause),
            Refusal::Partly { cause, left } => match *cause {
                Refusal::Provider(failure) => failure.after(&left).into(),
                other => Self::from(other).after(left),
            },
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let status = match failure.class {
            FailureClass::InvalidConfig | FailureClass::InvalidRequest => StatusCode::BAD_REQUEST,
            FailureClass::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            FailureClass::Unsupported => StatusCode::NOT_IMPLEMENTED,
            FailureClass::Denied
            | FailureClass::NotFound
            | FailureClass::Conflict
            | FailureClass::Unavailable
            | FailureClass::Internal => StatusCode::BAD_GATEWAY,
        };
        let error = Self::new(status, failure.to_string());
        match failure.retry_after {
            Some(wait) => error.retry_after(wait),
            // 429 without a time is of no use to a client that waits.
            None if status == StatusCode::TOO_MANY_REQUESTS => {
                error.retry_after(Duration::from_secs(1))
            }
            None => error,
        }
    }
}

impl From<InvalidId> for ApiError {
    fn from(error: InvalidId) -> Self {
        Self::bad_request(error.to_string())
    }
}
