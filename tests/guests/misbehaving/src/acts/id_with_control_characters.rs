//! Gives its credential an id that would break lines and C strings.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    issued.id.push_str("\0\nforged line");
    Ok(issued)
}
