//! Takes all the memory it gets, and more.

use std::hint::black_box;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(_: &Scene<'_>) -> Outcome {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}
