//! Waits for ever for an upstream that says nothing.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    scene.note(upstream::ask(&mut connection, "keep", "silent")?)
}
