//! Opens a thousand connections at once.

use lessor_sdk::prelude::*;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let open = (0..1000)
        .map(|_| scene.connect())
        .collect::<Result<Vec<_>>>()?;
    scene.note(open.len().to_string())
}
