//! Calls itself until the stack of its calls is used up: nothing but numbers is
//! kept, so that the stack in memory is not touched.

use std::hint::black_box;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(nest(0, black_box(u64::MAX)).to_string())
}

fn nest(depth: u64, deepest: u64) -> u64 {
    if depth == deepest {
        return 1;
    }
    // Not a sum, which the compiler would turn into a loop.
    nest(depth + 1, deepest).rotate_left(7) ^ depth
}
