//! Sends a thousand HTTP requests, one after the other.

use lessor_sdk::http;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    for _ in 0..1000 {
        http::get(scene.target).send()?;
    }
    scene.note("sent")
}
