//! Gives its credential an id that no row should hold.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    issued.id = "x".repeat(513);
    Ok(issued)
}
