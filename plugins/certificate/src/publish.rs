//! The documents of the mount that anybody may read: certificates of the
//! authority, and its revocation lists, for former authorities too.
//!
//! | name | document |
//! |---|---|
//! | `ca`, `ca/<key id>` | an authority's certificate |
//! | `ca_chain` | everything to put beside a leaf that does not verify, PEM |
//! | `crl`, `crl/<key id>` | an authority's revocation list |
//!
//! Each of `ca` and `crl` is DER, and PEM with `/pem` after it. Without a key
//! id they are those of the authority that signs now.

use std::time::Duration;

use der::Sequence;
use der::asn1::Uint;
use lessor_sdk::{Context, Document, Result, RevokedCredential, UnixTime};
use spki::AlgorithmIdentifierOwned;
use x509_cert::certificate::Version;
use x509_cert::crl::RevokedCert;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use crate::authority::{Authority, BACKDATED};
use crate::config::Config;
use crate::pem;
use crate::x509::{Cert, defect, extension, sign, time};

/// The names served. What there is under a prefix depends on the config.
pub(crate) fn names() -> Vec<String> {
    ["ca", "ca/", "ca_chain", "crl", "crl/"]
        .map(str::to_owned)
        .to_vec()
}

/// Where the certificate of the authority with this key is served.
pub(crate) fn ca_url(base: &str, key_id: &[u8]) -> String {
    format!("{}/ca/{}", base.trim_end_matches('/'), hex::encode(key_id))
}

/// Where the revocation list of the authority with this key is served.
pub(crate) fn crl_url(base: &str, key_id: &[u8]) -> String {
    format!("{}/crl/{}", base.trim_end_matches('/'), hex::encode(key_id))
}

/// The document `name`; none where there is no such, or no authority yet.
pub(crate) fn document(
    ctx: &Context,
    config: &Config,
    name: &str,
    revoked: &[RevokedCredential],
) -> Result<Option<Document>> {
    let Some(current) = Authority::of(config)? else {
        return Ok(None);
    };
    if name == "ca_chain" {
        return ca_chain(config, &current, ctx.now()).map(Some);
    }
    let (name, as_pem) = match name.strip_suffix("/pem") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (kind, key_id) = match name.split_once('/') {
        Some((kind, key_id)) => (kind, Some(key_id)),
        None => (name, None),
    };
    let Some(authority) = with_key(config, current, key_id)? else {
        return Ok(None);
    };
    let document = match (kind, as_pem) {
        ("ca", false) => for_a_while("application/pkix-cert", authority.certificate.der),
        ("ca", true) => for_a_while(PEM, authority.certificate.pem().into_bytes()),
        ("crl", _) => {
            let list = revocation_list(&authority, config, revoked, ctx.now())?;
            let (content_type, body) = match as_pem {
                false => ("application/pkix-crl", list),
                true => (PEM, pem::write("X509 CRL", &list).into_bytes()),
            };
            let valid_for = (config.crl_ttl.duration() / 2).min(REFRESHED);
            Document {
                content_type: content_type.to_owned(),
                body,
                valid_for,
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(document))
}

/// The authority with this key id in hex, or the current one.
fn with_key(
    config: &Config,
    current: Authority,
    key_id: Option<&str>,
) -> Result<Option<Authority>> {
    let Some(wanted) = key_id else {
        return Ok(Some(current));
    };
    let has_it =
        |authority: &Authority| hex::encode(&authority.key_id).eq_ignore_ascii_case(wanted);
    if has_it(&current) {
        return Ok(Some(current));
    }
    for former in &config.former {
        let authority = Authority::of_former(former)?;
        if has_it(&authority) {
            return Ok(Some(authority));
        }
    }
    Ok(None)
}

/// What verifiers of this mount's leaves, older ones too, may need beside the
/// authority that they trust.
fn ca_chain(config: &Config, current: &Authority, now: UnixTime) -> Result<Document> {
    let mut crosses = Vec::new();
    for former in &config.former {
        crosses.extend(Cert::all(
            "config.former",
            former.cross_certificate.as_deref().unwrap_or_default(),
        )?);
    }
    let mut text = String::new();
    for certificate in current.presented().into_iter().chain(&crosses) {
        if certificate.not_after() > now {
            text.push_str(&certificate.pem());
        }
    }
    Ok(for_a_while(
        "application/pem-certificate-chain",
        text.into_bytes(),
    ))
}

/// A list by RFC 5280, section 5: version 2, with the number and the key that
/// verifiers need.
fn revocation_list(
    authority: &Authority,
    config: &Config,
    revoked: &[RevokedCredential],
    now: UnixTime,
) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for credential in revoked {
        // Ids of another shape are not of this provider's making.
        let Ok(serial) = hex::decode(credential.id.replace(':', "")) else {
            continue;
        };
        if authority.signed(&serial) {
            entries.push(RevokedCert {
                serial_number: SerialNumber::new(&serial).map_err(defect)?,
                revocation_date: time(credential.revoked_at)?,
                crl_entry_extensions: None,
            });
        }
    }
    let signer = authority.signer();
    let list = UnsignedList {
        version: Version::V2,
        signature: signer.algorithm(),
        issuer: authority.certificate.subject().clone(),
        this_update: time(now.minus(BACKDATED))?,
        next_update: time(now.plus(config.crl_ttl.duration()))?,
        extensions: vec![
            extension(false, &authority.key_identifier()?)?,
            extension(false, &CrlNumber(number(now, revoked.len())?))?,
        ],
        // Absent rather than empty (RFC 5280, 5.1.2.6).
        revoked: (!entries.is_empty()).then_some(entries),
    };
    sign(&list, &signer)
}

/// Grows from list to list, as it must (RFC 5280, 5.2.3), without anything
/// remembered: by the second, and within one second by the revocations.
fn number(now: UnixTime, revocations: usize) -> Result<Uint> {
    let number = u128::from(now.seconds()) << 32 | (revocations as u128 & 0xffff_ffff);
    let bytes = number.to_be_bytes();
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    Uint::new(bytes.get(leading..).unwrap_or_default()).map_err(defect)
}

/// RFC 5280, 5.1.2.
#[derive(Sequence)]
struct UnsignedList {
    version: Version,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    this_update: Time,
    next_update: Time,
    revoked: Option<Vec<RevokedCert>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Extensions,
}

fn for_a_while(content_type: &str, body: Vec<u8>) -> Document {
    Document {
        content_type: content_type.to_owned(),
        body,
        valid_for: REFRESHED,
    }
}

const PEM: &str = "application/x-pem-file";
/// How long the host may answer without asking. It asks at once after a
/// revocation, so this only spreads the cost of signing.
const REFRESHED: Duration = Duration::from_secs(3_600);
