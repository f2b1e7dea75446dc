//! What a role lets callers have, as the operator writes it.

use lessor_sdk::crypto::KeyAlgorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A role: which names, which keys, which uses. How long certificates live is
/// decided by the role's `default_ttl` and `max_ttl`, which the host keeps.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// Host names that may be asked for. `*` stands for one or more characters
    /// up to the next dot, a part `**` for one or more parts:
    /// `*.example.com`, `**.svc.cluster.local`.
    pub allowed_dns: Vec<String>,
    /// IP addresses and ranges that may be asked for: `10.0.0.0/8`.
    pub allowed_ips: Vec<String>,
    /// URIs that may be asked for. `*` stops at `/`, `?`, `#` and `@`, `**`
    /// does not: `spiffe://prod/ns/*/sa/*`.
    pub allowed_uris: Vec<String>,
    /// Email addresses that may be asked for: `*@example.com`.
    pub allowed_emails: Vec<String>,
    /// Common names that may be asked for although they are no host name, IP
    /// or email address that the other fields allow: `orders-*`.
    pub allowed_common_names: Vec<String>,
    /// Lets every well-formed name pass.
    pub allow_any_name: bool,
    /// Lets callers ask for wildcard names such as `*.example.com`, where a
    /// pattern takes them too.
    pub allow_wildcards: bool,

    /// The kind of key made for the caller, and the kind that a certificate
    /// request must bring; an RSA key of a request may be longer.
    pub key_type: KeyType,
    /// Takes certificate requests with a key of any supported kind.
    pub any_csr_key_type: bool,
    /// `digital_signature`, `content_commitment`, `key_encipherment`,
    /// `data_encipherment`, `key_agreement`, `encipher_only`, `decipher_only`.
    #[serde(default = "default_key_usage")]
    pub key_usage: Vec<String>,
    /// `server_auth`, `client_auth`, `code_signing`, `email_protection`,
    /// `time_stamping`, `ocsp_signing`, `any`, or object identifiers.
    #[serde(default = "default_ext_key_usage")]
    pub ext_key_usage: Vec<String>,

    /// Organization (O) of every subject.
    pub organization: Option<String>,
    /// Organizational unit (OU) of every subject.
    pub ou: Option<String>,
    /// Country (C) of every subject, two letters.
    pub country: Option<String>,
    /// State or province (ST) of every subject.
    pub province: Option<String>,
    /// Locality (L) of every subject.
    pub locality: Option<String>,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum KeyType {
    /// Ed25519 (RFC 8032).
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on NIST P-256.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on NIST P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    /// The algorithm that the host makes such a key by.
    pub(crate) fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Ed25519 => KeyAlgorithm::Ed25519,
            Self::EcdsaP256 => KeyAlgorithm::EcdsaP256,
            Self::EcdsaP384 => KeyAlgorithm::EcdsaP384,
            Self::Rsa2048 => KeyAlgorithm::Rsa2048,
            Self::Rsa3072 => KeyAlgorithm::Rsa3072,
            Self::Rsa4096 => KeyAlgorithm::Rsa4096,
        }
    }
}

/// Signing is what TLS 1.3, and TLS 1.2 with ephemeral keys, use a key for.
fn default_key_usage() -> Vec<String> {
    vec!["digital_signature".to_owned()]
}

fn default_ext_key_usage() -> Vec<String> {
    vec!["server_auth".to_owned(), "client_auth".to_owned()]
}
