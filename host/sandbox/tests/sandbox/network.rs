//! A guest reaches the hosts that it is granted. The hosts that it does not reach are seen from
//! outside: `tests/tests/edge/guests/network.rs`.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lessor_model::{id::ConnectionId, provider::FailureClass};
use lessor_sandbox::Limits;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::harness::Harness;

/// An upstream on loopback that answers `ping` with `pong` and counts.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start() -> Self {
        Self::serve("127.0.0.1", pong).await
    }

    /// Answers each HTTP request with this head and body, then closes.
    async fn http(head: &'static str, body: usize) -> Self {
        Self::serve("127.0.0.1", move |mut stream| async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&vec![b'x'; body]).await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    pub(crate) async fn serve<F>(
        address: &str,
        answer: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(stream));
            }
        });
        Self { address, accepted }
    }

    pub(crate) fn port(&self) -> u32 {
        self.address.port().into()
    }

    pub(crate) fn grant(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.address.port())
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Answers every line with `pong`.
pub(crate) async fn pong(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while matches!(lines.read_line(&mut line).await, Ok(1..)) {
        let answered = lines.get_mut().write_all(b"pong\n").await;
        if answered.is_err() || lines.get_mut().flush().await.is_err() {
            return;
        }
        line.clear();
    }
}

#[tokio::test]
async fn a_granted_address_is_reached() {
    let upstream = Upstream::start().await;
    let harness = Harness::start()
        .await
        .grant(&[upstream.grant("tcp", "127.0.0.1")]);
    assert_eq!(
        harness.note("connect", "127.0.0.1", upstream.port()).await,
        "pong"
    );
    harness.still_behaves().await;
}

#[tokio::test]
async fn the_granted_name_localhost_is_reached() {
    let upstream = Upstream::start().await;
    let harness = Harness::start()
        .await
        .grant(&[upstream.grant("tcp", "localhost")]);
    assert_eq!(
        harness.note("connect", "LOCALHOST.", upstream.port()).await,
        "pong"
    );
}

#[tokio::test]
async fn a_denial_that_the_guest_lives_with_fails_nothing() {
    let harness = Harness::start().await;
    let note = harness.note("connect or not", "10.0.0.1", 5432).await;
    assert_eq!(note, "network_denied");
}

#[tokio::test]
async fn a_refused_connection_is_not_a_missing_grant() {
    // Bound and dropped: nobody listens there.
    let port = {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let harness = Harness::start()
        .await
        .grant(&[format!("tcp://127.0.0.1:{port}")]);
    let failure = harness
        .act_on("connect", "127.0.0.1", port.into())
        .await
        .unwrap_err();
    assert_eq!(
        failure.class,
        FailureClass::Unavailable,
        "{}",
        failure.message
    );
    assert!(!failure.reached_upstream);
}

#[tokio::test]
async fn a_call_holds_only_so_many_handles() {
    let upstream = Upstream::start().await;
    let harness = Harness::with(Limits {
        connections: 1000,
        held: 64 << 20,
        ..Limits::default()
    })
    .await
    .grant(&[upstream.grant("tcp", "127.0.0.1")]);
    let failure = harness
        .act_on("thousand_connections", "127.0.0.1", upstream.port())
        .await
        .unwrap_err();
    assert_eq!(failure.code, "limit_handles", "{}", failure.message);
    harness.still_behaves().await;
}

#[tokio::test]
async fn a_parked_connection_serves_the_next_call_of_the_same_mount_and_config() {
    let upstream = Upstream::start().await;
    let mut harness = Harness::start()
        .await
        .grant(&[upstream.grant("tcp", "127.0.0.1")]);
    let port = upstream.port();
    let park = async |harness: &Harness| harness.note("park", "127.0.0.1", port).await;

    assert_eq!(park(&harness).await, "found: false");
    assert_eq!(park(&harness).await, "found: true");
    assert_eq!(upstream.accepted(), 1);

    harness.connection = 2;
    assert_eq!(park(&harness).await, "found: false");
    harness.connection = 1;
    harness.config_version = 2;
    assert_eq!(park(&harness).await, "found: false");
    harness.config_version = 1;
    assert_eq!(park(&harness).await, "found: true");

    harness.sandbox.drop_parked(ConnectionId(1));
    assert_eq!(park(&harness).await, "found: false");
    assert_eq!(upstream.accepted(), 4);
}

#[tokio::test]
async fn http_goes_where_it_is_granted() {
    let upstream = Upstream::http("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", 7).await;
    let harness = Harness::start()
        .await
        .grant(&[upstream.grant("http", "127.0.0.1")]);
    let url = format!("http://{}/path?query", upstream.address);
    assert_eq!(harness.note("http", &url, 0).await, "200 7");
    harness.still_behaves().await;
}
