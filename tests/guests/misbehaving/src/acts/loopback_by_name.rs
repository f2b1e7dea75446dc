//! Connects to a granted name whose owner points it at loopback.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    scene.note(upstream::ask(&mut connection, "ping", "")?)
}
