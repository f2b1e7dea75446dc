//! Lets the clients through while the server is up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Shut,
    Open,
    Ended,
}

/// A gate, shut at first.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::Shut),
            changed: Condvar::new(),
        }
    }

    /// Waits until it is open; false where it never will be again.
    pub(super) fn pass(&self) -> bool {
        let state = self
            .changed
            .wait_while(self.lock(), |state| *state == State::Shut)
            .unwrap_or_else(PoisonError::into_inner);
        *state == State::Open
    }

    /// Lets everybody through.
    pub(super) fn open(&self) {
        self.turn(State::Open);
    }

    /// Makes every later client wait.
    pub(super) fn shut(&self) {
        self.turn(State::Shut);
    }

    /// Sends everybody home, for ever.
    pub(super) fn end(&self) {
        self.turn(State::Ended);
    }

    fn turn(&self, to: State) {
        let mut state = self.lock();
        if *state != State::Ended {
            *state = to;
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_at_a_gate_goes_through_or_home() {
        let gate = Gate::new();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.pass());
            gate.open();
            assert!(waiting.join().unwrap());
            gate.shut();
            let waiting = scope.spawn(|| gate.pass());
            gate.end();
            assert!(!waiting.join().unwrap());
        });
        gate.open();
        assert!(!gate.pass(), "an end is an end");
    }
}
