//! Slots that mounts share, each of their connections for itself: whoever waits has its
//! turn, and none takes all of them.
//!
//! A mount that holds some takes more only while as many as it would then hold stay free
//! for the others. So one mount gets at most half of the slots, a second one at most half
//! of the rest, and so on: however many calls hang, a mount that has none under way finds
//! a slot unless as many mounts hang as halve the slots away. Those who wait are served in
//! the order of what their mounts would then hold, and of their coming where it is the
//! same. Nobody passes one who waits for room: a call that needs many slots gets them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The owner of slots: the row of a mount's connection; nobody where a provider describes itself.
pub(super) type Owner = Option<i64>;

/// Slots, and who waits for them.
#[derive(Debug)]
pub(super) struct Shares {
    all: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u32,
    held: HashMap<Owner, u32>,
    /// In the order of their coming.
    waiting: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    owner: Owner,
    weight: u32,
    turn: oneshot::Sender<Share>,
}

/// Slots that are taken, until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    /// None once somebody else has given the slots back.
    shares: Option<Arc<Shares>>,
    owner: Owner,
    weight: u32,
}

impl Shares {
    pub(super) fn new(all: u32) -> Self {
        Self {
            all,
            state: Mutex::new(State {
                free: all,
                held: HashMap::new(),
                waiting: Vec::new(),
            }),
        }
    }

    /// All slots, those that are taken, and the calls that wait.
    pub(super) fn standing(&self) -> (u32, u32, usize) {
        let state = self.lock();
        let waiting = state.waiting.iter();
        let waiting = waiting.filter(|waiter| !waiter.turn.is_closed()).count();
        (self.all, self.all - state.free, waiting)
    }

    /// As many slots as a call of `owner` needs, once it has its turn; all of them where
    /// it needs more than there are.
    pub(super) async fn take(self: &Arc<Self>, owner: Owner, weight: u32) -> Share {
        let weight = weight.clamp(1, self.all.max(1));
        loop {
            let (turn, called) = oneshot::channel();
            {
                let mut state = self.lock();
                if state.waiting.is_empty() && state.admits(owner, weight) {
                    return state.grant(self, owner, weight);
                }
                state.waiting.push(Waiter {
                    owner,
                    weight,
                    turn,
                });
                self.serve(&mut state);
            }
            // A turn is dropped only with its waiter.
            if let Ok(share) = called.await {
                return share;
            }
        }
    }

    /// Gives what is free to those whose turn it is.
    fn serve(self: &Arc<Self>, state: &mut State) {
        state.waiting.retain(|waiter| !waiter.turn.is_closed());
        while let Some(next) = state.next() {
            let Waiter {
                owner,
                weight,
                turn,
            } = state.waiting.remove(next);
            let share = state.grant(self, owner, weight);
            if let Err(mut unwanted) = turn.send(share) {
                // Its waiter has just gone. Dropped as it is, it would wait for this lock.
                unwanted.shares = None;
                state.take_back(owner, weight);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The place of the one whose turn it is, if there is room for it.
    fn next(&self) -> Option<usize> {
        let (place, waiter) = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiter)| self.leaves_enough(waiter.owner, waiter.weight))
            .min_by_key(|(place, waiter)| (self.held(waiter.owner) + waiter.weight, *place))?;
        (waiter.weight <= self.free).then_some(place)
    }

    fn admits(&self, owner: Owner, weight: u32) -> bool {
        weight <= self.free && self.leaves_enough(owner, weight)
    }

    /// Whether a mount that took so many more would leave as many as it then holds; one
    /// that holds none always may.
    fn leaves_enough(&self, owner: Owner, weight: u32) -> bool {
        let held = self.held(owner);
        held == 0 || held + weight <= self.free.saturating_sub(weight)
    }

    fn held(&self, owner: Owner) -> u32 {
        self.held.get(&owner).copied().unwrap_or(0)
    }

    fn grant(&mut self, shares: &Arc<Shares>, owner: Owner, weight: u32) -> Share {
        self.free -= weight;
        *self.held.entry(owner).or_default() += weight;
        Share {
            shares: Some(Arc::clone(shares)),
            owner,
            weight,
        }
    }

    fn take_back(&mut self, owner: Owner, weight: u32) {
        self.free += weight;
        if let Some(held) = self.held.get_mut(&owner) {
            *held -= weight;
            if *held == 0 {
                self.held.remove(&owner);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(shares) = self.shares.take() {
            let mut state = shares.lock();
            state.take_back(self.owner, self.weight);
            shares.serve(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// The slots that a call that asks now gets at once.
    fn now<F: Future>(asked: Pin<&mut F>) -> Option<F::Output> {
        match asked.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(share) => Some(share),
            Poll::Pending => None,
        }
    }

    /// As many slots, one by one, as a mount gets at once.
    fn all_of(shares: &Arc<Shares>, owner: Owner) -> Vec<Share> {
        std::iter::from_fn(|| now(pin!(shares.take(owner, 1)))).collect()
    }

    #[test]
    fn however_much_mounts_take_the_next_one_finds_something() {
        let shares = Arc::new(Shares::new(256));
        let taken: Vec<_> = (0..9).map(|mount| all_of(&shares, Some(mount))).collect();
        let counts: Vec<_> = taken.iter().map(Vec::len).collect();
        assert_eq!(counts, [128, 64, 32, 16, 8, 4, 2, 1, 1]);
        assert!(all_of(&shares, None).is_empty());
        drop(taken);
        assert_eq!(shares.standing().1, 0);
        assert!(shares.lock().held.is_empty());
    }

    #[test]
    fn few_slots_are_shared_as_well() {
        for (all, first) in [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)] {
            let shares = Arc::new(Shares::new(all));
            assert_eq!(all_of(&shares, Some(1)).len(), first, "{all}");
        }
    }

    #[test]
    fn a_call_that_weighs_more_than_there_is_takes_all() {
        let shares = Arc::new(Shares::new(4));
        let heavy = now(pin!(shares.take(Some(1), 16))).unwrap();
        assert_eq!(shares.standing(), (4, 4, 0));
        drop(heavy);
        assert_eq!(shares.standing(), (4, 0, 0));
    }

    /// One who needs many is not passed for ever by those who need few, and those whose
    /// mounts have least come first.
    #[test]
    fn who_waits_is_served_in_turn() {
        let shares = Arc::new(Shares::new(4));
        let mut held = all_of(&shares, Some(1));
        held.extend(all_of(&shares, Some(2)));
        held.extend(all_of(&shares, Some(3)));
        assert_eq!(shares.standing(), (4, 4, 0));
        let mut heavy = pin!(shares.take(Some(4), 3));
        let mut light = pin!(shares.take(Some(5), 1));
        let mut again = pin!(shares.take(Some(6), 1));
        assert!(now(heavy.as_mut()).is_none());
        assert!(now(light.as_mut()).is_none());
        assert!(now(again.as_mut()).is_none());
        held.pop();
        let first = now(light.as_mut()).expect("its mount would have least");
        assert!(now(again.as_mut()).is_none());
        held.pop();
        let second = now(again.as_mut()).expect("it came later than the other light one");
        // A slot that is free now is kept for the heavy one.
        drop(first);
        held.pop();
        let mut more = pin!(shares.take(Some(6), 3));
        assert!(now(more.as_mut()).is_none());
        held.pop();
        assert!(now(heavy.as_mut()).is_some());
        drop(second);
    }

    #[test]
    fn who_has_gone_is_not_waited_for() {
        let shares = Arc::new(Shares::new(1));
        let held = now(pin!(shares.take(Some(1), 1))).unwrap();
        {
            let mut gone = Box::pin(shares.take(Some(2), 1));
            assert!(now(gone.as_mut()).is_none());
        }
        let mut next = pin!(shares.take(Some(3), 1));
        assert!(now(next.as_mut()).is_none());
        drop(held);
        assert!(now(next.as_mut()).is_some());
        // One that was called and left before it came.
        let held = now(pin!(shares.take(Some(1), 1))).unwrap();
        let mut called = Box::pin(shares.take(Some(2), 1));
        assert!(now(called.as_mut()).is_none());
        drop(held);
        assert_eq!(shares.standing().1, 1);
        drop(called);
        assert_eq!(shares.standing().1, 0);
    }
}
