//! Answers with a list where its schema has a string.

use serde_json::json;

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let credential = json!({"password": ["canary-password"], "note": ""});
    scene.issued(Credential::Other(credential))
}
