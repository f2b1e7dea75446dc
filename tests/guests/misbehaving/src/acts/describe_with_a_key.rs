//! Describes itself by a key of the host's own randomness.

use lessor_sdk::crypto::{self, KeyAlgorithm};

use crate::text::hex;

pub(crate) fn summary() -> String {
    match crypto::generate_key(KeyAlgorithm::Ed25519) {
        Ok(pair) => hex(&pair.public_key),
        Err(error) => error.to_string(),
    }
}
