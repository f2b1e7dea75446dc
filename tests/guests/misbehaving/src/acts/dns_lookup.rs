//! Resolves a name of its own, by which data would leave.

use std::net::ToSocketAddrs as _;

use crate::{
    scene::{Outcome, Scene},
    text::outcome,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(outcome(&("canary-root.inner.test", 1).to_socket_addrs()))
}
