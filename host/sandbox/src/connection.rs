//! A connection of the `network` interface, whoever holds it.

use std::{io, net::SocketAddr};

use lessor_model::grants::Destination;
use rustix::net::RecvFlags;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{account::Held, reach::Dialled};

/// Most bytes that one `read` returns, whatever the guest asks for.
pub(super) const READ: usize = 256 << 10;

/// A connection in the hands of a guest, or parked.
#[allow(
    unreachable_pub,
    reason = "the bindings take it for theirs, which are public within this crate"
)]
pub struct Connection {
    pub(super) stream: Stream,
    pub(super) destination: Destination,
    pub(super) peer: SocketAddr,
    /// Its memory, held in a call's account or among the connections that are parked.
    held: Option<Held>,
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// An error ended it; nothing more will be read or written.
    Closed,
}

impl Connection {
    pub(super) fn new(dialled: Dialled, held: Held) -> Self {
        Self {
            stream: Stream::Plain(dialled.stream),
            destination: dialled.destination,
            peer: dialled.peer,
            held: Some(held),
        }
    }

    /// Counts it where it now belongs.
    pub(super) fn belongs(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// Whether upstream keeps it open and has said nothing more. Asks the
    /// socket itself: the runtime may not have noticed a close yet.
    pub(super) fn is_quiet(&mut self) -> bool {
        let socket = match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => {
                let (socket, tls) = stream.get_mut();
                let buffered = tls
                    .process_new_packets()
                    .map_or(usize::MAX, |state| state.plaintext_bytes_to_read());
                if buffered > 0 {
                    return false;
                }
                socket
            }
            Stream::Closed => return false,
        };
        let mut byte = [0; 1];
        let peeked = rustix::net::recv(&*socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    pub(super) async fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; limit.min(READ)];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut bytes).await?,
            Stream::Tls(stream) => stream.read(&mut bytes).await?,
            Stream::Closed => return Err(io::ErrorKind::NotConnected.into()),
        };
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Stream::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

#[cfg(test)]
impl Connection {
    /// A connection as a call would leave it.
    pub(super) fn plain(stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            stream: Stream::Plain(stream),
            destination: Destination {
                scheme: lessor_model::grants::Scheme::Tcp,
                host: lessor_model::grants::Host::Address(peer.ip()),
                port: peer.port(),
            },
            peer,
            held: None,
        }
    }

    pub(super) fn local_port(&self) -> Option<u16> {
        match &self.stream {
            Stream::Plain(stream) => stream.local_addr().ok().map(|address| address.port()),
            _ => None,
        }
    }
}
