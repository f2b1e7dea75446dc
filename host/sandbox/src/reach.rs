//! The hosts that one call may reach, and the one way to open a connection.
//!
//! Everything that leaves a call (HTTP, byte streams, parked connections) goes
//! through its [`Reach`]: the grants of the mount, checked by name and by every
//! resolved address, the number of connections, and what was refused. The name
//! is resolved once and the checked addresses are dialled, so nobody can answer
//! differently in between. Where there is no scope (`describe`), nothing may be
//! reached at all.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use lessor_model::{
    grants::{Destination, Host, Refusal, Scheme},
    provider::Scope,
    proxy::ProxyUrl,
};
use tokio::{net::TcpStream, time::timeout};

use super::{
    Outside,
    account::Account,
    aside::{Aside, Slots},
    limits::{Exceeded, Limit},
};

/// The time that one address may take to answer before the next one is tried.
const CONNECT: Duration = Duration::from_secs(10);

/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// The hosts that one call may reach.
pub(super) struct Reach {
    /// Absent while a provider describes itself.
    scope: Option<Arc<Scope>>,
    pub(super) outside: Arc<Outside>,
    /// The provider's.
    pub(super) aside: Arc<Aside>,
    connections: AtomicUsize,
    /// The memory that the host holds for the call.
    pub(super) account: Arc<Account>,
    /// The first limit that the call ran into.
    pub(super) exceeded: Exceeded,
    touched: AtomicBool,
    refused: Mutex<Vec<Refused>>,
    /// Why the mount's proxy was of no use, the last time that it was used.
    proxy: Mutex<Option<String>>,
}

/// Something that a call wanted and was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// A connection; with the sentence that says how to grant it.
    Connection(String),
    /// A token that says who it is; with the sentence that says how to allow it.
    Identity(String),
}

impl Refused {
    pub(super) fn sentence(&self) -> &str {
        match self {
            Self::Connection(sentence) | Self::Identity(sentence) => sentence,
        }
    }
}

/// A TCP connection that the grants allow.
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    pub(super) destination: Destination,
    pub(super) peer: SocketAddr,
}

/// The reason why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// No grant; the sentence says which to add.
    #[error("{0}")]
    Denied(String),
    /// The name has no address.
    #[error("the name could not be resolved")]
    Unresolved,
    /// No address answered.
    #[error("{0}")]
    Unreachable(String),
    /// An address did not answer in time, and no other did.
    #[error("the connection timed out")]
    TimedOut,
    /// The call opened too many connections.
    #[error("too many connections")]
    TooMany,
}

impl From<DialError> for wasmtime_wasi_http::Error {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Denied(_) => Self::HttpRequestDenied,
            DialError::Unresolved => Self::DestinationNotFound,
            DialError::Unreachable(_) => Self::ConnectionRefused,
            DialError::TimedOut => Self::ConnectionTimeout,
            DialError::TooMany => Self::ConnectionLimitReached,
        }
    }
}

/// A guest used what it may not use while it describes itself.
#[derive(Debug, thiserror::Error)]
#[error("describe has no network, no keys and no secrets")]
pub(super) struct NoScope;

impl Reach {
    pub(super) fn new(scope: Option<Arc<Scope>>, outside: Arc<Outside>, aside: Arc<Aside>) -> Self {
        let exceeded = Exceeded::default();
        let ledger = Arc::clone(&outside.ledger);
        let account = Account::new(ledger, outside.limits.held, exceeded.clone());
        Self {
            scope,
            outside,
            aside,
            connections: AtomicUsize::new(0),
            account: Arc::new(account),
            exceeded,
            touched: AtomicBool::new(false),
            refused: Mutex::new(Vec::new()),
            proxy: Mutex::new(None),
        }
    }

    /// The scope that the mount lends to the call.
    pub(super) fn scope(&self) -> Result<&Arc<Scope>, NoScope> {
        self.scope.as_ref().ok_or(NoScope)
    }

    /// Whether anything upstream was reached.
    pub(super) fn touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Notes that a connection is in the guest's hands.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// The refused connections, in order.
    pub(super) fn refusals(&self) -> Vec<Refused> {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a connection made earlier is still granted.
    pub(super) fn still_permits(&self, destination: &Destination, peer: SocketAddr) -> bool {
        let Ok(scope) = self.scope() else {
            return false;
        };
        let Destination { scheme, host, port } = destination;
        scope
            .grants
            .permits(*scheme, &host.to_string(), *port)
            .and_then(|again| scope.grants.permits_address(&again, peer.ip()))
            .is_ok()
    }

    /// Opens TCP to a host, if the grants allow the name and an address of it.
    pub(super) async fn dial(
        &self,
        scheme: Scheme,
        host: &str,
        port: u16,
    ) -> Result<Dialled, DialError> {
        let scope = self
            .scope()
            .map_err(|error| DialError::Denied(error.to_string()))?;
        let destination = scope
            .grants
            .permits(scheme, host, port)
            .map_err(|refusal| self.refuse(&refusal))?;
        self.count_connection()?;
        let mut addresses = resolve(&self.aside.look_ups, &destination).await?;
        let mut refusal = None;
        addresses.retain(|address| {
            scope
                .grants
                .permits_address(&destination, *address)
                .map_err(|refused| refusal = Some(refused))
                .is_ok()
        });
        if addresses.is_empty() {
            return Err(match refusal {
                Some(refusal) => self.refuse(&refusal),
                None => DialError::Unresolved,
            });
        }
        let (stream, peer) = connect(&addresses, port).await?;
        self.touch();
        Ok(Dialled {
            stream,
            destination,
            peer,
        })
    }

    /// The destination of a request that goes by the mount's proxy, if the grants allow it: an
    /// address is checked as ever; a name is resolved by the proxy.
    pub(super) fn permit_by_proxy(
        &self,
        scheme: Scheme,
        host: &str,
        port: u16,
    ) -> Result<Destination, DialError> {
        let scope = self
            .scope()
            .map_err(|error| DialError::Denied(error.to_string()))?;
        let permitted = scope.grants.permits(scheme, host, port);
        let permitted = permitted.and_then(|destination| match &destination.host {
            Host::Address(address) => {
                let address = *address;
                let checked = scope.grants.permits_address(&destination, address);
                checked.map(|()| destination)
            }
            Host::Name(_) => Ok(destination),
        });
        permitted.map_err(|refusal| self.refuse(&refusal))
    }

    /// Opens TCP to the mount's proxy, whose address the operator has chosen.
    pub(super) async fn dial_proxy(&self, proxy: &ProxyUrl) -> Result<TcpStream, DialError> {
        self.count_connection()?;
        let destination = Destination {
            scheme: Scheme::Tcp,
            host: proxy.host.clone(),
            port: proxy.port,
        };
        let addresses = resolve(&self.aside.look_ups, &destination).await?;
        let (stream, _) = connect(&addresses, proxy.port).await?;
        Ok(stream)
    }

    /// Keeps why the proxy was of no use; none where it was.
    ///
    /// The last time counts: a call that tries again and gets through fails for another
    /// reason, which is not the proxy's.
    pub(super) fn note_proxy(&self, sentence: Option<String>) {
        *self.proxy.lock().unwrap_or_else(PoisonError::into_inner) = sentence;
    }

    /// Why the proxy was of no use.
    pub(super) fn proxy_failure(&self) -> Option<String> {
        let mut noted = self.proxy.lock().unwrap_or_else(PoisonError::into_inner);
        noted.take()
    }

    /// Counts one connection, parked ones that are taken back included.
    pub(super) fn count_connection(&self) -> Result<(), DialError> {
        let opened = self.connections.fetch_add(1, Ordering::Relaxed);
        if opened >= self.outside.limits.connections {
            self.exceeded.note(Limit::Connections);
            return Err(DialError::TooMany);
        }
        Ok(())
    }

    fn refuse(&self, refusal: &Refusal) -> DialError {
        let mount = self.scope.as_ref().map_or("", |scope| scope.mount.as_str());
        let sentence = refusal.sentence(mount);
        self.note_refusal(Refused::Connection(sentence.clone()));
        DialError::Denied(sentence)
    }

    /// Keeps that something was refused.
    pub(super) fn note_refusal(&self, refusal: Refused) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < self.outside.limits.connections && !refused.contains(&refusal) {
            refused.push(refusal);
        }
    }
}

/// The addresses of a host, in the resolver's order.
async fn resolve(slots: &Slots, destination: &Destination) -> Result<Vec<IpAddr>, DialError> {
    let name = match &destination.host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name.clone(),
    };
    let port = destination.port;
    let found = slots.done(move || {
        let addresses = (name, port).to_socket_addrs()?;
        Ok(addresses
            .map(|address| address.ip())
            .take(ADDRESSES)
            .collect())
    });
    found
        .await
        .map_err(|_| DialError::Unresolved)?
        .map_err(|_: io::Error| DialError::Unresolved)
}

/// The first of the checked addresses that answers.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<(TcpStream, SocketAddr), DialError> {
    let mut failure = DialError::Unresolved;
    for address in addresses {
        let peer = SocketAddr::new(*address, port);
        match timeout(CONNECT, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => {
                // Small packets back and forth: waiting to fill one only costs.
                let _ = stream.set_nodelay(true);
                return Ok((stream, peer));
            }
            Ok(Err(error)) => failure = DialError::Unreachable(reason(&error)),
            Err(_) => failure = DialError::TimedOut,
        }
    }
    Err(failure)
}

/// The kind of an I/O error in words, without the machine's own texts.
pub(super) fn reason(error: &io::Error) -> String {
    error.kind().to_string()
}

#[cfg(test)]
mod tests {
    use lessor_model::clock::Clock;

    use super::*;
    use crate::Limits;

    #[tokio::test]
    async fn a_provider_that_describes_itself_reaches_nothing() {
        let outside = Arc::new(Outside::new(Clock::system(), Limits::default()));
        let aside = Arc::new(outside.aside.another());
        let reach = Reach::new(None, outside, aside);
        let dialled = reach.dial(Scheme::Tcp, "127.0.0.1", 1).await;
        assert!(matches!(dialled, Err(DialError::Denied(_))));
        assert!(reach.scope().is_err());
        assert!(!reach.touched());
    }

    #[test]
    fn a_proxy_that_served_in_the_end_is_not_blamed() {
        let outside = Arc::new(Outside::new(Clock::system(), Limits::default()));
        let aside = Arc::new(outside.aside.another());
        let reach = Reach::new(None, outside, aside);
        for (uses, blamed) in [
            (&[][..], None),
            (&[Some("busy")], Some("busy")),
            (&[Some("busy"), None], None),
            (&[None, Some("busy"), Some("gone")], Some("gone")),
        ] {
            for sentence in uses {
                reach.note_proxy(sentence.map(str::to_owned));
            }
            assert_eq!(reach.proxy_failure().as_deref(), blamed, "{uses:?}");
        }
    }
}
