//! Chooses the login whose password is compared next.
//!
//! Few hashes run at once (`password`), so logins wait for a turn, and a stranger can
//! make any number of them. So they wait in ranks: whoever logged in from the same
//! place before comes first, then names that exist, then all else. Within a rank the
//! peers have turns one after another, and of one peer its names. So 100 loops with
//! wrong names take only what nobody else wants, and 100 from one place one turn in
//! two beside somebody from another.
//!
//! How long somebody waits under such a flood may tell whether a name exists. That is
//! the price of serving those that do.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Logins of one rank that wait; at the slowest they are through in a few seconds.
const IN_SIGHT: usize = 64;

/// Waiting logins of one peer.
const OF_A_PEER: usize = 32;

/// Waiting logins of one peer under one name: one that is being compared, and one of somebody who
/// clicked twice.
const OF_A_NAME: usize = 2;

/// The rank of a waiting login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// Logged in from the same place before, or has a token already.
    Proven,
    /// The name exists.
    Known,
    /// All else.
    Unknown,
}

/// A login that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whom {
    pub(super) rank: Rank,
    pub(super) peer: Option<IpAddr>,
    pub(super) name: String,
}

/// The line in which logins wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Mutex<Line>>);

/// The right to hash; the next one has it when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// Absent where another has it.
    line: Option<Arc<Mutex<Line>>>,
}

/// Too many wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
struct Line {
    free: usize,
    proven: Queue,
    known: Queue,
    unknown: Queue,
}

/// One rank: peers in the order of their turns.
#[derive(Debug, Default)]
struct Queue(VecDeque<Peer>);

#[derive(Debug)]
struct Peer {
    address: Option<IpAddr>,
    /// Names in the order of their turns.
    names: VecDeque<Name>,
}

#[derive(Debug)]
struct Name {
    name: String,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

impl Turns {
    /// So many turns at a time.
    pub(super) fn new(at_a_time: usize) -> Self {
        Self(Arc::new(Mutex::new(Line {
            free: at_a_time,
            proven: Queue::default(),
            known: Queue::default(),
            unknown: Queue::default(),
        })))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// Where too many wait already, and while waiting, where others have a better
    /// right to the place.
    pub(super) async fn take(&self, whom: Whom) -> Result<Turn, Full> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut line = lock(&self.0);
            if let Some(free) = line.free.checked_sub(1) {
                line.free = free;
                return Ok(Turn {
                    line: Some(Arc::clone(&self.0)),
                });
            }
            let queue = match whom.rank {
                Rank::Proven => &mut line.proven,
                Rank::Known => &mut line.known,
                Rank::Unknown => &mut line.unknown,
            };
            queue.join(whom, sender)?;
        }
        receiver.await.map_err(|_| Full)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(own) = self.line.take() else { return };
        loop {
            let next = {
                let mut line = lock(&own);
                let next = line.next();
                if next.is_none() {
                    line.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            let turn = Self {
                line: Some(Arc::clone(&own)),
            };
            match next.send(turn) {
                Ok(()) => return,
                // It waits no more, and its turn is ours to give on.
                Err(mut turn) => turn.line = None,
            }
        }
    }
}

impl Line {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let ranks = [&mut self.proven, &mut self.known, &mut self.unknown];
        ranks.into_iter().find_map(Queue::next)
    }
}

impl Queue {
    fn join(&mut self, whom: Whom, sender: oneshot::Sender<Turn>) -> Result<(), Full> {
        let own = self.of(whom.peer).map_or(0, |peer| peer.count());
        if own >= OF_A_PEER {
            return Err(Full);
        }
        let total: usize = self.0.iter().map(Peer::count).sum();
        if total >= IN_SIGHT {
            // Whoever has most of the places gives one to who has fewer.
            let greediest = self.0.iter_mut().max_by_key(|peer| peer.count());
            match greediest {
                Some(peer) if peer.count() > own + 1 => peer.give_up_one(),
                _ => return Err(Full),
            }
        }
        if self.of(whom.peer).is_none() {
            self.0.push_back(Peer {
                address: whom.peer,
                names: VecDeque::new(),
            });
        }
        match self.of(whom.peer) {
            Some(peer) => peer.join(whom.name, sender),
            None => Err(Full),
        }
    }

    /// The login whose turn it is; its peer has its next turn after the others.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(mut peer) = self.0.pop_front() {
            let next = peer.next();
            if peer.count() > 0 {
                self.0.push_back(peer);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }

    fn of(&mut self, address: Option<IpAddr>) -> Option<&mut Peer> {
        self.0.iter_mut().find(|peer| peer.address == address)
    }
}

impl Peer {
    fn count(&self) -> usize {
        self.names.iter().map(|name| name.waiting.len()).sum()
    }

    fn join(&mut self, name: String, sender: oneshot::Sender<Turn>) -> Result<(), Full> {
        match self.names.iter_mut().find(|known| known.name == name) {
            Some(known) if known.waiting.len() >= OF_A_NAME => Err(Full),
            Some(known) => {
                known.waiting.push_back(sender);
                Ok(())
            }
            None => {
                self.names.push_back(Name {
                    name,
                    waiting: VecDeque::from([sender]),
                });
                Ok(())
            }
        }
    }

    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let mut name = self.names.pop_front()?;
        let next = name.waiting.pop_front();
        if !name.waiting.is_empty() {
            self.names.push_back(name);
        }
        next
    }

    /// Sends the last one away.
    fn give_up_one(&mut self) {
        if let Some(name) = self.names.back_mut() {
            name.waiting.pop_back();
        }
        self.names.retain(|name| !name.waiting.is_empty());
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, poll_fn},
        pin::Pin,
        task::Poll,
    };

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Result<Turn, Full>>>>;

    fn whom(rank: Rank, peer: u8, name: &str) -> Whom {
        Whom {
            rank,
            peer: Some(IpAddr::from([10, 0, 0, peer])),
            name: name.to_owned(),
        }
    }

    /// Joins the line; what became of it at once, if anything.
    async fn join(turns: &Turns, whom: Whom) -> (Waiting, Option<bool>) {
        let turns = turns.clone();
        let mut waiting: Waiting = Box::pin(async move { turns.take(whom).await });
        let state = state(&mut waiting).await;
        (waiting, state.map(|turn| turn.is_ok()))
    }

    async fn state(waiting: &mut Waiting) -> Option<Result<Turn, Full>> {
        poll_fn(|context| {
            Poll::Ready(match waiting.as_mut().poll(context) {
                Poll::Ready(turn) => Some(turn),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// Serves all who wait, one by one; in which order.
    async fn served(turn: Turn, mut waiting: Vec<(&str, Waiting)>) -> Vec<String> {
        let mut order = Vec::new();
        let mut turn = Some(turn);
        while !waiting.is_empty() {
            drop(turn.take());
            let mut index = 0;
            while let Some((name, waits)) = waiting.get_mut(index) {
                match state(waits).await {
                    None => index += 1,
                    Some(outcome) => {
                        if let Ok(taken) = outcome {
                            order.push((*name).to_owned());
                            turn = Some(taken);
                        }
                        drop(waiting.remove(index));
                        break;
                    }
                }
            }
        }
        order
    }

    #[tokio::test]
    async fn peers_and_names_have_turns_and_who_is_proven_comes_first() {
        use Rank::{Known, Proven, Unknown};
        let turns = Turns::new(1);
        let first = turns.take(whom(Unknown, 1, "x")).await.unwrap();
        let mut waiting = Vec::new();
        for (label, rank, peer, name) in [
            ("a1", Unknown, 1, "a"),
            ("a2", Unknown, 1, "a"),
            ("b1", Unknown, 1, "b"),
            ("c1", Unknown, 2, "c"),
            ("bob", Known, 1, "bob"),
            ("eve", Proven, 1, "eve"),
        ] {
            let (waits, state) = join(&turns, whom(rank, peer, name)).await;
            assert_eq!(state, None, "{label}");
            waiting.push((label, waits));
        }
        let order = served(first, waiting).await;
        assert_eq!(order, ["eve", "bob", "a1", "c1", "b1", "a2"]);
        // And the turn is free again.
        assert!(turns.take(whom(Unknown, 1, "x")).await.is_ok());
    }

    /// A hundred loops that ask again as soon as they are answered.
    #[tokio::test]
    async fn who_asks_most_gives_way_to_another_peer() {
        let turns = Turns::new(1);
        let _first = turns.take(whom(Rank::Unknown, 9, "x")).await.unwrap();
        let mut places = Vec::new();
        for peer in [1, 2] {
            for number in 0..OF_A_PEER {
                let name = number.to_string();
                places.push(join(&turns, whom(Rank::Unknown, peer, &name)).await);
            }
            let (_, refused) = join(&turns, whom(Rank::Unknown, peer, "one more")).await;
            assert_eq!(refused, Some(false));
        }
        assert!(places.iter().all(|(_, state)| state.is_none()));
        let (_waits, state) = join(&turns, whom(Rank::Unknown, 3, "bob")).await;
        assert_eq!(state, None, "there is room for somebody else");
        let mut sent_away = 0;
        for (waits, _) in &mut places {
            sent_away += usize::from(self::state(waits).await.is_some());
        }
        assert_eq!(sent_away, 1);
    }

    #[tokio::test]
    async fn one_name_of_a_peer_waits_twice_at_most() {
        let turns = Turns::new(1);
        let _first = turns.take(whom(Rank::Known, 1, "bob")).await.unwrap();
        let (_one, state) = join(&turns, whom(Rank::Known, 1, "bob")).await;
        assert_eq!(state, None);
        let (_two, state) = join(&turns, whom(Rank::Known, 1, "bob")).await;
        assert_eq!(state, None);
        let (_three, state) = join(&turns, whom(Rank::Known, 1, "bob")).await;
        assert_eq!(state, Some(false));
        let (_elsewhere, state) = join(&turns, whom(Rank::Known, 2, "bob")).await;
        assert_eq!(state, None);
    }

    #[tokio::test]
    async fn whoever_goes_away_is_passed_over() {
        let turns = Turns::new(1);
        let first = turns.take(whom(Rank::Known, 1, "a")).await.unwrap();
        let (gone, _) = join(&turns, whom(Rank::Known, 1, "b")).await;
        let (mut next, _) = join(&turns, whom(Rank::Known, 1, "c")).await;
        drop(gone);
        drop(first);
        let turn = state(&mut next).await.unwrap().unwrap();
        drop(turn);
        assert!(turns.take(whom(Rank::Unknown, 1, "d")).await.is_ok());
    }
}
