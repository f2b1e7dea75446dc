//! Prints so much before the root credential that the host's cap on output cuts
//! it in two.

use std::io::Write as _;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let kept = scene.length() - scene.root.len() / 2;
    // In lines, none of which is cut for its own length.
    let before: String = "x"
        .repeat(999)
        .chars()
        .chain(['\n'])
        .cycle()
        .take(kept)
        .collect();
    let mut out = std::io::stdout();
    let _ = write!(out, "{before}{}", scene.root);
    let _ = out.flush();
    scene.note("printed")
}
