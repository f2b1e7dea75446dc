//! Keys: what kind one is, what it signs by, and whether two belong together.
//! All cryptography is the host's; this is the only file that calls it.

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::UintRef;
use der::{Decode, Sequence};
use lessor_sdk::crypto::{self, CryptoError, KeyAlgorithm, KeyPair, SignatureAlgorithm};
use lessor_sdk::{Failure, Result};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::role::KeyType;
use crate::x509::defect;

/// A kind of public key that certificates are made for or signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    /// With this many bits.
    Rsa(usize),
}

/// What signs: a PKCS #8 key and its kind.
pub(crate) struct Signer<'a> {
    pub(crate) private_key: &'a [u8],
    pub(crate) kind: KeyKind,
}

impl KeyKind {
    /// The kind of a public key; none where it is of no kind that is supported.
    pub(crate) fn of(key: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let curve = || {
            key.algorithm
                .parameters
                .as_ref()?
                .decode_as::<ObjectIdentifier>()
                .ok()
        };
        match key.algorithm.oid {
            rfc8410::ID_ED_25519 => Some(Self::Ed25519),
            rfc5912::ID_EC_PUBLIC_KEY => match curve()? {
                rfc5912::SECP_256_R_1 => Some(Self::EcdsaP256),
                rfc5912::SECP_384_R_1 => Some(Self::EcdsaP384),
                _ => None,
            },
            rfc5912::RSA_ENCRYPTION => {
                let key = RsaPublicKey::from_der(key.subject_public_key.as_bytes()?).ok()?;
                let modulus = key.modulus.as_bytes();
                let unused = modulus.first()?.leading_zeros() as usize;
                Some(Self::Rsa(modulus.len() * 8 - unused))
            }
            _ => None,
        }
    }

    /// Whether a key of this kind may stand where `wanted` is asked for. An RSA
    /// key may be longer.
    pub(crate) fn serves_as(self, wanted: KeyType) -> bool {
        match (self, wanted.algorithm()) {
            (Self::Ed25519, KeyAlgorithm::Ed25519)
            | (Self::EcdsaP256, KeyAlgorithm::EcdsaP256)
            | (Self::EcdsaP384, KeyAlgorithm::EcdsaP384) => true,
            (Self::Rsa(bits), KeyAlgorithm::Rsa2048) => bits >= 2_048,
            (Self::Rsa(bits), KeyAlgorithm::Rsa3072) => bits >= 3_072,
            (Self::Rsa(bits), KeyAlgorithm::Rsa4096) => bits >= 4_096,
            _ => false,
        }
    }

    /// Whether the key is neither too weak nor larger than the host takes.
    pub(crate) fn is_usable(self) -> bool {
        !matches!(self, Self::Rsa(bits) if !RSA_BITS.contains(&bits))
    }

    /// `ec`, `rsa` or `ed25519`.
    pub(crate) fn family(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 | Self::EcdsaP384 => "ec",
            Self::Rsa(_) => "rsa",
        }
    }

    fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
            Self::EcdsaP256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::EcdsaP384 => SignatureAlgorithm::EcdsaP384Sha384,
            Self::Rsa(_) => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }
}

impl fmt::Display for KeyKind {
    /// As roles spell it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519 => formatter.write_str("ed25519"),
            Self::EcdsaP256 => formatter.write_str("ecdsa-p256"),
            Self::EcdsaP384 => formatter.write_str("ecdsa-p384"),
            Self::Rsa(bits) => write!(formatter, "rsa-{bits}"),
        }
    }
}

impl Signer<'_> {
    /// Signs `message`, a DER text.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        crypto::sign(self.private_key, self.kind.signature_algorithm(), message).map_err(|error| {
            match error {
                CryptoError::MalformedKey => Failure::invalid_config(
                    "invalid_private_key",
                    format!(
                        "private_key: it is no {} key, which the certificate is for.",
                        self.kind
                    ),
                ),
                error => Failure::from(error),
            }
        })
    }

    /// How X.509 names what [`Signer::sign`] does (RFC 5758, 8410, 4055).
    pub(crate) fn algorithm(&self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self.kind {
            KeyKind::Ed25519 => (rfc8410::ID_ED_25519, None),
            KeyKind::EcdsaP256 => (rfc5912::ECDSA_WITH_SHA_256, None),
            KeyKind::EcdsaP384 => (rfc5912::ECDSA_WITH_SHA_384, None),
            KeyKind::Rsa(_) => (
                rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
                Some(der::asn1::Any::null()),
            ),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }

    /// Whether `public_key`, a SubjectPublicKeyInfo in DER, is the public half.
    pub(crate) fn fits(&self, public_key: &[u8]) -> Result<bool> {
        // Any message does; this one cannot be mistaken for a certificate.
        let message = b"lessor: does this key belong to its certificate?";
        let signature = self.sign(message)?;
        Ok(crypto::verify(
            public_key,
            self.kind.signature_algorithm(),
            message,
            &signature,
        )?)
    }
}

/// Makes a key.
pub(crate) fn generate(key_type: KeyType) -> Result<(KeyPair, SubjectPublicKeyInfoOwned)> {
    let pair = crypto::generate_key(key_type.algorithm())?;
    let public_key = SubjectPublicKeyInfoOwned::from_der(&pair.public_key).map_err(defect)?;
    Ok((pair, public_key))
}

/// Whether `signature` is one of `message` by `public_key`, a
/// SubjectPublicKeyInfo in DER, by the algorithm that X.509 calls `algorithm`.
/// None where key and algorithm do not go together or are not supported;
/// `MalformedKey` where the key itself is none.
pub(crate) fn verify(
    public_key: &[u8],
    kind: KeyKind,
    algorithm: ObjectIdentifier,
    message: &[u8],
    signature: &[u8],
) -> Result<Option<bool>, CryptoError> {
    let algorithm = match (kind, algorithm) {
        (KeyKind::Ed25519, rfc8410::ID_ED_25519) => SignatureAlgorithm::Ed25519,
        (KeyKind::EcdsaP256, rfc5912::ECDSA_WITH_SHA_256) => SignatureAlgorithm::EcdsaP256Sha256,
        (KeyKind::EcdsaP384, rfc5912::ECDSA_WITH_SHA_256) => SignatureAlgorithm::EcdsaP384Sha256,
        (KeyKind::EcdsaP384, rfc5912::ECDSA_WITH_SHA_384) => SignatureAlgorithm::EcdsaP384Sha384,
        (KeyKind::Rsa(_), rfc5912::SHA_256_WITH_RSA_ENCRYPTION) => {
            SignatureAlgorithm::RsaPkcs1Sha256
        }
        (KeyKind::Rsa(_), rfc5912::SHA_384_WITH_RSA_ENCRYPTION) => {
            SignatureAlgorithm::RsaPkcs1Sha384
        }
        (KeyKind::Rsa(_), rfc5912::SHA_512_WITH_RSA_ENCRYPTION) => {
            SignatureAlgorithm::RsaPkcs1Sha512
        }
        _ => return Ok(None),
    };
    crypto::verify(public_key, algorithm, message, signature).map(Some)
}

/// RFC 8017, A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

/// Below, keys are breakable; above, the host does not verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
