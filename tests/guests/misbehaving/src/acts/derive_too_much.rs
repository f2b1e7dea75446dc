//! Asks for more derived bytes than the contract has.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let bytes = scene.ctx.derive("key", u32::MAX);
    scene.note(bytes.len().to_string())
}
