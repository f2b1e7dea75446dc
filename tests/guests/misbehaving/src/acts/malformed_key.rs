//! Signs and verifies with what are no keys.

use lessor_sdk::crypto::{self, SignatureAlgorithm};

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut answers = Vec::new();
    for key in [
        b"".to_vec(),
        b"0\x82\xff\xff\x02\x01".to_vec(),
        vec![0x30; 32 << 10],
    ] {
        for algorithm in [
            SignatureAlgorithm::Ed25519,
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::RsaPkcs1Sha256,
            SignatureAlgorithm::RsaPssSha256,
        ] {
            answers.push(format!("{:?}", crypto::sign(&key, algorithm, b"m").err()));
            let verified = crypto::verify(&key, algorithm, b"m", b"s");
            answers.push(format!("{:?}", verified.err()));
        }
    }
    answers.dedup();
    scene.note(answers.join(", "))
}
