//! Looks for what another mount has kept, under the key by which it did.

use lessor_sdk::memo;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note(format!("found: {}", memo::secret("k").is_some()))
}
