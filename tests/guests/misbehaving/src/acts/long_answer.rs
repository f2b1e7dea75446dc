//! Answers with more text than an answer may have, and less than is copied.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note("x".repeat(2 << 20))
}
