//! Panics with the root credential in its last words.

use crate::scene::{Outcome, Scene};

#[expect(clippy::panic, reason = "to panic is what this guest is for")]
pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    panic!("could not log in as {}", scene.root);
}
