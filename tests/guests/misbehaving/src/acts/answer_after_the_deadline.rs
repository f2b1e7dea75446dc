//! Makes a principal, and hears of it only when the host has given up.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    let name = &scene.ctx.principal_name;
    scene.note(upstream::ask(&mut connection, "make-late", name)?)
}
