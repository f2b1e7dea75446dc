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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureClass};
    use crate::testing::Script;
    use crate::testing::host::{TestHost, with};

    fn over<T>(script: Script, test: impl FnOnce(Connection) -> T) -> (T, TestHost) {
        let mut host = TestHost::default();
        host.scripts
            .entry("db:5432".to_owned())
            .or_default()
            .push_back(script);
        let result = with(&mut host, || test(Connection::connect("db", 5432).unwrap()));
        (result, host)
    }

    fn finished(host: &TestHost) -> bool {
        host.peers.iter().all(|peer| !peer.borrow().is_unfinished())
    }

    #[test]
    fn what_is_written_goes_out_before_the_next_read_and_at_the_end() {
        let script = Script::new()
            .expect("hello")
            .answer("wor")
            .answer("ld")
            .expect("bye");
        let ((), host) = over(script, |mut connection| {
            connection.write_all(b"hel").unwrap();
            connection.write_all(b"lo").unwrap();
            let mut answer = [0; 5];
            connection.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"world");
            connection.write_all(b"bye").unwrap();
        });
        assert!(finished(&host));
    }

    #[test]
    fn the_end_of_the_stream_reads_as_nothing() {
        let (count, _) = over(Script::new(), |mut connection| {
            connection.read(&mut [0; 5]).unwrap()
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn a_network_error_comes_out_of_read_exact_with_peer_and_cause() {
        let script = Script::new().answer("x").fail(NetworkCause::TimedOut);
        let (error, _) = over(script, |mut connection| {
            connection.read_exact(&mut [0; 2]).unwrap_err()
        });
        let failure = Failure::from(error);
        assert_eq!(
            (failure.class(), failure.code()),
            (FailureClass::Unavailable, "timed_out")
        );
        assert!(failure.message().contains("db:5432"), "{failure}");
    }

    #[test]
    fn a_refused_connection_keeps_the_text_that_says_how_to_grant() {
        let mut host = TestHost::default();
        let error = with(&mut host, || Connection::connect("other", 1).err().unwrap());
        let failure = Failure::from(error);
        assert_eq!(
            (failure.class(), failure.code()),
            (FailureClass::Denied, "network_denied")
        );
        assert!(failure.message().contains("tcp://other:1"), "{failure}");
    }

    #[test]
    fn tls_starts_after_the_preamble_and_shows_the_certificate() {
        let script = Script::new()
            .expect("S")
            .answer("S")
            .start_tls(Some(vec![1, 2]))
            .expect("x");
        let ((), host) = over(script, |mut connection| {
            connection.write_all(b"S").unwrap();
            connection.read_exact(&mut [0; 1]).unwrap();
            assert_eq!(connection.peer_certificate(), None);
            connection.start_tls(None).unwrap();
            assert_eq!(connection.peer_certificate(), Some(vec![1, 2]));
            connection.write_all(b"x").unwrap();
        });
        assert!(finished(&host));
    }

    /// CVE-2021-23222: bytes that an attacker slips in before the handshake
    /// must not be read as if TLS had protected them.
    #[test]
    fn tls_does_not_start_over_bytes_that_came_in_the_clear() {
        let script = Script::new()
            .expect("S")
            .answer("Sinjected")
            .start_tls(None);
        let (error, _) = over(script, |mut connection| {
            connection.write_all(b"S").unwrap();
            connection.read_exact(&mut [0; 1]).unwrap();
            connection.start_tls(None).unwrap_err()
        });
        assert!(matches!(error.cause, NetworkCause::Tls(_)), "{error}");
    }

    #[test]
    fn a_quiet_connection_is_parked_and_taken_again_and_another_is_closed() {
        let script = Script::new()
            .expect("a")
            .answer("b")
            .expect("c")
            .answer("de");
        let (unparked, host) = over(script, |mut connection| {
            connection.write_all(b"a").unwrap();
            connection.read_exact(&mut [0; 1]).unwrap();
            connection.park("key");
            assert!(Connection::unpark("other").is_none());
            let mut connection = Connection::unpark("key").unwrap();
            connection.write_all(b"c").unwrap();
            connection.read_exact(&mut [0; 1]).unwrap();
            connection.park("key");
            Connection::unpark("key").is_some()
        });
        assert!(
            !unparked,
            "unread bytes make a connection unfit for the next call"
        );
        assert!(finished(&host));
    }
}
