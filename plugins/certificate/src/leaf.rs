//! Issues one certificate: checks every name against the role, takes or makes
//! the key, signs.

use std::time::Duration;

use const_oid::db::{rfc4519, rfc5280};
use der::asn1::{Ia5String, OctetString};
use lessor_sdk::{Context, Failure, Issued, Result, Secret, UnixTime};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::crl::CrlDistributionPoints;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, BasicConstraints, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use crate::allow::Allowed;
use crate::authority::{Authority, BACKDATED};
use crate::config::Config;
use crate::csr::CertificateRequest;
use crate::keys::{self, KeyKind};
use crate::names::AltName;
use crate::pem;
use crate::publish;
use crate::request::{Credential, Request};
use crate::role::Role;
use crate::usage;
use crate::x509::{Cert, Subject, colon_hex, defect, distinguished_name, extension, key_id};

/// Issues a certificate that ends at `expires_at`, or earlier where the
/// authority or the config sets an earlier end.
pub(crate) fn issue(
    ctx: &Context,
    config: &Config,
    role: &Role,
    request: &Request,
    expires_at: Option<UnixTime>,
) -> Result<Issued<Credential>> {
    let Some(authority) = Authority::of(config)? else {
        return Err(Failure::invalid_config(
            "ca_missing",
            "There is no certificate authority in this mount yet: make one by rotate-root.",
        ));
    };
    let now = ctx.now();
    let not_after = end(config, &authority, now, expires_at)?;
    let csr = request
        .csr
        .as_deref()
        .map(CertificateRequest::read)
        .transpose()?;
    let names = Names::decide(role, request, csr.as_ref())?;
    let key = Key::of(role, csr)?;
    let serial = authority.serial(ctx, "serial");

    let subject = Subject {
        serial: serial.clone(),
        name: subject_name(role, names.common_name.as_deref())?,
        not_before: now.minus(BACKDATED),
        not_after,
        extensions: extensions(config, role, &authority, &names, &key.public_key)?,
        public_key: key.public_key,
    };
    let certificate = Cert::sign(
        subject,
        authority.certificate.subject().clone(),
        &authority.signer(),
    )?;

    let mut chain = Vec::new();
    for certificate in authority.presented() {
        if certificate.not_after() > now {
            chain.push(certificate.pem());
        }
    }
    let id = colon_hex(&serial);
    let credential = Credential {
        certificate: certificate.pem(),
        private_key_type: key
            .private_key
            .is_some()
            .then(|| key.kind.family().to_owned()),
        private_key: key.private_key,
        issuing_ca: authority.certificate.pem(),
        ca_chain: chain,
        serial_number: id.clone(),
        expiration: not_after.seconds(),
    };
    Ok(Issued::new(id, credential)
        .fact("common_name", names.common_name)
        .fact(
            "alt_names",
            names
                .alt_names
                .iter()
                .map(AltName::to_string)
                .collect::<Vec<_>>(),
        )
        .fact("not_after", not_after.to_string())
        .fact("fingerprint_sha256", certificate.fingerprint())
        .fact("authority_key_id", hex::encode(&authority.key_id))
        .expires_in(time_left(not_after, ctx.now())))
}

/// What the host may count on. It counts from when the answer arrives, so this
/// is a second less than there is: a lease must end no later than its
/// certificate, or the host would think that it can be renewed. The time is
/// read again because making an RSA key can take seconds.
fn time_left(not_after: UnixTime, now: UnixTime) -> Duration {
    let second = Duration::from_secs(1);
    not_after.since(now).saturating_sub(second).max(second)
}

/// Checks what a role says, without issuing.
pub(crate) fn check_role(role: &Role) -> Result<()> {
    Allowed::from_role(role)?;
    usage::key_usage(&role.key_usage)?;
    usage::extended_key_usage(&role.ext_key_usage)?;
    subject_name(role, None).map(drop)
}

/// The names that a certificate carries, all of them allowed.
struct Names {
    common_name: Option<String>,
    alt_names: Vec<AltName>,
}

impl Names {
    fn decide(role: &Role, request: &Request, csr: Option<&CertificateRequest>) -> Result<Self> {
        let allowed = Allowed::from_role(role)?;
        let from_csr = csr.and_then(|csr| csr.common_name.as_deref());
        let (field, common_name) = match (request.common_name.as_deref(), from_csr) {
            (Some(asked), Some(in_csr)) if asked != in_csr => {
                return Err(Failure::invalid_request(
                    "common_name_twice",
                    "common_name: it differs from the common name of csr; give one of the two.",
                ));
            }
            (Some(asked), _) => ("common_name", Some(asked)),
            (None, in_csr) => ("csr", in_csr),
        };
        let mut alt_names = Vec::new();
        let mut add = |name: AltName| {
            if !alt_names.contains(&name) {
                alt_names.push(name);
            }
        };
        if let Some(text) = common_name
            && let Some(name) = allowed.check_common_name(field, text)?
        {
            add(name);
        }
        for text in &request.alt_names {
            let name = AltName::parse("alt_names", text)?;
            allowed.check("alt_names", &name)?;
            add(name);
        }
        for name in csr.map(|csr| csr.alt_names.as_slice()).unwrap_or_default() {
            allowed.check("csr", name)?;
            add(name.clone());
        }
        if common_name.is_none() && alt_names.is_empty() {
            return Err(Failure::invalid_request(
                "no_name",
                "A certificate needs a name: give common_name, alt_names, or a csr with one.",
            ));
        }
        Ok(Self {
            common_name: common_name.map(str::to_owned),
            alt_names,
        })
    }
}

/// The key that is certified, and its private half where it was made here.
struct Key {
    public_key: SubjectPublicKeyInfoOwned,
    kind: KeyKind,
    private_key: Option<Secret>,
}

impl Key {
    fn of(role: &Role, csr: Option<CertificateRequest>) -> Result<Self> {
        let Some(csr) = csr else {
            return Self::generate(role);
        };
        if !role.any_csr_key_type && !csr.kind.serves_as(role.key_type) {
            let wanted = serde_json::to_value(role.key_type)?;
            return Err(Failure::invalid_request(
                "key_type_not_allowed",
                format!(
                    "csr: its key is {}, and key_type of the role is {}.",
                    csr.kind,
                    wanted.as_str().unwrap_or_default()
                ),
            ));
        }
        Ok(Self {
            public_key: csr.public_key,
            kind: csr.kind,
            private_key: None,
        })
    }

    fn generate(role: &Role) -> Result<Self> {
        let (pair, public_key) = keys::generate(role.key_type)?;
        let kind = KeyKind::of(&public_key).ok_or_else(|| defect("a key of unknown kind"))?;
        let private_key = pem::write("PRIVATE KEY", &pair.private_key);
        Ok(Self {
            public_key,
            kind,
            private_key: Some(Secret::new(private_key)),
        })
    }
}

/// The earliest of the lease's end, the config's bound and the authority's own
/// end.
fn end(
    config: &Config,
    authority: &Authority,
    now: UnixTime,
    expires_at: Option<UnixTime>,
) -> Result<UnixTime> {
    let authority_end = authority.certificate.not_after();
    let bound = now.plus(config.max_leaf_ttl.duration()).min(authority_end);
    let end = expires_at.map_or(bound, |expires_at| expires_at.min(bound));
    if authority_end <= now {
        return Err(Failure::invalid_config(
            "ca_expired",
            format!(
                "The certificate authority of this mount ended at {authority_end}: make a new one by rotate-root."
            ),
        ));
    }
    if end <= now {
        return Err(Failure::invalid_request(
            "no_time_left",
            "The certificate would end before it begins.",
        ));
    }
    Ok(end)
}

fn subject_name(role: &Role, common_name: Option<&str>) -> Result<Name> {
    distinguished_name(&[
        (
            "role.country",
            rfc4519::COUNTRY_NAME,
            role.country.as_deref(),
        ),
        ("role.province", rfc4519::ST, role.province.as_deref()),
        (
            "role.locality",
            rfc4519::LOCALITY_NAME,
            role.locality.as_deref(),
        ),
        (
            "role.organization",
            rfc4519::ORGANIZATION_NAME,
            role.organization.as_deref(),
        ),
        (
            "role.ou",
            rfc4519::ORGANIZATIONAL_UNIT_NAME,
            role.ou.as_deref(),
        ),
        ("common_name", rfc4519::COMMON_NAME, common_name),
    ])
}

fn extensions(
    config: &Config,
    role: &Role,
    authority: &Authority,
    names: &Names,
    public_key: &SubjectPublicKeyInfoOwned,
) -> Result<Extensions> {
    let not_an_authority = BasicConstraints {
        ca: false,
        path_len_constraint: None,
    };
    let own_id = OctetString::new(key_id(public_key)?).map_err(defect)?;
    let mut extensions = vec![
        extension(true, &not_an_authority)?,
        extension(false, &SubjectKeyIdentifier(own_id))?,
        extension(false, &authority.key_identifier()?)?,
    ];
    if !role.key_usage.is_empty() {
        extensions.push(extension(true, &usage::key_usage(&role.key_usage)?)?);
    }
    if !role.ext_key_usage.is_empty() {
        extensions.push(extension(
            false,
            &usage::extended_key_usage(&role.ext_key_usage)?,
        )?);
    }
    if !names.alt_names.is_empty() {
        let general = names
            .alt_names
            .iter()
            .map(AltName::to_general_name)
            .collect::<der::Result<Vec<_>>>();
        // Critical where the subject is empty (RFC 5280, 4.2.1.6).
        let critical = subject_name(role, names.common_name.as_deref())?.is_empty();
        extensions.push(extension(
            critical,
            &SubjectAltName(general.map_err(defect)?),
        )?);
    }
    if let Some(base) = &config.base_url {
        extensions.push(extension(false, &crl_address(base, authority)?)?);
        extensions.push(extension(false, &issuer_address(base, authority)?)?);
    }
    Ok(extensions)
}

fn crl_address(base: &str, authority: &Authority) -> Result<CrlDistributionPoints> {
    let address = uri(&publish::crl_url(base, &authority.key_id))?;
    Ok(CrlDistributionPoints(vec![DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![address])),
        reasons: None,
        crl_issuer: None,
    }]))
}

fn issuer_address(base: &str, authority: &Authority) -> Result<AuthorityInfoAccessSyntax> {
    Ok(AuthorityInfoAccessSyntax(vec![AccessDescription {
        access_method: rfc5280::ID_AD_CA_ISSUERS,
        access_location: uri(&publish::ca_url(base, &authority.key_id))?,
    }]))
}

fn uri(text: &str) -> Result<GeneralName> {
    Ia5String::new(text)
        .map(GeneralName::UniformResourceIdentifier)
        .map_err(defect)
}
