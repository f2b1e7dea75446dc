//! Asks for a connection under the key by which another mount left one.

use lessor_sdk::prelude::*;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(format!("found: {}", Connection::unpark("k").is_some()))
}
