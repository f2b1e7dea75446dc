//! Where a mount may connect to: pure, no wasmtime, no I/O.
//!
//! A grant is one line of a mount's `allowed_hosts`, `scheme://host[:port]`:
//!
//! - scheme `https`, `http` or `tcp`; the port defaults to 443 and 80, and `tcp`
//!   needs one. A grant is for this scheme and this port only.
//! - host is a name (`db.example.com`), every name below a domain
//!   (`*.example.com`, not the domain itself), an address (`10.0.0.5`,
//!   `[fd00::5]`) or a range (`10.0.0.0/8`, `[fd00::/8]`).
//!
//! A connection is checked twice. First the host as the guest wrote it: a name
//! needs a grant of that name, an address one of that address or its range.
//! Then every address that the name resolved to: a public one follows from the
//! name; a loopback, private, link-local or otherwise special one must also be
//! named itself, by its address or by a range within its special block
//! (`grants/address.rs`). The one exception is a grant of the name `localhost`, which
//! names loopback. So a name whose owner points it at an inner address leads
//! nowhere.
//!
//! Hosts are compared in one form: lower case, ASCII (IDNA), without a final
//! dot, IPv4-mapped IPv6 as IPv4. Addresses in disguise (`127.1`, `0x7f000001`,
//! `0177.0.0.1`, `2130706433`) are refused rather than understood.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use idna::AsciiDenyList;
use ipnet::IpNet;

mod address;
mod asked;

use self::address::{canonical, special_blocks};
pub use self::asked::beyond;

/// The grants of one mount (`allowed_hosts`). Empty: it may connect nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    entries: Vec<Grant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    scheme: Scheme,
    host: GrantedHost,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum GrantedHost {
    Name(String),
    /// The domain, without `*.`.
    Below(String),
    Address(IpAddr),
    Range(IpNet),
}

/// How a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP over TLS; port 443 where none is given.
    Https,
    /// Plain HTTP; port 80 where none is given.
    Http,
    /// A byte stream of the `network` interface; the port is always given.
    Tcp,
}

/// A host as a guest named it, in the one form in which hosts are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name that is yet to be resolved.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// The destination that a guest wants to reach, after its host has passed the first check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// A connection that no grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No grant names the host, scheme and port.
    NotGranted(Destination),
    /// The granted name led to a special address that no grant names.
    SpecialAddress {
        /// The destination that was asked for.
        destination: Destination,
        /// The address that its name resolved to.
        address: IpAddr,
        /// The kind of that address.
        meaning: &'static str,
    },
    /// The host is neither a name nor an address in its usual form.
    BadHost {
        /// The host as it came, shortened.
        host: String,
        /// Its fault.
        reason: &'static str,
    },
}

/// An entry of `allowed_hosts` that is no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allowed_hosts entry {entry:?}: {reason}")]
pub struct GrantError {
    /// The entry, shortened.
    pub entry: String,
    /// The fault, and the form that is expected.
    pub reason: &'static str,
}

impl Grants {
    /// Parses the entries of `allowed_hosts`.
    ///
    /// # Errors
    /// The first entry that is no grant, with the reason.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, GrantError> {
        let entries = entries
            .iter()
            .map(|entry| {
                parse_grant(entry.as_ref()).map_err(|reason| GrantError {
                    entry: shorten(entry.as_ref()),
                    reason,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The first check: may a connection to this host be attempted at all?
    ///
    /// # Errors
    /// The refusal, which says what to add to `allowed_hosts`.
    pub fn permits(&self, scheme: Scheme, host: &str, port: u16) -> Result<Destination, Refusal> {
        let bad = |reason| Refusal::BadHost {
            host: shorten(host),
            reason,
        };
        if port == 0 {
            return Err(bad(PORT));
        }
        let host = Host::parse(host).map_err(bad)?;
        let destination = Destination { scheme, host, port };
        let granted = match &destination.host {
            Host::Name(name) => self.at(scheme, port).any(|granted| granted.covers(name)),
            Host::Address(address) => self.names_address(scheme, port, *address),
        };
        if granted {
            Ok(destination)
        } else {
            Err(Refusal::NotGranted(destination))
        }
    }

    /// The second check: may `address`, which the host resolved to, be dialled?
    ///
    /// # Errors
    /// The refusal, which says what to add to `allowed_hosts`.
    pub fn permits_address(
        &self,
        destination: &Destination,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let address = canonical(address);
        let Destination { scheme, host, port } = destination;
        if self.names_address(*scheme, *port, address) {
            return Ok(());
        }
        let Host::Name(name) = host else {
            return Err(Refusal::NotGranted(destination.clone()));
        };
        let Some(block) = special_blocks(address).next() else {
            return Ok(());
        };
        if name == "localhost" && address.is_loopback() {
            return Ok(());
        }
        Err(Refusal::SpecialAddress {
            destination: destination.clone(),
            address,
            meaning: block.meaning,
        })
    }

    fn at(&self, scheme: Scheme, port: u16) -> impl Iterator<Item = &GrantedHost> {
        self.entries
            .iter()
            .filter(move |grant| grant.scheme == scheme && grant.port == port)
            .map(|grant| &grant.host)
    }

    /// Whether a grant names the address itself, or a range that is about it:
    /// any range for a public address, a range within the block for a special one.
    fn names_address(&self, scheme: Scheme, port: u16, address: IpAddr) -> bool {
        let address = canonical(address);
        self.at(scheme, port).any(|granted| match granted {
            GrantedHost::Address(granted) => *granted == address,
            GrantedHost::Range(range) => {
                range.contains(&address)
                    && special_blocks(address).all(|block| block.range.contains(range))
            }
            GrantedHost::Name(_) | GrantedHost::Below(_) => false,
        })
    }
}

impl GrantedHost {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Name(granted) => granted == name,
            Self::Below(domain) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.')),
            Self::Address(_) | Self::Range(_) => false,
        }
    }
}

impl Host {
    /// Reads a host as a guest or a URL writes it; IPv6 with or without brackets.
    ///
    /// # Errors
    /// Its fault.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside
                .strip_suffix(']')
                .ok_or("the bracket is not closed")?;
            return parse_v6(inside).map(Self::Address);
        }
        if text.contains(':') {
            return parse_v6(text).map(Self::Address);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        parse_name(text).map(Self::Name)
    }
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        [Self::Https, Self::Http, Self::Tcp]
            .into_iter()
            .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
    }

    /// `https`, `http` or `tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    /// The port where none is given.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Tcp => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Its text in the form of the grant that would cover it.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.scheme.default_port() != Some(self.port) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl Refusal {
    /// One sentence for the guest's failure and the operator, with the way out.
    pub fn sentence(&self, mount: &str) -> String {
        match self {
            Self::NotGranted(destination) => format!(
                "mount `{mount}` may not connect to {destination}; \
                 add \"{destination}\" to its allowed_hosts (`lessor mount tune --allow-host`)"
            ),
            Self::SpecialAddress {
                destination,
                address,
                meaning,
            } => {
                let wanted = Destination {
                    host: Host::Address(*address),
                    ..destination.clone()
                };
                format!(
                    "mount `{mount}` may not connect to {destination}, because it resolves to \
                     {address}, {meaning}; add \"{wanted}\" to its allowed_hosts as well \
                     (`lessor mount tune --allow-host`)"
                )
            }
            Self::BadHost { host, reason } => {
                format!("mount `{mount}` may not connect to {host:?}: {reason}")
            }
        }
    }
}

fn parse_grant(entry: &str) -> Result<Grant, &'static str> {
    let (scheme, rest) = entry
        .split_once("://")
        .ok_or("a grant is written scheme://host[:port], such as https://api.example.com")?;
    let scheme = Scheme::parse(scheme).ok_or("the scheme is one of https, http and tcp")?;
    let (host, port) = split_port(rest)?;
    let port = match port {
        Some(port) => parse_port(port)?,
        None => scheme
            .default_port()
            .ok_or("tcp needs a port, such as tcp://db.example.com:5432")?,
    };
    Ok(Grant {
        scheme,
        host: parse_granted_host(host)?,
        port,
    })
}

/// Splits `host[:port]`, where the host may be `[v6]`, `[v6/n]` or `v4/n`.
pub(crate) fn split_port(rest: &str) -> Result<(&str, Option<&str>), &'static str> {
    if rest.starts_with('[') {
        let end = rest.find(']').ok_or("the bracket is not closed")?;
        let (host, after) = rest.split_at(end + 1);
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err("after the bracket comes a port or nothing"),
        };
    }
    match rest.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => {
            Err("an IPv6 address stands in brackets, such as tcp://[fd00::5]:5432")
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((rest, None)),
    }
}

/// The sentence about any other port.
const PORT: &str = "the port is a number from 1 to 65535";

pub(crate) fn parse_port(text: &str) -> Result<u16, &'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PORT);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(PORT),
    }
}

fn parse_granted_host(text: &str) -> Result<GrantedHost, &'static str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|inside| inside.strip_suffix(']'))
        .unwrap_or(text);
    if let Some((address, length)) = bare.split_once('/') {
        let range = address
            .parse::<IpAddr>()
            .ok()
            .zip(length.parse::<u8>().ok())
            .and_then(|(address, length)| IpNet::new(address, length).ok())
            .ok_or("a grant has no path; a range is written 10.0.0.0/8 or [fd00::/8]")?;
        if range.trunc() != range {
            return Err("the address of a range has no bits set beyond its length");
        }
        // Addresses are compared as IPv4, so none would ever be in this range.
        if canonical(range.network()).is_ipv4() && range.addr().is_ipv6() {
            return Err("a range of IPv4 is written as such, as in 10.0.0.0/8");
        }
        return Ok(GrantedHost::Range(range));
    }
    if let Some(domain) = text.strip_prefix("*.") {
        return parse_name(domain).map(GrantedHost::Below);
    }
    match Host::parse(text)? {
        Host::Name(name) => Ok(GrantedHost::Name(name)),
        Host::Address(address) => Ok(GrantedHost::Address(address)),
    }
}

fn parse_v6(text: &str) -> Result<IpAddr, &'static str> {
    text.parse::<Ipv6Addr>()
        .map(|address| canonical(IpAddr::V6(address)))
        .map_err(|_| "this is no IPv6 address (zones are not supported)")
}

fn parse_name(text: &str) -> Result<String, &'static str> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.contains('@') {
        return Err("credentials do not belong in an address");
    }
    if text.contains('*') {
        return Err("a wildcard stands for whole subdomains only, such as *.example.com");
    }
    let name = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::URL)
        .map_err(|_| "this is no host name")?;
    let labels_fit = name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_graphic())
        });
    if !labels_fit {
        return Err("this is no host name");
    }
    if name.rsplit('.').next().is_some_and(is_numeric) {
        return Err("an IPv4 address is written as four decimal numbers");
    }
    Ok(name.into_owned())
}

/// Whether a resolver may take a name that ends in this label for an IPv4
/// address (the rule of the URL standard).
fn is_numeric(label: &str) -> bool {
    let hex = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex || label.bytes().all(|byte| byte.is_ascii_digit())
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests;
