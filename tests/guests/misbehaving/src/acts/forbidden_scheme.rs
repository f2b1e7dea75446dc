//! Speaks HTTP to what is granted for byte streams only.

use lessor_sdk::http;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let url = format!("http://{}:{}/", scene.target, scene.number);
    scene.note(http::get(url).call()?.text())
}
