//! A connection on which so much may come before the head of an answer is there.
//!
//! hyper bounds one head, and not the number of interim answers (`100 Continue`) before
//! it: upstream could send those without end, as fast as they are read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that fails where more comes than may.
pub(super) struct AnswerHead<S> {
    stream: S,
    left: HeadLeft,
}

/// Bytes that may still come; the largest number once the head is there.
#[derive(Clone)]
pub(super) struct HeadLeft(Arc<AtomicUsize>);

/// More came than may.
#[derive(Debug, thiserror::Error)]
#[error("upstream sent more than the head of an answer may have")]
struct TooMuch;

impl<S> AnswerHead<S> {
    /// `stream`, of which `most` bytes may be read until the head has come.
    pub(super) fn before(stream: S, most: usize) -> (Self, HeadLeft) {
        let left = HeadLeft(Arc::new(AtomicUsize::new(most)));
        let same = left.clone();
        (Self { stream, left }, same)
    }
}

impl HeadLeft {
    /// The head is there: what follows is bounded as a body.
    pub(super) fn has_come(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether nothing more may come.
    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Counts what came; whether more may.
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left == usize::MAX {
            return true;
        }
        let left = left.saturating_sub(bytes);
        self.0.store(left, Ordering::Relaxed);
        left > 0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AnswerHead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.left.take(buffer.filled().len() - before) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooMuch)))
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnswerHead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn no_more_is_read_before_the_head_than_may_come() {
        let (mut stream, head) = AnswerHead::before([7_u8; 100].as_slice(), 40);
        let mut part = [0; 30];
        stream.read_exact(&mut part).await.unwrap();
        assert!(!head.is_spent());
        assert!(stream.read_exact(&mut part).await.is_err());
        assert!(head.is_spent());

        let (mut stream, head) = AnswerHead::before([7_u8; 100].as_slice(), 40);
        stream.read_exact(&mut part).await.unwrap();
        head.has_come();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 70);
    }
}
