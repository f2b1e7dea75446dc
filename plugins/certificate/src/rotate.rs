//! Makes a new authority and ties it to those before in both directions
//! (RFC 4210, 4.4, "root CA key update"):
//!
//! - the new key certified by the former authority: who trusts only the former
//!   verifies new leaves. It goes into `chain`, which every leaf comes with.
//! - each former key certified by the new authority: who trusts only the new
//!   one verifies older leaves. These are served at `ca_chain`. They are made
//!   anew by every rotation, so that one step leads from any former key to the
//!   authority of the day: verifiers such as OpenSSL do not search for a way.
//!
//! A former authority stays in the config until the last leaf that it can have
//! signed has expired, so that these can still be revoked. It is never ended by
//! the host: nothing upstream knows of it.

use const_oid::db::rfc4519;
use lessor_sdk::{Context, Failure, Result, Rotated, Secret};
use x509_cert::name::Name;

use crate::Certificate;
use crate::authority::{Authority, AuthorityProfile};
use crate::config::{Config, Former};
use crate::keys;
use crate::x509::{Cert, distinguished_name, key_id};

/// A new authority, as the whole new config.
pub(crate) fn root(ctx: &Context, config: &Config) -> Result<Rotated<Certificate>> {
    let former = Authority::of(config)?;
    let new = make(ctx, config, former.as_ref())?;
    let mut next = config.clone();
    next.chain = String::new();
    next.former.retain(|kept| kept.until > ctx.now().seconds());
    for kept in &mut next.former {
        kept.cross_certificate = cross_back(ctx, &new, &Authority::of_former(kept)?)?;
    }
    if let Some(former) = former.filter(|former| former.certificate.not_after() > ctx.now()) {
        next.chain = chain(ctx, &former, &new)?;
        next.former.insert(0, keep(ctx, config, &former, &new)?);
    }
    next.certificate = Some(new.certificate.pem());
    next.private_key = Some(Secret::new(new.private_key_pem()));
    Ok(Rotated::root(next)
        .fact("subject", new.certificate.subject().to_string())
        .fact("fingerprint_sha256", new.certificate.fingerprint())
        .fact("key_id", hex::encode(&new.key_id))
        .fact("not_after", new.certificate.not_after().to_string()))
}

fn make(ctx: &Context, config: &Config, former: Option<&Authority>) -> Result<Authority> {
    let name = match former {
        Some(former) if config.common_name.is_none() => former.certificate.subject().clone(),
        _ => configured_name(config)?,
    };
    let (pair, public_key) = keys::generate(config.key_type)?;
    let profile = AuthorityProfile {
        serial_label: "authority".to_owned(),
        name,
        key_id: key_id(&public_key)?,
        public_key,
        not_after: ctx.now().plus(config.ttl.duration()),
        path_len: config.path_len,
    };
    Authority::self_signed(ctx, profile, pair.private_key.to_vec())
}

/// The subject of an authority that rotation makes.
pub(crate) fn configured_name(config: &Config) -> Result<Name> {
    if config.common_name.is_none() {
        return Err(Failure::invalid_config(
            "ca_missing",
            "config.common_name: a new authority needs one.",
        ));
    }
    distinguished_name(&[
        (
            "config.country",
            rfc4519::COUNTRY_NAME,
            config.country.as_deref(),
        ),
        ("config.province", rfc4519::ST, config.province.as_deref()),
        (
            "config.locality",
            rfc4519::LOCALITY_NAME,
            config.locality.as_deref(),
        ),
        (
            "config.organization",
            rfc4519::ORGANIZATION_NAME,
            config.organization.as_deref(),
        ),
        (
            "config.ou",
            rfc4519::ORGANIZATIONAL_UNIT_NAME,
            config.ou.as_deref(),
        ),
        (
            "config.common_name",
            rfc4519::COMMON_NAME,
            config.common_name.as_deref(),
        ),
    ])
}

/// What leaves of `new` come with: the way from it up to what `former` was
/// trusted by.
fn chain(ctx: &Context, former: &Authority, new: &Authority) -> Result<String> {
    let Some(cross) = cross(ctx, "cross".to_owned(), former, new)? else {
        return Ok(String::new());
    };
    let mut certificates = vec![&cross];
    if !former.is_self_signed() {
        certificates.push(&former.certificate);
    }
    certificates.extend(former.chain());
    let alive = certificates
        .into_iter()
        .filter(|certificate| certificate.not_after() > ctx.now());
    Ok(alive.take(MAX_CHAIN).map(Cert::pem).collect())
}

fn keep(ctx: &Context, config: &Config, former: &Authority, new: &Authority) -> Result<Former> {
    let last_leaf = ctx.now().plus(config.max_leaf_ttl.duration());
    Ok(Former {
        certificate: former.certificate.pem(),
        private_key: Secret::new(former.private_key_pem()),
        cross_certificate: cross_back(ctx, new, former)?,
        until: last_leaf.min(former.certificate.not_after()).seconds(),
    })
}

fn cross_back(ctx: &Context, new: &Authority, former: &Authority) -> Result<Option<String>> {
    let label = format!("cross/{}", hex::encode(&former.key_id));
    Ok(cross(ctx, label, new, former)?.as_ref().map(Cert::pem))
}

/// The key of `subject` certified by `issuer`, where a path may lead that way.
fn cross(
    ctx: &Context,
    serial_label: String,
    issuer: &Authority,
    subject: &Authority,
) -> Result<Option<Cert>> {
    let name = subject.certificate.subject().clone();
    if !issuer.may_certify(&name) {
        return Ok(None);
    }
    let profile = AuthorityProfile {
        serial_label,
        name,
        public_key: subject.certificate.public_key().clone(),
        key_id: subject.key_id.clone(),
        not_after: subject.certificate.not_after(),
        path_len: subject.path_len(),
    };
    issuer.certify(ctx, profile).map(Some)
}

/// Who trusts an authority more rotations back than this must learn of a newer
/// one: each costs every TLS handshake some hundred bytes.
const MAX_CHAIN: usize = 4;
