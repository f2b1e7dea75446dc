//! Hands out a credential that upstream has ended already.

use std::time::Duration;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    Ok(scene.note("")?.expires_in(Duration::ZERO))
}
