//! Remembers earlier calls, if instances are shared.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::scene::{Outcome, Scene};

static CALLS: AtomicU32 = AtomicU32::new(0);

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    scene.note(format!("calls before: {calls}"))
}
