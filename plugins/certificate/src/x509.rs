//! Certificates as X.509 has them (RFC 5280): how one is put together, signed,
//! and read back. Nothing here decides who gets which.

use const_oid::AssociatedOid;
use const_oid::db::rfc4519;
use der::asn1::{Any, BitString, OctetString, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{AnyRef, DateTime, Decode, Encode, Sequence};
use lessor_sdk::{Failure, Result, UnixTime};
use sha2::{Digest, Sha256};
use spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{Certificate, Version};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use crate::keys::Signer;
use crate::pem;

/// A certificate: its bytes, and what they say.
pub(crate) struct Cert {
    pub(crate) der: Vec<u8>,
    pub(crate) parsed: Certificate,
}

/// What a certificate says, before it is signed (RFC 5280, 4.1.2).
#[derive(Sequence)]
pub(crate) struct Unsigned {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    public_key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Extensions,
}

/// What differs from certificate to certificate.
pub(crate) struct Subject {
    pub(crate) serial: Vec<u8>,
    pub(crate) name: Name,
    pub(crate) public_key: SubjectPublicKeyInfoOwned,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    pub(crate) extensions: Extensions,
}

/// Signed, as certificates and revocation lists are.
#[derive(Sequence)]
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

impl Cert {
    /// Reads a certificate; `field` is where it was written.
    pub(crate) fn read(field: &str, der: Vec<u8>) -> Result<Self> {
        let parsed = Certificate::from_der(&der).map_err(|error| {
            Failure::invalid_config(
                "invalid_certificate",
                format!("{field}: it is not a certificate by RFC 5280 ({error})."),
            )
        })?;
        Ok(Self { der, parsed })
    }

    /// Signs one for `subject`.
    pub(crate) fn sign(subject: Subject, issuer: Name, signer: &Signer<'_>) -> Result<Self> {
        let unsigned = Unsigned {
            version: Version::V3,
            serial_number: SerialNumber::new(&subject.serial).map_err(defect)?,
            signature: signer.algorithm(),
            issuer,
            validity: Validity::new(time(subject.not_before)?, time(subject.not_after)?),
            subject: subject.name,
            public_key: subject.public_key,
            extensions: subject.extensions,
        };
        let der = sign(&unsigned, signer)?;
        Self::read("certificate", der)
    }

    /// Every certificate in a PEM text, in order.
    pub(crate) fn all(field: &str, text: &str) -> Result<Vec<Self>> {
        let blocks = pem::blocks(field, text)?.into_iter();
        blocks
            .map(|block| match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => Self::read(field, block.content),
                _ => Err(pem::misplaced(field, &block, "a certificate")),
            })
            .collect()
    }

    pub(crate) fn pem(&self) -> String {
        pem::write("CERTIFICATE", &self.der)
    }

    pub(crate) fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    pub(crate) fn issuer(&self) -> &Name {
        self.parsed.tbs_certificate().issuer()
    }

    pub(crate) fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        self.parsed.tbs_certificate().subject_public_key_info()
    }

    pub(crate) fn not_before(&self) -> UnixTime {
        moment(self.parsed.tbs_certificate().validity().not_before)
    }

    pub(crate) fn not_after(&self) -> UnixTime {
        moment(self.parsed.tbs_certificate().validity().not_after)
    }

    /// An extension; none where it is absent or not well-formed.
    pub(crate) fn extension<'a, E: Decode<'a> + AssociatedOid>(&'a self) -> Option<E> {
        self.parsed
            .tbs_certificate()
            .get_extension::<E>()
            .ok()
            .flatten()
            .map(|(_, extension)| extension)
    }

    /// Names the key: what others carry as authority key identifier.
    pub(crate) fn key_id(&self) -> Result<Vec<u8>> {
        match self.extension::<SubjectKeyIdentifier>() {
            Some(identifier) => Ok(identifier.0.as_bytes().to_vec()),
            None => key_id(self.public_key()),
        }
    }

    /// SHA-256 over the certificate, two hex digits a byte, between colons.
    pub(crate) fn fingerprint(&self) -> String {
        colon_hex(&Sha256::digest(&self.der))
    }
}

/// Encodes and signs.
pub(crate) fn sign(content: &impl Encode, signer: &Signer<'_>) -> Result<Vec<u8>> {
    let content = content.to_der().map_err(defect)?;
    let signature = signer.sign(&content)?;
    let signed = Signed {
        content: AnyRef::from_der(&content).map_err(defect)?,
        algorithm: signer.algorithm(),
        signature: BitString::from_bytes(&signature).map_err(defect)?,
    };
    signed.to_der().map_err(defect)
}

/// The identifier of a key: the leftmost 160 bits of the SHA-256 hash of its
/// bits (RFC 7093, section 2, method 1).
pub(crate) fn key_id(key: &SubjectPublicKeyInfoOwned) -> Result<Vec<u8>> {
    let bits = key.subject_public_key.raw_bytes();
    Ok(Sha256::digest(bits).iter().take(20).copied().collect())
}

/// A distinguished name of those attributes that are given. Each is where it
/// was written, its type, its longest length (RFC 5280, A.1), and its value.
pub(crate) fn distinguished_name(
    attributes: &[(&str, ObjectIdentifier, Option<&str>)],
) -> Result<Name> {
    let mut sequence: Vec<SetOfVec<AttributeTypeAndValue>> = Vec::new();
    for (field, oid, value) in attributes {
        let Some(text) = value else { continue };
        let value = attribute(field, *oid, text)?;
        let mut set = SetOfVec::new();
        set.insert(AttributeTypeAndValue { oid: *oid, value })
            .map_err(defect)?;
        sequence.push(set);
    }
    Name::from_der(&sequence.to_der().map_err(defect)?).map_err(defect)
}

fn attribute(field: &str, oid: ObjectIdentifier, text: &str) -> Result<Any> {
    let refused =
        |why: &str| Failure::invalid_config("invalid_subject", format!("{field}: {why}."));
    if oid == rfc4519::COUNTRY_NAME {
        if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(refused(
                "a country is two capital letters (ISO 3166), such as DE",
            ));
        }
        return PrintableStringRef::new(text)
            .and_then(|text| Any::encode_from(&text))
            .map_err(defect);
    }
    let longest = if oid == rfc4519::LOCALITY_NAME || oid == rfc4519::ST {
        128
    } else {
        64
    };
    let length = text.chars().count();
    if length == 0 || length > longest || text.chars().any(char::is_control) {
        return Err(refused(&format!(
            "it needs 1 to {longest} printable characters"
        )));
    }
    Utf8StringRef::new(text)
        .and_then(|text| Any::encode_from(&text))
        .map_err(defect)
}

/// One extension.
pub(crate) fn extension<E: AssociatedOid + Encode>(critical: bool, value: &E) -> Result<Extension> {
    let value = OctetString::new(value.to_der().map_err(defect)?).map_err(defect)?;
    Ok(Extension {
        extn_id: E::OID,
        critical,
        extn_value: value,
    })
}

/// A moment as RFC 5280 writes it: UTCTime through 2049, then GeneralizedTime.
pub(crate) fn time(moment: UnixTime) -> Result<Time> {
    let last = UnixTime::from_seconds(END_OF_9999);
    DateTime::from_unix_duration(moment.min(last).since(UnixTime::from_seconds(0)))
        .map(Time::from)
        .map_err(defect)
}

fn moment(time: Time) -> UnixTime {
    UnixTime::from_seconds(time.to_unix_duration().as_secs())
}

/// `0a:1b`
pub(crate) fn colon_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// Something that cannot go wrong did.
pub(crate) fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::internal(
        "encoding",
        format!("The provider could not encode or decode its own ASN.1: {error}."),
    )
}

/// 9999-12-31T23:59:59Z, which RFC 5280 uses for "no end" (4.1.2.5).
const END_OF_9999: u64 = 253_402_300_799;
