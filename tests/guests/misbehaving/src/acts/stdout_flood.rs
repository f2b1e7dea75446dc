//! Prints megabytes.

use std::io::Write as _;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let line = "x".repeat(1000);
    for _ in 0..scene.number {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    scene.note("printed")
}
