//! Connects to loopback as an IPv6 address.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = upstream::connect("::ffff:127.0.0.1", scene.number)?;
    scene.note(upstream::ask(&mut connection, "ping", "")?)
}
