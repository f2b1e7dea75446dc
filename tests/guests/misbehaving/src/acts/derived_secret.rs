//! Makes a password, a key and a token of its own, and fails with them, panics with them
//! or shows them, as the role's target says.

use lessor_sdk::{
    crypto::{self, KeyAlgorithm},
    log,
    prelude::*,
};

use crate::scene::{Outcome, Scene};

#[expect(clippy::panic, reason = "one of its ways is to panic")]
pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let policy = PasswordPolicy::with_length(24);
    let password = scene.ctx.password(&policy)?;
    let pair = crypto::generate_key(KeyAlgorithm::EcdsaP256)
        .map_err(|error| Failure::internal("crypto", format!("{error:?}")))?;
    let token = Secret::new(format!("token-of-{}", scene.ctx.principal_name));
    let key = crate::text::hex(&pair.private_key);
    let said = format!(
        "password {} key {key} token {}",
        password.expose(),
        token.expose()
    );
    match scene.target {
        "panic" => panic!("lost {said}"),
        "log" => {
            log::warn(&said, &[("again", &password.expose())]);
            scene.note("logged")
        }
        "metadata" => Ok(scene.note("shown")?.fact("said", said)),
        _ => Err(Failure::denied(
            "bad_login",
            format!("upstream refused {said}"),
        )),
    }
}
