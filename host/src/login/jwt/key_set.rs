//! Keys that were fetched, and when to fetch them again.
//!
//! Kept in memory only: after a restart the first login fetches them. Fetched
//! anew once they are an hour old, so that a withdrawn key ends, and when a token
//! names one that is not among them, but never more often than every ten seconds:
//! tokens are sent by strangers. Where the other side fails, keys are used for a
//! day. Whoever can do with the keys that are there waits for no fetch.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lessor_model::{clock::Timestamp, refusal::Refusal};

use super::{
    VerifyingKey,
    fetch::{self, KeyUrl},
};

/// Age at which keys are fetched anew.
const FRESH: Duration = Duration::from_secs(3600);

/// Age up to which keys are used where they cannot be fetched anew.
const USABLE: Duration = Duration::from_secs(24 * 3600);

/// Shortest time between two fetches.
const PAUSE: Duration = Duration::from_secs(10);

/// Keys that are used together.
pub(super) type Keys = Arc<Vec<VerifyingKey>>;

/// The fetched keys of one URL.
#[derive(Debug)]
pub(super) struct KeySet {
    url: KeyUrl,
    state: Mutex<State>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<(Keys, Timestamp)>,
    tried_at: Option<Timestamp>,
}

/// The next step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Use,
    Fetch,
    Refuse,
}

impl KeySet {
    /// The keys of a URL, perhaps with those that proved it at `now`.
    pub(super) fn new(url: KeyUrl, proven: Option<Vec<VerifyingKey>>, now: Timestamp) -> Self {
        let state = State {
            tried_at: proven.is_some().then_some(now),
            keys: proven.map(|keys| (Arc::new(keys), now)),
        };
        Self {
            url,
            state: Mutex::new(state),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The source of the keys.
    pub(super) fn url(&self) -> &KeyUrl {
        &self.url
    }

    /// The keys; others than `lacking`, where those do not do and there are any.
    ///
    /// # Errors
    /// `Unavailable` where there are none and none can be fetched.
    pub(super) async fn keys(
        &self,
        now: Timestamp,
        lacking: Option<&Keys>,
    ) -> Result<Keys, Refusal> {
        let (step, known) = self.step(now, lacking);
        if step != Step::Fetch {
            return usable(step, known);
        }
        let _turn = match known {
            // Old ones do as long as somebody else fetches.
            Some(known) if lacking.is_none() => match self.fetching.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(known),
            },
            _ => self.fetching.lock().await,
        };
        // Somebody else may have fetched meanwhile.
        let (step, known) = self.step(now, lacking);
        if step != Step::Fetch {
            return usable(step, known);
        }
        self.state().tried_at = Some(now);
        match fetch::keys(self.url.clone()).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.state().keys = Some((Arc::clone(&keys), now));
                Ok(keys)
            }
            Err(reason) => {
                tracing::warn!(reason, "could not fetch the keys of a login method");
                known.ok_or_else(unavailable)
            }
        }
    }

    /// The next step, and the keys that may be used if it fails.
    fn step(&self, now: Timestamp, lacking: Option<&Keys>) -> (Step, Option<Keys>) {
        let state = self.state();
        let age = state.keys.as_ref().map(|(_, at)| now.since(*at));
        let pause = state.tried_at.map(|tried| now.since(tried));
        let known = state.keys.as_ref().map(|(keys, _)| Arc::clone(keys));
        let lacks = known
            .as_ref()
            .is_some_and(|known| lacking.is_some_and(|lacking| Arc::ptr_eq(known, lacking)));
        let known = known.filter(|_| age.is_some_and(|age| age < USABLE));
        (step(age, pause, lacks), known)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn usable(step: Step, known: Option<Keys>) -> Result<Keys, Refusal> {
    known.filter(|_| step == Step::Use).ok_or_else(unavailable)
}

/// The next step with keys of an `age`, the last fetch `pause` ago; `lacking`: a token names a key
/// that is not among them.
fn step(age: Option<Duration>, pause: Option<Duration>, lacking: bool) -> Step {
    let may_fetch = pause.is_none_or(|pause| pause >= PAUSE);
    match age {
        Some(age) if age < FRESH && !lacking => Step::Use,
        _ if may_fetch => Step::Fetch,
        Some(age) if age < USABLE => Step::Use,
        _ => Step::Refuse,
    }
}

fn unavailable() -> Refusal {
    Refusal::Unavailable(
        "the keys that tokens of this login method are checked with cannot be fetched now: \
         try again soon; the server's log has the reason"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_when_old_or_lacking_but_seldom() {
        for (age, pause, lacking, expected) in [
            (None, None, false, Step::Fetch),
            (None, Some(9), false, Step::Refuse),
            (None, Some(10), false, Step::Fetch),
            (Some(0), Some(0), false, Step::Use),
            (Some(3599), Some(3599), false, Step::Use),
            (Some(3600), Some(3600), false, Step::Fetch),
            (Some(3600), Some(5), false, Step::Use),
            (Some(0), Some(0), true, Step::Use),
            (Some(10), Some(10), true, Step::Fetch),
            (Some(100), Some(9), true, Step::Use),
            (Some(86_399), Some(9), false, Step::Use),
            (Some(86_400), Some(9), false, Step::Refuse),
            (Some(86_400), Some(10), false, Step::Fetch),
        ] {
            let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
            let got = step(seconds(age), seconds(pause), lacking);
            assert_eq!(got, expected, "{age:?} {pause:?} {lacking}");
        }
    }

    /// A fetch may take ten seconds, and a stranger can start one.
    #[tokio::test]
    async fn who_has_a_key_waits_for_no_fetch() {
        let url = KeyUrl {
            url: "http://127.0.0.1:1/".into(),
            discovery: false,
            ca_pem: String::new(),
        };
        let made = Timestamp(0);
        let set = KeySet::new(url, Some(Vec::new()), made);
        let _somebody_fetches = set.fetching.lock().await;
        for hours in [0, 2, 23] {
            let now = made.plus(Duration::from_secs(hours * 3600));
            assert!(set.keys(now, None).await.is_ok(), "{hours}");
        }
    }
}
