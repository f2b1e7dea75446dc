//! Plugins that are about to be pinned: known by name, and still to be read, compiled and
//! described. A request for one waits for it, instead of hearing that there is none.

use lessor_model::id::Digest;
use lessor_store::PinSource;
use tokio::sync::watch;

/// A plugin that is about to be pinned.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Name that it will have.
    pub name: String,
    /// Version, where it does not come from the provider.
    pub version: Option<String>,
    /// Its file.
    pub file: String,
    /// The digest that its bytes must have, where that is known.
    pub sha256: Option<Digest>,
    /// The source of the pin.
    pub source: PinSource,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    awaited: watch::Sender<Awaited>,
}

#[derive(Debug, Default)]
struct Awaited {
    next: u64,
    all: Vec<(u64, Arrival)>,
}

/// Somebody is about to pin a plugin, until this is dropped.
#[derive(Debug)]
pub struct Expected {
    id: u64,
    awaited: watch::Sender<Awaited>,
}

impl Arrivals {
    pub(super) fn expect(&self, arrival: Arrival) -> Expected {
        let mut id = 0;
        self.awaited.send_modify(|awaited| {
            id = awaited.next;
            awaited.next += 1;
            awaited.all.push((id, arrival));
        });
        Expected {
            id,
            awaited: self.awaited.clone(),
        }
    }

    pub(super) fn all(&self) -> Vec<Arrival> {
        let awaited = self.awaited.borrow();
        let all = awaited.all.iter();
        all.map(|(_, arrival)| arrival.clone()).collect()
    }

    /// Waits until nothing of a name is about to be pinned.
    pub(super) async fn settled(&self, name: &str) {
        let mut awaited = self.awaited.subscribe();
        let named = |awaited: &Awaited| awaited.all.iter().any(|(_, arrival)| arrival.name == name);
        // The sender lives as long as `self`.
        let _ = awaited.wait_for(|awaited| !named(awaited)).await;
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.awaited
            .send_modify(|awaited| awaited.all.retain(|(id, _)| *id != self.id));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_name_is_settled_once_nobody_is_about_to_pin_it() {
        let arrivals = Arrivals::default();
        let arrival = |name: &str| Arrival {
            name: name.into(),
            version: None,
            file: "x.wasm".into(),
            sha256: None,
            source: PinSource::Dev,
        };
        let one = arrivals.expect(arrival("db"));
        let other = arrivals.expect(arrival("db"));
        let _third = arrivals.expect(arrival("ca"));
        assert_eq!(arrivals.all().len(), 3);
        drop(one);
        assert!(arrivals.settled("db").now_or_never().is_none());
        drop(other);
        arrivals.settled("db").await;
        arrivals.settled("none").await;
    }
}
