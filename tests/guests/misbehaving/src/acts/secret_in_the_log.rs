//! Logs the root credential, the password and derived bytes.

use lessor_sdk::log;

use crate::{
    scene::{Outcome, Scene},
    text::hex,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let derived = hex(&scene.ctx.derive("key", 16));
    log::info(&format!("root {}\nnext line", scene.root), &[]);
    log::warn("made", &[("password", &"canary-password")]);
    log::error("derived", &[("key", &derived)]);
    scene.note(derived)
}
