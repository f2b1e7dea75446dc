//! Derives a new root credential in `rotate`, and fails with it.

use lessor_sdk::prelude::*;

pub(crate) fn rotate(ctx: &Context) -> Failure {
    match ctx.password(&PasswordPolicy::default()) {
        Ok(root) => Failure::denied(
            "bad_login",
            format!("upstream refused the new root {} at once", root.expose()),
        ),
        Err(failure) => failure,
    }
}
