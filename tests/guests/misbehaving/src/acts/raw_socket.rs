//! Opens a socket of its own, to an address that is granted.

use std::net::TcpStream;

use crate::{
    scene::{Outcome, Scene},
    text::outcome,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let port = u16::try_from(scene.number).unwrap_or_default();
    scene.note(outcome(&TcpStream::connect((scene.target, port))))
}
