//! The listener's certificate and key: read at the start, and again where their
//! files change.
//!
//! A renewal of the certificate replaces two files, one after the other. New files are taken up
//! once neither changes any more. Files that do not fit together, or cannot be read, change
//! nothing: the former certificate goes on being served, and the log says why.

use std::{
    error::Error as _,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use lessor_model::pem;
use rustls::{
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::config::Tls;

/// See the file's header.
#[derive(Debug)]
pub(super) struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    served: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
}

/// The state of the files that was read last.
#[derive(Debug)]
struct Seen {
    /// The time when they were read last, with or without success.
    tried: State,
    /// The time when they were looked at last.
    last: State,
}

impl Certificates {
    /// Reads certificate and key.
    pub(super) fn read(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        // Taken before the files are read, so that a change in between is seen at the next
        // look.
        let state = State::of(&tls.cert, &tls.key);
        let served = read(&tls.cert, &tls.key, &provider)?;
        Ok(Self {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            provider,
            served: RwLock::new(Arc::new(served)),
            seen: Mutex::new(Seen {
                tried: state,
                last: state,
            }),
        })
    }

    /// Takes up new files, if there are any and they have not changed since the last look; at
    /// once where an operator `asked`.
    pub(super) fn follow(&self, asked: bool) {
        let state = State::of(&self.cert, &self.key);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let rests = seen.last == state;
            seen.last = state;
            if !asked && (state == seen.tried || !rests) {
                return;
            }
            seen.tried = state;
        }
        match read(&self.cert, &self.key, &self.provider) {
            Ok(fresh) => {
                let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
                if served.cert != fresh.cert {
                    tracing::info!("took up a new certificate of [tls]");
                }
                *served = Arc::new(fresh);
            }
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(
                    %error, cause,
                    "the files of [tls] cannot be used: the former certificate goes on being served"
                );
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&served))
    }
}

/// Marks by which two versions of the files differ, also where a link has come to lead
/// elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State([Option<[i128; 5]>; 2]);

impl State {
    fn of(cert: &Path, key: &Path) -> Self {
        let facts = |path| {
            let found = fs::metadata(path).ok()?;
            let nanoseconds =
                |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
            Some([
                found.dev().into(),
                found.ino().into(),
                found.len().into(),
                nanoseconds(found.mtime(), found.mtime_nsec()),
                // The time of the last change of mode or owner too, for a file that only became
                // readable.
                nanoseconds(found.ctime(), found.ctime_nsec()),
            ])
        };
        Self([facts(cert), facts(key)])
    }
}

fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = content(cert, pem::chain)?;
    let key = content(key, pem::private_key)?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Unusable)
}

/// Applies `read` to a file's text.
fn content<T>(path: &Path, read: impl Fn(&str) -> Result<T, String>) -> Result<T, TlsError> {
    let bytes = fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })?;
    // Words around the blocks may be in any encoding.
    read(&String::from_utf8_lossy(&bytes)).map_err(|reason| TlsError::Pem {
        path: path.to_owned(),
        reason,
    })
}

/// Certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("the file {} of [tls] cannot be read", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it is to hold.
    #[error("the file {} of [tls] {reason}", path.display())]
    Pem {
        /// The path.
        path: PathBuf,
        /// The end of the sentence.
        reason: String,
    },
    /// They do not belong together, or are of a kind that is not supported.
    #[error("certificate and key of [tls] cannot be used together")]
    Unusable(#[source] rustls::Error),
}
