//! Lists a million credentials at once.

use lessor_sdk::prelude::*;

pub(crate) fn page(count: u32) -> Page {
    Page {
        ids: (0..count).map(|_| String::from("x")).collect(),
        next: None,
    }
}
