//! Public keys, and which of them signed a token.
//!
//! A key checks only the algorithms of its own type, and where its key set names
//! one algorithm, only that: a token cannot choose how it is checked.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use lessor_model::{json, pem};
use lessor_pem::Block;
use serde_json::{Map, Value};
use x509_cert::{
    Certificate,
    der::{Decode as _, asn1::ObjectIdentifier},
    spki::SubjectPublicKeyInfoOwned,
};

/// rsaEncryption (RFC 8017).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480), and the two curves that are taken.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// id-Ed25519 (RFC 8410).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key that can check signatures.
#[derive(Clone, Debug)]
pub(super) struct VerifyingKey {
    /// The id by which tokens name it; a configured key has no id and fits any.
    id: Option<String>,
    /// The algorithms whose signatures it checks.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The reason why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    /// It is none.
    #[error("it is not a signed JWT of three parts")]
    Malformed,
    /// It asks to be understood in a way that this program does not know.
    #[error("its header has critical extensions (crit), and none is known here")]
    Critical,
    /// Its algorithm is none, symmetric, unknown or not configured.
    #[error("its algorithm (alg) is not one of those that are taken")]
    Algorithm,
    /// None of the keys is the one that it names.
    #[error("no known key is the one that signed it")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("its signature does not hold")]
    Signature,
}

/// The claims of a token that one of `keys` signed.
pub(super) fn verify(
    token: &str,
    keys: &[VerifyingKey],
    algorithms: &[Algorithm],
) -> Result<Map<String, Value>, Unverified> {
    let (message, signature) = token.rsplit_once('.').ok_or(Unverified::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Unverified::Malformed)?;
    let (header, claims) = (object(header)?, object(claims)?);
    if header.contains_key("crit") {
        return Err(Unverified::Critical);
    }
    let algorithm: Algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(|name| name.parse().ok())
        .ok_or(Unverified::Algorithm)?;
    if algorithm.family() == AlgorithmFamily::Hmac || !algorithms.contains(&algorithm) {
        return Err(Unverified::Algorithm);
    }
    let id = header.get("kid").and_then(Value::as_str);
    let mut fitting = keys.iter().filter(|key| key.fits(id, algorithm)).peekable();
    // Where the token names no key, one that is not known yet may be meant.
    let reason = match (fitting.peek(), id) {
        (None, _) | (_, None) => Unverified::UnknownKey,
        _ => Unverified::Signature,
    };
    let signed = |key: &VerifyingKey| {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, algorithm)
            .is_ok_and(|holds| holds)
    };
    match fitting.any(signed) {
        true => Ok(claims),
        false => Err(reason),
    }
}

/// An object in a token: JSON in base64 without padding (RFC 7515).
fn object(part: &str) -> Result<Map<String, Value>, Unverified> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part);
    let bytes = bytes.map_err(|_| Unverified::Malformed)?;
    match json::parse(&bytes, &json::CALLER) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Unverified::Malformed),
    }
}

impl VerifyingKey {
    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        };
        named && self.algorithms.contains(&algorithm)
    }

    /// A key of a key set; none for one that checks no signature that is taken.
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let usable = match &common.public_key_use {
            None | Some(PublicKeyUse::Signature) => true,
            Some(_) => false,
        };
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            AlgorithmParameters::EllipticCurve(key) => of_curve(&key.curve)?,
            AlgorithmParameters::OctetKeyPair(key) => of_curve(&key.curve)?,
            _ => return None,
        };
        if let Some(only) = common.key_algorithm {
            let only = Algorithm::try_from(only).ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        if !usable || !verifies || algorithms.is_empty() {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithms,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }

    /// A key in the form of X.509.
    fn of_info(info: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let bytes = info.subject_public_key.as_bytes()?;
        let (algorithms, key) = match info.algorithm.oid {
            RSA => (
                AlgorithmFamily::Rsa.algorithms().to_vec(),
                DecodingKey::from_rsa_der(bytes),
            ),
            EC => {
                let curve = info.algorithm.parameters.as_ref()?;
                let curve: ObjectIdentifier = curve.decode_as().ok()?;
                let algorithm = match curve {
                    P256 => Algorithm::ES256,
                    P384 => Algorithm::ES384,
                    _ => return None,
                };
                (vec![algorithm], DecodingKey::from_ec_der(bytes))
            }
            ED25519 => (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(bytes)),
            _ => return None,
        };
        Some(Self {
            id: None,
            algorithms,
            key,
        })
    }
}

fn of_curve(curve: &EllipticCurve) -> Option<Vec<Algorithm>> {
    match curve {
        EllipticCurve::P256 => Some(vec![Algorithm::ES256]),
        EllipticCurve::P384 => Some(vec![Algorithm::ES384]),
        EllipticCurve::Ed25519 => Some(vec![Algorithm::EdDSA]),
        _ => None,
    }
}

/// Keys of a config: texts of PEM, each with one public key or certificate or
/// more. All of them count.
pub(super) fn of_pems(pems: &[String]) -> Result<Vec<VerifyingKey>, String> {
    let mut keys = Vec::new();
    for (index, text) in pems.iter().enumerate() {
        let refuse = |reason: String| {
            format!(
                "jwt_validation_pubkeys: number {} {reason}",
                index.saturating_add(1)
            )
        };
        let blocks = pem::blocks(text).map_err(refuse)?;
        if blocks.is_empty() {
            return Err(refuse(NO_KEY.to_owned()));
        }
        for block in blocks {
            keys.push(of_block(&block).map_err(refuse)?);
        }
    }
    Ok(keys)
}

fn of_block(block: &Block) -> Result<VerifyingKey, String> {
    let key = match block.label.as_str() {
        "PUBLIC KEY" => SubjectPublicKeyInfoOwned::from_der(&block.content)
            .ok()
            .and_then(|info| VerifyingKey::of_info(&info)),
        _ if pem::is_certificate(block) => {
            Certificate::from_der(&block.content)
                .ok()
                .and_then(|certificate| {
                    let info = certificate.tbs_certificate().subject_public_key_info();
                    VerifyingKey::of_info(info)
                })
        }
        _ => return Err(pem::misplaced(block, "public keys or certificates")),
    };
    key.ok_or_else(|| NO_KEY.to_owned())
}

const NO_KEY: &str =
    "is no public key or certificate in PEM form, of RSA, of the curves P-256 or P-384, or Ed25519";

/// Keys of a JSON Web Key Set (RFC 7517). Those that check nothing that is taken
/// are left out, as the RFC says.
pub(super) fn of_set(text: &[u8]) -> Result<Vec<VerifyingKey>, String> {
    let set: Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| "is no JSON object".to_owned())?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        return Err("has no list of keys".into());
    };
    let usable: Vec<VerifyingKey> = keys
        .iter()
        .filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok())
        .filter_map(|key| VerifyingKey::of_jwk(&key))
        .collect();
    if usable.is_empty() {
        return Err("has no key that checks a signature of RSA, P-256, P-384 or Ed25519".into());
    }
    Ok(usable)
}

#[cfg(test)]
mod tests;
