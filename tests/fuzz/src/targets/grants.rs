//! Grants against a slow and obvious reading of their documentation.
//!
//! Input: grants, one a line; what a guest asks for, as `scheme host port`; the
//! addresses that the host resolves to, one a line.

use std::net::{IpAddr, Ipv4Addr};

use lessor_model::grants::{Destination, Grants, Host, Refusal, Scheme};

use crate::{
    target::Target,
    text::{Sections, assert_sentence, text},
};

/// Bytes of a sentence about a grant or a refusal: a host name of 253 bytes
/// twice, or 120 characters that are escaped, and the words around.
const SENTENCE: usize = 1_600;

/// The target.
pub(super) const TARGET: Target = Target {
    name: "grants",
    words: &[
        "\n--\n",
        "\n",
        "https://",
        "http://",
        "tcp://",
        "tcp ",
        "https ",
        "http ",
        ":1",
        " 1",
        ":443",
        ":80",
        "*.",
        "a.b",
        "localhost",
        ".",
        "[",
        "]",
        "/8",
        "/0",
        "/32",
        "/96",
        "/128",
        "::",
        "::1",
        "::ffff:",
        "127.0.0.1",
        "10.0.0.0",
        "169.254.169.254",
        "0.0.0.0",
        "192.168.",
        "fd00::",
        "fe80::1",
        "64:ff9b::",
        "2002:",
        "8.8.8.8",
        "2606:4700::1111",
        "0x7f",
        "b\u{fc}cher",
        "xn--bcher-kva",
        "%",
        "@",
        "\u{ff0e}",
        "\u{ad}",
    ],
    endings: &["no grant", "no host", "not granted", "special", "connected"],
    cases: 20_000,
    check,
};

#[test]
fn a_connection_is_made_exactly_where_a_grant_is_written() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut sections = Sections::of(&input);
    let mut entries = Vec::new();
    for entry in sections.next().lines().take(16) {
        match Grants::parse(&[entry]) {
            Ok(_) => entries.push(entry),
            Err(error) => assert_sentence(&error.to_string(), SENTENCE),
        }
    }
    let mut asked = sections.next().split(' ');
    let mut asked = || asked.next().unwrap_or_default();
    let scheme = match asked() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => Scheme::Tcp,
    };
    let (host, port) = (asked(), asked().parse().unwrap_or(1));
    if entries.is_empty() {
        return "no grant";
    }
    let grants = Grants::parse(&entries).unwrap();
    let written: Vec<Written<'_>> = entries.iter().map(|entry| Written::of(entry)).collect();
    // No grant is written of which nothing could ever come.
    for (first, _) in written.iter().filter_map(Written::range) {
        assert_eq!(first, first.to_canonical());
    }

    let destination = match grants.permits(scheme, host, port) {
        Ok(destination) => {
            same_when_printed(&destination);
            assert!(first_check(&written, &destination), "{destination} passed");
            destination
        }
        Err(refusal) => {
            assert_sentence(&refusal.sentence("db"), SENTENCE);
            let Refusal::NotGranted(destination) = refusal else {
                return "no host";
            };
            same_when_printed(&destination);
            assert!(!first_check(&written, &destination), "{destination}");
            // The grant that the sentence says to add is enough.
            let added = Grants::parse(&[destination.to_string()]).unwrap();
            assert!(added.permits(scheme, host, port).is_ok());
            return "not granted";
        }
    };
    let mut ending = "connected";
    for address in sections.next().lines().take(8) {
        let Ok(address) = address.parse::<IpAddr>() else {
            continue;
        };
        let decided = grants.permits_address(&destination, address);
        assert_eq!(
            decided.is_ok(),
            second_check(&written, &destination, address.to_canonical()),
            "{destination} at {address}"
        );
        if let Err(refusal) = decided {
            assert_sentence(&refusal.sentence("db"), SENTENCE);
            ending = "special";
        }
    }
    ending
}

/// A host is the same when it is printed and read again.
fn same_when_printed(destination: &Destination) {
    let printed = destination.host.to_string();
    assert_eq!(Host::parse(&printed).as_ref(), Ok(&destination.host));
}

/// A grant as it is written; nothing of it is understood yet.
struct Written<'w> {
    scheme: String,
    host: &'w str,
    port: u16,
}

impl<'w> Written<'w> {
    fn of(entry: &'w str) -> Self {
        let (scheme, rest) = entry.split_once("://").unwrap();
        let scheme = scheme.to_ascii_lowercase();
        // Behind the last colon, unless that belongs to an address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap()),
            _ => (rest, if scheme == "https" { 443 } else { 80 }),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        Self {
            scheme,
            host: bare.unwrap_or(host),
            port,
        }
    }

    fn is_at(&self, destination: &Destination) -> bool {
        self.scheme == destination.scheme.as_str() && self.port == destination.port
    }

    fn names(&self, name: &str) -> bool {
        match self.host.strip_prefix("*.") {
            Some(domain) => name.ends_with(&format!(".{}", ascii(domain))),
            None => name == ascii(self.host),
        }
    }

    /// The first and the last address that it grants.
    fn range(&self) -> Option<(IpAddr, IpAddr)> {
        let Some((first, length)) = self.host.split_once('/') else {
            let address = self.host.parse::<IpAddr>().ok()?.to_canonical();
            return Some((address, address));
        };
        let length: u32 = length.parse().unwrap();
        Some(match first.parse().unwrap() {
            IpAddr::V4(first) => {
                let rest = u32::MAX.checked_shr(length).unwrap_or(0);
                let last = Ipv4Addr::from_bits(first.to_bits() | rest);
                (first.into(), last.into())
            }
            IpAddr::V6(first) => {
                let rest = u128::MAX.checked_shr(length).unwrap_or(0);
                (first.into(), (first.to_bits() | rest).into_v6())
            }
        })
    }
}

trait IntoV6 {
    fn into_v6(self) -> IpAddr;
}

impl IntoV6 for u128 {
    fn into_v6(self) -> IpAddr {
        std::net::Ipv6Addr::from_bits(self).into()
    }
}

fn ascii(name: &str) -> String {
    let name = idna::domain_to_ascii(name).unwrap();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

fn first_check(written: &[Written<'_>], destination: &Destination) -> bool {
    match &destination.host {
        Host::Name(name) => written
            .iter()
            .any(|grant| grant.is_at(destination) && grant.names(name)),
        Host::Address(address) => is_named(written, destination, *address),
    }
}

fn second_check(written: &[Written<'_>], destination: &Destination, address: IpAddr) -> bool {
    is_named(written, destination, address)
        || match &destination.host {
            Host::Name(name) if name == "localhost" && address.is_loopback() => true,
            Host::Name(_) => block(address).is_none(),
            Host::Address(_) => false,
        }
}

/// A range is about a special address where all of it lies in the same block.
fn is_named(written: &[Written<'_>], destination: &Destination, address: IpAddr) -> bool {
    let ranges = written
        .iter()
        .filter(|grant| grant.is_at(destination))
        .filter_map(Written::range);
    ranges.into_iter().any(|(first, last)| {
        let same_family = first.is_ipv4() == address.is_ipv4();
        let special = block(address);
        same_family
            && (first..=last).contains(&address)
            && (special.is_none() || (block(first) == special && block(last) == special))
    })
}

/// The special block that an address belongs to, by its digits.
fn block(address: IpAddr) -> Option<&'static str> {
    Some(match address {
        IpAddr::V4(address) => match address.octets() {
            [0, ..] => "0",
            [10, ..] => "10",
            [100, 64..128, ..] => "100.64",
            [127, ..] => "127",
            [169, 254, ..] => "169.254",
            [172, 16..32, ..] => "172.16",
            [192, 0, 0, _] => "192.0.0",
            [192, 0, 2, _] => "192.0.2",
            [192, 88, 99, _] => "192.88.99",
            [192, 168, ..] => "192.168",
            [198, 18 | 19, ..] => "198.18",
            [198, 51, 100, _] => "198.51.100",
            [203, 0, 113, _] => "203.0.113",
            [224..240, ..] => "224",
            [240..=255, ..] => "240",
            _ => return None,
        },
        IpAddr::V6(address) => match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => "::1",
            [0, 0, 0, 0, 0, 0, _, _] => "::",
            [0x64, 0xff9b, 0, 0, 0, 0, _, _] => "64:ff9b::",
            [0x64, 0xff9b, 1, ..] => "64:ff9b:1::",
            [0x100, 0, 0, 0, ..] => "100::",
            [0x2001, 0..0x200, ..] => "2001::",
            [0x2001, 0xdb8, ..] => "2001:db8::",
            [0x2002, ..] => "2002::",
            [0x3fff, 0..0x1000, ..] => "3fff::",
            [0x5f00, ..] => "5f00::",
            [0xfc00..0xfe00, ..] => "fc00::",
            [0xfe80..0xfec0, ..] => "fe80::",
            [0xfec0..0xff00, ..] => "fec0::",
            [0xff00..=0xffff, ..] => "ff00::",
            _ => return None,
        },
    })
}
