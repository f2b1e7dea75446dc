//! Names the root credential in a failure, as a careless client's error does.

use lessor_sdk::prelude::*;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let message = format!("upstream refused {} as root", scene.root);
    Err(Failure::denied("bad_login", message))
}
