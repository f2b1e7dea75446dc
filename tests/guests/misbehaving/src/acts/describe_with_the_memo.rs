//! Describes itself by what a mount has kept.

use lessor_sdk::memo;

pub(crate) fn summary() -> String {
    memo::text("endpoint").unwrap_or_else(|| String::from("nothing was kept"))
}
