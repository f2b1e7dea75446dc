//! Places for connections: their number is limited, and a connection with a valid token keeps
//! its place.
//!
//! Each connection costs a descriptor, and a process has a number of them. Were they
//! all taken by peers that connect and say nothing, nobody else would get in, and the
//! database could not open its files. So where no place is free, a stranger's
//! connection gives way: one of the peer that has most of them, idle ones before those
//! in the middle of a request, and of these the one that was silent longest.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// Connections at once, where there are descriptors for as many.
pub(super) const MOST: usize = 4_096;

/// Descriptors that are left to the database, providers and their upstream systems.
const SPARE: usize = 512;

/// The places of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    taken: Mutex<HashMap<u64, Arc<Place>>>,
    /// Counts events, and so orders connections by their last one.
    clock: AtomicU64,
}

#[derive(Debug)]
struct Place {
    peer: IpAddr,
    /// Whether the token of a request was valid.
    proven: AtomicBool,
    /// Requests under way.
    busy: AtomicUsize,
    /// The time when it last began or ended one.
    last: AtomicU64,
    leave: Notify,
}

/// A connection that has a place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    number: u64,
    place: Arc<Place>,
    places: Places,
}

impl Places {
    /// As many places as `descriptors` allow.
    pub(super) fn new(descriptors: Option<u64>) -> Self {
        let descriptors = descriptors.and_then(|limit| usize::try_from(limit).ok());
        let most = descriptors.map_or(MOST, |limit| {
            limit.saturating_sub(SPARE).max(limit / 4).min(MOST)
        });
        Self(Arc::new(Inner {
            most,
            taken: Mutex::default(),
            clock: AtomicU64::new(0),
        }))
    }

    /// A place for a connection of `peer`; none where all are taken by connections that keep
    /// theirs.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<Guest> {
        let now = self.now();
        let place = Arc::new(Place {
            peer: peer.to_canonical(),
            proven: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            last: AtomicU64::new(now),
            leave: Notify::new(),
        });
        let mut taken = self.taken();
        if taken.len() >= self.0.most {
            let number = least_missed(&taken)?;
            if let Some(place) = taken.remove(&number) {
                place.leave.notify_one();
            }
        }
        taken.insert(now, Arc::clone(&place));
        Some(Guest {
            number: now,
            place,
            places: self.clone(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Arc<Place>>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another moment than any before.
    fn now(&self) -> u64 {
        self.0.clock.fetch_add(1, Ordering::Relaxed)
    }
}

impl Guest {
    /// Completes when the place is wanted for another.
    pub(super) async fn asked_to_leave(&self) {
        self.place.leave.notified().await;
    }

    /// A request begins; it ends when the returned value is dropped.
    pub(super) fn begin(&self) -> Busy<'_> {
        self.place.busy.fetch_add(1, Ordering::Relaxed);
        self.place.last.store(self.places.now(), Ordering::Relaxed);
        Busy(self)
    }
}

/// A request under way; also one whose peer went away ends.
#[derive(Debug)]
pub(super) struct Busy<'g>(&'g Guest);

impl Busy<'_> {
    /// The request ends; the argument says whether its token was valid.
    pub(super) fn end(self, proven: bool) {
        if proven {
            self.0.place.proven.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let Guest { place, places, .. } = self.0;
        place.busy.fetch_sub(1, Ordering::Relaxed);
        place.last.store(places.now(), Ordering::Relaxed);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.places.taken().remove(&self.number);
    }
}

/// The connection that gives way, as the head of the file says.
fn least_missed(taken: &HashMap<u64, Arc<Place>>) -> Option<u64> {
    let strangers = || {
        let taken = taken.iter();
        taken.filter(|(_, place)| !place.proven.load(Ordering::Relaxed))
    };
    let mut by_peer: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (_, place) in strangers() {
        *by_peer.entry(place.peer).or_default() += 1;
    }
    let (peer, _) = by_peer.into_iter().max_by_key(|(_, count)| *count)?;
    strangers()
        .filter(|(_, place)| place.peer == peer)
        .min_by_key(|(_, place)| {
            let busy = place.busy.load(Ordering::Relaxed) > 0;
            (busy, place.last.load(Ordering::Relaxed))
        })
        .map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn places(most: usize) -> Places {
        Places(Arc::new(Inner {
            most,
            taken: Mutex::default(),
            clock: AtomicU64::new(0),
        }))
    }

    fn numbers(places: &Places) -> Vec<u64> {
        let mut numbers: Vec<u64> = places.taken().keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn the_peer_that_has_most_gives_a_place_and_who_has_a_token_keeps_theirs() {
        let places = places(4);
        let proven = places.enter(peer(1)).unwrap();
        proven.begin().end(true);
        let busy = places.enter(peer(1)).unwrap();
        let _under_way = busy.begin();
        let idle = places.enter(peer(1)).unwrap();
        let other = places.enter(peer(2)).unwrap();
        // Of peer 1, which has two strangers: the idle one, though it came later.
        let one = places.enter(peer(3)).unwrap();
        let kept = [&proven, &busy, &other, &one].map(|guest| guest.number);
        assert_eq!(numbers(&places), kept);
        drop(idle);
        assert_eq!(numbers(&places).len(), 4, "its place is another's now");
        drop(other);
        assert_eq!(numbers(&places).len(), 3);
    }

    #[test]
    fn where_all_are_proven_nobody_comes_in() {
        let places = places(2);
        let guests = [
            places.enter(peer(1)).unwrap(),
            places.enter(peer(1)).unwrap(),
        ];
        for guest in &guests {
            guest.begin().end(true);
        }
        assert!(places.enter(peer(2)).is_none());
        drop(guests);
        assert!(places.enter(peer(2)).is_some());
    }

    #[tokio::test]
    async fn who_gives_way_is_told() {
        let places = places(1);
        let first = places.enter(peer(1)).unwrap();
        let _second = places.enter(peer(2)).unwrap();
        first.asked_to_leave().await;
    }

    #[test]
    fn there_are_no_more_places_than_descriptors() {
        for (descriptors, most) in [
            (None, MOST),
            (Some(1 << 20), MOST),
            (Some(1_024), 512),
            (Some(256), 64),
        ] {
            assert_eq!(Places::new(descriptors).0.most, most, "{descriptors:?}");
        }
    }
}
