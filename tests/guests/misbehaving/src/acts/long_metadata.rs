//! Adds more metadata than a listing of leases should read.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    Ok(scene.note("")?.fact("note", "x".repeat(65 << 10)))
}
