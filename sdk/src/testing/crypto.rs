//! The host's cryptography, by aws-lc-rs, as the real host does it.

use std::num::NonZeroU32;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaEncoding, RsaKeyPair,
    VerificationAlgorithm,
};
use aws_lc_rs::{error::Unspecified, pbkdf2};

use crate::crypto::{CryptoError, KeyAlgorithm, KeyPair, SignatureAlgorithm};

pub(crate) fn generate_key(algorithm: KeyAlgorithm) -> Result<KeyPair, CryptoError> {
    let made = match algorithm {
        KeyAlgorithm::Ed25519 => ed25519(),
        KeyAlgorithm::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyAlgorithm::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048),
        KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072),
        KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096),
    };
    made.map_err(|Unspecified| CryptoError::Unsupported)
}

pub(crate) fn sign(
    private_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    match algorithm {
        SignatureAlgorithm::Ed25519 => {
            let pair =
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(private_key).map_err(malformed)?;
            Ok(pair.sign(message).as_ref().to_vec())
        }
        SignatureAlgorithm::EcdsaP256Sha256 => {
            sign_ecdsa(private_key, &ECDSA_P256_SHA256_ASN1_SIGNING, message)
        }
        SignatureAlgorithm::EcdsaP384Sha384 => {
            sign_ecdsa(private_key, &ECDSA_P384_SHA384_ASN1_SIGNING, message)
        }
        SignatureAlgorithm::RsaPkcs1Sha256 => {
            sign_rsa(private_key, &signature::RSA_PKCS1_SHA256, message)
        }
        SignatureAlgorithm::RsaPkcs1Sha512 => {
            sign_rsa(private_key, &signature::RSA_PKCS1_SHA512, message)
        }
        SignatureAlgorithm::RsaPssSha256 => {
            sign_rsa(private_key, &signature::RSA_PSS_SHA256, message)
        }
        SignatureAlgorithm::RsaPkcs1Sha384 => {
            sign_rsa(private_key, &signature::RSA_PKCS1_SHA384, message)
        }
        SignatureAlgorithm::EcdsaP384Sha256 => Err(CryptoError::Unsupported),
    }
}

pub(crate) fn verify(
    public_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, CryptoError> {
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        SignatureAlgorithm::Ed25519 => &signature::ED25519,
        SignatureAlgorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureAlgorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
    };
    let key = ParsedPublicKey::new(algorithm, public_key).map_err(malformed)?;
    Ok(key.verify_sig(message, signature).is_ok())
}

pub(crate) fn pbkdf2_sha256(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut key = vec![0; 32];
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        password,
        &mut key,
    );
    key
}

fn ed25519() -> Result<KeyPair, Unspecified> {
    let private_key = Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private_key).map_err(|_| Unspecified)?;
    Ok(KeyPair {
        private_key: private_key.into(),
        public_key: public_der(pair.public_key())?,
    })
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Result<KeyPair, Unspecified> {
    let private_key = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())?
        .as_ref()
        .to_vec();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, &private_key).map_err(|_| Unspecified)?;
    Ok(KeyPair {
        private_key: private_key.into(),
        public_key: public_der(pair.public_key())?,
    })
}

fn rsa(size: KeySize) -> Result<KeyPair, Unspecified> {
    let pair = RsaKeyPair::generate(size)?;
    let private_key: Pkcs8V1Der<'_> = pair.as_der()?;
    Ok(KeyPair {
        private_key: private_key.as_ref().to_vec().into(),
        public_key: public_der(pair.public_key())?,
    })
}

fn public_der<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Result<Vec<u8>, Unspecified> {
    Ok(key.as_der()?.as_ref().to_vec())
}

fn sign_ecdsa(
    private_key: &[u8],
    algorithm: &'static EcdsaSigningAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private_key).map_err(malformed)?;
    let signed = pair
        .sign(&SystemRandom::new(), message)
        .map_err(|Unspecified| CryptoError::Unsupported)?;
    Ok(signed.as_ref().to_vec())
}

fn sign_rsa(
    private_key: &[u8],
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let pair = RsaKeyPair::from_pkcs8(private_key).map_err(malformed)?;
    let mut signed = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signed)
        .map_err(|Unspecified| CryptoError::Unsupported)?;
    Ok(signed)
}

fn malformed<E>(_: E) -> CryptoError {
    CryptoError::MalformedKey
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_kind_of_key_signs_verifies_by_it_alone() {
        let keys = [
            (KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519),
            (KeyAlgorithm::EcdsaP256, SignatureAlgorithm::EcdsaP256Sha256),
            (KeyAlgorithm::EcdsaP384, SignatureAlgorithm::EcdsaP384Sha384),
            (KeyAlgorithm::Rsa2048, SignatureAlgorithm::RsaPkcs1Sha256),
            (KeyAlgorithm::Rsa2048, SignatureAlgorithm::RsaPkcs1Sha384),
            (KeyAlgorithm::Rsa2048, SignatureAlgorithm::RsaPkcs1Sha512),
            (KeyAlgorithm::Rsa2048, SignatureAlgorithm::RsaPssSha256),
        ];
        for (kind, algorithm) in keys {
            let pair = generate_key(kind).unwrap();
            let other = generate_key(kind).unwrap();
            let signature = sign(&pair.private_key, algorithm, b"message").unwrap();
            let verified =
                |key: &[u8], message: &[u8]| verify(key, algorithm, message, &signature).unwrap();
            assert!(verified(&pair.public_key, b"message"), "{algorithm:?}");
            assert!(!verified(&pair.public_key, b"massage"), "{algorithm:?}");
            assert!(!verified(&other.public_key, b"message"), "{algorithm:?}");
            assert_eq!(
                verify(&pair.public_key, algorithm, b"message", b"x"),
                Ok(false)
            );
        }
    }

    #[test]
    fn a_key_that_does_not_fit_the_algorithm_is_malformed() {
        let p256 = generate_key(KeyAlgorithm::EcdsaP256).unwrap();
        for algorithm in [
            SignatureAlgorithm::Ed25519,
            SignatureAlgorithm::EcdsaP384Sha256,
            SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::RsaPkcs1Sha256,
        ] {
            let verified = verify(&p256.public_key, algorithm, b"message", b"x");
            assert_eq!(verified, Err(CryptoError::MalformedKey), "{algorithm:?}");
        }
        let verified = verify(b"x", SignatureAlgorithm::EcdsaP256Sha256, b"message", b"x");
        assert_eq!(verified, Err(CryptoError::MalformedKey));
    }
}
