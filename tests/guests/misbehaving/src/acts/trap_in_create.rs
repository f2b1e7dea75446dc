//! Makes a principal and crashes before it has said so.

use crate::{
    scene::{Outcome, Scene},
    upstream,
};

#[expect(clippy::panic, reason = "to crash is what this guest is for")]
pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut connection = scene.connect()?;
    upstream::ask(&mut connection, "make", &scene.ctx.principal_name)?;
    panic!("the principal is made");
}
