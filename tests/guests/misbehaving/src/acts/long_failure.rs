//! Fails with a message of two mebibytes.

use lessor_sdk::prelude::*;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(_: &Scene<'_>) -> Outcome {
    Err(Failure::denied("long", "%41".repeat(700_000)))
}
