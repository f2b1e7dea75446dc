//! Parking over real sockets: who gets a connection back, and when nobody does.

use std::net::SocketAddr;

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;

struct Upstream {
    listener: TcpListener,
    address: SocketAddr,
}

impl Upstream {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Both ends of a new connection.
    async fn pair(&self) -> (Connection, TcpStream) {
        let near = TcpStream::connect(self.address).await.unwrap();
        let (far, _) = self.listener.accept().await.unwrap();
        (Connection::plain(near, self.address), far)
    }
}

fn owner(of: i64, config_version: u32, key: &str) -> Owner {
    Owner {
        of: ConnectionId(of),
        plugin: Digest::of(b"plugin"),
        config_version,
        key: key.to_owned(),
    }
}

#[tokio::test]
async fn a_parked_connection_goes_back_to_its_owner_only() {
    let upstream = Upstream::start().await;
    let parked = Arc::new(Parked::default());
    let (connection, _far) = upstream.pair().await;
    let port = connection.local_port();
    parked.park(owner(1, 1, "k"), connection);

    let other_plugin = Owner {
        plugin: Digest::of(b"other"),
        ..owner(1, 1, "k")
    };
    for other in [
        owner(2, 1, "k"),
        owner(1, 2, "k"),
        owner(1, 1, "x"),
        other_plugin,
    ] {
        assert!(parked.unpark(&other).is_none(), "{other:?}");
    }
    let back = parked.unpark(&owner(1, 1, "k")).unwrap();
    assert_eq!(back.local_port(), port);
    assert!(parked.unpark(&owner(1, 1, "k")).is_none());
}

#[tokio::test]
async fn a_connection_that_upstream_closed_or_spoke_on_is_dropped() {
    let upstream = Upstream::start().await;
    let parked = Arc::new(Parked::default());
    let (closed, far) = upstream.pair().await;
    drop(far);
    parked.park(owner(1, 1, "k"), closed);
    assert!(parked.unpark(&owner(1, 1, "k")).is_none());

    let (spoken, mut far) = upstream.pair().await;
    far.write_all(b"!").await.unwrap();
    parked.park(owner(1, 1, "k"), spoken);
    assert!(parked.unpark(&owner(1, 1, "k")).is_none());
}

#[tokio::test]
async fn a_change_of_config_drops_what_was_left_with_it() {
    let upstream = Upstream::start().await;
    let parked = Arc::new(Parked::default());
    let (first, _far) = upstream.pair().await;
    let (second, _other) = upstream.pair().await;
    parked.park(owner(1, 1, "k"), first);
    parked.park(owner(2, 1, "k"), second);
    parked.drop_all_of(ConnectionId(1));
    assert!(parked.unpark(&owner(1, 1, "k")).is_none());
    assert!(parked.unpark(&owner(2, 1, "k")).is_some());
}

/// Thirty-three calls end together: all but one of their connections wait for the next
/// calls, and eight of them longer than a moment.
#[tokio::test]
async fn an_owner_keeps_its_latest_thirty_two_and_for_longer_eight() {
    let upstream = Upstream::start().await;
    let parked = Arc::new(Parked::default());
    let mut far = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..=PER_BURST {
        let (connection, other) = upstream.pair().await;
        ports.push(connection.local_port());
        far.push(other);
        parked.park(owner(1, 1, "k"), connection);
    }
    ports.remove(0);
    let waiting = || -> Vec<_> {
        let state = parked.lock();
        let entries = state.owners.values().flatten();
        entries.map(|entry| entry.connection.local_port()).collect()
    };
    assert!(parked.sweep_once());
    assert_eq!(waiting(), ports);

    for entry in parked.lock().owners.values_mut().flatten() {
        entry.since = entry.since.checked_sub(SWEEP).unwrap();
    }
    assert!(parked.sweep_once());
    ports.drain(..PER_BURST - PER_OWNER);
    assert_eq!(waiting(), ports);
    assert_eq!(parked.lock().total, PER_OWNER);
    let mut back = Vec::new();
    while let Some(connection) = parked.unpark(&owner(1, 1, "k")) {
        back.push(connection.local_port());
    }
    ports.reverse();
    assert_eq!(back, ports);
    assert_eq!(parked.lock().total, 0);
}

#[tokio::test]
async fn an_idle_connection_is_neither_given_back_nor_kept() {
    let upstream = Upstream::start().await;
    let parked = Arc::new(Parked::default());
    let mut far = Vec::new();
    for _ in 0..2 {
        let (connection, other) = upstream.pair().await;
        far.push(other);
        parked.park(owner(1, 1, "k"), connection);
    }
    assert!(parked.sweep_once());
    for entry in parked.lock().owners.values_mut().flatten() {
        entry.since = entry.since.checked_sub(IDLE).unwrap();
    }
    assert!(parked.lock().take(&owner(1, 1, "k")).is_some());
    assert!(parked.unpark(&owner(1, 1, "k")).is_none());

    let (connection, _far) = upstream.pair().await;
    parked.park(owner(1, 1, "k"), connection);
    for entry in parked.lock().owners.values_mut().flatten() {
        entry.since = entry.since.checked_sub(IDLE).unwrap();
    }
    assert!(!parked.sweep_once());
    assert!(parked.lock().owners.is_empty());
}
