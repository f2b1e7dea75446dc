//! Computes for ever.

use std::hint::black_box;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(_: &Scene<'_>) -> Outcome {
    loop {
        black_box(0);
    }
}
