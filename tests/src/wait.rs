//! Waiting for something to become true: the only waiting in the tests.
//!
//! A test never sleeps for a time that ought to be enough. It names what must
//! become true and fails, saying so, when it has not by a generous deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything in a test. Chosen far above what a loaded
/// two-core machine needs, since only a failing test ever waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks: short against a test, long against a look.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `look` until it gives a value, which is returned.
///
/// # Panics
/// Where it has given none within [`PATIENCE`]; `what` says what was awaited.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(PAUSE);
    }
}

/// Like [`eventually`], for a condition.
///
/// # Panics
/// Where it has not become true within [`PATIENCE`].
pub fn eventually_true(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}
