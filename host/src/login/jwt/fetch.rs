//! Fetching public keys from where a config says.
//!
//! HTTPS with a verified certificate, or plain HTTP on this machine alone; no
//! proxy, no redirect, a limited answer in limited time. The URL is an
//! operator's; what answers there need not be a friend.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use ureq::{
    http::Uri,
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::keys::{VerifyingKey, of_set};
use lessor_model::pem;
use serde::{Deserialize, Serialize};

/// Longest document that is read, in bytes. Real ones have a few thousand.
const LONGEST: u64 = 512 << 10;

/// Longest time for one document.
const PATIENCE: Duration = Duration::from_secs(10);

/// The suffix of an issuer's URL (OpenID Connect Discovery 1.0).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The source of public keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyUrl {
    /// The URL of a JSON Web Key Set, or of an issuer whose discovery document
    /// names one.
    pub url: String,
    /// Whether the URL is that of an issuer; else it is that of a key set.
    pub discovery: bool,
    /// PEM certificates that alone are trusted; empty: the public roots.
    pub ca_pem: String,
}

impl KeyUrl {
    /// The field that it stands in.
    pub fn field(&self) -> &'static str {
        match self.discovery {
            true => "oidc_discovery_url",
            false => "jwks_url",
        }
    }

    /// The field that its certificates stand in.
    pub fn ca_field(&self) -> &'static str {
        match self.discovery {
            true => "oidc_discovery_ca_pem",
            false => "jwks_ca_pem",
        }
    }
}

/// Refuses a URL or certificates that cannot be used, naming the field.
pub(super) fn check(url: &KeyUrl) -> Result<(), String> {
    if url.discovery && url.url.contains("/.well-known/") {
        return Err(
            "oidc_discovery_url is the issuer's own URL: leave out /.well-known and what follows"
                .into(),
        );
    }
    check_url(&url.url).map_err(|reason| format!("{} {reason}", url.field()))?;
    roots(url).map(drop)
}

/// The keys at a URL.
///
/// # Errors
/// A sentence that begins with the field's name.
pub(super) async fn keys(url: KeyUrl) -> Result<Vec<VerifyingKey>, String> {
    let field = url.field();
    let fetched = tokio::task::spawn_blocking(move || fetch(&url)).await;
    fetched.unwrap_or_else(|_| Err(format!("{field}: fetching the keys ended early")))
}

fn fetch(url: &KeyUrl) -> Result<Vec<VerifyingKey>, String> {
    let field = url.field();
    let agent = agent(roots(url)?);
    let keys_at = match url.discovery {
        false => url.url.clone(),
        true => {
            let at = format!("{}{WELL_KNOWN}", url.url.trim_end_matches('/'));
            let document = get(&agent, &at).map_err(|reason| format!("{field}: {at} {reason}"))?;
            jwks_uri(&document, &url.url).map_err(|reason| format!("{field}: {at} {reason}"))?
        }
    };
    check_url(&keys_at).map_err(|reason| format!("{field}: its jwks_uri {reason}"))?;
    let set = get(&agent, &keys_at).map_err(|reason| format!("{field}: {keys_at} {reason}"))?;
    of_set(&set).map_err(|reason| format!("{field}: {keys_at} {reason}"))
}

/// The URL of an issuer's keys, by its discovery document.
fn jwks_uri(document: &[u8], issuer: &str) -> Result<String, String> {
    let document: Map<String, Value> =
        serde_json::from_slice(document).map_err(|_| "is no JSON object".to_owned())?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(
            "names another issuer than oidc_discovery_url, which must be exactly its".into(),
        );
    }
    text("jwks_uri")
        .map(str::to_owned)
        .ok_or_else(|| "has no jwks_uri".into())
}

/// `https://`, or `http://` to this machine.
fn check_url(url: &str) -> Result<(), &'static str> {
    let malformed = "must be a URL such as https://id.example.com/keys";
    let uri: Uri = url.parse().map_err(|_| malformed)?;
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or(malformed)?;
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err("must not hold a name or password");
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback(host) => Ok(()),
        Some("http") => Err("must be https: plain http is taken on loopback only"),
        _ => Err(malformed),
    }
}

fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The certificates of a config; none where the public roots count.
fn roots(url: &KeyUrl) -> Result<Option<RootCerts>, String> {
    if url.ca_pem.trim().is_empty() {
        return Ok(None);
    }
    let found =
        pem::authorities(&url.ca_pem).map_err(|reason| format!("{} {reason}", url.ca_field()))?;
    let certificates: Vec<Certificate<'static>> = found
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(Some(certificates.into()))
}

fn agent(roots: Option<RootCerts>) -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if let Some(roots) = roots {
        tls = tls.root_certs(roots);
    }
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("lessor/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .build()
        .new_agent()
}

fn get(agent: &ureq::Agent, url: &str) -> Result<Vec<u8>, String> {
    let mut answer = agent
        .get(url)
        .header("Accept", "application/json")
        .call()
        .map_err(|error| format!("could not be fetched: {error}"))?;
    match answer.status().as_u16() {
        200 => {}
        300..400 => return Err("answered with a redirect, and none is followed".into()),
        status => return Err(format!("answered with status {status}")),
    }
    let read = answer.body_mut().with_config().limit(LONGEST).read_to_vec();
    read.map_err(|error| format!("could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_asked() {
        for (url, fits) in [
            ("https://id.example.com", true),
            ("https://id.example.com:8443/keys?x=1", true),
            ("http://127.0.0.1:8080/keys", true),
            ("http://[::1]:8080/keys", true),
            ("http://localhost/keys", true),
            ("http://id.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://10.0.0.1/keys", false),
            ("https://user:password@id.example.com", false),
            ("http://localhost@id.example.com", false),
            ("file:///etc/passwd", false),
            ("id.example.com", false),
            ("/keys", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(check_url(url).is_ok(), fits, "{url}");
        }
    }

    #[test]
    fn a_discovery_document_speaks_for_its_issuer_alone() {
        let document = br#"{"issuer": "https://id", "jwks_uri": "https://id/keys"}"#;
        assert_eq!(jwks_uri(document, "https://id").unwrap(), "https://id/keys");
        for (document, issuer) in [
            (&document[..], "https://id/"),
            (document, "https://other"),
            (br#"{"issuer": "https://id"}"#, "https://id"),
            (b"[]", "https://id"),
            (b"", "https://id"),
        ] {
            assert!(jwks_uri(document, issuer).is_err());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_field() {
        let url = |url: &str, discovery, ca_pem: &str| KeyUrl {
            url: url.into(),
            discovery,
            ca_pem: ca_pem.into(),
        };
        for (url, field) in [
            (url("http://x", false, ""), "jwks_url"),
            (url("http://x", true, ""), "oidc_discovery_url"),
            (
                url("https://x/.well-known/openid-configuration", true, ""),
                "oidc_discovery_url",
            ),
            (url("https://x", false, "x"), "jwks_ca_pem"),
            (url("https://x", true, "x"), "oidc_discovery_ca_pem"),
        ] {
            let sentence = check(&url).unwrap_err();
            assert!(sentence.starts_with(field), "{sentence}");
        }
        assert_eq!(check(&url("https://x", true, "")), Ok(()));
    }
}
