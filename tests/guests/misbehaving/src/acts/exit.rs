//! Ends its process, as if it had one.

use crate::scene::{Outcome, Scene};

#[expect(clippy::disallowed_methods, reason = "no guest may do this")]
pub(crate) fn act(_: &Scene<'_>) -> Outcome {
    std::process::exit(3)
}
