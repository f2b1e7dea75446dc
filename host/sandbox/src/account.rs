//! Counts the memory that the host holds for guests as theirs.
//!
//! A guest's own memory is bounded by wasmtime; what it has the host keep is not: bodies
//! that it writes and never sends, headers, texts of requests, log lines, buffers of
//! connections. Each call has an [`Account`] of it, and all calls together a [`Ledger`].
//! A call that would hold more ends by the name of its limit. What is held is given back
//! where it is dropped, or with the call.
//!
//! A call gets only as much of the ledger as would then still be free: however much some
//! calls hold, something is left for the next one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::limits::{Exceeded, Limit};

/// The number of bytes that a small value costs beside its own: an allocation, a place in a list.
pub(super) const OVERHEAD: usize = 64;

/// A kind of memory that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Bodies of requests, until upstream has taken them.
    Bodies,
    /// Headers, and the other texts of requests and responses, until the call ends.
    Headers,
    /// Buffers of connections, while they are open.
    Connections,
    /// Arguments that a function was handed, while the host waits or works on them.
    Copies,
    /// Log events and what was printed, until the call ends.
    Journal,
    /// Secrets that came to be in the call, until it ends.
    Secrets,
    /// Answers, while they are judged.
    Answers,
    /// Connections that wait between calls.
    Parked,
    /// Values that are kept between calls.
    Memo,
}

/// The number of resources.
const RESOURCES: usize = 9;

impl Resource {
    const ALL: [Self; RESOURCES] = [
        Self::Bodies,
        Self::Headers,
        Self::Connections,
        Self::Copies,
        Self::Journal,
        Self::Secrets,
        Self::Answers,
        Self::Parked,
        Self::Memo,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Headers => "headers",
            Self::Connections => "connections",
            Self::Copies => "copies",
            Self::Journal => "journal",
            Self::Secrets => "secrets",
            Self::Answers => "answers",
            Self::Parked => "parked",
            Self::Memo => "memo",
        }
    }
}

/// Bytes by resource.
#[derive(Debug, Default)]
struct Shelf([AtomicUsize; RESOURCES]);

impl Shelf {
    fn of(&self, resource: Resource) -> Option<&AtomicUsize> {
        self.0.get(resource as usize)
    }

    fn add(&self, resource: Resource, bytes: usize) {
        if let Some(held) = self.of(resource) {
            held.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn remove(&self, resource: Resource, bytes: usize) {
        if let Some(held) = self.of(resource) {
            held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The memory that the host holds for all calls.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: usize,
    total: AtomicUsize,
    peak: AtomicUsize,
    shelf: Shelf,
}

/// The memory and slots that the host has for guests at a moment, in bytes and slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// By the name of the resource.
    pub held: Vec<(&'static str, usize)>,
    /// The most that was held at once since the start, of all resources.
    pub peak: usize,
    /// The number of bytes that may be held at once.
    pub limit: usize,
    /// Slots for calls: all, those that are taken, and the calls that wait for some.
    pub slots: (u32, u32, usize),
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            total: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            shelf: Shelf::default(),
        }
    }

    /// The holdings now.
    pub(super) fn holdings(&self) -> Holdings {
        let held = Resource::ALL.map(|resource| {
            let held = self.shelf.of(resource);
            let bytes = held.map_or(0, |held| held.load(Ordering::Relaxed));
            (resource.as_str(), bytes)
        });
        Holdings {
            held: held.to_vec(),
            peak: self.peak.load(Ordering::Relaxed),
            limit: self.limit,
            slots: (0, 0, 0),
        }
    }

    /// Holds something that belongs to no call, if there is room for it.
    pub(super) fn hold(self: &Arc<Self>, resource: Resource, bytes: usize) -> Option<Held> {
        self.take(resource, bytes, 0).then(|| Held {
            ledger: Arc::clone(self),
            account: None,
            resource,
            bytes,
        })
    }

    /// Counts what a call that will have `own` bytes takes, if as much is left.
    fn take(&self, resource: Resource, bytes: usize, own: usize) -> bool {
        let taken = self
            .total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| {
                let total = total.checked_add(bytes)?;
                let left = self.limit.checked_sub(total)?;
                (own <= left).then_some(total)
            });
        let Ok(before) = taken else {
            return false;
        };
        self.peak
            .fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
        self.shelf.add(resource, bytes);
        true
    }

    fn give_back(&self, resource: Resource, bytes: usize) {
        self.shelf.remove(resource, bytes);
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The memory that the host holds for one call.
#[derive(Debug)]
pub struct Account {
    ledger: Arc<Ledger>,
    limit: usize,
    used: AtomicUsize,
    /// The memory that is held until the call ends.
    kept: Shelf,
    exceeded: Exceeded,
}

impl Account {
    pub(super) fn new(ledger: Arc<Ledger>, limit: usize, exceeded: Exceeded) -> Self {
        Self {
            ledger,
            limit,
            used: AtomicUsize::new(0),
            kept: Shelf::default(),
            exceeded,
        }
    }

    /// Holds something until it is dropped. Where it is too much, the limit is noted:
    /// it is why the call ends.
    pub(super) fn hold(self: &Arc<Self>, resource: Resource, bytes: usize) -> Result<Held, Limit> {
        self.take(resource, bytes)
            .inspect_err(|limit| self.exceeded.note(*limit))?;
        Ok(Held {
            ledger: Arc::clone(&self.ledger),
            account: Some(Arc::clone(self)),
            resource,
            bytes,
        })
    }

    /// Holds something until the call ends.
    pub(super) fn keep(&self, resource: Resource, bytes: usize) -> Result<(), Limit> {
        self.take(resource, bytes)
            .inspect_err(|limit| self.exceeded.note(*limit))?;
        self.kept.add(resource, bytes);
        Ok(())
    }

    /// The same for what can be dropped: whether there is room for it.
    pub(super) fn keeps(&self, resource: Resource, bytes: usize) -> bool {
        let fits = self.take(resource, bytes).is_ok();
        if fits {
            self.kept.add(resource, bytes);
        }
        fits
    }

    fn take(&self, resource: Resource, bytes: usize) -> Result<(), Limit> {
        let before = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= self.limit)
            })
            .map_err(|_| Limit::Held)?;
        if self.ledger.take(resource, bytes, before + bytes) {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        Err(Limit::HeldByAll)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for resource in Resource::ALL {
            if let Some(kept) = self.kept.of(resource) {
                self.ledger
                    .give_back(resource, kept.load(Ordering::Relaxed));
            }
        }
    }
}

/// Something that is held, until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    ledger: Arc<Ledger>,
    account: Option<Arc<Account>>,
    resource: Resource,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.give_back(self.resource, self.bytes);
        if let Some(account) = &self.account {
            account.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(any(test, feature = "test-hooks"))]
impl Account {
    /// One whose limits nothing reaches.
    pub fn boundless() -> Arc<Self> {
        let ledger = Arc::new(Ledger::new(usize::MAX));
        Arc::new(Self::new(ledger, usize::MAX / 2, Exceeded::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(ledger: &Arc<Ledger>, limit: usize) -> Arc<Account> {
        Arc::new(Account::new(Arc::clone(ledger), limit, Exceeded::default()))
    }

    fn total(ledger: &Ledger) -> usize {
        ledger.holdings().held.iter().map(|(_, bytes)| bytes).sum()
    }

    #[test]
    fn what_is_held_counts_until_it_is_dropped_and_what_is_kept_until_the_call_ends() {
        let ledger = Arc::new(Ledger::new(1000));
        let call = account(&ledger, 100);
        let body = call.hold(Resource::Bodies, 60).unwrap();
        call.keep(Resource::Headers, 30).unwrap();
        assert_eq!(call.hold(Resource::Copies, 11).unwrap_err(), Limit::Held);
        assert_eq!(call.exceeded.limit(), Some(Limit::Held));
        drop(body);
        let copy = call.hold(Resource::Copies, 11).unwrap();
        let held: Vec<_> = ledger.holdings().held;
        assert!(held.contains(&("headers", 30)) && held.contains(&("copies", 11)));
        assert_eq!((total(&ledger), ledger.holdings().peak), (41, 90));
        // A holding that outlives the call's own handle is still the call's.
        drop(call);
        assert_eq!(total(&ledger), 41);
        drop(copy);
        assert_eq!(total(&ledger), 0);
        assert_eq!(ledger.total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn something_is_left_for_the_next_call_whatever_others_hold() {
        let ledger = Arc::new(Ledger::new(1000));
        let greedy: Vec<_> = (0..10).map(|_| account(&ledger, 1000)).collect();
        for call in &greedy {
            while call.keep(Resource::Bodies, 10).is_ok() {}
            assert_eq!(call.exceeded.limit(), Some(Limit::HeldByAll));
        }
        let modest = account(&ledger, 1000);
        modest.keep(Resource::Headers, 1).unwrap();
        assert!(total(&ledger) < 1000);
        assert!(!greedy[0].keeps(Resource::Journal, 10));
        drop(greedy);
        assert_eq!(total(&ledger), 1);
        assert!(ledger.hold(Resource::Parked, 999).is_some());
        assert!(ledger.hold(Resource::Parked, 1000).is_none());
    }
}
