//! Returns a credential of ten thousand secrets and says something beside, in
//! which the host would have to look for each of them.

use lessor_sdk::log;

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    log::info("unsearchable words", &[]);
    let secrets = (0..10_000).map(|number| format!("s-{number:05}"));
    let issued = scene.issued(Credential::with_secrets(secrets))?;
    Ok(issued.fact("fact", "also canary-password"))
}
