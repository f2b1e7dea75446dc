//! The config of a JWT login method: the issuer or the keys whose signatures are taken.

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde::{Deserialize, Serialize};

use super::{
    fetch::{self, KeyUrl},
    keys,
};

/// The config of a JWT login method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JwtConfig {
    /// The source of the keys.
    pub source: KeySource,
    /// The required `iss`; empty: any.
    pub bound_issuer: String,
    /// Algorithms that are taken; empty: all that are known.
    pub supported_algorithms: Vec<String>,
    /// The role of a login that names none; empty: it must.
    pub default_role: String,
}

/// A source of public keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum KeySource {
    /// They are in the config: public keys or certificates as PEM.
    Keys(Vec<String>),
    /// They are fetched.
    Url(KeyUrl),
}

impl JwtConfig {
    /// Refuses what cannot work, without asking anybody.
    pub(super) fn check(&self) -> Result<(), String> {
        self.algorithms()?;
        match &self.source {
            KeySource::Keys(pems) => keys::of_pems(pems).map(drop),
            KeySource::Url(url) => fetch::check(url),
        }
    }

    /// The algorithms that are taken.
    pub(super) fn algorithms(&self) -> Result<Vec<Algorithm>, String> {
        if self.supported_algorithms.is_empty() {
            return Ok(public_key_algorithms());
        }
        let named = self.supported_algorithms.iter().map(|name| {
            let known = name.parse::<Algorithm>().ok();
            known
                .filter(|algorithm| public_key_algorithms().contains(algorithm))
                .ok_or_else(|| {
                    let all: Vec<String> = public_key_algorithms()
                        .iter()
                        .map(|algorithm| format!("{algorithm:?}"))
                        .collect();
                    format!("jwt_supported_algs may hold {}", all.join(", "))
                })
        });
        named.collect()
    }
}

/// All algorithms whose signatures need a private key. A shared secret would make
/// everybody who can check a token able to make one.
fn public_key_algorithms() -> Vec<Algorithm> {
    [
        AlgorithmFamily::Rsa,
        AlgorithmFamily::Ec,
        AlgorithmFamily::Ed,
    ]
    .iter()
    .flat_map(|family| family.algorithms().to_vec())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_algorithms_with_public_keys_are_taken() {
        let config = |names: &[&str]| JwtConfig {
            source: KeySource::Keys(Vec::new()),
            bound_issuer: String::new(),
            supported_algorithms: names.iter().map(|name| (*name).to_owned()).collect(),
            default_role: String::new(),
        };
        let all = config(&[]).algorithms().unwrap();
        assert_eq!(all.len(), 9, "{all:?}");
        for (names, fits) in [
            (&["RS256"][..], true),
            (&["ES256", "ES384", "EdDSA", "PS512"], true),
            (&["HS256"], false),
            (&["RS256", "HS512"], false),
            (&["none"], false),
            (&[""], false),
            (&["rs256"], false),
        ] {
            assert_eq!(config(names).algorithms().is_ok(), fits, "{names:?}");
        }
    }
}
