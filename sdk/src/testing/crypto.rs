//! The host's cryptography, by aws-lc-rs, as the real host does it.

use std::num::NonZeroU32;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
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
    }
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
