//! What a caller asks for, and what a caller gets.

use lessor_sdk::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which certificate a caller wants. It needs one name at least, here or in
/// the certificate request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Common name (CN) of the subject. A host name, IP or email address joins
    /// the alternative names by itself.
    pub common_name: Option<String>,
    /// Alternative names of any kind: `web.example.com`, `10.0.0.7`,
    /// `spiffe://prod/cart`, `ada@example.com`.
    pub alt_names: Vec<String>,
    /// A certificate request (PKCS #10, PEM) for a key that the caller keeps.
    /// Absent, a key is made and returned. Of the request only the key, the
    /// common name and the alternative names count.
    pub csr: Option<String>,
}

/// A certificate and what is needed to use it. All certificates and keys are
/// PEM.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Credential {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8; absent where the caller brought a certificate
    /// request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// `ec`, `rsa` or `ed25519`; absent like the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_type: Option<String>,
    /// The certificate of the authority that signed it.
    pub issuing_ca: String,
    /// What a server presents after the certificate: cross certificates first,
    /// so that those who trust an earlier authority can verify too.
    pub ca_chain: Vec<String>,
    /// Two hex digits a byte, between colons.
    pub serial_number: String,
    /// The end of its validity, Unix seconds.
    pub expiration: u64,
}
