//! A byte stream to an upstream system that does not speak HTTP. The host
//! checks the grant, resolves the name and does TLS; this side only buffers.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use crate::host::{self, Stream};
use crate::network::{NetworkCause, NetworkError};

/// A connection to upstream, plain until [`Connection::start_tls`].
///
/// What is written is held back until `flush`, the next `read`, or the buffer
/// is full, so a protocol can write its messages piece by piece.
pub struct Connection {
    peer: String,
    /// Absent once parked.
    stream: Option<Stream>,
    unsent: Vec<u8>,
    received: Vec<u8>,
    consumed: usize,
}

impl Connection {
    /// Opens TCP to a granted host.
    pub fn connect(host: &str, port: u16) -> Result<Self, NetworkError> {
        let peer = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        match host::connect(host, port) {
            Ok(stream) => Ok(Self::over(stream, peer)),
            Err(cause) => Err(NetworkError { peer, cause }),
        }
    }

    /// Takes a connection that an earlier call of the same mount, plugin
    /// digest and config version parked under `key`. It may still have died:
    /// be ready to connect anew when the first exchange fails.
    pub fn unpark(key: &str) -> Option<Self> {
        host::unpark(key).map(|stream| Self::over(stream, format!("parked connection {key}")))
    }

    /// Leaves the connection, authenticated and quiet, for a later call. The
    /// host keeps few and for a short time. One that is not quiet (upstream
    /// sent what was not read, or cannot be written to) is closed instead.
    pub fn park(mut self, key: &str) {
        let quiet = self.consumed == self.received.len() && self.flush().is_ok();
        if let (true, Some(stream)) = (quiet, self.stream.take()) {
            stream.park(key);
        }
    }

    /// Turns the stream to TLS 1.2 or later. `server_name` defaults to the
    /// host connected to. Fails where upstream sent anything beyond its
    /// agreement to TLS: that would be read as if it had been protected.
    pub fn start_tls(&mut self, server_name: Option<&str>) -> Result<(), NetworkError> {
        self.send()?;
        if self.consumed < self.received.len() {
            let text = "upstream sent data before TLS was up".to_owned();
            return Err(self.error(NetworkCause::Tls(text)));
        }
        let started = self.open()?.start_tls(server_name);
        started.map_err(|cause| self.error(cause))
    }

    /// The peer's leaf certificate, DER, once TLS is up (channel binding).
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.stream.as_ref().and_then(Stream::peer_certificate)
    }

    fn over(stream: Stream, peer: String) -> Self {
        Self {
            peer,
            stream: Some(stream),
            unsent: Vec::new(),
            received: Vec::new(),
            consumed: 0,
        }
    }

    fn open(&mut self) -> Result<&mut Stream, NetworkError> {
        let Self { stream, peer, .. } = self;
        stream
            .as_mut()
            .ok_or_else(|| NetworkError::new(peer.as_str(), NetworkCause::Closed))
    }

    fn send(&mut self) -> Result<(), NetworkError> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let unsent = Zeroizing::new(std::mem::take(&mut self.unsent));
        let written = self.open()?.write(&unsent);
        written.map_err(|cause| self.error(cause))
    }

    fn error(&self, cause: NetworkCause) -> NetworkError {
        NetworkError::new(self.peer.as_str(), cause)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.consumed == self.received.len() {
            self.send()?;
            let read = self.open()?.read(READ_AT_ONCE);
            self.received = read.map_err(|cause| self.error(cause))?;
            self.consumed = 0;
        }
        let unread = self.received.get(self.consumed..).unwrap_or_default();
        let count = unread.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(unread) {
            *to = *from;
        }
        self.consumed += count;
        Ok(count)
    }
}

impl Write for Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.unsent.extend_from_slice(buffer);
        if self.unsent.len() >= HELD_BACK {
            self.send()?;
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.send()?)
    }
}

impl Drop for Connection {
    /// What was written still goes out: it may be upstream's goodbye.
    fn drop(&mut self) {
        if self.stream.is_some() {
            let _ = self.send();
        }
    }
}

/// Bytes asked for in one read: a usual answer in one call of the host, without
/// a large buffer for a small one.
const READ_AT_ONCE: u32 = 16 * 1024;
/// Bytes after which written data goes out unasked.
const HELD_BACK: usize = 16 * 1024;
