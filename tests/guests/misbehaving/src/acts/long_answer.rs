//! Answers with a text of the role's number of bytes; without one, with more than an
//! answer may have, and less than is copied.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note("x".repeat(match scene.length() {
        0 => 2 << 20,
        length => length,
    }))
}
