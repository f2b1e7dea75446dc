//! Which names a role lets into a certificate. Everything is refused that no
//! pattern of the role takes; the refusal says which field would allow it.
//!
//! It compares names only in the one spelling that `names` gives them, which
//! is the one that gets signed.

use std::net::IpAddr;

use ipnet::IpNet;
use lessor_sdk::{Failure, Result};

use crate::glob::Glob;
use crate::names::{AltName, quoted};
use crate::role::Role;

/// The patterns of a role, read.
#[derive(Debug)]
pub(crate) struct Allowed {
    any: bool,
    wildcards: bool,
    dns: Vec<Glob>,
    ips: Vec<IpNet>,
    uris: Vec<Glob>,
    emails: Vec<EmailGlob>,
    common_names: Vec<Glob>,
}

/// A pattern of an email address: its local part may hold dots, its domain is
/// compared label by label.
#[derive(Debug)]
struct EmailGlob {
    text: String,
    local: Glob,
    domain: Glob,
}

impl Allowed {
    /// Reads a role's patterns, or says which cannot work.
    pub(crate) fn from_role(role: &Role) -> Result<Self> {
        let allowed = Self {
            any: role.allow_any_name,
            wildcards: role.allow_wildcards,
            dns: each("allowed_dns", &role.allowed_dns, dns_glob)?,
            ips: each("allowed_ips", &role.allowed_ips, ip_range)?,
            uris: each("allowed_uris", &role.allowed_uris, uri_glob)?,
            emails: each("allowed_emails", &role.allowed_emails, email_glob)?,
            common_names: each(
                "allowed_common_names",
                &role.allowed_common_names,
                free_glob,
            )?,
        };
        if !allowed.any && allowed.allows_nothing() {
            return Err(Failure::invalid_config(
                "no_names_allowed",
                "role: no name is allowed; give at least one of allowed_dns, allowed_ips, allowed_uris, \
                 allowed_emails and allowed_common_names, or set allow_any_name.",
            ));
        }
        Ok(allowed)
    }

    /// Whether the role lets `name` in; `field` is where it was asked for.
    pub(crate) fn check(&self, field: &str, name: &AltName) -> Result<()> {
        self.check_wildcard(field, name)?;
        if self.takes(name) {
            return Ok(());
        }
        let (kind, option, patterns) = match name {
            AltName::Dns(_) => ("DNS name", "allowed_dns", texts(&self.dns)),
            AltName::Ip(_) => (
                "IP address",
                "allowed_ips",
                self.ips.iter().map(IpNet::to_string).collect(),
            ),
            AltName::Uri(_) => ("URI", "allowed_uris", texts(&self.uris)),
            AltName::Email(_) => (
                "email address",
                "allowed_emails",
                self.emails.iter().map(|glob| glob.text.clone()).collect(),
            ),
        };
        Err(not_allowed(format!(
            "{field}: the {kind} {} is not allowed; {}.",
            quoted(&name.to_string()),
            what_is(option, &patterns)
        )))
    }

    /// Whether the role lets this common name in. Answers the name that goes
    /// into the alternative names too, where the common name is one.
    pub(crate) fn check_common_name(&self, field: &str, text: &str) -> Result<Option<AltName>> {
        let length = text.chars().count();
        if length == 0 || length > MAX_COMMON_NAME || text.chars().any(char::is_control) {
            return Err(Failure::invalid_request(
                "invalid_name",
                format!(
                    "{field}: {} cannot be a common name, which has 1 to 64 printable characters; \
                     a longer DNS name can stand in alt_names alone.",
                    quoted(text)
                ),
            ));
        }
        let name = match AltName::parse(field, text) {
            Ok(AltName::Uri(_)) | Err(_) => None,
            Ok(name) => Some(name),
        };
        if let Some(name) = &name {
            // Readers of old compare host names with the common name, so it is
            // no way round.
            self.check_wildcard(field, name)?;
            if self.takes(name) {
                return Ok(Some(name.clone()));
            }
        }
        if self.any || self.common_names.iter().any(|glob| glob.matches(text)) {
            return Ok(None);
        }
        match name {
            // The more telling refusal: of this kind of name.
            Some(name) if self.common_names.is_empty() => self.check(field, &name).map(|()| None),
            _ => Err(not_allowed(format!(
                "{field}: {} is not allowed; {}.",
                quoted(text),
                what_is("allowed_common_names", &texts(&self.common_names))
            ))),
        }
    }

    fn check_wildcard(&self, field: &str, name: &AltName) -> Result<()> {
        match name {
            AltName::Dns(text) if text.starts_with("*.") && !self.wildcards => {
                Err(not_allowed(format!(
                    "{field}: the wildcard name {} is not allowed; the role would need allow_wildcards.",
                    quoted(text)
                )))
            }
            _ => Ok(()),
        }
    }

    fn takes(&self, name: &AltName) -> bool {
        self.any
            || match name {
                AltName::Dns(text) => self.dns.iter().any(|glob| glob.matches(text)),
                AltName::Ip(address) => self.ips.iter().any(|range| range.contains(address)),
                AltName::Uri(text) => self.uris.iter().any(|glob| glob.matches(text)),
                AltName::Email(text) => self.emails.iter().any(|glob| glob.matches(text)),
            }
    }

    fn allows_nothing(&self) -> bool {
        self.dns.is_empty()
            && self.ips.is_empty()
            && self.uris.is_empty()
            && self.emails.is_empty()
            && self.common_names.is_empty()
    }
}

impl EmailGlob {
    fn matches(&self, address: &str) -> bool {
        address
            .rsplit_once('@')
            .is_some_and(|(local, domain)| self.local.matches(local) && self.domain.matches(domain))
    }
}

fn each<T>(
    field: &str,
    texts: &[String],
    read: fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>> {
    texts
        .iter()
        .map(|text| {
            read(text).map_err(|why| {
                Failure::invalid_config(
                    "invalid_pattern",
                    format!("role.{field}: {} {why}.", quoted(text)),
                )
            })
        })
        .collect()
}

fn dns_glob(text: &str) -> Result<Glob, &'static str> {
    let known = |character: char| character.is_ascii_alphanumeric() || "-_.*".contains(character);
    if text.is_empty() || !text.chars().all(known) {
        return Err("is not a pattern of host names such as web-*.example.com");
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err("has an empty part between its dots");
        }
        if label.contains("**") && label != "**" {
            return Err(
                "has `**` beside other characters; it stands for whole parts, as in **.example.com",
            );
        }
    }
    Ok(Glob::new(&text.to_ascii_lowercase(), "."))
}

fn ip_range(text: &str) -> Result<IpNet, &'static str> {
    let range = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let range =
        range.map_err(|_| "is not an IP address or range such as 10.0.0.0/8 or fd00::/8")?;
    if range.trunc() != range {
        return Err("has bits set beyond the length of its prefix");
    }
    Ok(range)
}

fn uri_glob(text: &str) -> Result<Glob, &'static str> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    match scheme {
        None | Some("") => Err("is not a pattern of URIs such as spiffe://prod/ns/*/sa/*"),
        Some(scheme) if scheme.contains('*') => {
            Err("has a `*` in its scheme, which must stand there in full")
        }
        // In the characters that end a URI's host, so that `*` in a host
        // cannot swallow the end of it.
        Some(_) => Ok(Glob::new(text, "/?#@")),
    }
}

fn email_glob(text: &str) -> Result<EmailGlob, &'static str> {
    let parts = text
        .rsplit_once('@')
        .filter(|(local, _)| !local.is_empty() && !local.contains('@'));
    let (local, domain) =
        parts.ok_or("is not a pattern of email addresses such as *@example.com")?;
    Ok(EmailGlob {
        text: text.to_owned(),
        local: Glob::new(local, "@"),
        domain: dns_glob(domain)?,
    })
}

fn free_glob(text: &str) -> Result<Glob, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    Ok(Glob::new(text, ""))
}

fn texts(globs: &[Glob]) -> Vec<String> {
    globs.iter().map(|glob| glob.text().to_owned()).collect()
}

fn what_is(option: &str, patterns: &[String]) -> String {
    if patterns.is_empty() {
        return format!("the role has no {option}");
    }
    let shown: Vec<&str> = patterns
        .iter()
        .take(MAX_PATTERNS_SHOWN)
        .map(String::as_str)
        .collect();
    let rest = if patterns.len() > MAX_PATTERNS_SHOWN {
        ", …"
    } else {
        ""
    };
    format!("{option} of the role has {}{rest}", shown.join(", "))
}

fn not_allowed(message: String) -> Failure {
    Failure::invalid_request("name_not_allowed", message)
}

/// RFC 5280, appendix A.1: `ub-common-name`.
const MAX_COMMON_NAME: usize = 64;
/// Keeps a refusal one readable sentence where a role lists hundreds.
const MAX_PATTERNS_SHOWN: usize = 8;

#[cfg(test)]
mod tests;
