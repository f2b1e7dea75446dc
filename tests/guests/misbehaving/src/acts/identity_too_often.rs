//! Asks who it is more often than a call may.

use lessor_sdk::identity;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    for _ in 0..scene.number {
        identity::token(scene.target)?;
    }
    scene.note("asked")
}
