//! Logs the root credential as a dump writes it, in both cases.

use lessor_sdk::log;

use crate::{
    scene::{Outcome, Scene},
    text::hex,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let dump = hex(scene.root.as_bytes());
    log::info("dump", &[("lower", &dump), ("upper", &dump.to_uppercase())]);
    scene.note("logged")
}
