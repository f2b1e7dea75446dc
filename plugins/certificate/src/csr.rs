//! Certificate requests (PKCS #10, RFC 2986). A request counts for three
//! things: its key, once its own signature proves that the requester holds it;
//! its common name; its alternative names. Whatever else it asks for, to be an
//! authority above all, is not honoured: the role decides.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::Any;
use der::{Decode, Encode, Sequence};
use lessor_pem::Block;
use lessor_sdk::crypto::CryptoError;
use lessor_sdk::{Failure, Result};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::request::{CertReqInfo, ExtensionReq};

use crate::keys::{self, KeyKind};
use crate::names::AltName;
use crate::pem;
use crate::x509::defect;

/// What counts of a certificate request.
pub(crate) struct CertificateRequest {
    pub(crate) public_key: SubjectPublicKeyInfoOwned,
    pub(crate) kind: KeyKind,
    pub(crate) common_name: Option<String>,
    pub(crate) alt_names: Vec<AltName>,
}

/// RFC 2986, section 4, with the signed part as the bytes that were signed.
#[derive(Sequence)]
struct SignedRequest {
    info: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: der::asn1::BitString,
}

impl CertificateRequest {
    /// Reads a request and checks its signature.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let blocks = pem::blocks("csr", text)
            .map_err(|failure| refused(failure.message().trim_start_matches("csr: ")))?;
        let block = match blocks.as_slice() {
            [block] if is_request(block) => block,
            others if !others.iter().any(is_request) => {
                return Err(refused("there is no certificate request in PEM in it."));
            }
            several if several.iter().all(is_request) => {
                return Err(refused(
                    "there are several certificate requests in it: send one at a time.",
                ));
            }
            _ => {
                return Err(refused(
                    "there is something else in it beside the certificate request.",
                ));
            }
        };
        let signed = SignedRequest::from_der(&block.content).map_err(|_| not_a_request())?;
        let info_der = signed.info.to_der().map_err(|_| not_a_request())?;
        let info = CertReqInfo::from_der(&info_der).map_err(|_| not_a_request())?;
        let kind = prove(&signed, &info, &info_der)?;
        Ok(Self {
            kind,
            common_name: common_name(&info)?,
            alt_names: alt_names(&info)?,
            public_key: info.public_key,
        })
    }
}

/// What openssl writes now, and what it and others wrote.
fn is_request(block: &Block) -> bool {
    matches!(
        block.label.as_str(),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST"
    )
}

/// Whether the requester holds the key that the request is for.
fn prove(signed: &SignedRequest, info: &CertReqInfo, info_der: &[u8]) -> Result<KeyKind> {
    let kind = KeyKind::of(&info.public_key)
        .ok_or_else(|| refused("its key is none of Ed25519, ECDSA on P-256 or P-384, and RSA."))?;
    if !kind.is_usable() {
        return Err(refused(&format!(
            "its key is {kind}; an RSA key needs 2048 to 8192 bits."
        )));
    }
    let public_key = info.public_key.to_der().map_err(defect)?;
    let signature = signed.signature.as_bytes().ok_or_else(not_a_request)?;
    let algorithm = signed.algorithm.oid;
    match keys::verify(&public_key, kind, algorithm, info_der, signature) {
        Ok(Some(true)) => Ok(kind),
        Ok(Some(false)) => Err(refused(
            "its signature is not by its own key over its own content.",
        )),
        Err(CryptoError::MalformedKey) => Err(refused("its key is damaged.")),
        Err(error) => Err(error.into()),
        Ok(None) => Err(refused(&format!(
            "it is signed by {}, which is not supported for its {kind} key; sign it with SHA-256.",
            name_of(algorithm)
        ))),
    }
}

fn common_name(info: &CertReqInfo) -> Result<Option<String>> {
    let name = info
        .subject
        .common_name()
        .map_err(|_| refused("its common name is not readable text."))?;
    Ok(name
        .map(|name| name.value().into_owned())
        .filter(|name| !name.is_empty()))
}

fn alt_names(info: &CertReqInfo) -> Result<Vec<AltName>> {
    let mut names = Vec::new();
    for extension in requested_extensions(info)? {
        if extension.extn_id != rfc5912::ID_CE_SUBJECT_ALT_NAME {
            continue;
        }
        let asked = SubjectAltName::from_der(extension.extn_value.as_bytes())
            .map_err(|_| refused("its alternative names are not well-formed."))?;
        for name in &asked.0 {
            names.push(AltName::from_general_name("csr", name)?);
        }
    }
    Ok(names)
}

fn requested_extensions(info: &CertReqInfo) -> Result<Vec<Extension>> {
    let mut extensions = Vec::new();
    let attributes = info
        .attributes
        .iter()
        .filter(|attribute| attribute.oid == rfc5912::ID_EXTENSION_REQ);
    for value in attributes.flat_map(|attribute| attribute.values.iter()) {
        let asked = value
            .decode_as::<ExtensionReq>()
            .map_err(|_| refused("the extensions that it asks for are not well-formed."))?;
        extensions.extend(asked.0);
    }
    Ok(extensions)
}

/// A signature algorithm by the name that people know, where there is one.
fn name_of(algorithm: ObjectIdentifier) -> String {
    let known = const_oid::db::DB.by_oid(&algorithm);
    known.map_or_else(|| algorithm.to_string(), str::to_owned)
}

fn not_a_request() -> Failure {
    refused("it is not a certificate request by RFC 2986.")
}

fn refused(why: &str) -> Failure {
    Failure::invalid_request("invalid_csr", format!("csr: {why}"))
}
