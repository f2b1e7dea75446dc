//! Moves of mounts and login methods, for clients that ask how one stands.
//!
//! A move is done when it is answered, so this only repeats what was done. It is
//! kept in memory and bounded: who asks does so right after the move.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use lessor_model::id::OperationId;

/// How many moves are remembered. More than anybody moves before asking; each
/// is some hundred bytes.
const REMEMBERED: usize = 1000;

/// A mount or login method that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Names the move.
    pub id: OperationId,
    /// The former path; that of a login method begins with `auth/`.
    pub from: String,
    /// The new path.
    pub to: String,
}

/// The latest moves.
#[derive(Debug, Default)]
pub(super) struct Moves(Mutex<VecDeque<Move>>);

impl Moves {
    pub(super) fn remember(&self, done: Move) {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.truncate(REMEMBERED - 1);
        moves.push_front(done);
    }

    pub(super) fn find(&self, id: &OperationId) -> Option<Move> {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.iter().find(|done| done.id == *id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use lessor_model::clock::Timestamp;

    use super::*;

    #[test]
    fn only_the_latest_moves_are_remembered() {
        let moves = Moves::default();
        let done = |_| {
            let id = OperationId::new(Timestamp(0)).unwrap();
            let (from, to) = ("a".to_owned(), "b".to_owned());
            let done = Move { id, from, to };
            moves.remember(done.clone());
            done
        };
        let all: Vec<Move> = (0..=REMEMBERED).map(done).collect();
        assert_eq!(moves.find(&all[0].id), None);
        assert_eq!(moves.find(&all[1].id), Some(all[1].clone()));
        let last = all.last().unwrap();
        assert_eq!(moves.find(&last.id).as_ref(), Some(last));
    }
}
