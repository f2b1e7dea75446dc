//! Heavy cryptography, done by the host at native speed. Keys are PKCS #8 and
//! SubjectPublicKeyInfo in DER.

use std::error::Error;
use std::fmt;

use zeroize::Zeroizing;

use crate::host;

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// How to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA P-256 with SHA-256; the signature is ASN.1 DER.
    EcdsaP256Sha256,
    /// ECDSA P-384 with SHA-384; the signature is ASN.1 DER.
    EcdsaP384Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256.
    RsaPssSha256,
    /// ECDSA P-384 with SHA-256. To verify only: some tools sign by it.
    EcdsaP384Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
}

/// A new key.
pub struct KeyPair {
    /// PKCS #8, DER (RFC 5958).
    pub private_key: Zeroizing<Vec<u8>>,
    /// SubjectPublicKeyInfo, DER (RFC 5280).
    pub public_key: Vec<u8>,
}

/// Why the host did not compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoError {
    /// The host does not know this combination of key and algorithm.
    Unsupported,
    /// The key is not PKCS #8 (to sign) or SubjectPublicKeyInfo (to verify) of
    /// the algorithm's kind.
    MalformedKey,
    /// The input is larger than the host takes.
    TooLarge,
}

/// Makes a key from the host's own randomness; it differs at every call. RSA
/// keys take the host a tenth of a second to several seconds.
pub fn generate_key(algorithm: KeyAlgorithm) -> Result<KeyPair, CryptoError> {
    host::generate_key(algorithm)
}

/// Signs `message` (not its digest) with a PKCS #8 key.
pub fn sign(
    private_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    host::sign(private_key, algorithm, message)
}

/// Whether `signature` is one of `message` (not its digest) by the key in
/// `public_key`, a SubjectPublicKeyInfo in DER. False for a signature that is
/// not well-formed, and for any by an RSA key of fewer than 2,048 or more than
/// 8,192 bits. Fails with `MalformedKey` where the key is none or does not fit
/// the algorithm.
pub fn verify(
    public_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, CryptoError> {
    host::verify(public_key, algorithm, message, signature)
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018), 32 bytes, as SCRAM-SHA-256 needs it
/// (RFC 7677).
pub fn pbkdf2_sha256(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(host::pbkdf2_sha256(password, salt, iterations))
}

impl fmt::Display for CryptoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unsupported => "the host does not support this key algorithm",
            Self::MalformedKey => {
                "the key is not PKCS #8 or SubjectPublicKeyInfo of the kind that the algorithm needs"
            }
            Self::TooLarge => "the input is larger than the host's cryptography takes",
        })
    }
}

impl Error for CryptoError {}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyPair")
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}
