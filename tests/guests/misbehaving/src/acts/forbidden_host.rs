//! Connects to a host that no grant names.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = upstream::connect("127.0.0.2", scene.number)?;
    scene.note(upstream::ask(&mut connection, "ping", "")?)
}
