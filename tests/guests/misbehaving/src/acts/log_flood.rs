//! Logs without end in sight.

use lessor_sdk::log;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    for number in 0..scene.number {
        log::info(&format!("flood {number}"), &[]);
    }
    scene.note("logged")
}
