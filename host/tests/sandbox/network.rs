//! What a guest reaches: only what is granted, and nothing is dialled before.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lessor::{
    provider::{Failure, FailureClass},
    sandbox::Limits,
};
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

fn assert_denied(failure: &Failure, wanted: &str) {
    assert_eq!(failure.code, "grant_missing", "{}", failure.message);
    assert_eq!(failure.class, FailureClass::InvalidConfig);
    assert!(!failure.reached_upstream);
    let says = format!("add \"{wanted}\" to its allowed_hosts");
    assert!(failure.message.contains(&says), "{}", failure.message);
    assert!(
        failure.message.contains("mount `db`"),
        "{}",
        failure.message
    );
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
async fn without_a_grant_nothing_is_dialled_and_the_failure_says_what_to_add() {
    let upstream = Upstream::start().await;
    let harness = Harness::start()
        .await
        .grant(&[String::from("tcp://db.example.com:5432")]);
    let wanted = upstream.grant("tcp", "127.0.0.1");
    for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let failure = harness
            .act_on("connect", host, upstream.port())
            .await
            .unwrap_err();
        assert_denied(&failure, &wanted);
    }
    for disguised in ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"] {
        let failure = harness
            .act_on("connect", disguised, upstream.port())
            .await
            .unwrap_err();
        assert_eq!(failure.code, "grant_missing", "{disguised}");
    }
    assert_eq!(upstream.accepted(), 0);
    assert!(harness.logged().contains(&wanted));
    harness.still_behaves().await;
}

#[tokio::test]
async fn a_denial_that_the_guest_lives_with_fails_nothing() {
    let harness = Harness::start().await;
    let note = harness.note("connect and go on", "10.0.0.1", 5432).await;
    assert!(!note.contains("connected"), "{note}");
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
async fn raw_sockets_and_name_lookups_are_refused() {
    let upstream = Upstream::start().await;
    let harness = Harness::start().await.grant(&[
        upstream.grant("tcp", "127.0.0.1"),
        upstream.grant("tcp", "localhost"),
    ]);
    for (act, target) in [("raw socket", "127.0.0.1"), ("lookup", "localhost")] {
        let found = harness.note(act, target, 0).await;
        assert!(found.starts_with("refused"), "{act}: {found}");
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_call_opens_only_so_many_connections() {
    let upstream = Upstream::start().await;
    let harness = Harness::start()
        .await
        .grant(&[upstream.grant("tcp", "127.0.0.1")]);
    let failure = harness
        .act_on("connect all", "127.0.0.1", upstream.port())
        .await
        .unwrap_err();
    assert_eq!(failure.code, "limit_connections", "{}", failure.message);
    assert!(failure.reached_upstream);
    assert!(upstream.accepted() <= 32);
    harness.still_behaves().await;
}

#[tokio::test]
async fn a_call_holds_only_so_many_handles() {
    let upstream = Upstream::start().await;
    let harness = Harness::with(Limits {
        connections: 1000,
        ..Limits::default()
    })
    .await
    .grant(&[upstream.grant("tcp", "127.0.0.1")]);
    let failure = harness
        .act_on("connect all", "127.0.0.1", upstream.port())
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

    harness.mount_id = 2;
    assert_eq!(park(&harness).await, "found: false");
    harness.mount_id = 1;
    harness.config_version = 2;
    assert_eq!(park(&harness).await, "found: false");
    harness.config_version = 1;
    assert_eq!(park(&harness).await, "found: true");

    harness.sandbox.drop_parked(1);
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

#[tokio::test]
async fn http_without_a_grant_is_denied_and_not_dialled() {
    let upstream = Upstream::http("HTTP/1.1 200 OK\r\n\r\n", 0).await;
    let harness = Harness::start()
        .await
        .grant(&[upstream.grant("tcp", "127.0.0.1")]);
    let url = format!("http://{}/", upstream.address);
    let failure = harness.act_on("http", &url, 0).await.unwrap_err();
    assert_denied(&failure, &upstream.grant("http", "127.0.0.1"));
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inner = Upstream::http("HTTP/1.1 200 OK\r\n\r\n", 0).await;
    let head = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        inner.address
    );
    let upstream = Upstream::http(head.leak(), 0).await;
    let harness = Harness::start()
        .await
        .grant(&[upstream.grant("http", "127.0.0.1")]);
    let url = format!("http://{}/", upstream.address);
    assert_eq!(harness.note("http", &url, 0).await, "302 0");
    assert_eq!(inner.accepted(), 0);
}

#[tokio::test]
async fn a_response_that_is_too_long_is_an_error() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ] {
        let upstream = Upstream::http(head, 8 << 20).await;
        let harness = Harness::start()
            .await
            .grant(&[upstream.grant("http", "127.0.0.1")]);
        let url = format!("http://{}/", upstream.address);
        let failure = harness.act_on("http", &url, 0).await.unwrap_err();
        assert!(failure.reached_upstream, "{}", failure.message);
        harness.still_behaves().await;
    }
}
