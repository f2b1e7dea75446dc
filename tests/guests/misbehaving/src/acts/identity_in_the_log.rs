//! Logs the token that says who it is, and fails with it.

use lessor_sdk::{identity, log, prelude::*};

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let token = identity::token(scene.target)?;
    log::info(&format!("I am {}", token.expose()), &[]);
    let message = format!("upstream refused {}", token.expose());
    Err(Failure::denied("token_refused", message))
}
