//! Logs one event with a million empty fields.

use std::fmt::Display;

use lessor_sdk::log;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let empty: &dyn Display = &"";
    log::info("fields", &vec![("", empty); 1_000_000]);
    scene.note("logged")
}
