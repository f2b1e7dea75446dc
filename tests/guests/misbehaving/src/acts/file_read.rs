//! Reads files of the host.

use std::fs;

use crate::{
    scene::{Outcome, Scene},
    text::outcome,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(format!(
        "file: {}, folder: {}",
        outcome(&fs::read("/etc/passwd")),
        outcome(&fs::read_dir("/")),
    ))
}
