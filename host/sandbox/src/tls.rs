//! TLS to upstream: rustls, the public roots, and the mount's own beside them.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Client configurations by the roots that they add. A configuration holds 150
/// parsed roots, so it is made once per set of roots and not per connection.
#[derive(Default)]
pub(super) struct TlsConfigs {
    by_roots: Mutex<HashMap<[u8; 32], Arc<ClientConfig>>>,
}

/// More sets of roots than this are made anew now and then.
const KEPT: usize = 128;

/// The reason why there is no TLS connection; safe to show to a guest and its operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// The name cannot be in a certificate.
    #[error("{0:?} is not a server name")]
    Name(String),
    /// A root of the mount is no certificate.
    #[error("an extra root of the mount is not a certificate: {0}")]
    Root(rustls::Error),
    /// rustls would not take the settings.
    #[error("TLS could not be set up: {0}")]
    Setup(rustls::Error),
    /// The peer's certificate or its answers were refused.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("the connection broke during the TLS handshake")]
    Broken,
}

impl TlsConfigs {
    /// Turns a stream to TLS 1.2 or later, verifying the peer as `server_name`.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        roots: &[CertificateDer<'static>],
        server_name: &str,
        stream: S,
    ) -> Result<TlsStream<S>, TlsError> {
        let bare = server_name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| TlsError::Name(bare.chars().take(253).collect()))?;
        TlsConnector::from(self.config(roots)?)
            .connect(name, stream)
            .await
            .map_err(|error| refusal(&error))
    }

    fn config(&self, roots: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, TlsError> {
        let key = roots
            .iter()
            .fold(Sha256::new(), |hash, root| {
                hash.chain_update(root.len().to_be_bytes())
                    .chain_update(root)
            })
            .finalize()
            .into();
        let mut by_roots = self.by_roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = by_roots.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(client_config(roots)?);
        if by_roots.len() >= KEPT {
            by_roots.clear();
        }
        by_roots.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

fn client_config(roots: &[CertificateDer<'static>]) -> Result<ClientConfig, TlsError> {
    let mut store = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for root in roots {
        store.add(root.clone()).map_err(TlsError::Root)?;
    }
    Ok(
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(store)
            .with_no_client_auth(),
    )
}

/// The sentence of rustls, or that the connection broke.
fn refusal(error: &io::Error) -> TlsError {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(refused) => TlsError::Refused(refused.to_string()),
        None => TlsError::Broken,
    }
}
