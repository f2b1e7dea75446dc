//! Answers with something that is no JSON, a secret in it.

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    scene.issued(Credential::Broken)
}
