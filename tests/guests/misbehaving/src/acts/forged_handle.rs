//! Reads from a connection that it was never given, by its number.

use crate::scene::{Outcome, Scene};

#[cfg(target_arch = "wasm32")]
pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    use lessor_sdk::export::base::lessor::plugin::network::Connection;

    #[expect(unsafe_code, reason = "the SDK makes no handles: this is the forgery")]
    let forged = unsafe { Connection::from_handle(scene.number) };
    let read = forged.read(1);
    // The host has no such handle to close either.
    std::mem::forget(forged);
    scene.note(format!("read: {read:?}"))
}

/// There are no handles outside of a component.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.note("no component")
}
