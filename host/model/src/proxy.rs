//! The HTTP proxy by which a mount reaches upstream systems.

use std::fmt;

mod no_proxy;

pub use self::no_proxy::NoProxy;
use crate::{
    grants::{self, Host},
    secret::Secret,
};

/// Bytes of the longest user and password.
const CREDENTIALS: usize = 1024;

/// Where a proxy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Whether it is spoken to in TLS.
    pub tls: bool,
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

/// A proxy, as calls use it.
#[derive(Debug)]
pub struct Proxy {
    /// Where it is.
    pub url: ProxyUrl,
    /// `user:password`, where it asks for some (RFC 7617).
    pub credentials: Option<Secret<String>>,
    /// The hosts that are reached without it.
    pub except: NoProxy,
}

impl ProxyUrl {
    /// Reads `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// The end of a sentence that begins with the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "is a URL with a scheme, a host and a port, such as http://proxy.example.com:3128";
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => {
                return Err(
                    "has the scheme http or https, which is how the proxy itself is spoken to"
                        .into(),
                );
            }
        };
        if rest.contains('@') {
            return Err("holds no user and password: give these in http_proxy_credentials".into());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or(FORM)?;
        let port = grants::parse_port(port)?;
        // Without brackets, colons would be taken for those of an address.
        if host.contains(':') && !host.starts_with('[') {
            return Err(FORM.into());
        }
        let host = Host::parse(host)?;
        Ok(Self { tls, host, port })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Checks what a proxy is to be given, which is never told.
///
/// # Errors
/// The end of a sentence that begins with the field.
pub fn check_credentials(text: &str) -> Result<(), &'static str> {
    let Some((user, _)) = text.split_once(':') else {
        return Err("is a user and a password with a colon between");
    };
    match text.len() <= CREDENTIALS && !text.chars().any(char::is_control) && !user.is_empty() {
        true => Ok(()),
        false => Err("is one line of at most 1024 bytes, which begins with the user"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_scheme_a_host_and_a_port() {
        for (text, expected) in [
            ("http://proxy.example:3128", Ok("http://proxy.example:3128")),
            (
                "HTTPS://proxy.example:443/",
                Ok("https://proxy.example:443"),
            ),
            ("http://[::1]:3128", Ok("http://[::1]:3128")),
            ("http://127.0.0.1:1", Ok("http://127.0.0.1:1")),
            ("proxy.example:3128", Err("is a URL with")),
            ("http://proxy.example", Err("is a URL with")),
            ("http://::1:3128", Err("is a URL with")),
            (
                "socks5://proxy.example:1080",
                Err("has the scheme http or https"),
            ),
            (
                "http://me:pw@proxy.example:3128",
                Err("holds no user and password"),
            ),
            ("http://proxy.example:0", Err("")),
            ("http://proxy.example:x", Err("")),
            ("http://proxy.example:3128/x", Err("")),
            ("http://a b:3128", Err("")),
            ("http://:3128", Err("")),
        ] {
            let found = ProxyUrl::parse(text);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected),
                (Err(sentence), Err(begins)) => {
                    assert!(sentence.starts_with(begins), "{text}: {sentence}")
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn credentials_are_a_user_and_a_password() {
        for (text, fits) in [
            ("me:secret", true),
            ("me:", true),
            ("me:a:b", true),
            ("me", false),
            (":secret", false),
            ("me:se\ncret", false),
        ] {
            assert_eq!(check_credentials(text).is_ok(), fits, "{text}");
        }
    }
}
