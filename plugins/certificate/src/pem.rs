//! PEM as operators have it: several blocks in one text, words around them,
//! private keys in each of the forms that tools write.

use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::pem::LineEnding;
use der::{Decode, Encode, Sequence};
use lessor_sdk::{Failure, Result};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier};

use crate::x509::defect;

/// One block of a PEM text: its label and its content.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    pub(crate) content: Vec<u8>,
}

/// Every block of `text`, in order. `field` is where it was written.
pub(crate) fn blocks<'a>(field: &str, text: &'a str) -> Result<Vec<Block<'a>>> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let (_, from_start) = rest.split_at(start);
        let end = from_start.find(END).and_then(|end| {
            let after = from_start.get(end + END.len()..)?;
            Some(end + END.len() + after.find(DASHES)? + DASHES.len())
        });
        let Some((block, after)) = end.and_then(|end| from_start.split_at_checked(end)) else {
            return Err(broken(field, "a block begins and does not end"));
        };
        let (label, content) = der::pem::decode_vec(block.as_bytes()).map_err(|_| {
            broken(
                field,
                "a block is not Base64 between its two lines of dashes",
            )
        })?;
        blocks.push(Block { label, content });
        rest = after;
    }
    Ok(blocks)
}

/// Writes one block.
pub(crate) fn write(label: &str, content: &[u8]) -> Result<String> {
    der::pem::encode_string(label, LineEnding::LF, content).map_err(defect)
}

/// The private key in `text` as PKCS #8, whichever of the usual forms it has.
pub(crate) fn private_key(field: &str, text: &str) -> Result<Vec<u8>> {
    for block in blocks(field, text)? {
        return match block.label {
            "PRIVATE KEY" => Ok(block.content),
            "RSA PRIVATE KEY" => {
                from_pkcs1(&block.content).map_err(|_| broken(field, "the RSA key is damaged"))
            }
            "EC PRIVATE KEY" => from_sec1(&block.content)
                .ok_or_else(|| broken(field, "the EC key is damaged or names no curve")),
            "ENCRYPTED PRIVATE KEY" => Err(broken(
                field,
                "the key is encrypted; decrypt it by `openssl pkcs8 -in KEY`",
            )),
            // `openssl ecparam -genkey` writes these before the key.
            "EC PARAMETERS" => continue,
            _ => Err(broken(field, "this is no private key")),
        };
    }
    Err(broken(field, "there is no private key in PEM in it"))
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

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const RSA: ObjectIdentifier = const_oid::db::rfc5912::RSA_ENCRYPTION;
const EC: ObjectIdentifier = const_oid::db::rfc5912::ID_EC_PUBLIC_KEY;
