//! The `crypto` interface, by aws-lc-rs.
//!
//! Slow work is done aside, as much at once as there are processors. Nothing here keeps a key.

use std::num::NonZeroU32;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    pbkdf2,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
        RsaEncoding, VerificationAlgorithm,
    },
};
use zeroize::Zeroizing;

use super::{call::CallState, network::copied};

/// Iterations of PBKDF2: two seconds of one core. SCRAM servers ask for 4,096
/// to some 100,000.
const ITERATIONS: u32 = 10_000_000;

/// From here on it is not done on an async thread (a millisecond or so).
const SLOW_ITERATIONS: u32 = 2_000;

/// A message that is longer is not hashed on an async thread: a millisecond or so.
pub(super) const BULK: usize = 256 << 10;

/// Largest key that is read, in bytes: RSA-8192 in PKCS #8 has 4.7 kB.
const KEY: usize = 16 << 10;

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// Kinds of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are the contract's; only fuzz targets see them"
)]
pub enum SignatureAlgorithm {
    Ed25519,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    RsaPkcs1Sha256,
    RsaPkcs1Sha512,
    RsaPssSha256,
    EcdsaP384Sha256,
    RsaPkcs1Sha384,
}

/// The reason why there is no key or signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are the contract's; only fuzz targets see them"
)]
pub enum Error {
    Unsupported,
    MalformedKey,
    TooLarge,
}

/// A key in PKCS #8, and its public half. No `Debug`: it is a secret.
pub(super) struct KeyPair {
    pub(super) private_key: Vec<u8>,
    pub(super) public_key: Vec<u8>,
}

impl CallState {
    pub(super) async fn generate_key(
        &mut self,
        algorithm: KeyAlgorithm,
    ) -> wasmtime::Result<Result<KeyPair, Error>> {
        self.reach.scope()?;
        let pair = match algorithm {
            KeyAlgorithm::Ed25519 => generate_ed25519(),
            KeyAlgorithm::EcdsaP256 => generate_ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP384 => generate_ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::Rsa2048 => self.slowly(|| generate_rsa(KeySize::Rsa2048)).await?,
            KeyAlgorithm::Rsa3072 => self.slowly(|| generate_rsa(KeySize::Rsa3072)).await?,
            KeyAlgorithm::Rsa4096 => self.slowly(|| generate_rsa(KeySize::Rsa4096)).await?,
        }?;
        self.remember_key(&pair.private_key)?;
        Ok(Ok(pair))
    }

    pub(super) async fn sign(
        &mut self,
        private_key: Vec<u8>,
        algorithm: SignatureAlgorithm,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.reach.scope()?;
        let private_key = Zeroizing::new(private_key);
        if private_key.len() > KEY {
            return Ok(Err(Error::TooLarge));
        }
        let _held = copied(&self.reach.account, message.len())?;
        // One that the guest made by itself, perhaps.
        self.remember_key(&private_key)?;
        let padding: &'static dyn RsaEncoding = match algorithm {
            SignatureAlgorithm::Ed25519 => {
                let sign = move |message: &[u8]| sign_ed25519(&private_key, message);
                return self.signed(sign, message).await;
            }
            SignatureAlgorithm::EcdsaP256Sha256 => {
                let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                let sign = move |message: &[u8]| sign_ecdsa(algorithm, &private_key, message);
                return self.signed(sign, message).await;
            }
            SignatureAlgorithm::EcdsaP384Sha384 => {
                let algorithm = &signature::ECDSA_P384_SHA384_ASN1_SIGNING;
                let sign = move |message: &[u8]| sign_ecdsa(algorithm, &private_key, message);
                return self.signed(sign, message).await;
            }
            SignatureAlgorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
            SignatureAlgorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_SHA512,
            SignatureAlgorithm::RsaPssSha256 => &signature::RSA_PSS_SHA256,
            SignatureAlgorithm::EcdsaP384Sha256 | SignatureAlgorithm::RsaPkcs1Sha384 => {
                return Ok(Err(Error::Unsupported));
            }
        };
        self.slowly(move || sign_rsa(padding, &private_key, &message))
            .await
    }

    pub(super) async fn verify(
        &mut self,
        public_key: Vec<u8>,
        algorithm: SignatureAlgorithm,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        self.reach.scope()?;
        if public_key.len() > KEY || signature.len() > KEY {
            return Ok(Err(Error::TooLarge));
        }
        let _held = copied(&self.reach.account, message.len())?;
        if message.len() < BULK {
            return Ok(verify(&public_key, algorithm, &message, &signature));
        }
        self.slowly(move || verify(&public_key, algorithm, &message, &signature))
            .await
    }

    pub(super) async fn pbkdf2_sha256(
        &mut self,
        password: Vec<u8>,
        salt: Vec<u8>,
        iterations: u32,
    ) -> wasmtime::Result<Vec<u8>> {
        self.reach.scope()?;
        let password = Zeroizing::new(password);
        let in_all = password.len().saturating_add(salt.len());
        let _held = copied(&self.reach.account, in_all)?;
        self.remember(&password)?;
        let rounds = NonZeroU32::new(iterations)
            .filter(|rounds| rounds.get() <= ITERATIONS)
            .ok_or(BadIterations(iterations))?;
        let derive = move || {
            let mut out = vec![0; 32];
            pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                rounds,
                &salt,
                &password,
                &mut out,
            );
            out
        };
        let key = if iterations < SLOW_ITERATIONS && in_all < BULK {
            derive()
        } else {
            self.slowly(derive).await?
        };
        self.remember(&key)?;
        Ok(key)
    }
}

/// A count of iterations that stops the call: `pbkdf2-sha256` has no error.
#[derive(Debug, thiserror::Error)]
#[error("pbkdf2-sha256 was asked for {0} iterations; 1 to {ITERATIONS} are possible")]
struct BadIterations(u32);

/// aws-lc-rs failed where only a lack of memory or randomness can make it fail.
#[derive(Debug, thiserror::Error)]
#[error("the host could not make a key")]
struct NoKey;

impl CallState {
    /// Signs a message, aside where it is long.
    async fn signed<T: Send + 'static>(
        &mut self,
        sign: impl FnOnce(&[u8]) -> T + Send + 'static,
        message: Vec<u8>,
    ) -> wasmtime::Result<T> {
        if message.len() < BULK {
            return Ok(sign(&message));
        }
        self.slowly(move || sign(&message)).await
    }

    pub(super) async fn slowly<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> wasmtime::Result<T> {
        Ok(self.reach.aside.crypto.done(work).await?)
    }
}

fn generate_ed25519() -> wasmtime::Result<KeyPair> {
    let pair = Ed25519KeyPair::generate().map_err(|_| NoKey)?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| NoKey)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| NoKey)?;
    Ok(key_pair(private.as_ref(), public.as_ref()))
}

fn generate_ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> wasmtime::Result<KeyPair> {
    let pair = EcdsaKeyPair::generate(algorithm).map_err(|_| NoKey)?;
    let private = pair.to_pkcs8v1().map_err(|_| NoKey)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| NoKey)?;
    Ok(key_pair(private.as_ref(), public.as_ref()))
}

fn generate_rsa(size: KeySize) -> wasmtime::Result<KeyPair> {
    let pair = RsaKeyPair::generate(size).map_err(|_| NoKey)?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| NoKey)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| NoKey)?;
    Ok(key_pair(private.as_ref(), public.as_ref()))
}

fn key_pair(private_key: &[u8], public_key: &[u8]) -> KeyPair {
    KeyPair {
        private_key: private_key.to_vec(),
        public_key: public_key.to_vec(),
    }
}

/// Signs with a key in PKCS #8.
///
/// # Errors
/// [`Error::MalformedKey`].
pub fn sign_ed25519(private_key: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    let pair =
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(private_key).map_err(|_| Error::MalformedKey)?;
    let signature = pair.try_sign(message).map_err(|_| Error::MalformedKey)?;
    Ok(signature.as_ref().to_vec())
}

/// Signs with a key in PKCS #8; the signature is in DER.
///
/// # Errors
/// [`Error::MalformedKey`].
pub fn sign_ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
    private_key: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private_key).map_err(|_| Error::MalformedKey)?;
    let signature = pair
        .sign(&SystemRandom::new(), message)
        .map_err(|_| Error::MalformedKey)?;
    Ok(signature.as_ref().to_vec())
}

/// Signs with a key in PKCS #8.
///
/// # Errors
/// [`Error::MalformedKey`].
pub fn sign_rsa(
    padding: &'static dyn RsaEncoding,
    private_key: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let pair = RsaKeyPair::from_pkcs8(private_key).map_err(|_| Error::MalformedKey)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| Error::MalformedKey)?;
    Ok(signature)
}

/// Whether a signature is of this message and key, which is in X.509 form.
///
/// # Errors
/// [`Error::MalformedKey`].
pub fn verify(
    public_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        SignatureAlgorithm::Ed25519 => &signature::ED25519,
        SignatureAlgorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureAlgorithm::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SignatureAlgorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
    };
    if !is_spki(public_key) {
        return Err(Error::MalformedKey);
    }
    let key = ParsedPublicKey::new(algorithm, public_key).map_err(|_| Error::MalformedKey)?;
    Ok(key.verify_sig(message, signature).is_ok())
}

/// Whether DER begins as a SubjectPublicKeyInfo does, with a SEQUENCE in a
/// SEQUENCE: the library also reads bare points and RSAPublicKey, the contract
/// does not.
fn is_spki(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    let inner = match der {
        [SEQUENCE, length, rest @ ..] if *length < 0x80 => rest,
        [SEQUENCE, 0x81, _, rest @ ..] | [SEQUENCE, 0x82, _, _, rest @ ..] => rest,
        _ => return false,
    };
    // 32 bytes are a bare Ed25519 key, whatever they look like.
    inner.first() == Some(&SEQUENCE) && der.len() != 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_and_any_other_does_not() {
        let p256 = generate_ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let p384 = generate_ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let ed25519 = generate_ed25519().unwrap();
        let rsa = generate_rsa(KeySize::Rsa2048).unwrap();
        let message = b"message".as_slice();
        for (algorithm, key, signed) in [
            (
                SignatureAlgorithm::Ed25519,
                &ed25519,
                sign_ed25519(&ed25519.private_key, message),
            ),
            (
                SignatureAlgorithm::EcdsaP256Sha256,
                &p256,
                sign_ecdsa(
                    &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
                    &p256.private_key,
                    message,
                ),
            ),
            (
                SignatureAlgorithm::EcdsaP384Sha384,
                &p384,
                sign_ecdsa(
                    &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
                    &p384.private_key,
                    message,
                ),
            ),
            (
                SignatureAlgorithm::RsaPkcs1Sha256,
                &rsa,
                sign_rsa(&signature::RSA_PKCS1_SHA256, &rsa.private_key, message),
            ),
            (
                SignatureAlgorithm::RsaPkcs1Sha512,
                &rsa,
                sign_rsa(&signature::RSA_PKCS1_SHA512, &rsa.private_key, message),
            ),
            (
                SignatureAlgorithm::RsaPssSha256,
                &rsa,
                sign_rsa(&signature::RSA_PSS_SHA256, &rsa.private_key, message),
            ),
        ] {
            let signed = signed.unwrap();
            let verified =
                |message, signed| verify(&key.public_key, algorithm, message, signed).unwrap();
            assert!(verified(message, &signed), "{algorithm:?}");
            assert!(!verified(b"other", &signed), "{algorithm:?}");
            assert!(!verified(message, b"not a signature"), "{algorithm:?}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_malformed() {
        let p256 = generate_ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let rsa_pkcs1 = {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            pair.public_key().as_ref().to_vec()
        };
        let bare_point = p256.public_key[26..].to_vec();
        for (algorithm, key) in [
            (
                SignatureAlgorithm::EcdsaP384Sha384,
                p256.public_key.as_slice(),
            ),
            (SignatureAlgorithm::RsaPkcs1Sha256, &p256.public_key),
            (SignatureAlgorithm::Ed25519, &p256.public_key),
            (SignatureAlgorithm::EcdsaP256Sha256, &bare_point),
            (SignatureAlgorithm::RsaPkcs1Sha256, &rsa_pkcs1),
            (SignatureAlgorithm::Ed25519, &[0x30; 32]),
            (SignatureAlgorithm::Ed25519, b""),
        ] {
            assert!(
                matches!(verify(key, algorithm, b"m", b"s"), Err(Error::MalformedKey)),
                "{algorithm:?} {}",
                key.len()
            );
        }
        assert!(matches!(
            sign_ed25519(&p256.private_key, b"m"),
            Err(Error::MalformedKey)
        ));
    }
}
