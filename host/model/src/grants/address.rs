//! Which addresses are special: pure, a table, no I/O.
//!
//! An address that is not public is reached only where a grant names it or a
//! range within its own block: `0.0.0.0/0` happens to contain the metadata
//! service of a cloud, it does not name it. IPv6 forms that carry an IPv4
//! address inside are special as a whole, because a gateway may unwrap them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A block of addresses that no name may lead to unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpecialBlock {
    /// The block.
    pub(crate) range: IpNet,
    /// Its kind, for people: `a private address`.
    pub(crate) meaning: &'static str,
}

/// The form in which addresses are compared: IPv4 mapped into IPv6 is IPv4.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The special blocks that hold `address`; empty for a public one.
pub(crate) fn special_blocks(address: IpAddr) -> impl Iterator<Item = SpecialBlock> {
    let address = canonical(address);
    V4.iter()
        .map(|&(bits, length, meaning)| SpecialBlock {
            range: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), length)),
            meaning,
        })
        .chain(V6.iter().map(|&(bits, length, meaning)| SpecialBlock {
            range: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length)),
            meaning,
        }))
        .filter(move |block| block.range.contains(&address))
}

/// From the registries of RFC 6890 (special-purpose addresses), with multicast.
const V4: &[(u32, u8, &str)] = &[
    (0x0000_0000, 8, "an address of this host"),
    (0x0a00_0000, 8, "a private address"),
    (0x6440_0000, 10, "a shared address"),
    (0x7f00_0000, 8, "a loopback address"),
    (0xa9fe_0000, 16, "a link-local address"),
    (0xac10_0000, 12, "a private address"),
    (0xc000_0000, 24, "a reserved address"),
    (0xc000_0200, 24, "a documentation address"),
    (0xc058_6300, 24, "a reserved address"),
    (0xc0a8_0000, 16, "a private address"),
    (0xc612_0000, 15, "a benchmarking address"),
    (0xc633_6400, 24, "a documentation address"),
    (0xcb00_7100, 24, "a documentation address"),
    (0xe000_0000, 4, "a multicast address"),
    (0xf000_0000, 4, "a reserved address"),
];

/// As above, for IPv6; `::/96`, `64:ff9b::/96` and `2002::/16` embed IPv4.
const V6: &[(u128, u8, &str)] = &[
    (0x1, 128, "a loopback address"),
    (0x0, 96, "an address of this host"),
    (0x0064_ff9b << 96, 96, "an IPv4 address in translation"),
    (0x0064_ff9b_0001 << 80, 48, "an IPv4 address in translation"),
    (0x0100 << 112, 64, "a discard address"),
    (0x2001 << 112, 23, "a reserved address"),
    (0x2001_0db8 << 96, 32, "a documentation address"),
    (0x2002 << 112, 16, "an IPv4 address in a tunnel"),
    (0x3fff << 112, 20, "a documentation address"),
    (0x5f00 << 112, 16, "a reserved address"),
    (0xfc00 << 112, 7, "a private address"),
    (0xfe80 << 112, 10, "a link-local address"),
    (0xfec0 << 112, 10, "a private address"),
    (0xff00 << 112, 8, "a multicast address"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_not_special() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "223.255.255.255",
            "100.128.0.0",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
        ] {
            let address = public.parse().unwrap();
            assert_eq!(special_blocks(address).next(), None, "{public}");
        }
    }

    #[test]
    fn special_addresses_say_what_they_are() {
        for (address, meaning) in [
            ("0.0.0.0", "an address of this host"),
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.254", "a loopback address"),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("10.1.2.3", "a private address"),
            ("172.31.255.255", "a private address"),
            ("192.168.0.1", "a private address"),
            ("100.64.0.1", "a shared address"),
            ("169.254.169.254", "a link-local address"),
            ("::ffff:169.254.169.254", "a link-local address"),
            ("224.0.0.1", "a multicast address"),
            ("255.255.255.255", "a reserved address"),
            ("::", "an address of this host"),
            ("::1", "a loopback address"),
            ("::7f00:1", "an address of this host"),
            ("64:ff9b::7f00:1", "an IPv4 address in translation"),
            ("2002:7f00:1::", "an IPv4 address in a tunnel"),
            ("2001::1", "a reserved address"),
            ("fd00::1", "a private address"),
            ("fe80::1", "a link-local address"),
            ("ff02::1", "a multicast address"),
        ] {
            let found = special_blocks(address.parse().unwrap()).next().unwrap();
            assert_eq!(found.meaning, meaning, "{address}");
        }
    }
}
