//! Tells whether an answer was written to its connection. A credential whose answer was not
//! written has reached nobody, so its lease is ended.
//!
//! An answer is written once its body was taken by the connection and what the
//! connection holds was flushed after that. Bytes that the operating system then holds may
//! still get lost, or be left unread; the server cannot know.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use lessor_model::watched::Watcher;
use tokio::sync::oneshot;

/// A connection, as far as answers on it are watched. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<Mutex<Vec<oneshot::Sender<()>>>>);

impl Link {
    fn taken(&self) -> std::sync::MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Link {
    /// All that the connection has taken so far is written.
    fn flushed(&self) {
        for taken in mem::take(&mut *self.taken()) {
            // A receiver that is gone does not want to know.
            let _ = taken.send(());
        }
    }
}

/// An answer on its way. If it or the connection is dropped before the answer was written, the
/// receiver is told.
#[derive(Debug)]
pub struct Delivery {
    link: Link,
    sender: Option<oneshot::Sender<()>>,
}

impl Delivery {
    /// An answer that is to go over `link`, and a receiver that completes with it: with an
    /// error where the answer was not written.
    pub fn over(link: Link) -> (Self, oneshot::Receiver<()>) {
        let (sender, written) = oneshot::channel();
        let sender = Some(sender);
        (Self { link, sender }, written)
    }

    /// The connection has taken the last of it.
    pub(super) fn taken(&mut self) {
        let sender = self.sender.take();
        self.link.taken().extend(sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_written_once_what_was_taken_is_flushed() {
        let link = Link::default();
        let (mut delivery, mut written) = Delivery::over(link.clone());
        link.flushed();
        assert!(written.try_recv().is_err(), "nothing of it was taken");
        delivery.taken();
        drop(delivery);
        assert!(written.try_recv().is_err(), "it waits in the connection");
        link.flushed();
        assert!(written.try_recv().is_ok());

        let (delivery, written) = Delivery::over(link.clone());
        drop(delivery);
        assert!(
            written.blocking_recv().is_err(),
            "dropped before it was taken"
        );
        let (mut delivery, written) = Delivery::over(link.clone());
        delivery.taken();
        drop(delivery);
        drop(link);
        assert!(written.blocking_recv().is_err(), "the connection broke");
    }
}
