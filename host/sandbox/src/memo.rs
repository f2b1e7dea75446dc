//! Small values that guests have kept between calls: `memo`.
//!
//! They are kept in memory alone, zeroed when they go, and found again only by the
//! mount, plugin digest and config version that left them. They go when they are over,
//! when room is needed (the one that was not used for longest goes first, of the same
//! place and then of all), and whenever the mount's parked connections go. Losing one
//! costs a question to upstream, nothing else: so what does not fit is not kept, and no
//! call fails for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use lessor_model::{
    clock::{Clock, Timestamp},
    id::{ConnectionId, Digest},
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    account::{Held, Ledger, OVERHEAD, Resource},
    call::CallState,
    limits::Limit,
    network::copied,
};

/// Bytes of a value (the contract's limit): the longest access tokens, with all the
/// groups of a person in them, have a few KiB.
const VALUE: usize = 16 << 10;

/// Bytes of a key (the contract's limit).
const KEY: usize = 1024;

/// Values of one place (the contract's limit).
const VALUES: usize = 64;

/// Longest time that a value is kept (the contract's limit).
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The time between two searches for values that are over, while there are any: so long may a
/// secret outstay its time.
const SWEEP: Duration = Duration::from_secs(60);

/// Whether a value is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    Secret,
    Open,
}

/// The owner of values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) of: ConnectionId,
    pub(super) plugin: Digest,
    pub(super) config_version: u32,
}

/// The values of a host.
pub(super) struct Memo {
    clock: Clock,
    ledger: Arc<Ledger>,
    /// Bytes that all of them may have.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: HashMap<Place, HashMap<String, Entry>>,
    /// Every value by its last use.
    uses: BTreeMap<u64, (Place, String)>,
    /// The number of the last use.
    last: u64,
    bytes: usize,
    sweeping: bool,
}

struct Entry {
    value: Zeroizing<Vec<u8>>,
    sensitivity: Sensitivity,
    since: Timestamp,
    until: Timestamp,
    used: u64,
    size: usize,
    #[expect(dead_code, reason = "held, not read")]
    held: Held,
}

impl Memo {
    pub(super) fn new(clock: Clock, ledger: Arc<Ledger>, limit: usize) -> Self {
        Self {
            clock,
            ledger,
            limit,
            state: Mutex::default(),
        }
    }

    /// The value that a place has under a key, where it has one that is not over.
    fn recall(&self, place: &Place, key: &str) -> Option<(Zeroizing<Vec<u8>>, Sensitivity)> {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.entry(place, key)?.is_over(now) {
            state.remove(place, key);
            return None;
        }
        let (used, before) = state.touch(place, key)?;
        state.uses.remove(&before);
        state.uses.insert(used, (place.clone(), key.to_owned()));
        let entry = state.entry(place, key)?;
        Some((entry.value.clone(), entry.sensitivity))
    }

    /// Keeps a value, or not. Must be called within the async runtime.
    fn remember(
        self: &Arc<Self>,
        place: Place,
        key: String,
        (value, sensitivity): (Zeroizing<Vec<u8>>, Sensitivity),
        ttl: Duration,
    ) {
        let size = value
            .len()
            .saturating_add(key.len())
            .saturating_add(OVERHEAD);
        let mut state = self.lock();
        state.remove(&place, &key);
        if value.len() > VALUE || key.len() > KEY || ttl.is_zero() || size > self.limit {
            return;
        }
        state.make_room(&place, self.limit - size);
        let Some(held) = self.ledger.hold(Resource::Memo, size) else {
            return;
        };
        let now = self.clock.now();
        state.last += 1;
        let used = state.last;
        let entry = Entry {
            value,
            sensitivity,
            since: now,
            until: now.plus(ttl.min(LONGEST)),
            used,
            size,
            held,
        };
        state.bytes += size;
        state.uses.insert(used, (place.clone(), key.clone()));
        state.places.entry(place).or_default().insert(key, entry);
        if !std::mem::replace(&mut state.sweeping, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn forget(&self, place: &Place, key: &str) {
        self.lock().remove(place, key);
    }

    /// Drops the values of a connection of a mount.
    pub(super) fn drop_all_of(&self, of: ConnectionId) {
        self.lock().drop_where(|place, _| place.of == of);
    }

    /// Drops what is over; whether there is anything left to look at.
    fn sweep_once(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        state.drop_where(|_, entry| entry.is_over(now));
        state.sweeping = !state.uses.is_empty();
        state.sweeping
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn entry(&self, place: &Place, key: &str) -> Option<&Entry> {
        self.places.get(place)?.get(key)
    }

    /// Counts a use; its number, and that of the use before.
    fn touch(&mut self, place: &Place, key: &str) -> Option<(u64, u64)> {
        let entry = self.places.get_mut(place)?.get_mut(key)?;
        self.last += 1;
        Some((self.last, std::mem::replace(&mut entry.used, self.last)))
    }

    fn remove(&mut self, place: &Place, key: &str) {
        let Some(values) = self.places.get_mut(place) else {
            return;
        };
        if let Some(entry) = values.remove(key) {
            self.uses.remove(&entry.used);
            self.bytes -= entry.size;
        }
        if values.is_empty() {
            self.places.remove(place);
        }
    }

    /// Makes room for one more value of a place, and in all.
    fn make_room(&mut self, place: &Place, most: usize) {
        let values = self.places.get(place).map_or(0, HashMap::len);
        if values >= VALUES {
            let oldest = self.uses.values().find(|(owner, _)| owner == place);
            if let Some((place, key)) = oldest.cloned() {
                self.remove(&place, &key);
            }
        }
        while self.bytes > most
            && let Some((_, (place, key))) = self.uses.first_key_value()
        {
            let (place, key) = (place.clone(), key.clone());
            self.remove(&place, &key);
        }
    }

    fn drop_where(&mut self, gone: impl Fn(&Place, &Entry) -> bool) {
        let (uses, bytes) = (&mut self.uses, &mut self.bytes);
        self.places.retain(|place, values| {
            values.retain(|_, entry| {
                let goes = gone(place, entry);
                if goes {
                    uses.remove(&entry.used);
                    *bytes -= entry.size;
                }
                !goes
            });
            !values.is_empty()
        });
    }
}

impl Entry {
    /// Whether its time is over, or the clock was set back behind its beginning, so that
    /// nobody can tell.
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until || now < self.since
    }
}

impl CallState {
    pub(super) fn recall(&mut self, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        let place = self.place()?;
        let Some((value, sensitivity)) = self.reach.outside.memo.recall(&place, key) else {
            return Ok(None);
        };
        let _held = copied(&self.reach.account, value.len())?;
        self.note(&value, sensitivity)?;
        Ok(Some(value.to_vec()))
    }

    pub(super) fn remember_for(
        &mut self,
        key: String,
        value: Vec<u8>,
        sensitivity: Sensitivity,
        ttl: Duration,
    ) -> wasmtime::Result<()> {
        let place = self.place()?;
        let value = Zeroizing::new(value);
        let copied_in = value.len().saturating_add(key.len());
        let _held = copied(&self.reach.account, copied_in)?;
        self.note(&value, sensitivity)?;
        let memo = &self.reach.outside.memo;
        memo.remember(place, key, (value, sensitivity), ttl);
        Ok(())
    }

    pub(super) fn forget(&mut self, key: &str) -> wasmtime::Result<()> {
        let place = self.place()?;
        self.reach.outside.memo.forget(&place, key);
        Ok(())
    }

    /// This call's mount, plugin and config.
    fn place(&self) -> wasmtime::Result<Place> {
        let scope = self.reach.scope()?;
        Ok(Place {
            of: scope.connection,
            plugin: self.plugin,
            config_version: scope.config_version,
        })
    }

    /// A secret of `memo` is one of the call, whether it was left or found.
    fn note(&mut self, value: &[u8], sensitivity: Sensitivity) -> Result<(), Limit> {
        if sensitivity == Sensitivity::Open {
            return Ok(());
        }
        self.remember(value)?;
        // An answer of upstream's token endpoint, say, kept as it came.
        if let Ok(mut document @ (Value::Object(_) | Value::Array(_))) =
            serde_json::from_slice(value)
        {
            let noted = self.note_strings(&document);
            super::scrub::wipe(&mut document);
            noted?;
        }
        Ok(())
    }

    fn note_strings(&mut self, document: &Value) -> Result<(), Limit> {
        match document {
            Value::String(text) => self.remember(text.as_bytes()),
            Value::Array(items) => items.iter().try_for_each(|item| self.note_strings(item)),
            Value::Object(members) => members
                .values()
                .try_for_each(|item| self.note_strings(item)),
            _ => Ok(()),
        }
    }
}

/// Runs while there are values.
async fn sweep(memo: Weak<Memo>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match memo.upgrade() {
            Some(memo) if memo.sweep_once() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memo(limit: usize) -> Arc<Memo> {
        let ledger = Arc::new(Ledger::new(1 << 20));
        Arc::new(Memo::new(Clock::system(), ledger, limit))
    }

    fn place(of: i64) -> Place {
        Place {
            of: ConnectionId(of),
            plugin: Digest::of(b"plugin"),
            config_version: 1,
        }
    }

    impl Memo {
        fn keep(self: &Arc<Self>, place: &Place, key: &str, value: &[u8], seconds: u64) {
            let value = Zeroizing::new(value.to_vec());
            let ttl = Duration::from_secs(seconds);
            let value = (value, Sensitivity::Secret);
            self.remember(place.clone(), key.to_owned(), value, ttl);
        }

        fn has(&self, place: &Place, key: &str) -> bool {
            self.recall(place, key).is_some()
        }

        fn held(&self) -> usize {
            let held = self.ledger.holdings().held;
            held.iter().map(|(_, bytes)| bytes).sum()
        }
    }

    #[tokio::test]
    async fn a_value_is_found_by_whoever_left_it_until_its_time_is_over() {
        let memo = memo(1 << 20);
        let home = place(1);
        memo.keep(&home, "token", b"value", 60);
        assert_eq!(memo.recall(&home, "token").unwrap().0.as_slice(), b"value");
        let strangers = [
            place(2),
            Place {
                plugin: Digest::of(b"other"),
                ..home.clone()
            },
            Place {
                config_version: 2,
                ..home.clone()
            },
        ];
        for stranger in &strangers {
            assert!(!memo.has(stranger, "token"), "{stranger:?}");
            memo.forget(stranger, "token");
        }
        assert!(memo.has(&home, "token") && !memo.has(&home, "other"));

        memo.clock.advance(Duration::from_secs(59));
        assert!(memo.has(&home, "token"));
        memo.clock.advance(Duration::from_secs(1));
        assert!(!memo.has(&home, "token"));
        assert_eq!(memo.held(), 0);
        // Nobody asks for a day and more.
        memo.keep(&home, "token", b"value", u64::from(u32::MAX));
        memo.clock.advance(LONGEST);
        assert!(memo.sweep_once() || memo.held() == 0);
        assert_eq!(memo.held(), 0);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_not_kept_and_what_was_there_is_forgotten() {
        let memo = memo(1 << 20);
        let home = place(1);
        for (key, value, seconds) in [
            ("k".to_owned(), vec![0; VALUE + 1], 60),
            ("k".repeat(KEY + 1), vec![0], 60),
            ("k".to_owned(), vec![0], 0),
        ] {
            memo.keep(&home, &key, b"former", 60);
            memo.keep(&home, &key, &value, seconds);
            assert!(!memo.has(&home, &key), "{} {seconds}", key.len());
        }
        memo.keep(&home, "k", &[0; VALUE], 60);
        assert!(memo.has(&home, "k"));
        memo.forget(&home, "k");
        assert_eq!(memo.held(), 0);
    }

    #[tokio::test]
    async fn the_value_that_was_not_used_for_longest_goes_first() {
        let memo = memo(1 << 20);
        let (home, other) = (place(1), place(2));
        memo.keep(&other, "0", b"v", 60);
        for index in 0..VALUES {
            memo.keep(&home, &index.to_string(), b"v", 60);
        }
        assert!(memo.has(&home, "0"));
        memo.keep(&home, "more", b"v", 60);
        assert!(memo.has(&home, "0") && !memo.has(&home, "1") && memo.has(&home, "more"));
        assert!(memo.has(&other, "0"), "each place has its own room");
        memo.drop_all_of(ConnectionId(1));
        assert!(!memo.has(&home, "0") && memo.has(&other, "0"));

        let memo = self::memo(10_000);
        for mount in 1..=9 {
            memo.keep(&place(mount), "k", &[0; 1000], 60);
        }
        assert!(memo.has(&place(1), "k"));
        memo.keep(&place(10), "k", &[0; 1000], 60);
        assert!(memo.has(&place(1), "k") && !memo.has(&place(2), "k"));
        assert!(memo.held() <= 10_000);
        assert_eq!(memo.held(), memo.lock().bytes);
    }
}
