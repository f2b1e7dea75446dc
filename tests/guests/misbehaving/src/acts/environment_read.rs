//! Reads the host's environment and arguments.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let (variables, arguments) = (std::env::vars_os().count(), std::env::args_os().count());
    scene.note(format!("{variables} variables, {arguments} arguments"))
}
