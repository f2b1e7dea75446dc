//! Waits for an hour.

use std::time::Duration;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    std::thread::sleep(Duration::from_secs(3600));
    scene.note("awake")
}
