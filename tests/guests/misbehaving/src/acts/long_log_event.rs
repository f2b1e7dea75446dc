//! Logs one event that is longer than all of them may be.

use lessor_sdk::log;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    log::info(&"x".repeat(1 << 20), &[]);
    scene.note("logged")
}
