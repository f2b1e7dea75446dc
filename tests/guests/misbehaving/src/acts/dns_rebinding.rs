//! Connects to a granted name that resolves to another address the next time.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    scene.note(upstream::ask(&mut connection, "ping", "")?)
}
