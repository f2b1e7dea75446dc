//! Waits for the same thing a hundred thousand times at once.

use crate::scene::{Outcome, Scene, in_a_component};

in_a_component! { |scene| {
    use wasip2::{clocks::monotonic_clock, io::poll};

    let waker = monotonic_clock::subscribe_duration(3_600_000_000_000);
    let woken = poll::poll(&vec![&waker; 100_000]);
    scene.note(woken.len().to_string())
} }
