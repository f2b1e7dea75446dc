//! Connections that wait between calls, held by the host and never by a guest.
//!
//! A connection is found again only by the mount's connection, plugin digest and
//! config version that left it, under the same key: it is authenticated as that
//! config's root credential. It is dropped when it has idled, when upstream has
//! closed it or said anything, when that config changes, and when its grant is
//! gone. Losing one costs a new connection, nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use lessor_model::id::{ConnectionId, Digest};
use tokio::time::Instant;

use super::connection::Connection;

/// The time for which a connection may wait. Servers and firewalls cut idle connections
/// after minutes; a burst of calls comes within seconds.
const IDLE: Duration = Duration::from_secs(60);

/// The time between two searches for idle connections, while there are any.
const SWEEP: Duration = Duration::from_secs(10);

/// Connections of one owner: as many calls at once as usually reuse one.
const PER_OWNER: usize = 8;

/// Connections of one owner while calls come thick and fast: more of them end together
/// than `PER_OWNER`, to be followed by as many within the moment. Those beyond
/// `PER_OWNER` wait no longer than `SWEEP`.
const PER_BURST: usize = 32;

/// Connections in total, so that many owners do not use up file descriptors.
const TOTAL: usize = 512;

/// Bytes of a key.
const KEY: usize = 1024;

/// The parked connections of a host.
#[derive(Default)]
pub(super) struct Parked {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    owners: HashMap<ConnectionId, Vec<Entry>>,
    total: usize,
    sweeping: bool,
}

struct Entry {
    owner: Owner,
    since: Instant,
    connection: Connection,
}

/// The owner of a connection, who alone may take it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The mount's connection whose root credential it is.
    pub(super) of: ConnectionId,
    pub(super) plugin: Digest,
    pub(super) config_version: u32,
    pub(super) key: String,
}

impl Parked {
    /// Leaves a connection. Must be called within the async runtime.
    pub(super) fn park(self: &Arc<Self>, owner: Owner, connection: Connection) {
        if owner.key.len() > KEY {
            return;
        }
        let mut state = self.lock();
        let entries = state.owners.entry(owner.of).or_default();
        let crowded = entries.len() >= PER_BURST;
        if crowded {
            entries.remove(0);
        }
        entries.push(Entry {
            owner,
            since: Instant::now(),
            connection,
        });
        state.total += usize::from(!crowded);
        if state.total > TOTAL {
            state.drop_oldest();
        }
        if !std::mem::replace(&mut state.sweeping, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Takes back the one left last that is still quiet.
    pub(super) fn unpark(&self, owner: &Owner) -> Option<Connection> {
        loop {
            let mut entry = self.lock().take(owner)?;
            if entry.since.elapsed() < IDLE && entry.connection.is_quiet() {
                return Some(entry.connection);
            }
        }
    }

    /// Drops what was left with the root credential of one connection of a mount.
    pub(super) fn drop_all_of(&self, of: ConnectionId) {
        let mut state = self.lock();
        if let Some(dropped) = state.owners.remove(&of) {
            state.total -= dropped.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what has idled; whether there is anything left to look at.
    fn sweep_once(&self) -> bool {
        let mut state = self.lock();
        state.owners.retain(|_, entries| {
            // The oldest come first.
            let mut surplus = entries.len().saturating_sub(PER_OWNER);
            entries.retain(|entry| {
                let patience = if surplus > 0 { SWEEP } else { IDLE };
                surplus = surplus.saturating_sub(1);
                entry.since.elapsed() < patience
            });
            !entries.is_empty()
        });
        state.total = state.owners.values().map(Vec::len).sum();
        state.sweeping = state.total > 0;
        state.sweeping
    }
}

impl State {
    fn take(&mut self, owner: &Owner) -> Option<Entry> {
        let entries = self.owners.get_mut(&owner.of)?;
        let index = entries.iter().rposition(|entry| entry.owner == *owner)?;
        let entry = entries.remove(index);
        if entries.is_empty() {
            self.owners.remove(&owner.of);
        }
        self.total -= 1;
        Some(entry)
    }

    fn drop_oldest(&mut self) {
        let oldest = self
            .owners
            .iter()
            .filter_map(|(of, entries)| Some((entries.first()?.since, *of)))
            .min();
        if let Some((_, of)) = oldest
            && let Some(entries) = self.owners.get_mut(&of)
        {
            entries.remove(0);
            self.total -= 1;
            if entries.is_empty() {
                self.owners.remove(&of);
            }
        }
    }
}

/// Runs while there are parked connections.
async fn sweep(parked: Weak<Parked>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match parked.upgrade() {
            Some(parked) if parked.sweep_once() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
#[path = "parked_tests.rs"]
mod tests;
