//! Asks an upstream that answers with interim responses without end.

use lessor_sdk::http;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let response = http::get(scene.target).send()?;
    scene.note(response.status().to_string())
}
