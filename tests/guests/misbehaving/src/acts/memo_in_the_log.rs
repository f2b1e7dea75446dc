//! Logs a token that an earlier call has kept, and the one in a document that was kept
//! as it came; taken as texts, so that nobody tells the host again that they are secret.

use lessor_sdk::{log, memo};

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let token = memo::text("k").unwrap_or_default();
    log::info(&format!("the token is {}", token), &[]);
    let document = memo::text("document").unwrap_or_default();
    let inner = document.split('"').nth(3).unwrap_or("nothing");
    log::info(&format!("and {inner}"), &[]);
    scene.note(format!("found: {}", !token.is_empty()))
}
