//! Waits for others to connect.

use std::net::TcpListener;

use crate::{
    scene::{Outcome, Scene},
    text::outcome,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(outcome(&TcpListener::bind("127.0.0.1:0")))
}
