//! Keys that sign JSON Web Tokens (RFC 7519) by RS256 or ES256 (RFC 7518, 3.3 and 3.4). The
//! host computes the signature.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::crypto::{self, SignatureAlgorithm};
use crate::failure::{Failure, Result};
use crate::secret::Secret;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// A private key, and the name under which upstream knows its public half.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    pkcs8: Zeroizing<Vec<u8>>,
    id: Option<String>,
}

impl SigningKey {
    /// The key in a PEM text: PKCS #8, or PKCS #1 of RSA, not encrypted. Line ends may be
    /// written as `\n`, as in the key files of clouds.
    ///
    /// # Errors
    /// `key_malformed`, where it is no such key.
    pub fn from_pem(pem: &Secret) -> Result<Self> {
        let blocks =
            lessor_pem::blocks(pem.expose()).map_err(|error| refuse(&error.to_string()))?;
        let [block] = blocks.as_slice() else {
            return Err(refuse("it is not one block of PEM"));
        };
        let pkcs8 = match block.label.as_str() {
            "PRIVATE KEY" => Zeroizing::new(block.content.clone()),
            "RSA PRIVATE KEY" => wrapped(&block.content),
            _ => {
                return Err(refuse(
                    "it is neither PRIVATE KEY nor RSA PRIVATE KEY; make it one by `openssl pkcs8 -topk8 -nodes`",
                ));
            }
        };
        let algorithm = algorithm_of(&pkcs8).ok_or_else(|| {
            refuse("it is neither an RSA key, for RS256, nor one on P-256, for ES256")
        })?;
        Ok(Self {
            algorithm,
            pkcs8,
            id: None,
        })
    }

    /// Names the key in the header of each token (`kid`).
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How tokens are signed with it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A signed token with these claims, in the compact form (RFC 7515, 7.1).
    ///
    /// # Errors
    /// Where the host cannot sign with the key.
    pub fn sign(&self, claims: &impl Serialize) -> Result<Secret> {
        let mut header = json!({"alg": self.algorithm.as_str(), "typ": "JWT"});
        if let (Some(id), Some(header)) = (&self.id, header.as_object_mut()) {
            header.insert("kid".to_owned(), id.as_str().into());
        }
        let header = serde_json::to_vec(&header)?;
        let claims = serde_json::to_vec(claims)?;
        self.sign_parts(&header, &claims)
    }

    fn sign_parts(&self, header: &[u8], payload: &[u8]) -> Result<Secret> {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = match self.algorithm {
            Algorithm::Rs256 => crypto::sign(
                &self.pkcs8,
                SignatureAlgorithm::RsaPkcs1Sha256,
                message.as_bytes(),
            )?,
            Algorithm::Es256 => {
                let der = crypto::sign(
                    &self.pkcs8,
                    SignatureAlgorithm::EcdsaP256Sha256,
                    message.as_bytes(),
                )?;
                let raw = raw_p256(&der).ok_or_else(|| {
                    Failure::internal("signature", "The host's signature is no ASN.1 DER.")
                })?;
                raw.to_vec()
            }
        };
        Ok(Secret::new(format!("{message}.{}", encode(&signature))))
    }
}

impl Algorithm {
    /// The name in a token's header (RFC 7518, 3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

fn refuse(why: &str) -> Failure {
    Failure::invalid_config(
        "key_malformed",
        format!("The private key cannot be used: {why}."),
    )
}

/// What a PKCS #8 key signs by: read from its AlgorithmIdentifier, which follows the version
/// (RFC 5958, 2).
fn algorithm_of(pkcs8: &[u8]) -> Option<Algorithm> {
    let (key, _) = value(pkcs8, SEQUENCE)?;
    let (_version, rest) = value(key, INTEGER)?;
    let (algorithm, _) = value(rest, SEQUENCE)?;
    if algorithm.starts_with(RSA_ENCRYPTION) {
        return Some(Algorithm::Rs256);
    }
    algorithm
        .strip_prefix(EC_PUBLIC_KEY)?
        .starts_with(PRIME256V1)
        .then_some(Algorithm::Es256)
}

/// An RSAPrivateKey (RFC 8017, A.1.2) in PKCS #8.
fn wrapped(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    let algorithm = tagged(SEQUENCE, &[RSA_ENCRYPTION, &[0x05, 0x00]].concat());
    let key = Zeroizing::new(tagged(OCTET_STRING, pkcs1));
    let parts = Zeroizing::new([&[INTEGER, 1, 0], algorithm.as_slice(), &key].concat());
    Zeroizing::new(tagged(SEQUENCE, &parts))
}

/// An ECDSA signature on P-256 as JWS has it: both numbers as 32 bytes (RFC 7518, 3.4). DER
/// leaves out zeros before a number, and puts one before a number that would be negative.
fn raw_p256(der: &[u8]) -> Option<[u8; 64]> {
    let (numbers, rest) = value(der, SEQUENCE)?;
    let (r, numbers) = value(numbers, INTEGER)?;
    let (s, end) = value(numbers, INTEGER)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let mut raw = [0; 64];
    let (first, second) = raw.split_at_mut(32);
    for (number, place) in [(r, first), (s, second)] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = number.get(zeros..)?;
        let start = place.len().checked_sub(number.len())?;
        place.get_mut(start..)?.copy_from_slice(number);
    }
    Some(raw)
}

/// The content of the DER value that `bytes` begins with, where it has this tag, and the
/// rest.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*length) {
        short @ ..=0x7f => (short, rest),
        long @ 0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

/// A DER value with this tag and content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        0x100..0x1_0000 => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![
            tag,
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ],
    };
    bytes.extend_from_slice(content);
    bytes
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// Object identifiers as DER has them: rsaEncryption (RFC 8017), id-ecPublicKey and
/// secp256r1 (RFC 5480).
const RSA_ENCRYPTION: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
];
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

#[cfg(test)]
mod tests;
