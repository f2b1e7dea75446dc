//! Logs the root credential as basic authentication writes it.

use lessor_sdk::log;

use crate::{
    scene::{Outcome, Scene},
    text::base64,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    for user in ["", "u", "us", "user:"] {
        let basic = base64(&format!("{user}{}", scene.root));
        log::info("authorization", &[("basic", &basic)]);
    }
    scene.note("logged")
}
