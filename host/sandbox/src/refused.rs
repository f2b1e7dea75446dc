//! The reasons why a component was not compiled.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{Limit, Limits};
use crate::plugin_store::PluginError;

/// The reason why a component was not compiled.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub(super) enum Refused {
    /// It is no component.
    #[error("it is no component: {0}")]
    Malformed(String),
    /// It is made of more than a component may be.
    #[error("{0}")]
    TooMuch(String),
    /// It begins with more than a call may use.
    #[error("it begins with more than the limit `{0}`")]
    Beyond(Limit),
    /// Compiling it took more memory or time than it may.
    #[error("{0}")]
    Costly(String),
    /// The compiler could not do its work.
    #[error("{0}")]
    Failed(String),
}

impl Refused {
    /// The same for an operator.
    pub(super) fn explained(self, limits: &Limits) -> PluginError {
        let shortened = |text: String| text.chars().take(512).collect();
        match self {
            Self::Malformed(reason) => PluginError::NotAComponent {
                reason: shortened(reason),
            },
            Self::TooMuch(reason) | Self::Costly(reason) => PluginError::TooMuch {
                reason: shortened(reason),
            },
            Self::Beyond(limit) => PluginError::Limit(limit.failure(limits, Duration::ZERO)),
            Self::Failed(reason) => PluginError::Prepare {
                reason: shortened(reason),
            },
        }
    }
}
