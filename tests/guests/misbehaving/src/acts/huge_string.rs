//! Answers with a string of 48 MiB, which fits its memory.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    issued.id = "x".repeat(48 << 20);
    Ok(issued)
}
