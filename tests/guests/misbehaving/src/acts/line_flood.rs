//! Prints short lines: few bytes, and an event of the host's log for each.

use std::io::Write as _;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut out = std::io::stdout();
    for line in 0..scene.number {
        let _ = writeln!(out, "row-{line}");
    }
    scene.note("printed")
}
