//! Has signatures of megabytes verified until its time is over.

use lessor_sdk::{
    crypto::{self, KeyAlgorithm, SignatureAlgorithm},
    prelude::*,
};

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let failed = |error| Failure::internal("crypto", format!("{error:?}"));
    let pair = crypto::generate_key(KeyAlgorithm::EcdsaP256).map_err(failed)?;
    let message = vec![0; scene.length()];
    loop {
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        crypto::verify(&pair.public_key, algorithm, &message, &[0; 70]).map_err(failed)?;
    }
}
