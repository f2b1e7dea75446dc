//! Takes whatever upstream answers.

use lessor_sdk::http;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let response = http::get(scene.target).limit(usize::MAX).send()?;
    scene.note(response.body().len().to_string())
}
