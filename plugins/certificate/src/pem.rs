//! PEM as operators have it: several blocks in one text, words around them,
//! private keys in each of the forms that tools write.

use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Decode, Encode, Sequence};
use lessor_pem::Block;
use lessor_sdk::{Failure, Result};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier};

/// Every block of `text`, in order. `field` is where it was written.
pub(crate) fn blocks(field: &str, text: &str) -> Result<Vec<Block>> {
    lessor_pem::blocks(text).map_err(|why| broken(field, &why.to_string()))
}

/// Refuses a block that does not belong where it stands: leaving it out would
/// silently use less than was written.
pub(crate) fn misplaced(field: &str, block: &Block, taken: &str) -> Failure {
    let label: String = block.label.chars().take(64).collect();
    broken(
        field,
        &format!("a block {label:?} does not belong there, where {taken} stands"),
    )
}

/// Writes one block.
pub(crate) fn write(label: &str, content: &[u8]) -> String {
    lessor_pem::write(label, content)
}

/// The one private key in `text` as PKCS #8, whichever of the usual forms it has.
pub(crate) fn private_key(field: &str, text: &str) -> Result<Vec<u8>> {
    let mut found = None;
    for block in blocks(field, text)? {
        let key = match block.label.as_str() {
            "PRIVATE KEY" => block.content,
            "RSA PRIVATE KEY" => {
                from_pkcs1(&block.content).map_err(|_| broken(field, "the RSA key is damaged"))?
            }
            "EC PRIVATE KEY" => from_sec1(&block.content)
                .ok_or_else(|| broken(field, "the EC key is damaged or names no curve"))?,
            "ENCRYPTED PRIVATE KEY" => {
                return Err(broken(field, &lessor_pem::Broken::Encrypted.to_string()));
            }
            // `openssl ecparam -genkey` writes these before the key.
            "EC PARAMETERS" => continue,
            _ => return Err(misplaced(field, &block, "a private key")),
        };
        if found.replace(key).is_some() {
            return Err(broken(
                field,
                "there are several private keys in it; keep the one that is meant",
            ));
        }
    }
    found.ok_or_else(|| broken(field, "there is no private key in PEM in it"))
}

/// Wraps an RSAPrivateKey (RFC 8017, A.1.2) in PKCS #8.
fn from_pkcs1(key: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::from_der(key)?;
    let algorithm = AlgorithmIdentifierRef {
        oid: RSA,
        parameters: Some(AnyRef::NULL),
    };
    PrivateKeyInfo {
        version: 0,
        algorithm,
        private_key: OctetStringRef::new(key)?,
    }
    .to_der()
}

/// Wraps an ECPrivateKey (RFC 5915) in PKCS #8. The curve moves out into the
/// algorithm.
fn from_sec1(key: &[u8]) -> Option<Vec<u8>> {
    let parsed = EcPrivateKey::from_der(key).ok()?;
    let curve = parsed.curve?;
    let algorithm = AlgorithmIdentifierRef {
        oid: EC,
        parameters: Some(AnyRef::from(&curve)),
    };
    PrivateKeyInfo {
        version: 0,
        algorithm,
        private_key: OctetStringRef::new(key).ok()?,
    }
    .to_der()
    .ok()
}

/// RFC 5958, version 1.
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    private_key: &'a OctetStringRef,
}

#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    curve: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

fn broken(field: &str, why: &str) -> Failure {
    Failure::invalid_config("invalid_pem", format!("{field}: {why}."))
}

const RSA: ObjectIdentifier = const_oid::db::rfc5912::RSA_ENCRYPTION;
const EC: ObjectIdentifier = const_oid::db::rfc5912::ID_EC_PUBLIC_KEY;
