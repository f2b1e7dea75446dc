//! Sends a datagram.

use std::net::UdpSocket;

use crate::{
    scene::{Outcome, Scene},
    text::outcome,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let port = u16::try_from(scene.number).unwrap_or_default();
    let sent = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.send_to(b"ping", (scene.target, port)));
    scene.note(outcome(&sent))
}
