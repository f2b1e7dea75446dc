//! Gives its credential an empty id.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    issued.id.clear();
    Ok(issued)
}
