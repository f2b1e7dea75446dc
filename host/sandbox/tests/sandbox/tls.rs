//! TLS by the host: the mount's roots beside the public ones, names verified.

use std::sync::Arc;

use lessor_model::provider::Failure;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs},
};

use crate::{
    harness::Harness,
    network::{Upstream, pong},
};

const CA: &[u8] = include_bytes!("certificates/ca.der");
const LEAF: &[u8] = include_bytes!("certificates/leaf.der");
const KEY: &[u8] = include_bytes!("certificates/leaf.key.der");

fn acceptor() -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(LEAF)],
            PrivatePkcs8KeyDer::from(KEY).into(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A TLS upstream for `ping`.
async fn upstream(address: &str) -> Upstream {
    let acceptor = acceptor();
    Upstream::serve(address, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                pong(stream).await;
            }
        }
    })
    .await
}

async fn harness(upstream: &Upstream, host: &str, roots: &[&'static [u8]]) -> Harness {
    let mut harness = Harness::start()
        .await
        .grant(&[upstream.grant("tcp", host), upstream.grant("https", host)]);
    harness.roots = roots.iter().copied().map(CertificateDer::from).collect();
    harness
}

fn assert_untrusted(failure: &Failure, says: &str) {
    assert!(failure.message.contains(says), "{}", failure.message);
    assert!(failure.reached_upstream);
}

#[tokio::test]
async fn a_peer_that_a_root_of_the_mount_vouches_for_is_trusted() {
    for host in ["localhost", "127.0.0.1"] {
        let upstream = upstream("127.0.0.1").await;
        let harness = harness(&upstream, host, &[CA]).await;
        let expected = format!("pong with {}", LEAF.len());
        assert_eq!(harness.note("tls", host, upstream.port()).await, expected);
        harness.still_behaves().await;
    }
}

#[tokio::test]
async fn a_peer_that_no_root_vouches_for_is_refused() {
    let upstream = upstream("127.0.0.1").await;
    let harness = harness(&upstream, "localhost", &[]).await;
    let refused = harness.act_on("tls", "localhost", upstream.port()).await;
    assert_untrusted(&refused.unwrap_err(), "UnknownIssuer");
    harness.still_behaves().await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let upstream = upstream("127.0.0.2").await;
    let harness = harness(&upstream, "127.0.0.2", &[CA]).await;
    let refused = harness.act_on("tls", "127.0.0.2", upstream.port()).await;
    assert_untrusted(&refused.unwrap_err(), "not valid for name");
}

#[tokio::test]
async fn a_root_that_is_no_certificate_is_named() {
    let upstream = upstream("127.0.0.1").await;
    let harness = harness(&upstream, "localhost", &[b"junk"]).await;
    let refused = harness.act_on("tls", "localhost", upstream.port()).await;
    assert_untrusted(&refused.unwrap_err(), "extra root");
}

#[tokio::test]
async fn https_goes_by_the_same_roots() {
    let acceptor = acceptor();
    let upstream = Upstream::serve("127.0.0.1", move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                let _ = stream.write_all(head).await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await;
    let url = format!("https://localhost:{}/", upstream.port());
    let trusting = harness(&upstream, "localhost", &[CA]).await;
    assert_eq!(trusting.note("http", &url, 0).await, "200 2");
    let wary = harness(&upstream, "localhost", &[]).await;
    assert!(wary.act_on("http", &url, 0).await.is_err());
    wary.still_behaves().await;
}
