//! The hosts that a mount reaches without its proxy (`no_proxy`).
//!
//! The entries mean what they mean in the variable `NO_PROXY` of curl and of Go's programs
//! (`golang.org/x/net/http/httpproxy`), so that the operator's own list can be pasted:
//!
//! - `example.com`: the domain and every name below it;
//! - `.example.com` and `*.example.com`: every name below it, not the domain itself;
//! - `10.0.0.5`, `10.0.0.0/8`, `fd00::5`, `fd00::/8`: hosts that are asked for by address. A
//!   name is not resolved for it, because that is the proxy's task;
//! - each of them with a port behind it: that port only;
//! - `*`: every host.
//!
//! Loopback is no exception of its own: a mount reaches it without the proxy where an entry
//! says so.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::grants::{self, Host};

/// Entries at most, so that a request is compared with few.
const ENTRIES: usize = 256;

/// The hosts that are reached without the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// Any port where none is given.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Every,
    /// The domain and all below it.
    Domain(String),
    /// All below the domain.
    Below(String),
    Address(IpAddr),
    Range(IpNet),
}

impl NoProxy {
    /// Reads the entries of `no_proxy`.
    ///
    /// # Errors
    /// A sentence that begins with the field.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, String> {
        if entries.len() > ENTRIES {
            return Err(format!("no_proxy has more than {ENTRIES} entries"));
        }
        let entries = entries.iter().map(|entry| {
            let entry = entry.as_ref().trim();
            parse_entry(entry).map_err(|reason| {
                let shown: String = entry.chars().take(253).collect();
                format!(
                    "no_proxy has {shown:?}: {reason}; an entry is a domain, an address or a range, \
                     such as example.com, .example.com, 10.0.0.0/8 or db.example.com:5432"
                )
            })
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the host is reached without the proxy.
    pub fn covers(&self, host: &Host, port: u16) -> bool {
        self.entries.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match (&entry.hosts, host) {
                    (Hosts::Every, _) => true,
                    (Hosts::Domain(domain), Host::Name(name)) => {
                        name == domain || is_below(name, domain)
                    }
                    (Hosts::Below(domain), Host::Name(name)) => is_below(name, domain),
                    (Hosts::Address(one), Host::Address(address)) => one == address,
                    (Hosts::Range(range), Host::Address(address)) => range.contains(address),
                    _ => false,
                }
        })
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    let prefix = name.strip_suffix(domain);
    prefix.is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.'))
}

fn parse_entry(text: &str) -> Result<Entry, &'static str> {
    if text.contains("://") {
        return Err("it has a scheme");
    }
    // Without brackets, the colons of IPv6 are not those of a port.
    if let Some(hosts) = parse_numeric(text)? {
        return Ok(Entry { hosts, port: None });
    }
    let (host, port) = grants::split_port(text)?;
    let port = port.map(grants::parse_port).transpose()?;
    let bare = host
        .strip_prefix('[')
        .and_then(|inside| inside.strip_suffix(']'));
    let hosts = match parse_numeric(bare.unwrap_or(host))? {
        Some(hosts) => hosts,
        None if host == "*" => Hosts::Every,
        None => match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
            Some(domain) => Hosts::Below(name(domain)?),
            None => Hosts::Domain(name(host)?),
        },
    };
    Ok(Entry { hosts, port })
}

/// An address or a range; none where the text is neither.
fn parse_numeric(text: &str) -> Result<Option<Hosts>, &'static str> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Some(Hosts::Address(address.to_canonical())));
    }
    match text.contains('/') {
        true => match text.parse::<IpNet>() {
            Ok(range) => Ok(Some(Hosts::Range(range.trunc()))),
            // It may have a port behind it.
            Err(_) if text.contains(':') => Ok(None),
            Err(_) => Err("this is no range"),
        },
        false => Ok(None),
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    match Host::parse(text)? {
        Host::Name(name) => Ok(name),
        Host::Address(_) => Err("an address has no names below it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_mean_what_they_mean_to_other_programs() {
        for (entry, covered, others) in [
            (
                "example.com",
                &["example.com:443", "EXAMPLE.com.:1", "a.b.example.com:80"][..],
                &["example.org:443", "notexample.com:443", "10.0.0.1:443"][..],
            ),
            (
                ".example.com",
                &["a.example.com:443", "a.b.example.com:1"],
                &["example.com:443", "aexample.com:1"],
            ),
            (
                "*.example.com",
                &["a.example.com:443"],
                &["example.com:443"],
            ),
            (
                "Example.com:8443",
                &["example.com:8443", "a.example.com:8443"],
                &["example.com:443"],
            ),
            ("*", &["example.com:443", "10.0.0.1:1", "[::1]:1"], &[]),
            ("*:80", &["example.com:80"], &["example.com:81"]),
            ("localhost", &["localhost:1"], &["127.0.0.1:1", "[::1]:1"]),
            (
                "10.0.0.5",
                &["10.0.0.5:1", "[::ffff:10.0.0.5]:1"],
                &["10.0.0.6:1", "example.com:1"],
            ),
            ("10.0.0.5:80", &["10.0.0.5:80"], &["10.0.0.5:81"]),
            (
                "10.1.2.3/8",
                &["10.200.0.1:1"],
                &["11.0.0.1:1", "10.example.com:1"],
            ),
            ("10.0.0.0/8:80", &["10.2.0.1:80"], &["10.2.0.1:81"]),
            ("fd00::5", &["[fd00::5]:1"], &["[fd00::6]:1"]),
            ("[fd00::5]:80", &["[fd00::5]:80"], &["[fd00::5]:81"]),
            ("fd00::/8", &["[fd12::1]:1"], &["[fe80::1]:1", "10.0.0.1:1"]),
            ("[fd00::/8]:80", &["[fd12::1]:80"], &["[fd12::1]:81"]),
        ] {
            let exceptions = NoProxy::parse(&[entry]).unwrap();
            let covers = |text: &&str| {
                let (host, port) = text.rsplit_once(':').unwrap();
                exceptions.covers(&Host::parse(host).unwrap(), port.parse().unwrap())
            };
            for text in covered {
                assert!(covers(text), "{entry} covers {text}");
            }
            for text in others {
                assert!(!covers(text), "{entry} does not cover {text}");
            }
        }
        assert!(!NoProxy::default().covers(&Host::parse("a.example").unwrap(), 1));
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for (entry, says) in [
            ("", "no_proxy has \"\""),
            ("https://example.com", "it has a scheme"),
            ("example.com:0", "the port is a number"),
            ("example.com:http", "the port is a number"),
            ("10.0.0.0/33", "this is no range"),
            ("example.com/8", "this is no range"),
            (".10.0.0.1", "an address has no names below it"),
            ("a b", "no_proxy has \"a b\""),
        ] {
            let sentence = NoProxy::parse(&[entry]).unwrap_err();
            assert!(sentence.contains(says), "{entry}: {sentence}");
        }
        assert!(NoProxy::parse(&vec!["a.example"; ENTRIES + 1]).is_err());
    }
}
