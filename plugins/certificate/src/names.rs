//! Names that a certificate can carry beside its common name. One list holds
//! all kinds, because the form of a name tells its kind: `web.example.com`,
//! `10.0.0.7`, `spiffe://prod/cart`, `ada@example.com`.
//!
//! What is read here is well-formed and in one spelling (host names in lower
//! case), so that comparing it with a pattern later decides about the very
//! bytes that get signed. Whether a name is allowed is not decided here.

use std::fmt;
use std::net::IpAddr;

use der::asn1::{Ia5String, OctetString};
use lessor_sdk::{Failure, Result};
use x509_cert::ext::pkix::name::GeneralName;

/// A subject alternative name (RFC 5280, 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AltName {
    /// A host name in lower case, perhaps with `*` for its first label.
    Dns(String),
    Ip(IpAddr),
    /// An absolute URI.
    Uri(String),
    Email(String),
}

impl AltName {
    /// Reads a name. `field` is where the caller wrote it, for the failure.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Failure::invalid_request("invalid_name", format!("{field}: {} {why}.", quoted(text)))
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address));
        }
        if text.contains("://") || has_scheme(text, "urn") {
            return uri(text).map(Self::Uri).map_err(refused);
        }
        if text.contains('@') {
            return email(text).map(Self::Email).map_err(refused);
        }
        dns(text).map(Self::Dns).map_err(refused)
    }

    /// Reads what a certificate request asked for.
    pub(crate) fn from_general_name(field: &str, name: &GeneralName) -> Result<Self> {
        let refused = |text: &str, why: &str| {
            Failure::invalid_request("invalid_name", format!("{field}: {} {why}.", quoted(text)))
        };
        match name {
            GeneralName::DnsName(text) => dns(text.as_str())
                .map(Self::Dns)
                .map_err(|why| refused(text.as_str(), why)),
            GeneralName::Rfc822Name(text) => email(text.as_str())
                .map(Self::Email)
                .map_err(|why| refused(text.as_str(), why)),
            GeneralName::UniformResourceIdentifier(text) => uri(text.as_str())
                .map(Self::Uri)
                .map_err(|why| refused(text.as_str(), why)),
            GeneralName::IpAddress(bytes) => ip(bytes.as_bytes()).map(Self::Ip).ok_or_else(|| {
                Failure::invalid_request(
                    "invalid_name",
                    format!("{field}: an IP address has 4 or 16 bytes."),
                )
            }),
            _ => Err(Failure::invalid_request(
                "invalid_name",
                format!(
                    "{field}: only DNS names, IP addresses, URIs and email addresses can be asked for."
                ),
            )),
        }
    }

    /// The form that goes into a certificate.
    pub(crate) fn to_general_name(&self) -> der::Result<GeneralName> {
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
            Self::Ip(IpAddr::V4(address)) => {
                GeneralName::IpAddress(OctetString::new(address.octets())?)
            }
            Self::Ip(IpAddr::V6(address)) => {
                GeneralName::IpAddress(OctetString::new(address.octets())?)
            }
            Self::Uri(uri) => GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?),
            Self::Email(address) => GeneralName::Rfc822Name(Ia5String::new(address)?),
        })
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) | Self::Uri(text) | Self::Email(text) => formatter.write_str(text),
            Self::Ip(address) => write!(formatter, "{address}"),
        }
    }
}

/// A caller's text, safe to show in a sentence: escaped and cut.
pub(crate) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{rest}")
}

/// A host name in lower case (RFC 5280 with the preferred syntax of RFC 1034;
/// the underscore of service names is taken too).
fn dns(text: &str) -> Result<String, &'static str> {
    if !text.is_ascii() {
        return Err("is not a host name in its ASCII form (xn--…)");
    }
    if text.is_empty() || text.len() > MAX_DNS {
        return Err("is not a host name: it needs 1 to 253 characters");
    }
    let name = text.to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    for label in labels.split('.') {
        if label.is_empty() {
            return Err("is not a host name: no part between its dots, nor the last, may be empty");
        }
        if label.len() > MAX_LABEL {
            return Err("is not a host name: a part between dots has at most 63 characters");
        }
        if label.contains('*') {
            return Err(
                "is not a host name: `*` can only be the whole of its first part, as in *.example.com",
            );
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !label.bytes().all(known) || label.starts_with('-') || label.ends_with('-') {
            return Err("is not a host name, an IP address, a URI or an email address");
        }
    }
    let last = labels.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is neither an IP address nor a host name, which cannot end in a number");
    }
    Ok(name)
}

/// An absolute URI (RFC 3986) with nothing in it that readers take in
/// different ways: no dot segments, no backslash, no control characters.
fn uri(text: &str) -> Result<String, &'static str> {
    let usable = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if text.len() > MAX_URI || !text.bytes().all(usable) {
        return Err("is not a URI: it has at most 2048 characters of those that RFC 3986 allows");
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("is not a URI");
    };
    let mut letters = scheme.bytes();
    let starts_well = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic());
    if !starts_well || !letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return Err("is not a URI: its scheme is not well-formed");
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            if authority.is_empty() {
                return Err("is not a URI with a host");
            }
            path
        }
        None if rest.is_empty() => return Err("is not a URI: nothing follows its scheme"),
        None => rest,
    };
    if path
        .split(['/', '?', '#'])
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("is not a URI in its plain form: it has a segment `.` or `..`");
    }
    Ok(text.to_owned())
}

/// An email address (RFC 5321 without quoted local parts), its domain in
/// lower case.
fn email(text: &str) -> Result<String, &'static str> {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Err("is not an email address");
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    if local.is_empty() || local.len() > MAX_LOCAL || dots || !local.bytes().all(atom) {
        return Err("is not an email address");
    }
    if domain.starts_with("*.") {
        return Err("is not an email address: its domain cannot be a wildcard");
    }
    let domain =
        dns(domain).map_err(|_| "is not an email address: its domain is not a host name")?;
    Ok(format!("{local}@{domain}"))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok()
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(found, _)| found.eq_ignore_ascii_case(scheme))
}

/// RFC 1035, 2.3.4, without the root's empty label.
const MAX_DNS: usize = 253;
const MAX_LABEL: usize = 63;
/// RFC 5321, 4.5.3.1.1.
const MAX_LOCAL: usize = 64;
/// No standard bounds it; SPIFFE ids, the longest in practice, end here.
const MAX_URI: usize = 2048;
/// Enough of a wrong name to recognise it.
const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_name_tells_its_kind() {
        for (text, expected) in [
            ("Web.Example.COM", AltName::Dns("web.example.com".into())),
            ("*.example.com", AltName::Dns("*.example.com".into())),
            ("localhost", AltName::Dns("localhost".into())),
            ("_sip.example.com", AltName::Dns("_sip.example.com".into())),
            ("10.0.0.7", AltName::Ip([10, 0, 0, 7].into())),
            ("::1", AltName::Ip("::1".parse().unwrap())),
            (
                "spiffe://prod/ns/a",
                AltName::Uri("spiffe://prod/ns/a".into()),
            ),
            (
                "urn:uuid:1b4e28ba",
                AltName::Uri("urn:uuid:1b4e28ba".into()),
            ),
            ("Ada@Example.COM", AltName::Email("Ada@example.com".into())),
        ] {
            assert_eq!(AltName::parse("alt_names", text), Ok(expected));
        }
    }

    #[test]
    fn a_name_that_is_not_well_formed_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "1 to 253 characters"),
            ("a..b", "may be empty"),
            ("example.com.", "may be empty"),
            ("*", "whole of its first part"),
            ("web.*.example.com", "whole of its first part"),
            ("w*.example.com", "whole of its first part"),
            ("*.*.example.com", "whole of its first part"),
            ("-a.example.com", "is not a host name"),
            ("a b.example.com", "is not a host name"),
            ("a\0.example.com", "is not a host name"),
            ("localhost:8080", "is not a host name"),
            ("10.0.0.256", "cannot end in a number"),
            ("10.0.0.0/8", "is not a host name"),
            ("bücher.example", "ASCII form"),
            ("1http://a/", "scheme"),
            ("http:///x", "with a host"),
            ("urn:", "nothing follows"),
            ("spiffe://prod/../other", "segment"),
            ("https://a\\b/", "RFC 3986"),
            ("ada@", "its domain"),
            ("@example.com", "is not an email address"),
            ("a da@example.com", "is not an email address"),
            ("ada@*.example.com", "wildcard"),
        ] {
            let failure = AltName::parse("alt_names", text).unwrap_err();
            assert!(failure.message().starts_with("alt_names: \""), "{failure}");
            assert!(failure.message().contains(reason), "{text:?}: {failure}");
        }
        let long =
            AltName::parse("alt_names", &format!("{}.example.com", "a".repeat(64))).unwrap_err();
        assert!(long.message().contains("63 characters"), "{long}");
        let longer = AltName::parse("alt_names", &"a.".repeat(200)).unwrap_err();
        assert!(longer.message().len() < 300, "{longer}");
    }
}
