//! Calls itself until the stack that Rust keeps in memory is used up.

use std::hint::black_box;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(recurse(scene.number.into()).to_string())
}

fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    // So much of it each time that the stack of the calls lasts longer.
    let [first, rest @ ..] = black_box([depth; 1024]);
    rest.iter().sum::<u64>() + recurse(depth.wrapping_add(1)) + first
}
