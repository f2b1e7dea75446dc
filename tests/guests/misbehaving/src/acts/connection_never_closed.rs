//! Opens a connection and forgets it.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    std::mem::forget(scene.connect()?);
    scene.note("forgotten")
}
