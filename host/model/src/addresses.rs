//! Ranges of addresses that something may be used from: one reading for all of them.
//!
//! An IPv4 address shows in its IPv6 form (`::ffff:a.b.c.d`) where a socket takes
//! both, and operators write it so. Either form is the same address here, of a
//! caller and of a range.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Bits of an IPv6 address before the IPv4 address that is mapped into it.
const MAPPED: u8 = 96;

/// Reads a range such as `10.0.0.0/8`; a single address is a range of its own.
pub fn parse(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let range = text.parse::<IpNet>();
    let range = range.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    range.ok().map(canonical)
}

/// Whether `peer` is in one of the ranges; an empty list admits everybody.
pub fn admits(ranges: &[IpNet], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    ranges.is_empty() || ranges.iter().any(|range| canonical(*range).contains(&peer))
}

/// Whether every inner range lies within an outer one; an empty outer list covers all.
pub fn covers(outer: &[IpNet], inner: &[IpNet]) -> bool {
    let within = |range: &IpNet| {
        let range = canonical(*range);
        outer.iter().any(|outer| canonical(*outer).contains(&range))
    };
    outer.is_empty() || inner.iter().all(within)
}

/// A range of mapped addresses as the range of IPv4 addresses that it is.
fn canonical(range: IpNet) -> IpNet {
    let mapped = match range {
        IpNet::V6(range) => range
            .prefix_len()
            .checked_sub(MAPPED)
            .zip(range.addr().to_ipv4_mapped()),
        IpNet::V4(_) => None,
    };
    let range_of = |(length, address)| Ipv4Net::new(address, length).ok();
    mapped.and_then(range_of).map_or(range, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| parse(text).unwrap()).collect()
    }

    #[test]
    fn a_range_admits_an_address_in_either_form() {
        for (texts, peer, expected) in [
            (&[][..], "10.1.2.3", true),
            (&["10.0.0.0/8"], "10.1.2.3", true),
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["10.0.0.0/8"], "11.1.2.3", false),
            (&["::ffff:10.0.0.0/104"], "10.1.2.3", true),
            (&["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3", true),
            (&["::ffff:10.0.0.0/104"], "11.1.2.3", false),
            (&["::ffff:10.1.2.3"], "10.1.2.3", true),
            (&["::ffff:a01:203/128"], "10.1.2.3", true),
            (&["::ffff:0:0/96"], "192.0.2.1", true),
            (&["::ffff:0:0/96"], "2001:db8::1", false),
            (&["127.0.0.1/32", "::1/128"], "::1", true),
            (&["127.0.0.1/32"], "::1", false),
            (&["2001:db8::/32"], "2001:db8::1", true),
        ] {
            let peer: IpAddr = peer.parse().unwrap();
            assert_eq!(admits(&ranges(texts), peer), expected, "{texts:?} {peer}");
            // A range that was stored in its IPv6 form is the same.
            let stored: Vec<IpNet> = texts
                .iter()
                .map(|text| {
                    let range = text.parse::<IpNet>();
                    range.unwrap_or_else(|_| text.parse::<IpAddr>().unwrap().into())
                })
                .collect();
            assert_eq!(admits(&stored, peer), expected, "{texts:?} {peer}");
        }
        for none in ["", "everywhere", "10.0.0.0/33", "10.0.0/8"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_range_covers_another_in_either_form() {
        for (outer, inner, expected) in [
            (&[][..], &["0.0.0.0/0"][..], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], true),
            (&["10.0.0.0/8"], &["::ffff:10.1.0.0/112"], true),
            (&["::ffff:10.0.0.0/104"], &["10.1.0.0/16"], true),
            (&["::ffff:10.0.0.0/104"], &["11.1.0.0/16"], false),
            (&["10.0.0.0/8"], &["::ffff:0:0/96"], false),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "11.0.0.1"], false),
        ] {
            assert_eq!(
                covers(&ranges(outer), &ranges(inner)),
                expected,
                "{outer:?} {inner:?}"
            );
        }
    }
}
