//! Puts the password into the id, which the host keeps.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    issued.id = format!("{}/canary-password", scene.ctx.principal_name);
    Ok(issued)
}
