//! Answers without a property that its schema requires.

use serde_json::json;

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.issued(Credential::Other(json!({"note": "canary-password"})))
}
