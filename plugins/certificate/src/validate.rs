//! Says before anything is stored whether a config or role can work, and what
//! will hurt later.

use std::time::Duration;

use lessor_sdk::{Context, Failure, Result, Validation};
use x509_cert::ext::pkix::KeyUsage;

use crate::authority::Authority;
use crate::config::Config;
use crate::leaf;
use crate::role::Role;
use crate::rotate;
use crate::x509::Cert;

/// Checks the authority, its key, those before it, and the role where given.
pub(crate) fn config(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
    check_fields(config)?;
    if let Some(role) = role {
        leaf::check_role(role)?;
    }
    let Some(authority) = Authority::of(config)? else {
        return Ok(Validation::default()
            .warning("There is no certificate authority yet: make one by rotate-root."));
    };
    let now = ctx.now();
    authority.prove(now)?;
    for former in &config.former {
        Authority::of_former(former)?.prove_key("config.former")?;
        Cert::all(
            "config.former.cross_certificate",
            former.cross_certificate.as_deref().unwrap_or_default(),
        )?;
    }
    let certificate = &authority.certificate;
    let identity = format!(
        "{} (SHA-256 {})",
        certificate.subject(),
        certificate.fingerprint()
    );
    let mut validation = Validation::identity(identity);
    let end = certificate.not_after();
    if end.since(now) < ENDS_SOON {
        validation = validation.warning(format!(
            "The certificate authority ends at {end}, and no certificate outlives it: make a new one by rotate-root."
        ));
    }
    if certificate.extension::<KeyUsage>().is_none() {
        validation = validation.warning(
            "The certificate of the authority has no key usage extension, which strict verifiers demand (RFC 5280, 4.2.1.3).",
        );
    }
    Ok(validation)
}

fn check_fields(config: &Config) -> Result<()> {
    if config.common_name.is_some() {
        rotate::configured_name(config)?;
    }
    for (field, span) in [
        ("ttl", config.ttl),
        ("max_leaf_ttl", config.max_leaf_ttl),
        ("crl_ttl", config.crl_ttl),
    ] {
        if span.duration() < SHORTEST {
            return Err(Failure::invalid_config(
                "too_short",
                format!("config.{field}: it needs at least 60 seconds."),
            ));
        }
    }
    if let Some(base) = &config.base_url {
        let address = base
            .strip_prefix("http://")
            .or_else(|| base.strip_prefix("https://"));
        let usable = address.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#']));
        if !usable || !base.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::invalid_config(
                "invalid_base_url",
                "config.base_url: it is no address such as http://lessor.example.com:8200/v1/pki.",
            ));
        }
    }
    Ok(())
}

/// Time enough to tell those who trust the authority of a new one.
const ENDS_SOON: Duration = Duration::from_secs(30 * 86_400);
/// Below, clocks that differ a little make everything invalid.
const SHORTEST: Duration = Duration::from_secs(60);
