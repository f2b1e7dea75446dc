//! The certificate authority in a config, ready to sign; and how a new one is
//! made.
//!
//! Every serial number starts with four bytes that name the key that signed
//! it. A provider remembers nothing, and so the id of a revoked credential,
//! which is its serial number, must itself tell whose revocation list it
//! belongs to.

use std::time::Duration;

use der::Encode;
use lessor_sdk::{Context, Failure, Result, UnixTime};
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use crate::config::{Config, Former};
use crate::keys::{KeyKind, Signer};
use crate::pem;
use crate::x509::{Cert, Subject, defect, extension};

/// A certificate authority with its key.
pub(crate) struct Authority {
    pub(crate) certificate: Cert,
    /// PKCS #8, DER.
    private_key: Vec<u8>,
    kind: KeyKind,
    /// Names the key in extensions and in the addresses of documents.
    pub(crate) key_id: Vec<u8>,
    /// How the serial numbers of what it signs begin.
    tag: [u8; 4],
    /// Certificates that a server presents beside it.
    chain: Vec<Cert>,
}

/// What a certificate of an authority says of it.
pub(crate) struct AuthorityProfile {
    /// Tells its serial number from others of the same operation.
    pub(crate) serial_label: String,
    pub(crate) name: Name,
    pub(crate) public_key: SubjectPublicKeyInfoOwned,
    /// What its leaves name it by. An authority from elsewhere may have its own
    /// way to compute it.
    pub(crate) key_id: Vec<u8>,
    pub(crate) not_after: UnixTime,
    pub(crate) path_len: Option<u8>,
}

impl Authority {
    /// The authority in `config`; none where the first rotation is still to
    /// make it.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>> {
        let (certificate, key) = match (&config.certificate, &config.private_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) if config.common_name.is_some() => return Ok(None),
            (None, None) => {
                return Err(Failure::invalid_config(
                    "ca_missing",
                    "config: give certificate and private_key of a certificate authority, or common_name and let \
                     rotate-root make one.",
                ));
            }
            (Some(_), None) => return Err(half("private_key", "certificate")),
            (None, Some(_)) => return Err(half("certificate", "private_key")),
        };
        let mut authority = Self::read("config", certificate, key.expose())?;
        authority
            .chain
            .extend(Cert::all("config.chain", &config.chain)?);
        Ok(Some(authority))
    }

    /// An authority that this one replaced.
    pub(crate) fn of_former(former: &Former) -> Result<Self> {
        Self::read(
            "config.former",
            &former.certificate,
            former.private_key.expose(),
        )
    }

    fn read(place: &str, certificate: &str, key: &str) -> Result<Self> {
        let field = format!("{place}.certificate");
        let mut certificates = Cert::all(&field, certificate)?.into_iter();
        let certificate = certificates.next().ok_or_else(|| {
            Failure::invalid_config(
                "invalid_pem",
                format!("{field}: there is no certificate in PEM in it."),
            )
        })?;
        let private_key = pem::private_key(&format!("{place}.private_key"), key)?;
        let mut authority = Self::new(certificate, private_key)?;
        authority.chain = certificates.collect();
        Ok(authority)
    }

    /// An authority from its certificate and its key, PKCS #8. Whether the two
    /// belong together is for [`Authority::prove`].
    pub(crate) fn new(certificate: Cert, private_key: Vec<u8>) -> Result<Self> {
        let kind = KeyKind::of(certificate.public_key()).filter(|kind| kind.is_usable()).ok_or_else(|| {
            Failure::invalid_config(
                "unsupported_key",
                "config.certificate: its key is none of Ed25519, ECDSA on P-256 or P-384, and RSA with 2048 to 8192 bits.",
            )
        })?;
        let key_id = certificate.key_id()?;
        let tag = issuer_tag(certificate.public_key())?;
        Ok(Self {
            certificate,
            private_key,
            kind,
            key_id,
            tag,
            chain: Vec::new(),
        })
    }

    /// Checks that it can sign what verifiers accept: an authority's
    /// certificate, its own key, and within its time.
    pub(crate) fn prove(&self, now: UnixTime) -> Result<()> {
        let refused = |code: &str, why: &str| {
            Err(Failure::invalid_config(
                code,
                format!("config.certificate: {why}."),
            ))
        };
        if !self
            .certificate
            .extension::<BasicConstraints>()
            .is_some_and(|constraints| constraints.ca)
        {
            return refused(
                "not_a_ca",
                "it is not one of a certificate authority (basicConstraints CA:TRUE)",
            );
        }
        let usage = self.certificate.extension::<KeyUsage>();
        if usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return refused("not_a_ca", "its key usage lacks keyCertSign");
        }
        if usage.is_some_and(|usage| !usage.crl_sign()) {
            return refused(
                "not_a_ca",
                "its key usage lacks cRLSign, which revocation lists need",
            );
        }
        if self.certificate.not_after() <= now {
            return refused(
                "ca_expired",
                &format!(
                    "it ended at {}; rotate-root makes a new one",
                    self.certificate.not_after()
                ),
            );
        }
        if self.certificate.not_before() > now {
            return refused(
                "ca_not_yet_valid",
                &format!("it begins only at {}", self.certificate.not_before()),
            );
        }
        self.prove_key("config")
    }

    /// Checks that key and certificate belong together; `place` is where both
    /// were written.
    pub(crate) fn prove_key(&self, place: &str) -> Result<()> {
        if self.signer().fits(&self.public_key_der()?)? {
            return Ok(());
        }
        Err(Failure::invalid_config(
            "key_mismatch",
            format!("{place}.private_key: it does not belong to the certificate."),
        ))
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer {
            private_key: &self.private_key,
            kind: self.kind,
        }
    }

    /// Its private key, PEM.
    pub(crate) fn private_key_pem(&self) -> String {
        pem::write("PRIVATE KEY", &self.private_key)
    }

    /// Certificates above it or across to it, without itself.
    pub(crate) fn chain(&self) -> &[Cert] {
        &self.chain
    }

    pub(crate) fn is_self_signed(&self) -> bool {
        self.certificate.subject() == self.certificate.issuer()
    }

    /// What a server presents after a leaf. Cross certificates come before a
    /// self-signed one: verifiers such as OpenSSL take the first that fits and
    /// do not come back.
    pub(crate) fn presented(&self) -> Vec<&Cert> {
        let mut certificates: Vec<&Cert> = self.chain.iter().collect();
        let place = if self.is_self_signed() {
            certificates.len()
        } else {
            0
        };
        certificates.insert(place, &self.certificate);
        certificates
    }

    /// Whether a path through this authority may lead on to another of this
    /// name. One of its own name does not count (RFC 5280, 6.1.4 (l)).
    pub(crate) fn may_certify(&self, name: &Name) -> bool {
        let path_len = self.path_len();
        path_len != Some(0) || name == self.certificate.subject()
    }

    pub(crate) fn path_len(&self) -> Option<u8> {
        self.certificate
            .extension::<BasicConstraints>()
            .and_then(|constraints| constraints.path_len_constraint)
    }

    /// The serial number of something that it signs: the same for every
    /// attempt of an operation.
    pub(crate) fn serial(&self, ctx: &Context, label: &str) -> Vec<u8> {
        serial(ctx, label, self.tag)
    }

    /// Whether it signed the certificate with this serial number.
    pub(crate) fn signed(&self, serial: &[u8]) -> bool {
        serial.len() == SERIAL_BYTES && serial.starts_with(&self.tag)
    }

    /// The extension by which its leaves and lists name its key.
    pub(crate) fn key_identifier(&self) -> Result<AuthorityKeyIdentifier> {
        key_identifier(&self.key_id)
    }

    /// Certifies another authority.
    pub(crate) fn certify(&self, ctx: &Context, profile: AuthorityProfile) -> Result<Cert> {
        let serial = self.serial(ctx, &profile.serial_label);
        let not_after = profile.not_after.min(self.certificate.not_after());
        let subject = authority_subject(ctx, profile, serial, not_after, &self.key_id)?;
        Cert::sign(subject, self.certificate.subject().clone(), &self.signer())
    }

    /// A new authority that certifies itself.
    pub(crate) fn self_signed(
        ctx: &Context,
        profile: AuthorityProfile,
        private_key: Vec<u8>,
    ) -> Result<Self> {
        let kind =
            KeyKind::of(&profile.public_key).ok_or_else(|| defect("a key of unknown kind"))?;
        let tag = issuer_tag(&profile.public_key)?;
        let serial = serial(ctx, &profile.serial_label, tag);
        let (name, not_after, own_id) = (
            profile.name.clone(),
            profile.not_after,
            profile.key_id.clone(),
        );
        let subject = authority_subject(ctx, profile, serial, not_after, &own_id)?;
        let certificate = Cert::sign(
            subject,
            name,
            &Signer {
                private_key: &private_key,
                kind,
            },
        )?;
        Self::new(certificate, private_key)
    }

    fn public_key_der(&self) -> Result<Vec<u8>> {
        self.certificate.public_key().to_der().map_err(defect)
    }
}

fn authority_subject(
    ctx: &Context,
    profile: AuthorityProfile,
    serial: Vec<u8>,
    not_after: UnixTime,
    issuer_key_id: &[u8],
) -> Result<Subject> {
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let constraints = BasicConstraints {
        ca: true,
        path_len_constraint: profile.path_len,
    };
    let own_id = octets(&profile.key_id)?;
    let extensions: Extensions = vec![
        extension(true, &constraints)?,
        extension(true, &usage)?,
        extension(false, &SubjectKeyIdentifier(own_id))?,
        extension(false, &key_identifier(issuer_key_id)?)?,
    ];
    Ok(Subject {
        serial,
        name: profile.name,
        public_key: profile.public_key,
        not_before: ctx.now().minus(BACKDATED),
        not_after,
        extensions,
    })
}

fn key_identifier(key_id: &[u8]) -> Result<AuthorityKeyIdentifier> {
    Ok(AuthorityKeyIdentifier {
        key_identifier: Some(octets(key_id)?),
        ..Default::default()
    })
}

fn octets(bytes: &[u8]) -> Result<der::asn1::OctetString> {
    der::asn1::OctetString::new(bytes).map_err(defect)
}

/// Four bytes that name the issuer's key, sixteen that nobody can guess.
fn serial(ctx: &Context, label: &str, issuer: [u8; 4]) -> Vec<u8> {
    let mut serial = issuer.to_vec();
    serial.extend(ctx.derive(label, UNGUESSABLE_BYTES).iter());
    serial
}

/// Four bytes of the hash of a public key, made positive and of fixed length:
/// the first bit is 0 and the second 1.
fn issuer_tag(public_key: &SubjectPublicKeyInfoOwned) -> Result<[u8; 4]> {
    let hash = Sha256::digest(public_key.to_der().map_err(defect)?);
    let mut tag = [0; 4];
    for (byte, hashed) in tag.iter_mut().zip(hash) {
        *byte = hashed;
    }
    let [first, ..] = &mut tag;
    *first = *first & 0x3f | 0x40;
    Ok(tag)
}

fn half(missing: &str, present: &str) -> Failure {
    Failure::invalid_config(
        "ca_incomplete",
        format!("config.{missing}: it is missing; {present} needs it."),
    )
}

/// The most that RFC 5280 allows (4.1.2.2).
const SERIAL_BYTES: usize = 20;
/// More than the 64 bits that keep a forged certificate from being prepared.
const UNGUESSABLE_BYTES: u32 = 16;
/// How far before now a certificate begins: verifiers whose clock is up to
/// this far behind accept a new one at once.
pub(crate) const BACKDATED: Duration = Duration::from_secs(30);
