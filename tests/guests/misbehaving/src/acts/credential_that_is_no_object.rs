//! Answers with a bare string in place of a credential.

use serde_json::json;

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.issued(Credential::Other(json!("canary-password")))
}
