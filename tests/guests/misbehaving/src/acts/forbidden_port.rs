//! Connects to a port that no grant names, of a host that one names.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = upstream::connect("127.0.0.1", scene.number)?;
    scene.note(upstream::ask(&mut connection, "ping", "")?)
}
