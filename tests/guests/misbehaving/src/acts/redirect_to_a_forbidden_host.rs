//! Follows a redirect to where no grant leads.

use lessor_sdk::{http, prelude::*};

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let response = http::get(scene.target).send()?;
    let location = response
        .header("location")
        .ok_or_else(|| Failure::unavailable("no_redirect", "upstream did not redirect"))?;
    scene.note(http::get(location).call()?.text())
}
