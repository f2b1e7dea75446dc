//! The listener: TCP, TLS where it is configured, HTTP/1.1 and HTTP/2.
//!
//! Every wait on a peer is bounded. A silent peer costs a task and a place, and loses the place
//! to a connection that needs one (`places`).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use lessor_model::watched::Watched;
use rustls::{ServerConfig, SupportedProtocolVersion, crypto::CryptoProvider};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::{
    certificates::{Certificates, TlsError},
    places::{Guest, Places},
};
use crate::{
    api::{Api, Proven, delivery::Link},
    config::{Tls, TlsVersion},
};

/// The time that a peer may take for its TLS handshake, and to answer a ping.
const PATIENCE: Duration = Duration::from_secs(15);

/// The time for which a connection may be idle, and a request's head may take. Longer than
/// the 90 s after which Go's clients drop an idle connection, so that the server
/// does not close one that is just being used.
const IDLE: Duration = Duration::from_secs(120);

/// Pause after `accept` failed: most often there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// Bytes of HTTP/2 that a peer may send before somebody reads them: of one request,
/// and of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// Bound sockets and what they serve.
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<Arc<ServerConfig>>,
    api: Api,
    places: Places,
}

impl Listener {
    pub(super) fn new(
        sockets: Vec<TcpListener>,
        tls: Option<Arc<ServerConfig>>,
        api: Api,
        places: Places,
    ) -> Self {
        Self {
            sockets,
            tls,
            api,
            places,
        }
    }

    /// The addresses that it listens on.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// `https` or `http`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Serves until `stop` completes; then takes no connections, and gives the
    /// requests under way `grace` to end.
    pub(super) async fn serve_until(self, stop: impl Future<Output = ()>, grace: Duration) {
        let (sender, mut accepted) = mpsc::channel(16);
        let accepting: Vec<_> = self
            .sockets
            .into_iter()
            .map(|socket| tokio::spawn(accept(socket, sender.clone())))
            .collect();
        let graceful = GracefulShutdown::new();
        let acceptor = self.tls.map(TlsAcceptor::from);
        tokio::pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                Some(accepted) = accepted.recv() => accepted,
            };
            let Some(guest) = self.places.enter(peer.ip()) else {
                tracing::debug!(%peer, "a connection found no place");
                continue;
            };
            let guest = Arc::new(guest);
            let (api, watcher) = (self.api.clone(), graceful.watcher());
            let (acceptor, own) = (acceptor.clone(), Arc::clone(&guest));
            let conversation = async move {
                let Some(acceptor) = acceptor else {
                    return converse(stream, peer, api, own, watcher).await;
                };
                match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, peer, api, own, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
                }
            };
            tokio::spawn(async move {
                tokio::select! {
                    () = conversation => {}
                    () = guest.asked_to_leave() => {
                        tracing::debug!(%peer, "a connection without a token gave its place to another");
                    }
                }
            });
        }
        for task in accepting {
            task.abort();
        }
        if tokio::time::timeout(grace, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("requests did not end in time and are cut off");
        }
    }
}

async fn accept(socket: TcpListener, accepted: mpsc::Sender<(TcpStream, SocketAddr)>) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and complete: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                if accepted.send((stream, peer)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, to its end.
async fn converse<S>(
    stream: S,
    peer: SocketAddr,
    api: Api,
    guest: Arc<Guest>,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let link = Link::default();
    let stream = Watched::by(link.clone(), stream);
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, link, guest) = (api.clone(), link.clone(), Arc::clone(&guest));
        async move {
            let request_ends = guest.begin();
            let answer = api.handle(request, peer, link).await;
            request_ends.end(answer.extensions().get::<Proven>().is_some());
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(PATIENCE);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection ended badly");
    }
}

/// The settings of TLS. Below 1.3 that is 1.2, for clients that know no more (older systems of
/// Windows and Java), with the suites that rustls has: each is ECDHE with an AEAD.
pub(super) fn acceptor(
    tls: &Tls,
    certificates: Arc<Certificates>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match tls.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use hyper::server::conn::http1;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        sync::oneshot,
    };

    use super::*;
    use crate::api::{delivery::Delivery, payload::Payload};

    /// Serves one answer of many bytes over a connection that holds few. Returns the caller's
    /// end of it, and whether the answer was written.
    async fn asked() -> (DuplexStream, oneshot::Receiver<()>) {
        let (mut caller, stream) = duplex(64);
        let link = Link::default();
        let (delivery, written) = Delivery::over(link.clone());
        let payload = Payload::from(vec![b'x'; 1000]).watched(delivery);
        let answer = std::sync::Mutex::new(Some(Response::new(payload)));
        let service = service_fn(move |_: Request<Incoming>| {
            let answer = answer.lock().unwrap().take();
            let answer = answer.unwrap_or_else(|| Response::new(Vec::new().into()));
            async move { Ok::<_, Infallible>(answer) }
        });
        let watched = Watched::by(link, stream);
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(watched), service));
        caller
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        (caller, written)
    }

    #[tokio::test]
    async fn an_answer_that_is_read_was_written() {
        let (mut caller, written) = asked().await;
        let mut read = vec![0; 1000];
        caller.read_exact(&mut read).await.unwrap();
        // The head was read before, so the rest is the end of the body.
        caller.read_exact(&mut read[..50]).await.unwrap();
        let rest = tokio::spawn(async move {
            let _ = caller.read_to_end(&mut Vec::new()).await;
        });
        assert!(written.await.is_ok());
        rest.abort();
    }

    #[tokio::test]
    async fn an_answer_whose_caller_leaves_half_way_was_not_written() {
        let (mut caller, written) = asked().await;
        caller.read_exact(&mut [0; 100]).await.unwrap();
        drop(caller);
        assert!(written.await.is_err());
    }
}
