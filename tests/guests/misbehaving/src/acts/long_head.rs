//! Asks an upstream whose answer begins with more headers than fit.

use lessor_sdk::http;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let response = http::get(scene.target).send()?;
    scene.note(response.status().to_string())
}
