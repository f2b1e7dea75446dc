//! Keys and signatures that a guest hands to the host's native code.
//!
//! Input: a byte that chooses the algorithm; two bytes with the length of the
//! key, its high byte first; the key; what is left is a message and a signature.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RsaEncoding,
    },
};
use lessor_sandbox::internals::{
    CryptoError as Error, SignatureAlgorithm, sign_ecdsa, sign_ed25519, sign_rsa, verify,
};

use crate::target::Target;

/// The target.
pub(super) const TARGET: Target = Target {
    name: "crypto",
    words: &["\u{0}", "\u{30}", "\u{2}\u{1}\u{0}", "\u{4}\u{20}", "\u{3}"],
    endings: &["malformed", "signed", "not verified"],
    cases: 3_000,
    check,
};

#[test]
fn a_foreign_key_signs_what_its_other_half_verifies_or_is_malformed() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    let [choice, high, low, rest @ ..] = input else {
        return "malformed";
    };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (key, message) = rest.split_at(length);
    let signed = match choice % 6 {
        0 => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).ok();
            let public = pair.as_ref().map(|pair| der(pair.public_key()));
            let signed = sign_ed25519(key, message);
            (SignatureAlgorithm::Ed25519, signed, public)
        }
        1 => {
            let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
            ecdsa(algorithm, &ECDSA_P256_SHA256_ASN1_SIGNING, key, message)
        }
        2 => {
            let algorithm = SignatureAlgorithm::EcdsaP384Sha384;
            ecdsa(algorithm, &ECDSA_P384_SHA384_ASN1_SIGNING, key, message)
        }
        3 => rsa_with(
            SignatureAlgorithm::RsaPkcs1Sha256,
            &RSA_PKCS1_SHA256,
            key,
            message,
        ),
        4 => rsa_with(
            SignatureAlgorithm::RsaPkcs1Sha512,
            &RSA_PKCS1_SHA512,
            key,
            message,
        ),
        _ => rsa_with(
            SignatureAlgorithm::RsaPssSha256,
            &RSA_PSS_SHA256,
            key,
            message,
        ),
    };
    let (algorithm, signed, public) = signed;
    if let Ok(signature) = signed {
        let public = public.unwrap();
        let verified = |message, signature| verify(&public, algorithm, message, signature);
        assert!(matches!(verified(message, &signature), Ok(true)));
        assert!(matches!(verified(b"another", &signature), Ok(false)) || message == b"another");
        assert!(matches!(verified(message, message), Ok(false)));
        return "signed";
    }
    // The same bytes as a public key.
    for algorithm in [
        algorithm,
        SignatureAlgorithm::EcdsaP384Sha256,
        SignatureAlgorithm::RsaPkcs1Sha384,
    ] {
        match verify(key, algorithm, message, message) {
            Ok(verified) => {
                assert!(!verified, "nothing is its own signature");
                return "not verified";
            }
            Err(error) => assert!(matches!(error, Error::MalformedKey)),
        }
    }
    "malformed"
}

type Signed = (SignatureAlgorithm, Result<Vec<u8>, Error>, Option<Vec<u8>>);

fn ecdsa(
    algorithm: SignatureAlgorithm,
    by: &'static EcdsaSigningAlgorithm,
    key: &[u8],
    message: &[u8],
) -> Signed {
    let pair = EcdsaKeyPair::from_pkcs8(by, key).ok();
    let public = pair.as_ref().map(|pair| der(pair.public_key()));
    (algorithm, sign_ecdsa(by, key, message), public)
}

fn rsa_with(
    algorithm: SignatureAlgorithm,
    by: &'static dyn RsaEncoding,
    key: &[u8],
    message: &[u8],
) -> Signed {
    let pair = rsa::KeyPair::from_pkcs8(key).ok();
    let public = pair.as_ref().map(|pair| der(pair.public_key()));
    (algorithm, sign_rsa(by, key, message), public)
}

/// A public key as guests see it.
fn der(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}
