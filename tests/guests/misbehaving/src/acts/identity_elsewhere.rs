//! Asks who it is for somebody whom the mount may not show itself to.

use lessor_sdk::identity;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let token = identity::token("https://evil.example")?;
    scene.note(token.expose())
}
