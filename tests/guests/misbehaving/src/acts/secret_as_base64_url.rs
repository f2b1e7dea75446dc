//! Logs the root credential as a token writes it.

use lessor_sdk::log;

use crate::{
    scene::{Outcome, Scene},
    text::base64_url,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    for user in ["", "u", "us", "user:"] {
        let claims = base64_url(&format!("{user}{}", scene.root));
        log::info("claims", &[("payload", &claims)]);
    }
    scene.note("logged")
}
