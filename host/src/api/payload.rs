//! The bytes of an answer: at hand, a file that is sent as it is read, or lines that
//! are sent as they come.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    fs::File,
    io::{AsyncRead as _, ReadBuf},
};

use super::delivery::Delivery;
use crate::monitor::Watch;

/// Bytes read and sent at a time.
const PIECE: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub enum Payload {
    /// All of it at hand.
    Whole(Full<Bytes>),
    /// The same, for a sender that wants to know whether it was written.
    Watched {
        /// All of it.
        whole: Full<Bytes>,
        /// The sender, which is told once the answer is written.
        delivery: Delivery,
    },
    /// So many bytes of a file, from where it stands.
    File {
        /// The file, at the position from which it is read.
        file: File,
        /// The number of bytes that are left to send.
        left: u64,
    },
    /// Lines of the log, until the reader or the server goes.
    Lines(Watch),
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(Full::new(Bytes::from(bytes)))
    }
}

impl Payload {
    /// The same, watched. A body that is read from a file is not: it carries no credential.
    #[must_use]
    pub fn watched(self, delivery: Delivery) -> Self {
        match self {
            Self::Whole(whole) => Self::Watched { whole, delivery },
            other => other,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let (file, left) = match self.get_mut() {
            Self::Whole(whole) => {
                let frame = Pin::new(whole).poll_frame(context);
                return frame.map_err(|never| match never {});
            }
            Self::Lines(watch) => {
                return watch
                    .poll_next(context)
                    .map(|line| line.map(|line| Ok(Frame::data(line))));
            }
            Self::Watched { whole, delivery } => {
                let frame = Pin::new(&mut *whole).poll_frame(context);
                if whole.is_end_stream() {
                    delivery.taken();
                }
                return frame.map_err(|never| match never {});
            }
            Self::File { left: 0, .. } => return Poll::Ready(None),
            Self::File { file, left } => (file, left),
        };
        let wanted = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
        let mut piece = BytesMut::zeroed(wanted);
        let mut buffer = ReadBuf::new(&mut piece);
        let read = ready!(Pin::new(file).poll_read(context, &mut buffer));
        let filled = buffer.filled().len();
        Poll::Ready(Some(match read {
            Err(error) => Err(error),
            Ok(()) if filled == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(()) => {
                *left = left.saturating_sub(filled as u64);
                piece.truncate(filled);
                Ok(Frame::data(piece.freeze()))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) | Self::Watched { whole, .. } => whole.is_end_stream(),
            Self::File { left, .. } => *left == 0,
            Self::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) | Self::Watched { whole, .. } => whole.size_hint(),
            Self::File { left, .. } => SizeHint::with_exact(*left),
            Self::Lines(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn sent(bytes: &[u8], left: u64) -> Result<Bytes, io::Error> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let file = File::from_std(file);
        Ok(Payload::File { file, left }.collect().await?.to_bytes())
    }

    #[tokio::test]
    async fn a_file_is_sent_whole_and_a_short_one_is_an_error() {
        let bytes: Vec<u8> = (0..3 * PIECE + 7).map(|i| (i % 251) as u8).collect();
        let length = bytes.len() as u64;
        assert_eq!(sent(&bytes, length).await.unwrap(), bytes);
        assert_eq!(sent(&bytes, 5).await.unwrap(), bytes[..5]);
        assert_eq!(sent(b"", 0).await.unwrap(), Bytes::new());
        assert!(sent(&bytes, length + 1).await.is_err());
    }
}
