//! The certificate authority of a mount, as the operator writes it and as
//! rotation rewrites it.

use lessor_sdk::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::role::KeyType;
use crate::span::Span;

/// A certificate authority: either `certificate` and `private_key`, or
/// `common_name` for one that the first rotation of the root makes.
///
/// One authority belongs in one mount: its revocation list knows only the
/// certificates that this mount issued.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The authority's certificate, PEM. Certificates that follow it in the
    /// same text join `chain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-lessor-rotated" = true))]
    pub certificate: Option<String>,
    /// The authority's private key, PEM: PKCS #8, PKCS #1 or SEC 1, not
    /// encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// Certificates above the authority, PEM, each certified by the next.
    /// Rotation puts cross certificates here.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("x-lessor-rotated" = true))]
    pub chain: String,

    /// Common name (CN) of an authority that rotation makes. Absent, it takes
    /// over the subject of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Organization (O) beside the common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Organizational unit (OU) beside the common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ou: Option<String>,
    /// Country (C) beside the common name, two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// State or province (ST) beside the common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub province: Option<String>,
    /// Locality (L) beside the common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The kind of key of an authority that rotation makes.
    pub key_type: KeyType,
    /// How long an authority that rotation makes lives.
    pub ttl: Span,
    /// How many authorities may stand between one that rotation makes and the
    /// leaves; absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_len: Option<u8>,

    /// The longest life of a certificate, whatever the lease. Former
    /// authorities are kept this long after a rotation, so that what they
    /// signed can be revoked: raise it only before issuing, lower it any time.
    pub max_leaf_ttl: Span,
    /// How long a revocation list says that it holds. Readers may keep using
    /// one until then.
    pub crl_ttl: Span,
    /// Where this mount is reached by those who verify certificates:
    /// `http://lessor.example.com:8200/v1/pki`. Given, certificates carry the
    /// addresses of the revocation list and of the issuer's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,

    /// Authorities before this one, newest first. Kept by rotation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-lessor-rotated" = true))]
    pub former: Vec<Former>,
}

/// An authority that a rotation has replaced. It signs nothing but its
/// revocation list.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Former {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub private_key: Secret,
    /// Its public key certified by the present authority, PEM: who trusts only
    /// that one verifies older leaves by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_certificate: Option<String>,
    /// Unix seconds at which the last leaf that it can have signed has
    /// expired.
    pub until: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            certificate: None,
            private_key: None,
            chain: String::new(),
            common_name: None,
            organization: None,
            ou: None,
            country: None,
            province: None,
            locality: None,
            key_type: KeyType::default(),
            ttl: Span::days(3_650),
            path_len: None,
            max_leaf_ttl: Span::days(32),
            crl_ttl: Span::days(3),
            base_url: None,
            former: Vec::new(),
        }
    }
}
