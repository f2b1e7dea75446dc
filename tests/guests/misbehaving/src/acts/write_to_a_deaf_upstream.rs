//! Writes megabytes to an upstream that reads nothing.

use std::io::Write as _;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut upstream = scene.connect()?;
    for _ in 0..1000 {
        upstream.write_all(&vec![b'x'; 1 << 20])?;
    }
    scene.note("written")
}
