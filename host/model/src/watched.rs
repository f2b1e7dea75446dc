//! A stream that tells a watcher of the bytes that pass through it.
//!
//! hyper and rustls own the streams that they work on. Through a watcher, the code that gave
//! them a stream learns what becomes of it, and may end it. No byte is changed on the way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The watcher of a [`Watched`] stream.
pub trait Watcher: Unpin {
    /// So many bytes were read; 0 at the end of the stream.
    ///
    /// # Errors
    /// Where no more may be read: the reading fails with it.
    fn read(&self, _bytes: usize) -> io::Result<()> {
        Ok(())
    }

    /// All that was written to the stream so far is on its way.
    fn flushed(&self) {}
}

/// A stream that is watched.
#[derive(Debug)]
pub struct Watched<S, W> {
    stream: S,
    watcher: W,
}

impl<S, W> Watched<S, W> {
    /// `stream`, which tells `watcher`.
    pub fn by(watcher: W, stream: S) -> Self {
        Self { stream, watcher }
    }
}

impl<S: AsyncRead + Unpin, W: Watcher> AsyncRead for Watched<S, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(self.watcher.read(read))
    }
}

impl<S: AsyncWrite + Unpin, W: Watcher> AsyncWrite for Watched<S, W> {
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
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.watcher.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
