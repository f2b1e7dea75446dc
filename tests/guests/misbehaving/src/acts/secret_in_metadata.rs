//! Puts the root credential and the password into the facts that the host keeps.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let note = format!("{} and canary-password", scene.root);
    Ok(scene.note("")?.fact("note", note).fact("kept", "plain"))
}
