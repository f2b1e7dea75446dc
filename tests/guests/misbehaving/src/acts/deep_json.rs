//! Answers with JSON that is nested deeper than parsers go.

use serde_json::Value;

use crate::{
    credential::Credential,
    scene::{Outcome, Scene},
};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut nested = Value::Null;
    for _ in 0..500 {
        nested = Value::Array(vec![nested]);
    }
    scene.issued(Credential::Other(nested))
}
