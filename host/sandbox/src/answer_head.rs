//! A connection on which so much may come before the head of an answer is there.
//!
//! hyper bounds one head, and not the number of interim answers (`100 Continue`) before
//! it: upstream could send those without end, as fast as they are read.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lessor_model::watched::{Watched, Watcher};

/// Bytes that may still come; the largest number once the head is there.
#[derive(Clone)]
pub(super) struct HeadLeft(Arc<AtomicUsize>);

/// More came than may.
#[derive(Debug, thiserror::Error)]
#[error("upstream sent more than the head of an answer may have")]
struct TooMuch;

impl HeadLeft {
    /// `stream`, which fails where more than `most` bytes come until the head has.
    pub(super) fn before<S>(stream: S, most: usize) -> (Watched<S, Self>, Self) {
        let left = Self(Arc::new(AtomicUsize::new(most)));
        (Watched::by(left.clone(), stream), left)
    }

    /// The head is there: what follows is bounded as a body.
    pub(super) fn has_come(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether nothing more may come.
    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Watcher for HeadLeft {
    /// Counts what came; fails where no more may.
    fn read(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left == usize::MAX {
            return Ok(());
        }
        let left = left.saturating_sub(bytes);
        self.0.store(left, Ordering::Relaxed);
        match left {
            0 => Err(io::Error::new(io::ErrorKind::InvalidData, TooMuch)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn no_more_is_read_before_the_head_than_may_come() {
        let (mut stream, head) = HeadLeft::before([7_u8; 100].as_slice(), 40);
        let mut part = [0; 30];
        stream.read_exact(&mut part).await.unwrap();
        assert!(!head.is_spent());
        assert!(stream.read_exact(&mut part).await.is_err());
        assert!(head.is_spent());

        let (mut stream, head) = HeadLeft::before([7_u8; 100].as_slice(), 40);
        stream.read_exact(&mut part).await.unwrap();
        head.has_come();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 70);
    }
}
