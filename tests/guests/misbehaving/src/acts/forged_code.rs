//! Fails with a code of the host's own, or one that begins as the host's limits do.

use lessor_sdk::prelude::*;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    Err(Failure::denied(scene.target, "not the host"))
}
