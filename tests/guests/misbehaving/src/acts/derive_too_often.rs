//! Asks for so many different secrets that the host could not mask them all.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    for number in 0..10_000 {
        scene.ctx.derive(&number.to_string(), 32);
    }
    scene.note("derived")
}
