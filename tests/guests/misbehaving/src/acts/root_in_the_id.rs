//! Puts the root credential into the id, which the host keeps.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    issued.id = format!("{}@{}", scene.ctx.principal_name, scene.root);
    Ok(issued)
}
