//! Fails with the token that an earlier call has kept.

use lessor_sdk::{memo, prelude::*};

use crate::scene::{Outcome, Scene};

pub(crate) fn act(_: &Scene<'_>) -> Outcome {
    let token = memo::text("k").unwrap_or_default();
    let message = format!("upstream refused {}", token);
    Err(Failure::denied("token_refused", message))
}
