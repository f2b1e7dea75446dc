//! The seam inside a component: the host's own functions, translated to the
//! SDK's words.

use std::time::{Duration, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::bindings::base::lessor::plugin::{
    crypto as wit_crypto, host as wit_host, identity as wit_identity, memo as wit_memo,
    network as wit_network, occasion as wit_occasion,
};
use crate::crypto::{CryptoError, KeyAlgorithm, KeyPair, SignatureAlgorithm};
use crate::identity::IdentityError;
use crate::log::Level;
use crate::network::NetworkCause;
use crate::occasion::{Caller, Trigger};
use crate::time::UnixTime;

/// A byte stream that the host holds.
pub(crate) struct Stream(wit_network::Connection);

pub(crate) fn connect(host: &str, port: u16) -> Result<Stream, NetworkCause> {
    wit_network::Connection::connect(host, port)
        .map(Stream)
        .map_err(cause)
}

pub(crate) fn unpark(key: &str) -> Option<Stream> {
    wit_network::Connection::unpark(key).map(Stream)
}

impl Stream {
    pub(crate) fn park(self, key: &str) {
        wit_network::Connection::park(self.0, key);
    }

    pub(crate) fn start_tls(&mut self, server_name: Option<&str>) -> Result<(), NetworkCause> {
        self.0.start_tls(server_name).map_err(cause)
    }

    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.0.peer_certificate()
    }

    pub(crate) fn read(&mut self, limit: u32) -> Result<Vec<u8>, NetworkCause> {
        self.0.read(limit).map_err(cause)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), NetworkCause> {
        self.0.write(bytes).map_err(cause)
    }
}

pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
    let level = match level {
        Level::Trace => wit_host::Level::Trace,
        Level::Debug => wit_host::Level::Debug,
        Level::Info => wit_host::Level::Info,
        Level::Warn => wit_host::Level::Warn,
        Level::Error => wit_host::Level::Error,
    };
    wit_host::log(level, message, fields);
}

pub(crate) fn derive(label: &str, length: u32) -> Vec<u8> {
    wit_host::derive(label, length)
}

/// Tells the host a secret that came to be here, so that it masks it in whatever this
/// provider says. Nothing is derived for it, also by a host that does not know this.
pub(crate) fn remember(secret: &str) {
    let label = Zeroizing::new(format!("{TOLD}{secret}"));
    wit_host::derive(&label, 0);
}

/// What a label begins with that tells a secret.
const TOLD: &str = "lessor-secret:";

pub(crate) fn recall(key: &str) -> Option<Vec<u8>> {
    wit_memo::recall(key)
}

pub(crate) fn keep(key: &str, value: &[u8], is_secret: bool, ttl_s: u32) {
    let sensitivity = match is_secret {
        true => wit_memo::Sensitivity::Secret,
        false => wit_memo::Sensitivity::Open,
    };
    wit_memo::remember(key, value, sensitivity, ttl_s);
}

pub(crate) fn forget(key: &str) {
    wit_memo::forget(key);
}

pub(crate) fn identify(audience: &str) -> Result<String, IdentityError> {
    wit_identity::token(audience).map_err(|error| match error {
        wit_identity::Error::NotConfigured(text) => IdentityError::NotConfigured(text),
        wit_identity::Error::AudienceNotAllowed(text) => IdentityError::NotAllowed(text),
        wit_identity::Error::Unavailable => IdentityError::Unavailable,
    })
}

pub(crate) fn trigger() -> Trigger {
    match wit_occasion::why() {
        wit_occasion::Trigger::Request => Trigger::Request,
        wit_occasion::Trigger::Configuration => Trigger::Configuration,
        wit_occasion::Trigger::Schedule => Trigger::Schedule,
        wit_occasion::Trigger::Expiry => Trigger::Expiry,
        wit_occasion::Trigger::Operator => Trigger::Operator,
        wit_occasion::Trigger::Cascade => Trigger::Cascade,
        wit_occasion::Trigger::Recovery => Trigger::Recovery,
    }
}

pub(crate) fn caller() -> Option<Caller> {
    wit_occasion::who().map(|caller| Caller {
        entity: caller.entity,
        display_name: caller.display_name,
        accessor: caller.accessor,
        claims: caller.claims,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the SDK that reads the clock; the host may set it"
)]
pub(crate) fn now() -> UnixTime {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_seconds(since.as_secs())
}

/// Time since some moment of this instance; no clock moves it back.
pub(crate) fn elapsed() -> Duration {
    Duration::from_nanos(wasip2::clocks::monotonic_clock::now())
}

pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}

pub(crate) fn generate_key(algorithm: KeyAlgorithm) -> Result<KeyPair, CryptoError> {
    let algorithm = match algorithm {
        KeyAlgorithm::Ed25519 => wit_crypto::KeyAlgorithm::Ed25519,
        KeyAlgorithm::EcdsaP256 => wit_crypto::KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384 => wit_crypto::KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::Rsa2048 => wit_crypto::KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Rsa3072 => wit_crypto::KeyAlgorithm::Rsa3072,
        KeyAlgorithm::Rsa4096 => wit_crypto::KeyAlgorithm::Rsa4096,
    };
    let pair = wit_crypto::generate_key(algorithm).map_err(crypto_error)?;
    Ok(KeyPair {
        private_key: pair.private_key.into(),
        public_key: pair.public_key,
    })
}

pub(crate) fn sign(
    private_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    wit_crypto::sign(private_key, signature_algorithm(algorithm), message).map_err(crypto_error)
}

pub(crate) fn verify(
    public_key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, CryptoError> {
    let algorithm = signature_algorithm(algorithm);
    wit_crypto::verify(public_key, algorithm, message, signature).map_err(crypto_error)
}

pub(crate) fn pbkdf2_sha256(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    wit_crypto::pbkdf2_sha256(password, salt, iterations)
}

fn signature_algorithm(algorithm: SignatureAlgorithm) -> wit_crypto::SignatureAlgorithm {
    match algorithm {
        SignatureAlgorithm::Ed25519 => wit_crypto::SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::EcdsaP256Sha256 => wit_crypto::SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384 => wit_crypto::SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::RsaPkcs1Sha256 => wit_crypto::SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::RsaPkcs1Sha512 => wit_crypto::SignatureAlgorithm::RsaPkcs1Sha512,
        SignatureAlgorithm::RsaPssSha256 => wit_crypto::SignatureAlgorithm::RsaPssSha256,
        SignatureAlgorithm::EcdsaP384Sha256 => wit_crypto::SignatureAlgorithm::EcdsaP384Sha256,
        SignatureAlgorithm::RsaPkcs1Sha384 => wit_crypto::SignatureAlgorithm::RsaPkcs1Sha384,
    }
}

fn crypto_error(error: wit_crypto::Error) -> CryptoError {
    match error {
        wit_crypto::Error::Unsupported => CryptoError::Unsupported,
        wit_crypto::Error::MalformedKey => CryptoError::MalformedKey,
        wit_crypto::Error::TooLarge => CryptoError::TooLarge,
    }
}

fn cause(error: wit_network::Error) -> NetworkCause {
    match error {
        wit_network::Error::Denied(text) => NetworkCause::Denied(text),
        wit_network::Error::Unresolved => NetworkCause::Unresolved,
        wit_network::Error::Unreachable(text) => NetworkCause::Unreachable(text),
        wit_network::Error::Tls(text) => NetworkCause::Tls(text),
        wit_network::Error::TimedOut => NetworkCause::TimedOut,
        wit_network::Error::Closed => NetworkCause::Closed,
    }
}
