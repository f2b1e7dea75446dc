//! Writes a file on the host.

use std::fs;

use crate::{
    scene::{Outcome, Scene},
    text::outcome,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(outcome(&fs::write(scene.target, "written by a guest")))
}
