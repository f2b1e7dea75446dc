//! Has the host keep far more than it keeps for a mount, in far more values.

use std::time::Duration;

use lessor_sdk::memo;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let value = "v".repeat(16 << 10);
    for index in 0..scene.number {
        memo::keep_text(&index.to_string(), &value, Duration::from_secs(3600));
    }
    let kept = (0..scene.number).filter(|index| memo::text(&index.to_string()).is_some());
    scene.note(format!("kept: {}", kept.count()))
}
