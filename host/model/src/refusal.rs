//! An engine's refusals: the kinds of "no", each with one sentence for the caller.
//!
//! `mount`, `role`, `connection_config`, `lease`, `rotation` and `catalog` answer with
//! this type, so that `api` maps it to a status in one place and never branches
//! on text. It knows neither storage nor keys: a layer with errors of its own turns them into a
//! `Refusal` at its edge. Details that do not help the caller travel as the source of
//! [`Refusal::Internal`] and are logged, not answered.

use std::time::Duration;

use crate::{id::InvalidId, provider::Failure, random::RandomError};

/// A request that was not carried out. Only [`Refusal::Partly`] leaves a change behind, and
/// names it; with any other, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is wrong; the sentence names the field and the way out.
    #[error("{0}")]
    Invalid(String),
    /// The caller is not allowed to; no more is told.
    #[error("permission denied")]
    Denied,
    /// There is no such mount, role, lease or plugin.
    #[error("{0}")]
    NotFound(String),
    /// Something that exists stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// A cap is reached.
    #[error("{message}")]
    Limit {
        /// The cap, and the person who may raise it.
        message: String,
        /// The time after which to come back.
        retry_after: Duration,
    },
    /// The thing asked for is still being prepared.
    #[error("{message}")]
    NotYet {
        /// The name of that thing.
        message: String,
        /// The time after which to come back.
        retry_after: Duration,
    },
    /// The host cannot do this now: storage refuses writes, a plugin is missing.
    #[error("{0}")]
    Unavailable(String),
    /// The provider, or upstream through it, said no.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// A defect or a broken machine; the source is for the log.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Refused half way: earlier changes stay.
    #[error("{}", half_way(cause, left))]
    Partly {
        /// The reason why it went no further.
        cause: Box<Self>,
        /// The changes that stay, as the end of a sentence.
        left: String,
    },
}

impl Refusal {
    /// Wraps an error that the caller can do nothing about.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(source))
    }

    /// The same, after something was changed; `left` names the changes that stay.
    #[must_use]
    pub fn after(self, left: impl Into<String>) -> Self {
        Self::Partly {
            cause: Box::new(self),
            left: left.into(),
        }
    }

    /// The reason of the refusal, leaving earlier changes aside.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Partly { cause, .. } => cause.cause(),
            other => other,
        }
    }
}

/// The reason and the changes that stay. A failure keeps its code at its end, where clients
/// look.
fn half_way(cause: &Refusal, left: &str) -> String {
    match cause {
        Refusal::Provider(failure) => failure.clone().after(left).to_string(),
        other => format!("{other}; {left}"),
    }
}

impl From<InvalidId> for Refusal {
    fn from(error: InvalidId) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<RandomError> for Refusal {
    fn from(error: RandomError) -> Self {
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::FailureClass;

    #[test]
    fn a_refusal_half_way_says_why_and_what_is_so_now() {
        let refused = Refusal::Conflict("it is being made".into()).after("it is marked");
        assert_eq!(refused.to_string(), "it is being made; it is marked");
        let twice = refused.after("and kept");
        assert_eq!(
            twice.to_string(),
            "it is being made; it is marked; and kept"
        );
        assert!(matches!(twice.cause(), Refusal::Conflict(_)));

        let failure = Failure {
            class: FailureClass::Unavailable,
            code: "timeout".into(),
            message: "No answer came.".into(),
            retry_after: None,
            reached_upstream: true,
        };
        let refused = Refusal::from(failure).after("it is looked for");
        assert_eq!(
            refused.to_string(),
            "No answer came; it is looked for (timeout)"
        );
    }
}
