//! Lets the host compute for ever in its place.

use lessor_sdk::crypto;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let key = crypto::pbkdf2_sha256(b"password", b"salt", u32::MAX);
    scene.note(key.len().to_string())
}
