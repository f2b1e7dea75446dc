//! Prints the root credential, to standard output and to standard error.

use std::io::Write as _;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let _ = writeln!(std::io::stdout(), "printed {}", scene.root);
    let _ = writeln!(std::io::stderr(), "complained about {}", scene.root);
    scene.note("printed")
}
