//! Bounds the lines that strangers cause in the audit log: pure.
//!
//! A request without a valid token is refused, and each refusal is a line. A flood of such
//! lines would fill the disk and stop the server, so each peer has a number of lines in a
//! window; the rest are counted, and the count is a line. Before the first line is left out,
//! another line says so: a server that is killed then loses a number, and not the fact.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use lessor_model::clock::Timestamp;

/// For how long lines are counted together.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Lines of one peer in a window. A person who mistypes gets each of theirs.
pub const LINES_OF_ONE: u64 = 60;

/// Lines of all peers in a window: what many addresses can make together.
pub const LINES_OF_ALL: u64 = 1_000;

/// Peers that are told apart; those beyond share one number.
const PEERS: usize = 4_096;

/// Strangers by where they come from.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    peers: HashMap<IpAddr, Peer>,
    /// Lines in the window that began then.
    all: u64,
    all_since: Option<Timestamp>,
}

#[derive(Debug)]
struct Peer {
    since: Timestamp,
    lines: u64,
    left_out: BTreeMap<u16, u64>,
}

/// The treatment of one refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It gets its line.
    Line,
    /// It is the first that is counted, which has a line of its own.
    FirstLeftOut(IpAddr),
    /// It is counted.
    LeftOut,
}

/// Refusals that got no line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The address that they came from; an IPv6 network of 64 bits is one peer.
    pub(super) peer: IpAddr,
    /// The time when counting began, with the first line of that peer.
    pub(super) since: Timestamp,
    /// The number of requests, by status.
    pub(super) by_status: BTreeMap<u16, u64>,
}

impl Strangers {
    /// Decides about a refusal with `status` to `peer` at `now`. Call [`Self::settled`] before,
    /// to take the counts of windows that are over.
    pub(super) fn judge(&mut self, peer: IpAddr, status: u16, now: Timestamp) -> Verdict {
        if self
            .all_since
            .is_none_or(|since| now.since(since) >= WINDOW)
        {
            self.all = 0;
            self.all_since = Some(now);
        }
        let mut peer = network(peer);
        if self.peers.len() >= PEERS && !self.peers.contains_key(&peer) {
            peer = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        let of_peer = self.peers.entry(peer).or_insert(Peer {
            since: now,
            lines: 0,
            left_out: BTreeMap::new(),
        });
        if of_peer.lines < LINES_OF_ONE && self.all < LINES_OF_ALL {
            of_peer.lines += 1;
            self.all += 1;
            return Verdict::Line;
        }
        let is_first = of_peer.left_out.is_empty();
        *of_peer.left_out.entry(status).or_default() += 1;
        // With many peers, not even a line about the first of each fits.
        match is_first && self.all < LINES_OF_ALL + PEERS as u64 {
            true => {
                self.all += 1;
                Verdict::FirstLeftOut(peer)
            }
            false => Verdict::LeftOut,
        }
    }

    /// Takes what was counted in windows that are over at `now`.
    pub(super) fn settled(&mut self, now: Timestamp) -> Vec<LeftOut> {
        self.taken(|peer| now.since(peer.since) >= WINDOW)
    }

    /// Takes what was counted, over or not: the server ends.
    pub(super) fn all(&mut self) -> Vec<LeftOut> {
        self.taken(|_| true)
    }

    fn taken(&mut self, is_over: impl Fn(&Peer) -> bool) -> Vec<LeftOut> {
        let over = self.peers.extract_if(|_, peer| is_over(peer));
        let mut counts: Vec<LeftOut> = over
            .filter(|(_, counted)| !counted.left_out.is_empty())
            .map(|(peer, counted)| LeftOut {
                peer,
                since: counted.since,
                by_status: counted.left_out,
            })
            .collect();
        counts.sort_by_key(|count| count.since);
        counts
    }
}

/// The peer that an address stands for: an owner of one IPv6 address has 2⁶⁴ of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(0).plus(Duration::from_secs(seconds))
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_gets_its_lines_and_the_rest_are_counted() {
        let mut strangers = Strangers::default();
        let loud = peer("10.0.0.1");
        for _ in 0..LINES_OF_ONE {
            assert_eq!(strangers.judge(loud, 403, at(0)), Verdict::Line);
        }
        assert_eq!(
            strangers.judge(loud, 403, at(1)),
            Verdict::FirstLeftOut(loud)
        );
        for _ in 0..1_000 {
            assert_eq!(strangers.judge(loud, 400, at(2)), Verdict::LeftOut);
        }
        let quiet = peer("10.0.0.2");
        assert_eq!(strangers.judge(quiet, 403, at(2)), Verdict::Line);
        assert_eq!(strangers.settled(at(59)), []);
        let counted = LeftOut {
            peer: loud,
            since: at(0),
            by_status: BTreeMap::from([(400, 1_000), (403, 1)]),
        };
        assert_eq!(strangers.settled(at(60)), [counted]);
        // From then on it has its lines again.
        assert_eq!(strangers.judge(loud, 403, at(60)), Verdict::Line);
    }

    #[test]
    fn what_was_counted_is_not_lost_at_the_end() {
        let mut strangers = Strangers::default();
        for _ in 0..=LINES_OF_ONE {
            strangers.judge(peer("10.0.0.1"), 403, at(0));
        }
        assert_eq!(strangers.all().len(), 1);
        assert_eq!(strangers.all(), []);
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_a_mapped_address_is_itself() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
        ] {
            assert_eq!(
                network(peer(one)) == network(peer(other)),
                same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn many_addresses_do_not_make_many_lines_nor_fill_the_memory() {
        let mut strangers = Strangers::default();
        let mut lines = 0;
        let peers: u32 = 100_000;
        for number in 0..peers {
            let peer = IpAddr::from(number.to_be_bytes());
            lines += u64::from(strangers.judge(peer, 403, at(0)) != Verdict::LeftOut);
        }
        assert!(lines <= LINES_OF_ALL + PEERS as u64, "{lines}");
        assert!(strangers.peers.len() <= PEERS + 1);
        let counted: u64 = strangers
            .all()
            .iter()
            .flat_map(|count| count.by_status.values())
            .sum();
        assert_eq!(counted + LINES_OF_ALL, u64::from(peers));
    }
}
