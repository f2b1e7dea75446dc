//! Asks to be woken a thousand times, and waits for none of them.

use crate::scene::{Outcome, Scene, in_a_component};

in_a_component! { |scene| {
    use wasip2::clocks::monotonic_clock;

    let wakers: Vec<_> = (0..1000)
        .map(|_| monotonic_clock::subscribe_duration(3_600_000_000_000))
        .collect();
    scene.note(wakers.len().to_string())
} }
